package delivery_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var boot = telemetry.Boot{7}

// rig drives a machine over a spool that is a list.
type rig struct {
	*delivery.Machine
	t    *testing.T
	now  time.Duration
	log  []string // effects other than Load, in words
	next [packet.Classes]uint64
}

func newRig(t *testing.T, o delivery.Options) *rig {
	if len(o.Links) == 0 {
		o.Links = make([]delivery.Link, 1)
	}
	r := &rig{Machine: delivery.New(o, rand.New(rand.NewPCG(1, 2)), [packet.Classes]uint64{1, 1, 1}), t: t, next: [packet.Classes]uint64{1, 1, 1}}
	r.Tick(0)
	r.perform()
	return r
}

// spool commits n more frames of a class, ten records each.
func (r *rig) spool(c packet.Class, n uint64) {
	r.next[c.Index()] += n
	r.Committed(r.now, c, r.next[c.Index()])
	r.perform()
}

func (r *rig) perform() {
	for effects := r.Effects(); len(effects) > 0; effects = r.Effects() {
		for _, e := range effects {
			switch e := e.(type) {
			case delivery.Load:
				var frames []delivery.Frame
				i := e.From
				for ; i < r.next[e.Class.Index()] && len(frames) < e.Frames; i++ {
					frames = append(frames, delivery.Frame{Key: delivery.Key{Class: e.Class, Index: i}, Boot: boot,
						Range: ledger.Range{First: 10 * (i - 1), Count: 10}, Data: make([]byte, 100)})
				}
				r.Loaded(r.now, e.Class, frames, i)
			case delivery.Dial:
				r.note("dial %d", e.Link)
			case delivery.HangUp:
				r.note("hang up %d", e.Link)
			case delivery.Transmit:
				r.note("send %s %d over %d", e.Key.Class, e.Key.Index, e.Link)
			case delivery.Done:
				r.note("done %s %d", e.Frame.Class, e.Frame.Index)
			case delivery.Dead:
				r.note("dead %s %d: %s", e.Frame.Class, e.Frame.Index, e.Reason.Code)
			case delivery.Wanted:
				r.note("wanted %v", e.Layouts)
			}
		}
	}
}

func (r *rig) note(format string, args ...any) { r.log = append(r.log, fmt.Sprintf(format, args...)) }

// took returns what happened since it was last called.
func (r *rig) took() string {
	s := strings.Join(r.log, ", ")
	r.log = nil
	return s
}

func (r *rig) want(what string) {
	r.t.Helper()
	if got := r.took(); got != what {
		r.t.Fatalf("at %s: %q, want %q", r.now, got, what)
	}
}

func (r *rig) up(l int) { r.Up(r.now, l); r.perform() }

func (r *rig) sent(c packet.Class, index uint64, err error) {
	r.Sent(r.now, 0, delivery.Key{Class: c, Index: index}, err)
	r.perform()
}

func (r *rig) ack(c packet.Class, prefix uint64, ranges ...ledger.Range) {
	r.Received(r.now, 0, link.Ack{Boot: boot, Class: c, Prefix: prefix, Ranges: ranges})
	r.perform()
}

// wait lets time pass until something happens, and returns how long that took.
func (r *rig) wait() time.Duration {
	r.t.Helper()
	from := r.now
	for len(r.log) == 0 {
		at, ok := r.Wake()
		if !ok {
			r.t.Fatal("nothing will ever happen")
		}
		r.now = max(r.now, at)
		r.Tick(r.now)
		r.perform()
	}
	return r.now - from
}

func TestUrgentOvertakesBulk(t *testing.T) {
	r := newRig(t, delivery.Options{})
	r.want("dial 0")
	r.spool(packet.Bulk, 3)
	r.want("")
	r.up(0)
	r.want("send bulk 1 over 0")
	r.spool(packet.Normal, 1)
	r.spool(packet.Urgent, 1)
	r.want("") // one at a time
	r.sent(packet.Bulk, 1, nil)
	r.want("send urgent 1 over 0")
	r.sent(packet.Urgent, 1, nil)
	r.want("send normal 1 over 0")
	r.sent(packet.Normal, 1, nil)
	r.want("send bulk 2 over 0")
	r.ack(packet.Bulk, 10)
	r.want("done bulk 1")
}

