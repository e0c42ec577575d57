package ingest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// outcome is what became of one frame.
func outcome(t *testing.T, m *ingest.Machine) (stored bool, pause *link.Pause, refuse *link.Refuse) {
	t.Helper()
	for _, e := range m.Effects() {
		switch e := e.(type) {
		case ingest.Store:
			stored = true
			m.Appended(e.Header)
			m.Stored(e.Header)
		case ingest.Reply:
			switch w := e.Message.(type) {
			case link.Pause:
				pause = &w
			case link.Refuse:
				refuse = &w
			}
		}
	}
	return stored, pause, refuse
}

// A device that sends without end has as many frames stored as its quota has, is told how long to wait and which setting says so, and does
// not cost another device anything.
func TestADeviceIsHeldToItsRates(t *testing.T) {
	for name, c := range map[string]struct {
		quota ingest.Quota
		want  int // frames in 100 s
		text  string
	}{
		"frames": {ingest.Quota{FramesPerSecond: 5, Burst: 2 * time.Second}, 10 + 500, "5 frames a second of a device (limits.frames_per_second)"},
		"bytes":  {ingest.Quota{BytesPerSecond: 1000, Burst: 2 * time.Second}, 0, "1000 bytes a second of a device (limits.bytes_per_second)"},
	} {
		m := ingest.New(ingest.Options{Quota: c.quota})
		size := len(frameOf(t, stream, 0, 10, 0))
		if c.want == 0 {
			c.want = 102_000 / size
		}
		stored, next, told, calm := 0, uint64(0), 0, int64(0)
		for now := int64(1e18); now < 1e18+100e9; now += 10e6 {
			m.Frame(now, "rover", frameOf(t, stream, next, 10, 0), false)
			ok, pause, refuse := outcome(t, m)
			if ok {
				stored++
				next += 10
			}
			if pause != nil {
				told++
				if pause.Class != stream.Class || pause.For < time.Second || pause.For > 10*time.Second || !strings.Contains(pause.Text, c.text) {
					t.Fatalf("%s: %+v", name, pause)
				}
			}
			if refuse != nil {
				t.Fatalf("%s: refused for good: %+v", name, refuse)
			}
			if now%1e9 == 0 {
				s := telemetry.Stream{Device: "calm", Boot: telemetry.Boot{1}, Class: packet.Bulk}
				m.Frame(now, "calm", frameOf(t, s, uint64(calm), 1, 0), false)
				calm++
				if ok, pause, _ := outcome(t, m); !ok || pause != nil {
					t.Fatalf("%s: a neighbour is held back: %+v", name, pause)
				}
			}
		}
		if stored < c.want*95/100 || stored > c.want {
			t.Errorf("%s: %d frames stored, want %d", name, stored, c.want)
		}
		if told < 50 || told > 101 {
			t.Errorf("%s: told %d times in 100 s", name, told)
		}
	}
}

// What is known already counts too: it costs the ground an answer.
func TestAFloodOfDuplicatesIsHeldToTheRates(t *testing.T) {
	m := ingest.New(ingest.Options{Quota: ingest.Quota{FramesPerSecond: 5, Burst: time.Second}})
	b := frameOf(t, stream, 0, 10, 0)
	replies := 0
	for i := range int64(10_000) {
		m.Frame(1e18+i*1e6, "rover", b, false)
		for _, e := range m.Effects() {
			switch e := e.(type) {
			case ingest.Store:
				m.Stored(e.Header)
			case ingest.Reply:
				replies++
			}
		}
	}
	if replies > 5+50+11 {
		t.Errorf("%d replies in 10 s", replies)
	}
}

// A clock that is set back takes nothing from a device for long, and one that is set ahead gives it no more than a burst.
func TestAClockThatJumpsGivesNoQuota(t *testing.T) {
	m := ingest.New(ingest.Options{Quota: ingest.Quota{FramesPerSecond: 5, Burst: time.Second}})
	next := uint64(0)
	send := func(now int64) bool {
		m.Frame(now, "rover", frameOf(t, stream, next, 1, 0), false)
		ok, _, _ := outcome(t, m)
		if ok {
			next++
		}
		return ok
	}
	for _, now := range []int64{1e18, 1e18 + 3600e9, 5e17} {
		n := 0
		for range 100 {
			if send(now) {
				n++
			}
		}
		if n > 5 {
			t.Errorf("%d frames at once at %d", n, now)
		}
	}
	if !send(5e17 + 1e9) {
		t.Error("a second later nothing is taken")
	}
}

