package arq

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/wire"
)

// Kind says what an Effect is.
type Kind uint8

// The kinds of an Effect.
const (
	// Write: write Data to the line, and answer with Written. There is at most one at a time; Data is valid until then.
	Write Kind = iota
	// Up: there is a connection, with Device at the ground's end.
	Up
	// Down: there is none any more, because of Err. A message that was offered and not taken is dropped. At the machine's end
	// that is final; the ground's waits for the next.
	Down
	// Taken: the message that was offered is all in the window, and another may be offered.
	Taken
	// Deliver: Data is a message from the other end, and the caller's. Answer with Consumed when somebody received it.
	Deliver
)

// Effect is something to be done, or to be known.
type Effect struct {
	Kind   Kind
	Data   []byte
	Device string
	Err    error
}

// phase is where a machine is.
type phase uint8

const (
	asking    phase = iota // the machine's end, for a connection
	listening              // the ground's end, for whom asks
	up
	over // the machine's end, and either's after Close
)

// peering is what two ends agreed on.
type peering struct {
	mine, theirs uint32 // the numbers by which either wants to be addressed
	line         Line
	device       string
}

// Machine is the state of one end of a line. It is for one goroutine at a time. Times are monotonic, from any origin, and
// never go back.
type Machine struct {
	o     Options
	line  Line
	rng   env.Rand
	phase phase

	peer    peering
	pending peering // at the ground's end: offered to who asked last, who has not used it yet; none if its mine is 0
	proven  bool    // at the machine's end: the ground has used the connection
	in      receiver
	out     sender
	held    int

	askAt time.Duration // when to ask for a connection again, or at the ground's end to say that there is none
	asks  int

	heard  time.Duration // the last frame of this connection
	pingAt time.Duration // not before

	// What is to be sent beside what belongs to the connection. One of each is enough.
	syn, synAck, reset, refuse bool
	resetNumber, refuseNonce   uint32
	refuseCode                 byte

	writing bool
	freeAt  time.Duration // when what was written has left the line
	buf     [1 + MaxPayload + MaxPayload/254 + 8]byte
	scratch [maxControl]byte

	effects []Effect
	read    bool // effects were returned
	wake    time.Duration
}

// New returns a machine for a line that was just opened.
func New(now time.Duration, o Options, rng env.Rand) *Machine {
	o = o.WithDefaults()
	m := &Machine{o: o, line: NewLine(o.Baud), rng: rng, phase: listening, held: o.Held, freeAt: now, askAt: now}
	m.out.timer = -1
	if o.Device != "" {
		m.phase = asking
		m.peer.mine = m.number()
	}
	m.step(now)
	return m
}

// number draws one that neither is 0 nor in use.
func (m *Machine) number() uint32 {
	for {
		if n := uint32(m.rng.Uint64() >> 32); n != 0 && n != m.peer.mine && n != m.pending.mine {
			return n
		}
	}
}

// Line returns what follows from the line's rate.
func (m *Machine) Line() Line { return m.line }

// Effects returns what is to be done since it was last called, in order. The slice is valid until the next event.
func (m *Machine) Effects() []Effect {
	if m.read {
		return nil
	}
	m.read = true
	return m.effects
}

// Wake returns the time at which Tick wants to be called, or false if only an event can change anything.
func (m *Machine) Wake() (time.Duration, bool) { return m.wake, m.wake >= 0 }

func (m *Machine) begin() {
	if m.read {
		clear(m.effects)
		m.effects, m.read = m.effects[:0], false
	}
}

func (m *Machine) effect(e Effect) { m.effects = append(m.effects, e) }

// Tick lets time pass.
func (m *Machine) Tick(now time.Duration) {
	m.begin()
	m.step(now)
}

// Offer gives a message to be sent, which must stay as it is until it is Taken or the connection is Down. It reports whether
// it took it on: there must be a connection, and no message that is being taken. A message is at most link.MaxMessage bytes.
func (m *Machine) Offer(now time.Duration, message []byte) bool {
	m.begin()
	if m.phase != up || m.out.offered {
		return false
	}
	m.out.message, m.out.at, m.out.offered = message, 0, true
	m.step(now)
	return true
}

