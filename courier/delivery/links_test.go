package delivery_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// never are the classes that a link does not carry.
func never(classes ...packet.Class) (l delivery.Link) {
	for _, c := range classes {
		l.Never[c.Index()] = true
	}
	return l
}

func (r *rig) sentOver(l int, c packet.Class, index uint64) {
	r.Sent(r.now, l, delivery.Key{Class: c, Index: index}, nil)
	r.perform()
}

func (r *rig) down(l int, err error) { r.Down(r.now, l, err); r.perform() }

// until lets time pass up to t, whatever happens.
func (r *rig) until(t time.Duration) {
	for {
		at, ok := r.Wake()
		if !ok || at > t {
			break
		}
		r.now = max(r.now, at)
		r.Tick(r.now)
		r.perform()
	}
	r.now = t
	r.Tick(r.now)
	r.perform()
}

func TestAClassTakesTheFirstLinkThatCarriesIt(t *testing.T) {
	r := newRig(t, delivery.Options{Links: []delivery.Link{never(packet.Bulk), {}}})
	r.want("dial 0, dial 1") // bulk has no other
	r.up(0)
	r.up(1)
	r.spool(packet.Bulk, 2)
	r.spool(packet.Normal, 2)
	r.want("send bulk 1 over 1, send normal 1 over 0") // each link has one at a time of its own
	r.sentOver(1, packet.Bulk, 1)
	r.want("send bulk 2 over 1")
	r.down(0, errors.New("cut"))
	r.want("")
	r.sentOver(1, packet.Bulk, 2)
	r.want("send normal 1 over 1") // which waited for another link's turn
}

func TestAClassThatNoLinkCarriesStays(t *testing.T) {
	r := newRig(t, delivery.Options{Links: []delivery.Link{never(packet.Bulk)}})
	r.up(0)
	r.took()
	r.spool(packet.Bulk, 1)
	r.until(time.Hour)
	r.want("")
}

func TestALessPreferredLinkIsLeftAfterTheReturn(t *testing.T) {
	r := newRig(t, delivery.Options{Links: make([]delivery.Link, 2)})
	r.down(0, errors.New("no route"))
	r.up(1)
	r.took()
	r.wait()
	r.want("dial 0")
	r.up(0)
	r.until(r.now + 29*time.Second)
	r.want("") // the better one may go again
	r.until(r.now + 2*time.Second)
	r.want("hang up 1")
	r.until(r.now + time.Hour)
	r.want("") // nor is it dialled
	r.down(0, errors.New("cut"))
	r.want("dial 1")
}

// A preferred link that takes frames which nobody acknowledges gets one at a time, of the least urgent, while the next does the work.
func TestWhileThePreferredLinkIsProbedTheNextOneWorks(t *testing.T) {
	r := newRig(t, delivery.Options{Links: make([]delivery.Link, 2), BreakAfter: 1})
	r.up(0)
	r.down(0, errors.New("cut"))
	r.up(1)
	r.took()
	r.wait()
	r.want("dial 0")
	r.up(0)
	r.spool(packet.Urgent, 1)
	r.want("send urgent 1 over 1")
	r.spool(packet.Bulk, 3)
	r.want("send bulk 1 over 0") // the probe
	r.sentOver(0, packet.Bulk, 1)
	r.want("")
	r.sentOver(1, packet.Urgent, 1)
	r.want("send bulk 2 over 1")
	r.ack(packet.Bulk, 10)
	r.want("done bulk 1, send bulk 3 over 0")
}