// frameWith makes a frame of one record of a layout of that name.
func frameWith(t *testing.T, seq uint64, name string) []byte {
	t.Helper()
	l := &telemetry.Layout{Name: name, Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "x", Type: packet.Bool}}}
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Seq: seq, Class: stream.Class})
	w.Bool(true)
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	e := frame.NewEncoder()
	e.Reset(stream)
	if err := e.Append(l, b); err != nil {
		t.Fatal(err)
	}
	b, err = e.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLayoutsBeyondTheQuotaAreRefusedForGood(t *testing.T) {
	m := ingest.New(ingest.Options{Quota: ingest.Quota{Layouts: 3}})
	for i := range uint64(10) {
		m.Frame(1, "rover", frameWith(t, i, fmt.Sprintf("l%d", i%5)), false)
		stored, pause, refuse := outcome(t, m)
		if want := i%5 < 3; stored != want || pause != nil || (refuse != nil) == want {
			t.Errorf("layout %d: stored %t, %+v", i%5, stored, refuse)
		} else if !want && (refuse.Code != link.CodeLimit || !strings.Contains(refuse.Text, "limits.layouts") || refuse.First != i) {
			t.Errorf("%+v", refuse)
		}
	}
	l1 := telemetry.Layout{Name: "l1", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "x", Type: packet.Bool}}}
	m.Beyond("rover", map[telemetry.LayoutID]string{l1.ID(): "too many series"})
	m.Frame(1, "rover", frameWith(t, 20, "l1"), false)
	if stored, _, refuse := outcome(t, m); stored || refuse == nil || refuse.Text != "too many series" {
		t.Errorf("stored %t, %+v", stored, refuse)
	}
	m.Frame(1, "rover", frameWith(t, 21, "l2"), false)
	if stored, _, _ := outcome(t, m); !stored {
		t.Error("another layout is refused with it")
	}
	m.Frame(1, "rover", frameWith(t, 22, "new"), false)
	if stored, _, _ := outcome(t, m); !stored {
		t.Error("what is refused still counts")
	}
}

func TestADiskThatFailsAsksForPatience(t *testing.T) {
	m := ingest.New(ingest.Options{})
	m.Frame(1, "rover", frameOf(t, stream, 0, 10, 0), false)
	headers, _ := effects(m)
	m.Failed(1, errors.New("disk full"), headers...)
	if _, pause, _ := outcome(t, m); pause == nil || pause.For != 10*time.Second || strings.Contains(pause.Text, "full") {
		t.Errorf("%+v", pause)
	}
}

// New boots come at a rate, for the index keeps each; those that are known are not held up by it.
func TestBootsHaveARate(t *testing.T) {
	m := ingest.New(ingest.Options{})
	boot := func(now int64, n int) (bool, *link.Pause) {
		s := stream
		s.Boot = telemetry.Boot{1, byte(n >> 8), byte(n)}
		m.Frame(now, "rover", frameOf(t, s, uint64(now), 1, 0), false)
		ok, pause, _ := outcome(t, m)
		return ok, pause
	}
	taken := 0
	for n := range 300 {
		ok, pause := boot(1, n)
		if ok {
			taken++
		}
		if n == 200 && (pause == nil || !strings.Contains(pause.Text, "new boot")) {
			t.Errorf("told %+v", pause)
		}
	}
	if taken != 200 {
		t.Errorf("%d boots at once", taken)
	}
	if ok, _ := boot(2, 7); !ok {
		t.Error("a boot that is known is held up")
	}
	if ok, _ := boot(2+1e9, 299); !ok {
		t.Error("a second later none is taken")
	}
}

// While the disk is behind, what waits in memory has a bound, the least urgent classes wait first, and everything is taken again when
// the disk has caught up.
func TestTheBacklogIsBounded(t *testing.T) {
	size := int64(len(frameOf(t, stream, 0, 10, 0)))
	in, err := ingest.OpenIntake(simdisk.New(), "frames", ingest.Options{Backlog: 8 * size}, store.FramesOptions{MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	next := map[packet.Class]uint64{}
	// send sends frames of a class until one is not taken, and returns how many were.
	now := int64(1e18)
	send := func(c packet.Class) int {
		s := stream
		s.Class = c
		for taken := range 100 {
			if err := in.Message(now, "rover", link.Append(nil, link.Frame{Data: frameOf(t, s, next[c], 10, 0)})); err != nil {
				t.Fatal(err)
			}
			var why ingest.Why
			var paused packet.Class
			for _, e := range in.Effects() {
				switch e := e.(type) {
				case ingest.Dropped:
					why = e.Why
				case ingest.Reply:
					if m, err := link.Parse(e.Wire); err != nil {
						t.Fatal(err)
					} else if p, ok := m.(link.Pause); ok {
						paused = p.Class
					}
				}
			}
			if why != "" {
				if why != ingest.Behind || paused != c {
					t.Errorf("a frame of class %s is dropped: %s, and class %s is to wait", c, why, paused)
				}
				return taken
			}
			next[c] += 10
		}
		t.Fatalf("100 frames of class %s wait in memory", c)
		return 0
	}
	total := 0
	for _, c := range []struct {
		class packet.Class
		most  int
	}{{packet.Bulk, 4}, {packet.Normal, 6}, {packet.Urgent, 8}} {
		total += send(c.class)
		if total < c.most || total > c.most+1 { // frames of a later number are a byte longer
			t.Errorf("with class %s, %d frames wait, for %d", c.class, total, c.most)
		}
	}
	in.Synced(in.Sync())
	in.Synced(in.Sync()) // what came while the first was under way
	now += int64(time.Second)
	if send(packet.Bulk) == 0 {
		t.Error("nothing is taken after the disk has caught up")
	}
}