func TestAPrefixAndRangesAcknowledge(t *testing.T) {
	r := newRig(t, delivery.Options{})
	r.up(0)
	r.spool(packet.Normal, 4)
	for i := range uint64(4) {
		r.sent(packet.Normal, i+1, nil)
	}
	r.took()
	r.ack(packet.Normal, 10, ledger.Range{First: 20, Count: 15})
	r.want("done normal 1, done normal 3")
	if frames, bytes := r.InFlight(); frames != 2 || bytes != 200 {
		t.Errorf("%d frames of %d bytes in flight", frames, bytes)
	}
	r.Received(r.now, 0, link.Ack{Boot: telemetry.Boot{8}, Class: packet.Normal, Prefix: 1000})
	r.perform()
	r.want("") // another boot's
	r.ack(packet.Normal, 40)
	r.want("done normal 2, done normal 4")
}

func TestWhatIsNotAcknowledgedIsSentAgainWithoutEnd(t *testing.T) {
	r := newRig(t, delivery.Options{BreakAfter: 3, AckTimeout: time.Second, BackoffCap: 4 * time.Second})
	r.up(0)
	r.spool(packet.Normal, 1)
	r.want("dial 0, send normal 1 over 0")
	sends, hangUps := 0, 0
	for range 400 {
		r.sent(packet.Normal, 1, nil)
		if d := r.wait(); d > 20*time.Second {
			t.Fatalf("nothing for %s", d)
		}
		for _, line := range strings.Split(r.took(), ", ") {
			switch line {
			case "send normal 1 over 0":
				sends++
			case "hang up 0":
				hangUps++
			case "dial 0":
				r.up(0)
				if got := r.took(); got == "send normal 1 over 0" {
					sends++
				}
			}
		}
	}
	if s := r.Links()[0]; sends < 100 || hangUps < 50 || !s.Open || s.Failures < 100 || s.LastError != "no acknowledgement" || s.Repeats < 100 {
		t.Errorf("%d sends, %d hang-ups, %+v", sends, hangUps, s)
	}
	r.ack(packet.Normal, 10)
	if got := r.took(); got != "done normal 1" {
		t.Errorf("%q after hours", got)
	}
	if s := r.Links()[0]; s.Open || s.Failures != 0 {
		t.Errorf("an acknowledgement leaves the breaker open: %+v", s)
	}
}

// An open breaker lets a single frame through, until it is acknowledged.
func TestTheProbe(t *testing.T) {
	r := newRig(t, delivery.Options{BreakAfter: 2})
	r.spool(packet.Normal, 5)
	for range 2 {
		r.took()
		r.Down(r.now, 0, errors.New("connection refused"))
		r.perform()
		r.wait()
	}
	r.took()
	r.up(0)
	r.want("send normal 1 over 0")
	r.sent(packet.Normal, 1, nil)
	r.want("")
	r.ack(packet.Normal, 10)
	r.want("done normal 1, send normal 2 over 0")
	r.sent(packet.Normal, 2, nil)
	r.want("send normal 3 over 0")
}

func TestFailuresWaitWithFullJitter(t *testing.T) {
	var waits []time.Duration
	r := newRig(t, delivery.Options{BackoffBase: 100 * time.Millisecond, BackoffCap: 10 * time.Second, ReconnectCap: 10 * time.Second, BreakAfter: 1000})
	for range 300 {
		r.took()
		r.Down(r.now, 0, errors.New("no route"))
		r.perform()
		waits = append(waits, r.wait())
	}
	low, high, sum := 0, 0, time.Duration(0)
	for _, w := range waits[20:] { // by then at the cap
		sum += w
		if w < 2*time.Second {
			low++
		}
		if w > 8*time.Second {
			high++
		}
		if w > 10*time.Second {
			t.Fatalf("waited %s", w)
		}
	}
	if mean := sum / 280; low < 30 || high < 30 || mean < 4*time.Second || mean > 6*time.Second {
		t.Errorf("waits are not spread evenly from 0 to the cap: mean %s, %d short, %d long of 280", mean, low, high)
	}
}

func TestACutSendsAgainAtOnce(t *testing.T) {
	r := newRig(t, delivery.Options{})
	r.up(0)
	r.spool(packet.Normal, 2)
	r.sent(packet.Normal, 1, nil)
	r.took()
	r.Down(r.now, 0, errors.New("cut"))
	r.perform()
	r.wait()
	r.want("dial 0")
	r.up(0)
	r.want("send normal 1 over 0")
	r.sent(packet.Normal, 2, nil) // late word about the old connection's frame
	r.sent(packet.Normal, 1, nil)
	r.want("send normal 2 over 0")
}