func TestABudgetSendsTheRestOverTheNextLink(t *testing.T) {
	r := newRig(t, delivery.Options{Links: []delivery.Link{{PerHour: 1000}, {}}})
	r.up(0)
	r.took()
	for i := range uint64(9) {
		r.spool(packet.Normal, 1)
		r.want(fmt.Sprintf("send normal %d over 0", i+1))
		r.sent(packet.Normal, i+1, nil)
		r.took()
	}
	r.ack(packet.Normal, 90)
	r.took()
	r.up(1)
	r.spool(packet.Normal, 1)
	r.want("send normal 10 over 1")
	r.sentOver(1, packet.Normal, 10)
	r.spool(packet.Urgent, 1)
	r.want("send urgent 1 over 0") // a tenth is for it alone
	r.sent(packet.Urgent, 1, nil)
	r.ack(packet.Urgent, 10)
	r.took()
	r.ack(packet.Normal, 100)
	r.took()
	r.spool(packet.Urgent, 1)
	r.want("send urgent 2 over 1")
	if s := r.Links()[0]; s.Budget != 1000 || s.Spent != 1000 {
		t.Errorf("%+v", s)
	}
	r.sentOver(1, packet.Urgent, 2)
	r.ack(packet.Urgent, 20)
	r.until(61 * time.Minute)
	r.took()
	r.spool(packet.Normal, 1)
	r.want("send normal 11 over 0")
}

func TestABudgetOutlivesTheProcess(t *testing.T) {
	links := []delivery.Link{{PerHour: 1000}}
	r := newRig(t, delivery.Options{Links: links})
	r.up(0)
	r.until(10 * time.Minute)
	r.Said(r.now, 0, 900)
	r.until(30 * time.Minute)
	spent := r.Spent(r.now, 0)
	if spent[20] != 900 {
		t.Fatalf("%v", spent)
	}

	next := newRig(t, delivery.Options{Links: links})
	next.Recall(0, 0, 20*time.Minute, &spent)
	next.up(0)
	next.took()
	next.spool(packet.Normal, 1)
	next.want("")
	if waited := next.wait(); waited < 20*time.Minute || waited > 22*time.Minute {
		t.Errorf("waited %s", waited) // 40 minutes had gone by
	}
	next.want("send normal 1 over 0")
}

func TestAFrameThatNoHourHasRoomForKeepsNobodyBack(t *testing.T) {
	r := newRig(t, delivery.Options{Links: []delivery.Link{{PerHour: 105}}}) // of which urgent frames alone may use all
	r.up(0)
	r.took()
	r.spool(packet.Normal, 1)
	r.until(2 * time.Hour)
	r.want("")
	if s := r.Links()[0]; !strings.Contains(s.LastError, "larger") {
		t.Errorf("%+v", s)
	}
	r.spool(packet.Urgent, 1)
	r.want("send urgent 1 over 0")
}

// In no hour are more bytes sent than the budget has, whatever comes and when.
func TestNoHourHasMoreThanTheBudget(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.Int64Range(300, 5000).Draw(rt, "limit")
		overhead := rapid.IntRange(0, 100).Draw(rt, "overhead")
		r := newRig(t, delivery.Options{Links: []delivery.Link{{PerHour: limit}}, Overhead: overhead})
		r.up(0)
		var log []time.Duration
		note := func() {
			for _, line := range strings.Split(r.took(), ", ") {
				var class string
				var index uint64
				if n, _ := fmt.Sscanf(line, "send %s %d over 0", &class, &index); n == 2 {
					c := map[string]packet.Class{"urgent": packet.Urgent, "normal": packet.Normal, "bulk": packet.Bulk}[class]
					log = append(log, r.now)
					r.sent(c, index, nil)
					r.Received(r.now, 0, link.Ack{Boot: boot, Class: c, Ranges: []ledger.Range{{First: 10 * (index - 1), Count: 10}}})
					r.perform()
				}
			}
		}
		end := rapid.IntRange(60, 400).Draw(rt, "minutes")
		for r.now < time.Duration(end)*time.Minute {
			r.spool(packet.ClassAt(rapid.IntRange(0, 2).Draw(rt, "class")), uint64(rapid.IntRange(0, 12).Draw(rt, "frames")))
			for len(r.log) > 0 {
				note()
			}
			r.now += time.Duration(rapid.IntRange(1, 1200).Draw(rt, "seconds")) * time.Second
			r.Tick(r.now)
			r.perform()
			for len(r.log) > 0 {
				note()
			}
		}
		size := int64(100 + overhead)
		for i := range log {
			sum := int64(0)
			for j := i; j < len(log) && log[j] < log[i]+time.Hour; j++ {
				sum += size
			}
			if sum > limit {
				rt.Fatalf("%d bytes in the hour from %s, the budget is %d", sum, log[i], limit)
			}
		}
		if len(log) == 0 && size <= limit*9/10 && r.next != [packet.Classes]uint64{1, 1, 1} {
			rt.Fatal("nothing was sent")
		}
	})
}

