package courier_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
	"github.com/fulmar-io/fulmar/secure/seal"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// sealedLink is what a courier with a session sends over a link, opened by a ground that the test plays.
type sealedLink struct {
	t        *testing.T
	c        *courier.Courier
	now      time.Duration
	ground   *seal.Sessions
	openings int // since it was looked at last
	frames   int
	learned  [][]byte
	lose     bool // what is announced
}

func (l *sealedLink) perform() {
	l.t.Helper()
	for effects := l.c.Effects(); len(effects) > 0; effects = l.c.Effects() {
		for _, e := range effects {
			switch e := e.(type) {
			case courier.Sync:
				l.c.Synced(l.now, l.c.SyncSpool())
			case delivery.Dial:
				l.c.Up(l.now, e.Link)
			case courier.Say:
				l.openings++
				if !l.lose {
					if _, err := l.ground.Accept("rover", bytes.Clone(e.Message)); err != nil {
						l.t.Fatal(err)
					}
				}
			case courier.Learn:
				l.learned = append(l.learned, e.Trust)
			case courier.Transmit:
				l.take(e)
			}
		}
	}
}

// take opens a frame, or says that its session is not known.
func (l *sealedLink) take(e courier.Transmit) {
	l.t.Helper()
	_, _, err := l.ground.Open("rover", e.Message)
	reply := seal.UnknownReply(e.Message)
	l.c.Sent(l.now, e.Link, e.Key, nil)
	switch {
	case errors.Is(err, seal.ErrUnknown):
		if err := l.c.Received(l.now, e.Link, reply); err != nil {
			l.t.Fatal(err)
		}
	case err != nil:
		l.t.Fatal(err)
	default:
		l.frames++
	}
}

func (l *sealedLink) pass(d time.Duration) {
	l.t.Helper()
	for end := l.now + d; l.now < end; l.now += 20 * time.Millisecond {
		l.c.Poll(l.now)
		l.perform()
	}
}

// say has the courier receive what the ground says.
func (l *sealedLink) say(m link.Message) error {
	l.t.Helper()
	b, err := l.ground.Seal(nil, "rover", link.Append(nil, m))
	if err != nil {
		l.t.Fatal(err)
	}
	err = l.c.Received(l.now, 0, b)
	l.perform()
	return err
}

func TestEverythingIsSealed(t *testing.T) {
	f := identitytest.New(t)
	keys := f.Device("rover")
	session := func() *seal.Session {
		s, err := seal.Begin(keys, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	sessions, err := seal.NewSessions(f.Ground(), 0)
	if err != nil {
		t.Fatal(err)
	}
	disk := simdisk.New()
	c, err := courier.Open(courier.Options{Device: "rover", Disk: disk, Delivery: delivery.Options{Links: make([]delivery.Link, 1)}, Spool: spool.Options{MinFree: 1},
		Session: session()}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	l := &sealedLink{t: t, c: c, ground: sessions, lose: true}
	boot := telemetry.Boot{1}
	if err := c.Begin(boot); err != nil {
		t.Fatal(err)
	}
	region, err := ring.Create("", ring.Options{Device: "rover", Boot: boot, Producers: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Attach(region, 0), c.Define(imu)); err != nil {
		t.Fatal(err)
	}
	p, err := region.Producer(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Publish(record(packet.Normal, imu, 1)); err != nil {
		t.Fatal(err)
	}

	// The opening goes first. While it is lost, the ground's word that it has none brings it again, once a second at most.
	l.pass(5 * time.Second)
	if l.frames > 0 || l.openings < 2 || l.openings > 6 {
		t.Errorf("lost: %d frames, %d openings in 5 s", l.frames, l.openings)
	}
	l.lose, l.openings = false, 0
	l.pass(5 * time.Second)
	if l.frames == 0 || l.openings != 1 {
		t.Errorf("not lost: %d frames, %d openings", l.frames, l.openings)
	}
	// What anybody can say is not taken.
	everything := link.Ack{Boot: boot, Class: packet.Normal, Prefix: 1 << 30}
	if err := c.Received(l.now, 0, link.Append(nil, everything)); !errors.Is(err, courier.ErrClear) {
		t.Errorf("an acknowledgement in the clear: %v", err)
	}
	other := identitytest.New(t)
	forger, err := seal.NewSessions(other.Ground(), 0)
	if err != nil {
		t.Fatal(err)
	}
	its, err := seal.Begin(other.Device("rover"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forger.Accept("rover", its.Opening()); err != nil {
		t.Fatal(err)
	}
	forged, err := forger.Seal(nil, "rover", link.Append(nil, everything))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Received(l.now, 0, forged); err != nil { // of a session that this process does not have
		t.Error(err)
	}
	forged[45] ^= 1
	copy(forged[2:18], mustSeal(t, l.ground)[2:18])
	if err := c.Received(l.now, 0, forged); !errors.Is(err, seal.ErrForged) {
		t.Errorf("a forged acknowledgement: %v", err)
	}
	if s := c.Status(); s.Counters.Delivered > 0 || s.Counters.Forged != 2 {
		t.Errorf("%+v", s.Counters)
	}
	if err := l.say(everything); err != nil || c.Status().Counters.Delivered == 0 {
		t.Errorf("the ground's own: %v, %+v", err, c.Status().Counters)
	}
	// What is to be trusted is passed on; another session is announced at once.
	if err := l.say(link.Trust{Encoded: []byte("a trust")}); err != nil || len(l.learned) != 1 || string(l.learned[0]) != "a trust" {
		t.Errorf("%q, %v", l.learned, err)
	}
	l.openings = 0
	next := session()
	c.Use(l.now, next)
	l.perform()
	if l.openings != 1 || !c.SealedTo(next.Key()) {
		t.Errorf("%d openings of another session", l.openings)
	}
	// What was said to a process that is no more is understood by the next one, as far as it says that something is stored.
	if _, err := p.Publish(record(packet.Normal, imu, 2)); err != nil {
		t.Fatal(err)
	}
	l.pass(3 * time.Second)
	ack, err := l.ground.Seal(nil, "rover", link.Append(nil, everything))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := l.ground.Seal(nil, "rover", link.Append(nil, link.Trust{Encoded: []byte("a trust")}))
	if err != nil {
		t.Fatal(err)
	}
	if l.c, err = courier.Open(courier.Options{Device: "rover", Disk: disk, Delivery: delivery.Options{Links: make([]delivery.Link, 1)}, Spool: spool.Options{MinFree: 1},
		Session: session()}, rand.New(rand.NewPCG(1, 2))); err != nil {
		t.Fatal(err)
	}
	if err := l.c.Resume(region, 0); err != nil {
		t.Fatal(err)
	}
	l.learned, l.lose = nil, true // nobody answers
	l.pass(3 * time.Second)
	if n := l.c.Status().Counters.Delivered; n > 0 {
		t.Fatalf("%d delivered", n)
	}
	if err := errors.Join(l.c.Received(l.now, 0, ack), l.c.Received(l.now, 0, trust)); err != nil {
		t.Error(err)
	}
	l.perform()
	if n := l.c.Status().Counters.Delivered; n == 0 || len(l.learned) > 0 {
		t.Errorf("%d delivered, %d trusts taken", n, len(l.learned))
	}
}

func mustSeal(t *testing.T, g *seal.Sessions) []byte {
	t.Helper()
	b, err := g.Seal(nil, "rover", nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
