package courier_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/internal/extent"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
	"github.com/fulmar-io/fulmar/secure/order"
	"github.com/fulmar-io/fulmar/secure/seal"
	"github.com/fulmar-io/fulmar/telemetry"
)

// commanded is a machine that takes commands, and somebody on the way to it who has seen all that its ground said, owns a drone of the
// same fleet, and is a ground of another one.
type commanded struct {
	t   *testing.T
	rng *rand.Rand
	now time.Duration

	disk   *simdisk.Disk
	region *ring.Region
	c      *courier.Courier

	keys, rover, drone, foreign *identity.Keyring
	session                     *seal.Session
	ground                      *seal.Sessions
	process                     [16]byte
	number                      uint64

	messages [][]byte // that the ground sealed with orders in them, of this and of earlier sessions
	orders   [][]byte // that the ground signed
	given    map[command.ID]bool
	carried  map[command.ID]int // how often, by this process
	trusts   int                // that were taken
}

func newCommanded(t *testing.T, seed uint64) *commanded {
	f, other := identitytest.New(t), identitytest.New(t)
	m := &commanded{t: t, rng: rand.New(rand.NewPCG(seed, 13)), disk: simdisk.New(), keys: f.Ground(), rover: f.Device("rover"), drone: f.Device("drone"),
		foreign: other.Ground(), process: [16]byte{byte(seed)}, given: make(map[command.ID]bool)}
	var err error
	if m.ground, err = seal.NewSessions(m.keys, 0); err != nil {
		t.Fatal(err)
	}
	boot := telemetry.Boot{1}
	if m.region, err = ring.Create("", ring.Options{Device: "rover", Boot: boot, Producers: 2}); err != nil {
		t.Fatal(err)
	}
	m.open()
	if err := errors.Join(m.c.Begin(boot), m.c.Attach(m.region, 0)); err != nil {
		t.Fatal(err)
	}
	m.pass()
	return m
}

// open opens the courier, for another process of the machine's.
func (m *commanded) open() {
	m.t.Helper()
	var err error
	if m.session, err = seal.Begin(m.rover, time.Now()); err != nil {
		m.t.Fatal(err)
	}
	o := courier.Options{Device: "rover", Disk: m.disk, Delivery: delivery.Options{Links: make([]delivery.Link, 1)}, Spool: spool.Options{MinFree: 1},
		Session: m.session, Orders: true, Keys: m.rover}
	if m.c, err = courier.Open(o, rand.New(rand.NewPCG(1, 2))); err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.ground.Accept("rover", m.session.Opening()); err != nil {
		m.t.Fatal(err)
	}
	m.carried, m.number = make(map[command.ID]int), 0
}

// restart is that the courier half is killed and starts again, in the same boot.
func (m *commanded) restart() {
	m.t.Helper()
	m.disk.Kill()
	m.open()
	if err := m.c.Resume(m.region, 0); err != nil {
		m.t.Fatal(err)
	}
	m.pass() // what had not ended is carried out again, for the components may not have had it
	m.carried = make(map[command.ID]int)
}

func (m *commanded) pass() {
	m.t.Helper()
	m.now += 200 * time.Millisecond
	m.c.Poll(m.now)
	for effects := m.c.Effects(); len(effects) > 0; effects = m.c.Effects() {
		for _, e := range effects {
			switch e := e.(type) {
			case courier.Sync:
				m.c.Synced(m.now, m.c.SyncSpool())
			case delivery.Dial:
				m.c.Up(m.now, e.Link)
			case courier.Transmit:
				m.c.Sent(m.now, e.Link, e.Key, nil)
			case courier.Learn:
				m.trusts++
			case courier.Carry:
				m.carried[e.Order.ID]++
			}
		}
	}
}