// Consumed says that messages which weigh so much were received: see Weight.
func (m *Machine) Consumed(now time.Duration, weight int) {
	m.begin()
	was := m.in.next
	m.held -= weight
	if err := m.take(); err != nil {
		m.cut(err)
	}
	if m.in.next != was {
		m.in.urgent = true // the window is open again
	}
	m.step(now)
}

// Written answers a Write.
func (m *Machine) Written(now time.Duration) {
	m.begin()
	m.writing = false
	m.step(now)
}

// Close ends the connection, if there is one, and tells the other end in a last Write.
func (m *Machine) Close(now time.Duration) {
	m.begin()
	if m.phase == up {
		m.reset, m.resetNumber = true, m.peer.mine
		m.freeAt = now // it is not worth waiting for
	}
	m.phase = over
	m.step(now)
}

// Received takes a frame without its framing. It keeps nothing of b.
func (m *Machine) Received(now time.Duration, b []byte) {
	m.begin()
	if err := m.received(now, b); err != nil {
		m.cut(err)
	}
	m.step(now)
}

// received returns why the connection is to be cut, if so. What makes no sense by itself is passed over: its checksum holds, so it is
// from another protocol or version, or from somebody who means no good.
func (m *Machine) received(now time.Duration, b []byte) error {
	if len(b) < 5 || m.phase == over {
		return nil
	}
	kind, number := b[0]&kindMask, binary.LittleEndian.Uint32(b[1:])
	if kind != kindData && b[0] != kind {
		return nil
	}
	switch kind {
	case kindSyn:
		if m.o.Device == "" {
			m.asked(b)
		}
	case kindSynAck:
		m.granted(now, b)
	case kindData, kindAck, kindPing:
		return m.connected(now, kind, number, b)
	case kindReset:
		m.wasReset(now, number)
	case kindRefuse:
		if len(b) == 7 && m.phase == asking && number == m.peer.mine {
			m.refused(b[5], b[6])
		}
	}
	return nil
}

// asked handles a syn. The connection that there is stays until the new one is used, for the syn may be an old one.
func (m *Machine) asked(b []byte) {
	f, err := parseSyn(b)
	if err != nil {
		return
	}
	if f.version != Version {
		m.refuse, m.refuseNonce, m.refuseCode = true, f.nonce, refuseVersion
		return
	}
	if telemetry.ValidateDevice(f.device) != nil {
		m.refuse, m.refuseNonce, m.refuseCode = true, f.nonce, refuseDevice
		return
	}
	if m.phase == up && f.nonce == m.peer.theirs {
		return // it is in use: this one was late
	}
	if m.pending.mine == 0 || m.pending.theirs != f.nonce {
		m.pending = peering{mine: m.number(), theirs: f.nonce, device: f.device, line: m.agreed(f.window, f.fragment)}
	}
	m.synAck = true
}

// agreed is the line as both ends take it.
func (m *Machine) agreed(window, fragment int) Line {
	l := m.line
	l.Window, l.Fragment = min(l.Window, window), min(l.Fragment, fragment)
	return l
}

// granted handles an answer to our syn.
func (m *Machine) granted(now time.Duration, b []byte) {
	f, err := parseSynAck(b)
	if err != nil || m.phase != asking || f.nonce != m.peer.mine {
		return
	}
	m.peer.theirs, m.peer.line = f.number, m.agreed(f.window, f.fragment)
	m.connect(now)
	m.proven = false // the ground waits for a sign that we have its number: keepAlive gives it
}

// connect begins the connection that m.peer describes.
func (m *Machine) connect(now time.Duration) {
	m.phase, m.heard, m.pingAt, m.syn = up, now, now, false
	m.in.begin(m.line, uint16(m.peer.mine))
	m.out.begin(m.peer.line, uint16(m.peer.theirs))
	m.out.rng = m.rng
	m.effect(Effect{Kind: Up, Device: m.peer.device})
}