func TestALaterIsHeededAndSpread(t *testing.T) {
	var waits []time.Duration
	for seed := range uint64(200) {
		m := delivery.New(delivery.Options{Links: make([]delivery.Link, 1), BreakAfter: 1}, rand.New(rand.NewPCG(1, seed)), [packet.Classes]uint64{1, 1, 1})
		m.Tick(0)
		m.Down(0, 0, fmt.Errorf("dial: %w", &link.Later{After: 20 * time.Second, Err: errors.New("too many at once")}))
		at, ok := m.Wake()
		if !ok || at < 20*time.Second || at > 25*time.Second {
			t.Fatalf("wakes at %s", at)
		}
		if s := m.Links()[0]; s.Open || s.Failures != 0 || !strings.Contains(s.LastError, "too many at once") {
			t.Fatalf("%+v", s)
		}
		waits = append(waits, at)
	}
	early, late := 0, 0
	for _, w := range waits {
		if w < 21*time.Second {
			early++
		}
		if w > 24*time.Second {
			late++
		}
	}
	if early < 20 || late < 20 {
		t.Errorf("all come back at once: %d early, %d late of 200", early, late)
	}
	m := delivery.New(delivery.Options{Links: make([]delivery.Link, 1)}, rand.New(rand.NewPCG(1, 2)), [packet.Classes]uint64{1, 1, 1})
	m.Tick(0)
	m.Down(0, 0, &link.Later{After: 1000 * time.Hour, Err: errors.New("go away")})
	if at, ok := m.Wake(); !ok || at > link.MaxLater*5/4 {
		t.Errorf("wakes at %s", at)
	}
}

func TestAPauseHoldsAClass(t *testing.T) {
	r := newRig(t, delivery.Options{BreakAfter: 1, AckTimeout: time.Second})
	r.up(0)
	r.spool(packet.Bulk, 2)
	r.sent(packet.Bulk, 1, nil)
	r.sent(packet.Bulk, 2, nil)
	r.spool(packet.Bulk, 1)
	r.took()
	r.sent(packet.Bulk, 3, nil)
	r.Received(r.now, 0, link.Pause{Class: packet.Bulk, For: time.Minute, Text: "its share is used"})
	r.perform()
	r.spool(packet.Normal, 1)
	r.want("send normal 1 over 0") // the others go on
	r.sent(packet.Normal, 1, nil)
	r.ack(packet.Normal, 10)
	r.took()
	if p := r.Pauses(r.now); len(p) != 1 || p[0].Class != packet.Bulk || p[0].Left < time.Minute || p[0].Text != "its share is used" {
		t.Errorf("%+v", p)
	}
	r.ack(packet.Bulk, 10) // that one was stored
	r.want("done bulk 1")
	if waited := r.wait(); waited < time.Minute || waited > 75*time.Second {
		t.Errorf("waited %s", waited)
	}
	r.want("send bulk 2 over 0")
	if s := r.Links()[0]; s.Failures != 0 || s.State != delivery.Connected {
		t.Errorf("what was paused counts as a failure: %+v", s)
	}
	if p := r.Pauses(r.now); len(p) != 0 {
		t.Errorf("%+v", p)
	}
}