func (m *commanded) seal(msg link.Message) []byte {
	m.t.Helper()
	b, err := m.ground.Seal(nil, "rover", link.Append(nil, msg))
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

// order is one of the ground's that nobody has given yet.
func (m *commanded) order(change func(*order.Signed)) order.Signed {
	m.number++
	s := order.Signed{Device: "rover", Challenge: order.Challenge{Session: m.session.ID(), Nonce: m.session.Challenge()}, Process: m.process, Number: m.number,
		Order: command.Order{Name: "drive/stop", By: "ada", Role: command.Operator, Deadline: m.now + time.Hour}}
	for i := range s.Order.ID {
		s.Order.ID[i] = byte(m.rng.Uint32())
	}
	if change != nil {
		change(&s)
		m.number-- // it was not the ground that counted
	}
	return s
}

// command has the ground give an order, which is carried out.
func (m *commanded) command() {
	m.t.Helper()
	s := m.order(nil)
	b := s.Append(nil, m.keys)
	wire := m.seal(link.Order{Encoded: b})
	if err := m.c.Received(m.now, 0, bytes.Clone(wire)); err != nil {
		m.t.Fatal(err)
	}
	m.pass()
	if m.carried[s.Order.ID] != 1 {
		m.t.Fatalf("the ground's own order was carried out %d times", m.carried[s.Order.ID])
	}
	m.given[s.Order.ID] = true
	m.messages, m.orders = append(m.messages, wire), append(m.orders, b)
}

func (m *commanded) change(b []byte) []byte {
	b = bytes.Clone(b)
	switch m.rng.IntN(4) {
	case 0:
		return b[:m.rng.IntN(len(b))]
	case 1:
		return append(b, byte(m.rng.Uint32()))
	}
	seen := make(map[int]bool)
	for range 1 + m.rng.IntN(3) {
		if bit := m.rng.IntN(8 * len(b)); !seen[bit] {
			seen[bit] = true
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
	return b
}

// forge makes a message that is not the ground's, or that it has said before. Where the outer seal is the ground's own, that stands for
// a ground whose connection is in other hands, and that does not have the key that orders are signed with.
func (m *commanded) forge() (what string, message []byte) {
	inner := func(what string, b []byte) (string, []byte) {
		return what, m.seal(link.Order{Encoded: b})
	}
	switch m.rng.IntN(12) {
	case 0:
		return "a changed message", m.change(m.messages[m.rng.IntN(len(m.messages))])
	case 1, 2:
		return "a repeated message", m.messages[m.rng.IntN(len(m.messages))]
	case 3:
		return inner("a changed order", m.change(m.orders[m.rng.IntN(len(m.orders))]))
	case 4:
		return inner("a repeated order", m.orders[m.rng.IntN(len(m.orders))])
	case 5:
		return inner("an order that a device signed", m.order(func(*order.Signed) {}).Append(nil, m.drone))
	case 6:
		return inner("an order of another fleet's ground", m.order(func(*order.Signed) {}).Append(nil, m.foreign))
	case 7:
		return inner("an order that nobody signed", m.order(func(*order.Signed) {}).Append(nil, nil))
	case 8:
		return inner("an order to another machine", m.order(func(s *order.Signed) { s.Device = "drone" }).Append(nil, m.keys))
	case 9:
		return inner("an order of an earlier number", m.order(func(s *order.Signed) { s.Number = 1 + m.rng.Uint64N(m.number-1) }).Append(nil, m.keys))
	case 10:
		return inner("an order to another session", m.order(func(s *order.Signed) { s.Challenge.Nonce[m.rng.IntN(16)] ^= 1 << m.rng.IntN(8) }).Append(nil, m.keys))
	}
	return "an order in the clear", link.Append(nil, link.Order{Encoded: m.order(func(*order.Signed) {}).Append(nil, m.keys)})
}

// Whatever somebody on the way changes, makes up, or repeats: the machine carries out what its ground ordered, each once.
func TestNoCommandThatIsForgedOrReplayedIsCarriedOut(t *testing.T) {
	first, end := extent.Of(t, 4000)
	const life = 2000 // messages to one machine
	for at := first; at < end; at += life {
		m := newCommanded(t, at)
		for i := at; i < min(end, at+life); i++ {
			switch n := i - at; {
			case n%500 == 250:
				m.restart()
				fallthrough
			case n%100 == 0: // twice, so that there is an earlier number
				m.command()
				m.command()
			}
			what, message := m.forge()
			before := fmt.Sprint(m.carried)
			_ = m.c.Received(m.now, 0, slices.Clone(message)) // an error says that it was dropped
			m.pass()
			if after := fmt.Sprint(m.carried); after != before || m.trusts > 0 {
				t.Fatalf("message %d: %s was taken", i, what)
			}
		}
		for id := range m.carried {
			if !m.given[id] {
				t.Fatalf("order %s is nobody's and was carried out", id)
			}
		}
		if err := errors.Join(m.c.Close(), m.region.Close()); err != nil {
			t.Fatal(err)
		}
	}
	extent.Covered(t, end-first, "forged or replayed commands")
}