// connected handles a frame of a connection.
func (m *Machine) connected(now time.Duration, kind byte, number uint32, b []byte) error {
	if m.pending.mine != 0 && number == m.pending.mine {
		if m.phase == up {
			m.down(errReplaced)
		}
		m.peer, m.pending, m.synAck = m.pending, peering{}, false
		m.connect(now)
	}
	if m.phase != up || number != m.peer.mine {
		if number != 0 {
			m.reset, m.resetNumber = true, number
		}
		return nil
	}
	m.heard, m.proven = now, true
	switch {
	case kind == kindData && len(b) >= dataHeader && len(b) <= dataHeader+m.line.Fragment:
		m.in.data(b[0]&^kindMask, binary.LittleEndian.Uint16(b[5:]), binary.LittleEndian.Uint16(b[7:]), b[dataHeader:])
		return m.take()
	case kind == kindAck:
		if a, err := parseAck(b); err == nil {
			m.out.acknowledged(now, a)
		}
	case kind == kindPing && len(b) == 7:
		m.in.transmission(binary.LittleEndian.Uint16(b[5:]))
		m.in.urgent = true
	}
	return nil
}

// take delivers what is whole, as far as there is room.
func (m *Machine) take() error {
	for m.phase == up {
		message, whole, err := m.in.take(m.held < Inbox)
		if err != nil || !whole {
			return err
		}
		m.held += Weight(message)
		m.effect(Effect{Kind: Deliver, Data: message})
	}
	return nil
}

// Why a connection is down.
var (
	errReplaced = errors.New("the machine has begun a new connection")
	errReset    = errors.New("the other end has closed the connection, or begun anew")
)

// refused handles an answer that will not change soon.
func (m *Machine) refused(code, version byte) {
	switch code {
	case refuseVersion:
		m.down(fmt.Errorf("%w: the ground speaks version %d of the protocol, this build %d", link.ErrRefused, version, Version))
	case refuseDevice:
		m.down(fmt.Errorf("%w: the ground does not take the device name %q", link.ErrRefused, m.o.Device))
	default:
		m.down(fmt.Errorf("%w: code %d", link.ErrRefused, code))
	}
}

// wasReset handles a reset: of the number by which we address the other end, or of all.
func (m *Machine) wasReset(now time.Duration, number uint32) {
	machine := m.o.Device != ""
	switch {
	case m.phase == up && number == m.peer.theirs:
		m.down(errReset)
	case m.phase == up && number == 0 && machine:
		m.out.ping.due = true // if it is true, the ground will say so of our number; it may be an old word
	case m.phase == asking && number == 0:
		m.askAt, m.asks = now, 0 // the ground is there now
	}
	if m.pending.mine != 0 && number == m.pending.theirs {
		m.pending, m.synAck = peering{}, false
	}
}

// cut ends a connection from this side.
func (m *Machine) cut(err error) {
	if m.phase == up {
		m.reset, m.resetNumber = true, m.peer.mine
		m.down(err)
	}
}

func (m *Machine) down(err error) {
	m.phase = over
	if m.o.Device == "" {
		m.phase, m.asks = listening, 0
	}
	m.out.message, m.out.offered, m.out.timer = nil, false, -1
	m.in.message = nil
	m.effect(Effect{Kind: Down, Err: err})
}

// step does everything that can be done now and computes when to wake next.
func (m *Machine) step(now time.Duration) {
	m.wake = -1
	switch m.phase {
	case asking, listening:
		m.ask(now)
	case up:
		m.out.expire(now)
		m.keepAlive(now)
	}
	if m.phase == up && m.out.fill() {
		m.effect(Effect{Kind: Taken})
	}
	m.transmit(now)
	if m.phase == up && m.out.timer >= 0 {
		m.wakeAt(m.out.timer)
	}
}

func (m *Machine) wakeAt(t time.Duration) {
	if m.wake < 0 || t < m.wake {
		m.wake = t
	}
}

// maxAsk bounds the pause between two words that ask for a connection.
const maxAsk = 2 * time.Second

// ask sends a syn when it is time, ever less often. The ground's end says that it knows no connection: a machine that believes
// to have one, or waits for its next syn, need not wait.
func (m *Machine) ask(now time.Duration) {
	if now >= m.askAt {
		if m.phase == asking {
			m.syn = true
		} else if !m.reset {
			m.reset, m.resetNumber = true, 0
		}
		m.asks = min(m.asks+1, 6)
		wait := m.line.trip()
		m.askAt = now + wait + upTo(m.rng, min(wait<<m.asks-wait, maxAsk))
	}
	m.wakeAt(m.askAt)
}

