package delivery

import (
	"math/rand/v2"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Machine is the state. It is for one goroutine. Times are monotonic, from any origin, and never go back.
type Machine struct {
	o       Options
	rng     *rand.Rand
	links   []linkState
	queues  [packet.Classes]queue
	flight  int // frames sent and not acknowledged
	bytes   int // of those
	effects []Effect
	wake    time.Duration // the earliest time at which Tick has something to do; -1 for none
}

// queue is one class: what was loaded and is not done, in the spool's order.
type queue struct {
	frames    []*frame
	load      uint64 // index to load from next
	committed uint64 // frames below it are durable
	loading   bool
	loadAt    time.Duration // not before: the disk did not answer
	unsent    int           // of frames, those that wait to be sent
	link      int           // that carries it now, or -1

	pausedAt, pausedUntil time.Duration // the ground asked to wait; what was sent before pausedAt is not missed
	pauseText             string
}

type frame struct {
	Frame
	state    frameState
	link     int // where it was sent last
	attempts int
	sentAt   time.Duration
	due      time.Duration // when sent: when to give up waiting for the acknowledgement
}

type frameState uint8

const (
	ready frameState = iota // to be sent, now or after due
	sending
	sent
	done
)

// loadRetry is how long a disk that does not answer is left alone.
const loadRetry = time.Second

// What is loaded at a time, per class. It bounds the memory of frames that wait behind others.
const (
	loadFrames = 64
	loadBytes  = 1 << 20
)

// New returns a machine that begins at the given index of each class, with every link waiting to be dialled.
func New(o Options, rng *rand.Rand, cursors [packet.Classes]uint64) *Machine {
	m := &Machine{o: o.WithDefaults(), rng: rng, wake: -1}
	m.links = make([]linkState, len(m.o.Links))
	for i, l := range m.o.Links {
		m.links[i].Link, m.links[i].budget.limit = l, l.PerHour
	}
	for i, c := range cursors {
		m.queues[i].load, m.queues[i].committed, m.queues[i].link, m.queues[i].pausedAt = c, c, -1, -1
	}
	return m
}

// Effects returns what is to be done since it was last called, in order. The slice is valid until the next event.
func (m *Machine) Effects() []Effect {
	e := m.effects
	m.effects = nil
	return e
}

// Wake returns the time at which Tick wants to be called, or false if only an event can change anything.
func (m *Machine) Wake() (time.Duration, bool) { return m.wake, m.wake >= 0 }

// InFlight returns how many frames are sent and not acknowledged, and their bytes.
func (m *Machine) InFlight() (frames, bytes int) { return m.flight, m.bytes }

// Tick lets time pass.
func (m *Machine) Tick(now time.Duration) { m.step(now) }

// Committed says that the frames of a class below next are durable and may be sent.
func (m *Machine) Committed(now time.Duration, class packet.Class, next uint64) {
	q := &m.queues[class.Index()]
	q.committed = max(q.committed, next)
	m.step(now)
}

// Loaded answers a Load: the frames, in order, and the index to go on from. Indexes that hold no frame (damaged,
// discarded) are passed over by a larger next. No frames and no larger next mean that the disk does not answer now; it is
// asked again in a second.
func (m *Machine) Loaded(now time.Duration, class packet.Class, frames []Frame, next uint64) {
	q := &m.queues[class.Index()]
	q.loading = false
	if len(frames) == 0 && next <= q.load {
		q.loadAt = now + loadRetry
	}
	q.load = max(q.load, next)
	for _, f := range frames {
		q.frames = append(q.frames, &frame{Frame: f})
		q.unsent++
	}
	m.step(now)
}

// Discard says that the frames of a class below next are gone from the spool: what yielded to the quota.
func (m *Machine) Discard(now time.Duration, class packet.Class, next uint64) {
	q := &m.queues[class.Index()]
	for _, f := range q.frames {
		if f.Index < next {
			m.end(f)
		}
	}
	q.load, q.committed = max(q.load, next), max(q.committed, next)
	q.trim()
	m.step(now)
}

// Sent answers a Transmit: nil if the link took the frame, else why not. A link that fails so is still up until Down
// says otherwise.
func (m *Machine) Sent(now time.Duration, l int, key Key, err error) {
	ls := &m.links[l]
	ls.busy = false
	f := m.queues[key.Class.Index()].find(key.Index)
	if f != nil && f.state == sending && f.link == l {
		if err != nil {
			m.again(f, now+m.backoff(f.attempts))
		} else {
			f.state, f.sentAt = sent, now
			f.due = now + m.patience(ls) + m.backoff(f.attempts-1)
		}
	}
	if err != nil {
		ls.lastError = err.Error()
	}
	m.step(now)
}

// Received takes a message of the ground's.
func (m *Machine) Received(now time.Duration, l int, msg link.Message) {
	switch msg := msg.(type) {
	case link.Ack:
		m.acked(now, l, msg)
	case link.Refuse:
		m.refused(msg)
	case link.Pause:
		m.pause(now, msg)
	case link.Want:
		m.effects = append(m.effects, Wanted{Layouts: msg.Layouts})
	}
	m.step(now)
}

func (m *Machine) acked(now time.Duration, l int, a link.Ack) {
	q := &m.queues[a.Class.Index()]
	some := false
	for _, f := range q.frames {
		if f.state == done || f.Boot != a.Boot || !a.Covers(f.Range) {
			continue
		}
		if f.state == sent && f.attempts == 1 { // Karn: a repeat's round trip is ambiguous
			m.links[f.link].measure(now - f.sentAt)
		}
		some = true
		m.effects = append(m.effects, Done{Frame: f.Frame})
		m.end(f)
	}
	q.trim()
	if some {
		m.links[l].failures, m.links[l].missed = 0, 0
	}
}

// pause leaves the ground alone with a class. Whether it took what is in flight is not known: that is sent again then, if nothing is
// heard of it before.
func (m *Machine) pause(now time.Duration, p link.Pause) {
	q := &m.queues[p.Class.Index()]
	q.pausedAt, q.pausedUntil, q.pauseText = now, now+m.spread(p.For), p.Text
	for _, f := range q.frames {
		if f.state == sent {
			f.due = max(f.due, q.pausedUntil)
		}
	}
}

func (m *Machine) refused(r link.Refuse) {
	q := &m.queues[r.Class.Index()]
	for _, f := range q.frames {
		if f.state != done && f.Boot == r.Boot && f.Range.First == r.First && f.Range.Count == r.Count {
			m.effects = append(m.effects, Dead{Frame: f.Frame, Reason: r})
			m.end(f)
		}
	}
	q.trim()
}

// step does everything that can be done now and computes when to wake next.
func (m *Machine) step(now time.Duration) {
	m.wake = -1
	m.expire(now)
	m.connect(now)
	m.transmit(now)
	m.prefetch(now)
}

func (m *Machine) wakeAt(t time.Duration) {
	if m.wake < 0 || t < m.wake {
		m.wake = t
	}
}

// expire makes frames ready again whose acknowledgement did not come, and counts it against the link once per round.
func (m *Machine) expire(now time.Duration) {
	for i := range m.queues {
		for _, f := range m.queues[i].frames {
			if f.state != sent {
				continue
			}
			if f.due > now {
				m.wakeAt(f.due)
				continue
			}
			m.missed(now, f)
		}
	}
}

// missed handles an acknowledgement that did not come.
func (m *Machine) missed(now time.Duration, f *frame) {
	ls := &m.links[f.link]
	m.again(f, now)
	// Frames that were sent before the last failure, or before the ground asked to wait, say nothing new about the link.
	if ls.state != Connected || f.sentAt < ls.failedAt || f.sentAt <= m.queues[f.Class.Index()].pausedAt {
		return
	}
	ls.lastError = "no acknowledgement"
	ls.failed(now)
	ls.missed++
	if ls.failures >= m.o.BreakAfter {
		m.effects = append(m.effects, HangUp{Link: f.link})
		m.down(now, f.link)
	}
}

// again makes a frame that is sending or sent ready, to be sent at the earliest at due.
func (m *Machine) again(f *frame, due time.Duration) {
	m.landed(f)
	f.state, f.due = ready, due
	m.queues[f.Class.Index()].unsent++
}

// end takes a frame out, whatever its state.
func (m *Machine) end(f *frame) {
	switch f.state {
	case ready:
		m.queues[f.Class.Index()].unsent--
	case sending, sent:
		m.landed(f)
	}
	f.state = done
	f.Data = nil
}

// landed takes a frame off those in flight.
func (m *Machine) landed(f *frame) {
	m.flight--
	m.bytes -= len(f.Data)
	m.links[f.link].flight--
}

// transmit hands frames to the links in use, most urgent first, while they take them: one at a time each, the next when that is answered.
func (m *Machine) transmit(now time.Duration) {
	for i := range m.queues {
		m.transmitClass(now, i, m.queues[i].link)
	}
	m.probe(now)
}

// transmitClass hands the next frame of a class to a link, unless there is a reason not to.
func (m *Machine) transmitClass(now time.Duration, class, l int) {
	q := &m.queues[class]
	switch {
	case l < 0 || m.links[l].busy || q.unsent == 0 || !m.window(packet.ClassAt(class)):
		return
	case m.open(&m.links[l]) && m.links[l].flight > 0:
		return // the probe is under way
	case q.pausedUntil > now:
		m.wakeAt(q.pausedUntil)
		return
	}
	for _, f := range q.frames {
		if f.state != ready {
			continue
		}
		if f.due > now {
			m.wakeAt(f.due)
			continue
		}
		at, ok := m.links[l].budget.room(now, int64(len(f.Data)+m.o.Overhead), f.Class == packet.Urgent)
		if !ok {
			continue // another link may take it
		}
		if at > now {
			m.wakeAt(at)
			return
		}
		m.send(now, l, f)
		return
	}
}

// probe sends one frame over each connected link whose breaker is open and that no class has: the least urgent that it carries, for it
// may have to wait.
func (m *Machine) probe(now time.Duration) {
	for l := range m.links {
		ls := &m.links[l]
		for i := len(m.queues) - 1; i >= 0 && ls.state == Connected && m.open(ls) && !ls.busy && ls.flight == 0; i-- {
			if !ls.Never[i] {
				m.transmitClass(now, i, l)
			}
		}
	}
}

func (m *Machine) send(now time.Duration, l int, f *frame) {
	ls := &m.links[l]
	ls.busy = true
	ls.sent++
	ls.sentBytes += uint64(len(f.Data))
	if f.attempts > 0 {
		ls.repeats++
	}
	f.state, f.link, f.attempts, f.sentAt = sending, l, f.attempts+1, now
	m.queues[f.Class.Index()].unsent--
	m.flight++
	ls.flight++
	m.bytes += len(f.Data)
	ls.budget.spend(now, int64(len(f.Data)+m.o.Overhead))
	m.effects = append(m.effects, Transmit{Link: l, Key: f.Key, Data: f.Data})
}

// window reports whether one more frame of a class may be in flight.
func (m *Machine) window(c packet.Class) bool {
	frames, bytes := m.o.InFlightFrames, m.o.InFlightBytes
	if c == packet.Urgent {
		frames, bytes = frames+frames/4+1, bytes+bytes/4
	}
	return m.flight < frames && m.bytes < bytes
}

// prefetch asks for more where a class runs low.
func (m *Machine) prefetch(now time.Duration) {
	for i := range m.queues {
		q := &m.queues[i]
		if q.link < 0 { // nobody to send it to: the spool can keep it
			continue
		}
		if q.loading || q.load >= q.committed || q.unsent > 4 || !m.window(packet.ClassAt(i)) {
			continue
		}
		if q.loadAt > now {
			m.wakeAt(q.loadAt)
			continue
		}
		q.loading = true
		m.effects = append(m.effects, Load{Class: packet.ClassAt(i), From: q.load, Frames: loadFrames, Bytes: loadBytes})
	}
}

// find returns the frame with that index, or nil.
func (q *queue) find(index uint64) *frame {
	for _, f := range q.frames {
		if f.Index == index {
			return f
		}
	}
	return nil
}

// trim drops what is done. Frames are done mostly in order, so most calls move little.
func (q *queue) trim() {
	kept := q.frames[:0]
	for _, f := range q.frames {
		if f.state != done {
			kept = append(kept, f)
		}
	}
	clear(q.frames[len(kept):])
	q.frames = kept
}