// A connection that comes and goes, each time with something delivered, is dialled every few seconds and not in a loop.
func TestALinkThatFlapsDoesNotStorm(t *testing.T) {
	r := newRig(t, delivery.Options{})
	dials, prefix := 0, uint64(0)
	for r.now < 10*time.Minute {
		if len(r.log) == 0 {
			r.wait()
		}
		if !strings.HasPrefix(r.took(), "dial 0") {
			continue
		}
		dials++
		r.up(0)
		r.spool(packet.Normal, 1)
		prefix += 10
		r.ack(packet.Normal, prefix)
		r.now += 10 * time.Millisecond
		r.down(0, errors.New("cut"))
	}
	if dials < 75 || dials > 300 { // a wait of 0 to 8 s, evenly
		t.Errorf("%d dials in 10 minutes", dials)
	}
}

// However long the ground was away, it is tried for about once a second, no oftener on average, and what waits is sent as soon as a
// connection is there.
func TestAGroundThatReturnsHasSomethingSoon(t *testing.T) {
	r := newRig(t, delivery.Options{})
	r.spool(packet.Normal, 2)
	r.up(0)
	r.sent(packet.Normal, 1, nil)
	for _, away := range []time.Duration{10 * time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		r.took()
		r.down(0, errors.New("connection reset"))
		begun, attempts := r.now, 0
		for r.now-begun < away {
			if waited := r.wait(); waited > 1500*time.Millisecond {
				t.Fatalf("away for %s: tried again after %s", r.now-begun, waited)
			}
			r.want("dial 0")
			attempts++
			r.down(0, errors.New("connection refused"))
		}
		if pause := away / time.Duration(attempts); away > time.Minute && (pause < time.Second || pause > 1250*time.Millisecond) {
			t.Errorf("away for %s: an attempt each %s", away, pause)
		}
		if waited := r.wait(); waited > 1500*time.Millisecond {
			t.Errorf("away for %s: tried %s after the return", away, waited)
		}
		r.want("dial 0")
		r.up(0)
		r.want("send normal 1 over 0")
		r.sent(packet.Normal, 1, nil)
	}
}

// A ground that is connected and does not acknowledge is left alone for longer: each probe is a frame.
func TestWhoDoesNotAcknowledgeIsProbedRarely(t *testing.T) {
	r := newRig(t, delivery.Options{})
	r.spool(packet.Normal, 1)
	r.up(0)
	r.sent(packet.Normal, 1, nil)
	r.took()
	probes := 0
	for r.now < 2*time.Hour {
		r.wait()
		switch r.took() {
		case "dial 0":
			r.up(0)
		case "send normal 1 over 0":
			probes++
			r.sent(packet.Normal, 1, nil)
		}
		if strings.Contains(r.took(), "send") {
			probes++
			r.sent(packet.Normal, 1, nil)
		}
	}
	if probes < 30 || probes > 2*60*2 {
		t.Errorf("%d probes in two hours, want one each half a minute to a minute, and the time to wait for its acknowledgement", probes)
	}
}

// What a link did not take, again and again, waits for longer and longer; another link that comes up has it at once.
func TestALinkThatComesUpHasWhatWaits(t *testing.T) {
	r := newRig(t, delivery.Options{Links: make([]delivery.Link, 2), BreakAfter: 1000})
	r.down(0, errors.New("no route"))
	r.up(1)
	r.took()
	r.spool(packet.Normal, 1)
	for refused := 0; ; r.wait() {
		what := r.took()
		if strings.Contains(what, "send normal 1 over 1") {
			refused++
			r.Sent(r.now, 1, delivery.Key{Class: packet.Normal, Index: 1}, errors.New("queue full"))
			r.perform()
		}
		if strings.Contains(what, "dial 0") && refused >= 12 {
			break
		} else if strings.Contains(what, "dial 0") {
			r.down(0, errors.New("no route"))
		}
	}
	r.up(0)
	r.want("send normal 1 over 0")
}