func TestARefusedFrameIsDead(t *testing.T) {
	r := newRig(t, delivery.Options{})
	r.up(0)
	r.spool(packet.Normal, 2)
	r.sent(packet.Normal, 1, nil)
	r.took()
	r.Received(r.now, 0, link.Refuse{Boot: boot, Class: packet.Normal, First: 0, Count: 10, Code: link.CodeConflict})
	r.perform()
	r.want("dead normal 1: conflict")
	r.Received(r.now, 0, link.Refuse{Boot: boot, Class: packet.Normal, First: 0, Count: 9, Code: link.CodeConflict})
	r.Received(r.now, 0, link.Want{Layouts: []telemetry.LayoutID{1}})
	r.perform()
	r.want("wanted [0000000000000001]")
}

func TestALinkThatRefusesAFrameGetsItAgainLater(t *testing.T) {
	r := newRig(t, delivery.Options{})
	r.up(0)
	r.spool(packet.Normal, 1)
	r.took()
	r.sent(packet.Normal, 1, errors.New("buffer full"))
	if s := r.Links()[0]; s.LastError != "buffer full" || s.State != delivery.Connected {
		t.Errorf("%+v", s)
	}
	if r.wait(); r.took() != "send normal 1 over 0" {
		t.Error("it was not sent again")
	}
}

func TestThePreferredLinkIsUsedAndReturnedTo(t *testing.T) {
	r := newRig(t, delivery.Options{Links: make([]delivery.Link, 2)})
	r.want("dial 0")
	r.Down(r.now, 0, errors.New("no route"))
	r.perform()
	r.want("dial 1")
	r.up(1)
	r.spool(packet.Normal, 2)
	r.want("send normal 1 over 1")
	r.Sent(r.now, 1, delivery.Key{Class: packet.Normal, Index: 1}, nil)
	r.perform()
	r.want("send normal 2 over 1")
	r.wait()
	r.want("dial 0")
	r.up(0)
	r.Sent(r.now, 1, delivery.Key{Class: packet.Normal, Index: 2}, nil)
	r.spool(packet.Normal, 1)
	r.want("send normal 3 over 0")
}

func TestTheWindowIsBounded(t *testing.T) {
	r := newRig(t, delivery.Options{InFlightFrames: 8})
	r.up(0)
	r.spool(packet.Bulk, 100)
	for i := uint64(1); i <= 100; i++ {
		r.sent(packet.Bulk, i, nil)
	}
	if n, _ := r.InFlight(); n != 8 {
		t.Errorf("%d frames in flight", n)
	}
	r.took()
	r.spool(packet.Urgent, 1)
	r.want("send urgent 1 over 0") // it has room of its own
}

func TestWhatYieldedIsForgotten(t *testing.T) {
	r := newRig(t, delivery.Options{})
	r.up(0)
	r.spool(packet.Bulk, 10)
	r.sent(packet.Bulk, 1, nil)
	r.took()
	r.Discard(r.now, packet.Bulk, 6)
	r.perform()
	r.sent(packet.Bulk, 2, nil) // the link's word about one that is gone
	r.want("send bulk 6 over 0")
	if n, _ := r.InFlight(); n != 1 {
		t.Errorf("%d frames in flight", n)
	}
}

func TestADiskThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	m := delivery.New(delivery.Options{Links: make([]delivery.Link, 1)}, rand.New(rand.NewPCG(1, 2)), [packet.Classes]uint64{1, 1, 1})
	m.Tick(0)
	m.Up(0, 0)
	m.Committed(0, packet.Normal, 5)
	loads := 0
	for now := time.Duration(0); now < 10*time.Second; {
		for _, e := range m.Effects() {
			if l, ok := e.(delivery.Load); ok {
				loads++
				m.Loaded(now, l.Class, nil, l.From)
			}
		}
		at, ok := m.Wake()
		if !ok {
			t.Fatal("it gave up")
		}
		now = at
		m.Tick(now)
	}
	if loads < 9 || loads > 11 {
		t.Errorf("%d loads in 10 s", loads)
	}
}