// keepAlive asks a silent peer for a sign of life, and cuts the connection when there was none for too long.
func (m *Machine) keepAlive(now time.Duration) {
	k := m.o.KeepAlive
	if now >= m.heard+2*k {
		m.cut(fmt.Errorf("no sign of life from the other end for %v", 2*k))
		return
	}
	from, again := m.heard+k, max(k/16, 2*m.line.trip())
	if m.o.Device != "" && !m.proven {
		from, again = m.heard, 2*m.line.trip()
	}
	if now >= from && now >= m.pingAt {
		m.out.ping.due = true
		m.pingAt = now + again
	}
	m.wakeAt(min(m.heard+2*k, max(from, m.pingAt)))
}

// transmit writes one frame, what matters most first, if the line is free.
func (m *Machine) transmit(now time.Duration) {
	if m.writing {
		return
	}
	head, body := m.choose(now)
	if head == nil {
		return
	}
	m.write(now, head, body)
}

// choose returns the next frame, in two pieces, or nil if there is nothing to send or the line is busy.
func (m *Machine) choose(now time.Duration) (head, body []byte) {
	connected := m.phase == up
	seq, fragment := uint16(0), false
	if connected {
		seq, fragment = m.out.pick()
	}
	acks := connected && m.in.due(fragment)
	if !m.reset && !m.refuse && !m.synAck && !m.syn && !acks && !fragment && !(connected && m.out.ping.due) {
		return nil, nil
	}
	if free := m.freeAt - Lead; now < free {
		m.wakeAt(free)
		return nil, nil
	}
	b := m.scratch[:0]
	switch {
	case m.reset:
		m.reset = false
		return addressed(b, kindReset, m.resetNumber), nil
	case m.phase == over:
		return nil, nil
	case m.refuse:
		m.refuse = false
		return appendRefuse(b, m.refuseNonce, m.refuseCode), nil
	case m.synAck:
		m.synAck = false
		return synAck{nonce: m.pending.theirs, number: m.pending.mine, window: m.line.Window, fragment: m.line.Fragment}.append(b), nil
	case m.syn:
		m.syn = false
		return syn{version: Version, nonce: m.peer.mine, window: m.line.Window, fragment: m.line.Fragment, device: m.o.Device}.append(b), nil
	case acks:
		return m.in.ack().append(b, m.peer.theirs), nil
	case m.out.ping.due:
		m.out.pinged(now)
		return appendPing(b, m.peer.theirs, m.out.ping.stamp), nil
	}
	m.in.passed = m.in.owed > 0
	m.out.transmitted(now, seq)
	x := m.out.slot(seq)
	return appendDataHeader(b, x.flags, m.peer.theirs, seq, x.stamp), x.data
}

// write frames a payload. After a silence a delimiter goes before it, so that noise which came meanwhile is no part of it.
func (m *Machine) write(now time.Duration, head, body []byte) {
	at := 0
	if now > m.freeAt {
		m.buf[0] = 0
		at = 1
	}
	var e wire.Encoder
	e.Begin(m.buf[at:])
	e.Write(head)
	e.Write(body)
	n, err := e.End()
	if err != wire.OK {
		panic("arq: " + err.Error()) // the buffer fits the longest frame
	}
	n += at
	m.writing = true
	m.freeAt = max(m.freeAt, now) + m.line.Time(n)
	m.effect(Effect{Kind: Write, Data: m.buf[:n]})
}

// Quiet reports whether there is nothing to write after Close.
func (m *Machine) Quiet() bool { return !m.writing && !m.reset }

// Status is how a line is doing.
type Status struct {
	Connected bool
	Device    string        // at the ground's end, the machine's
	RTT       time.Duration // smoothed; 0 until measured
	Sent      uint64        // fragments, repeats included
	Repeats   uint64
	Received  uint64 // fragments, those that were there already included
	Again     uint64 // those
}

// Status returns how the line is doing. The counts are of all connections of the machine.
func (m *Machine) Status() Status {
	return Status{Connected: m.phase == up, Device: m.peer.device, RTT: m.out.srtt, Sent: m.out.fragments, Repeats: m.out.repeats,
		Received: m.in.fragments, Again: m.in.again}
}
