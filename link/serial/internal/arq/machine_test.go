package arq

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/link"
)

// message is one that tells its place.
func message(rng *rand.Rand, i, n int) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(i)), noise(rng, n)...)
}

// Whatever a line loses, damages, doubles and reorders, in either direction, every message arrives once, in order and whole.
// Fragments' numbers wrap around on the way.
func TestEveryMessageArrivesOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		chance := rapid.SampledFrom([]float64{0, 0.01, 0.1, 0.3})
		l := luck{lose: chance.Draw(rt, "lose"), damage: chance.Draw(rt, "damage"), twice: chance.Draw(rt, "twice"),
			reorder: chance.Draw(rt, "reorder"), garbage: chance.Draw(rt, "garbage")}
		baud := rapid.SampledFrom([]int{1200, 9600, 57600, 921600, MaxBaud}).Draw(rt, "baud")
		w := newWorld(t, baud, rapid.Uint64().Draw(rt, "seed"), l)
		w.delay = time.Duration(rapid.Int64Range(0, int64(200*time.Millisecond)).Draw(rt, "delay"))
		for _, e := range w.ends {
			for i := range rapid.IntRange(0, 12).Draw(rt, "messages") {
				f := w.ends[0].m.line.Fragment
				n := rapid.SampledFrom([]int{0, 1, f - 5, f - 4, f - 3, 2*f - 4, 10 * f, 100 * f}).Draw(rt, "bytes")
				e.queue = append(e.queue, message(w.rng, i, n))
			}
		}
		if !w.run(6*time.Hour, func() bool {
			return len(w.ends[0].got) >= len(w.ends[1].queue) && len(w.ends[1].got) >= len(w.ends[0].queue)
		}) {
			rt.Fatalf("after %v: %d of %d and %d of %d have arrived; down: %v, %v", w.now, len(w.ends[1].got), len(w.ends[0].queue),
				len(w.ends[0].got), len(w.ends[1].queue), w.ends[0].downs, w.ends[1].downs)
		}
		w.run(10*time.Second, func() bool { return false }) // nothing comes after that
		for i, e := range w.ends {
			want := w.ends[1-i].queue
			if len(e.got) != len(want) || len(e.downs) != 0 {
				rt.Fatalf("%d messages, want %d; down: %v", len(e.got), len(want), e.downs)
			}
			for k := range want {
				if !bytes.Equal(e.got[k], want[k]) {
					rt.Fatalf("message %d: %d bytes, want %d, or they differ", k, len(e.got[k]), len(want[k]))
				}
			}
		}
	})
}

// Either end is restarted at any time, on a bad line. What arrives is whole, in order and never twice; the ends find each other
// again, and what is sent then arrives.
func TestRestarts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		chance := rapid.SampledFrom([]float64{0, 0.05, 0.2})
		w := newWorld(t, rapid.SampledFrom([]int{9600, 57600}).Draw(rt, "baud"), rapid.Uint64().Draw(rt, "seed"),
			luck{lose: chance.Draw(rt, "lose"), twice: chance.Draw(rt, "twice"), reorder: chance.Draw(rt, "reorder")})
		sent := []int{0, 0}
		for range rapid.IntRange(1, 4).Draw(rt, "lives") {
			for i, e := range w.ends {
				for range 10 {
					e.queue = append(e.queue, message(w.rng, sent[i], 200))
					sent[i]++
				}
			}
			w.run(time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(rt, "life")), func() bool { return false })
			who := rapid.IntRange(0, 1).Draw(rt, "who")
			inOrder(rt, w.ends[who].got)
			w.restart(who)
		}
		w.luck.reorder, w.luck.twice = 0, 0
		// A machine that was connected, or got an answer of the former ground, is told; whoever drives it dials again.
		for range 3 {
			if !w.run(30*time.Second, func() bool {
				return w.ends[0].m.phase == over || w.ends[0].m.phase == up && w.ends[0].m.proven && w.ends[1].m.phase == up &&
					w.ends[1].m.peer.theirs == w.ends[0].m.peer.mine
			}) {
				rt.Fatal("the machine does not notice that the ground began anew")
			}
			if w.ends[0].m.phase == over {
				inOrder(rt, w.ends[0].got)
				w.restart(0)
			}
		}
		for i, e := range w.ends {
			e.queue = append(e.queue, message(w.rng, 1000+i, 500))
		}
		last := func(e *end, i uint32) bool {
			return len(e.got) > 0 && binary.LittleEndian.Uint32(e.got[len(e.got)-1]) == i
		}
		if !w.run(10*time.Minute, func() bool { return last(w.ends[0], 1001) && last(w.ends[1], 1000) }) {
			rt.Fatal("the last messages do not arrive")
		}
		for _, e := range w.ends {
			inOrder(rt, e.got)
		}
	})
}

func inOrder(t *rapid.T, got [][]byte) {
	before := -1
	for _, b := range got {
		i := int(binary.LittleEndian.Uint32(b))
		if i <= before {
			t.Fatalf("message %d after message %d", i, before)
		}
		if before = i; len(b) != 204 && len(b) != 504 {
			t.Fatalf("message %d has %d bytes", i, len(b))
		}
	}
}

// joined is a world whose ends are connected.
func joined(t testing.TB, baud int, seed uint64, l luck) *world {
	w := newWorld(t, baud, seed, l)
	if !w.run(time.Minute, func() bool { return w.ends[0].ups == 1 && w.ends[1].ups == 1 }) {
		t.Fatal("no connection")
	}
	return w
}

// The numbers of transmissions wrap around too.
func TestTransmissionsWrap(t *testing.T) {
	w := joined(t, MinBaud, 1, luck{lose: 0.05})
	for i := range 5 {
		w.ends[0].queue = append(w.ends[0].queue, message(w.rng, i, 500_000))
	}
	if !w.run(24*time.Hour, func() bool { return len(w.ends[1].got) == 5 }) {
		t.Fatalf("%d of 5 messages in %v", len(w.ends[1].got), w.now)
	}
	for i, b := range w.ends[1].got {
		if !bytes.Equal(b, w.ends[0].queue[i]) {
			t.Errorf("message %d differs", i)
		}
	}
	if s := w.ends[0].m.Status(); s.Sent < 1<<16+1<<12 || float64(s.Repeats) > 0.07*float64(s.Sent) {
		t.Errorf("%d repeats among %d transmissions", s.Repeats, s.Sent)
	}
}

// A repeat that is lost too is noticed by what follows it, without a timer, and on a line without losses nothing is repeated.
func TestRepeats(t *testing.T) {
	for _, c := range []struct{ lose, most float64 }{{0, 0}, {0.1, 0.13}} {
		w := joined(t, 9600, 2, luck{lose: c.lose})
		for i := range 10 {
			w.ends[0].queue = append(w.ends[0].queue, message(w.rng, i, 7600))
		}
		start := w.now
		w.run(time.Hour, func() bool { return len(w.ends[1].got) == 10 })
		if took, line := w.now-start, NewLine(9600).Time(10*7600); float64(line) < 0.65*float64(took) {
			t.Errorf("lost %v: %v for what takes the line %v", c.lose, took, line)
		}
		s := w.ends[0].m.Status()
		if share := float64(s.Repeats) / float64(s.Sent); len(w.ends[1].got) != 10 || share > c.most || (c.lose > 0 && share < c.lose/2) {
			t.Errorf("lost %v: %d messages, %d repeats among %d", c.lose, len(w.ends[1].got), s.Repeats, s.Sent)
		}
	}
}

// Nobody receives: the window closes, no more is kept than is said, and it goes on when somebody does, even if the word
// that there is room is lost.
func TestNobodyReceives(t *testing.T) {
	w := joined(t, 921600, 3, luck{})
	w.ends[1].deaf = true
	for i := range 100 {
		w.ends[0].queue = append(w.ends[0].queue, message(w.rng, i, 20_000))
	}
	w.run(20*time.Second, func() bool { return false })
	if n := len(w.ends[1].got); n != 13 || w.ends[1].m.held < Inbox || w.ends[1].m.held > Inbox+Weight(w.ends[0].queue[0]) {
		t.Fatalf("%d messages were taken, %d bytes", n, w.ends[1].m.held)
	}
	before := w.ends[0].m.Status()
	w.run(20*time.Second, func() bool { return false })
	if after := w.ends[0].m.Status(); after.Sent != before.Sent {
		t.Errorf("%d fragments were sent again to somebody who has them", after.Sent-before.Sent)
	}
	w.ends[1].deaf = false
	w.perform(1) // says that there is room
	w.ends[1].deaf = true
	if w.run(150*time.Millisecond, func() bool { return len(w.ends[1].got) > 13 }); len(w.ends[1].got) == 13 {
		t.Error("that there is room again is not said at once")
	}
	w.run(20*time.Second, func() bool { return false })
	w.cut = true
	w.ends[1].deaf = false
	w.perform(1) // says it in vain
	w.run(time.Second, func() bool { return false })
	w.cut = false
	if !w.run(time.Minute, func() bool { return len(w.ends[1].got) == 100 }) || len(w.ends[0].downs) != 0 {
		t.Errorf("%d of 100 messages; down: %v", len(w.ends[1].got), w.ends[0].downs)
	}
}

// An idle line is tried; one that is cut is noticed by both ends after twice the time, and not before.
func TestSilence(t *testing.T) {
	w := joined(t, 57600, 4, luck{lose: 0.2})
	w.run(time.Hour, func() bool { return false })
	if len(w.ends[0].downs)+len(w.ends[1].downs) != 0 {
		t.Fatalf("an idle line was cut: %v, %v", w.ends[0].downs, w.ends[1].downs)
	}
	w.cut = true
	start := w.now
	if !w.run(2*patient, func() bool { return len(w.ends[0].downs) == 1 && len(w.ends[1].downs) == 1 }) {
		t.Fatal("the silence is not noticed")
	}
	if took := w.now - start; took < patient/2 {
		t.Errorf("cut after %v", took)
	}
}

// A closed end says so.
func TestClose(t *testing.T) {
	for i := range 2 {
		w := joined(t, 57600, 5, luck{})
		w.ends[i].m.Close(w.now)
		if !w.run(time.Second, func() bool { return len(w.ends[1-i].downs) == 1 }) || !errors.Is(w.ends[1-i].downs[0], errReset) {
			t.Errorf("end %d: %v", i, w.ends[1-i].downs)
		}
		if !w.ends[i].m.Quiet() {
			t.Error("something is left to be written")
		}
	}
}

// What is in the window when a message comes is all that it waits for.
func TestTakenWhenInTheWindow(t *testing.T) {
	w := joined(t, 9600, 6, luck{})
	w.ends[0].queue = [][]byte{message(w.rng, 0, 76*20-4), message(w.rng, 1, 10)}
	if !w.run(time.Minute, func() bool { return len(w.ends[0].taken) == 1 }) {
		t.Fatal("not taken")
	}
	o := &w.ends[0].m.out
	if under := int(o.next - o.base); under > w.ends[0].m.line.Window || len(w.ends[1].got) != 0 {
		t.Errorf("%d fragments under way, %d messages arrived", under, len(w.ends[1].got))
	}
}

// Ends of different sizes agree on the smaller.
func TestAgreed(t *testing.T) {
	w := newWorld(t, 57600, 7, luck{lose: 0.1})
	w.ends[1].m.line.Fragment, w.ends[1].m.line.Window = 40, 2 // a firmware's
	w.ends[0].queue = [][]byte{message(w.rng, 0, 5000)}
	w.ends[1].queue = [][]byte{message(w.rng, 1, 5000)}
	if !w.run(time.Minute, func() bool { return len(w.ends[0].got) == 1 && len(w.ends[1].got) == 1 }) {
		t.Fatal("no message")
	}
	for _, e := range w.ends {
		if l := e.m.peer.line; l.Fragment != 40 || l.Window != 2 {
			t.Errorf("%+v", l)
		}
	}
	if !bytes.Equal(w.ends[1].got[0], w.ends[0].queue[0]) {
		t.Error("the message differs")
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t, 57600, 8, luck{})
	w.ends[0].m.o.Device = "Rover 1"
	w.restart(0)
	if !w.run(time.Minute, func() bool { return len(w.ends[0].downs) == 1 }) {
		t.Fatal("not refused")
	}
	if err := w.ends[0].downs[0]; !errors.Is(err, link.ErrRefused) || err.Error() != `link refused: the ground does not take the device name "Rover 1"` {
		t.Error(err)
	}
	// A machine of a later version, of whose syn only the beginning is known.
	w = newWorld(t, 57600, 8, luck{})
	own := w.ends[0].m.peer.mine
	frame := append(binary.LittleEndian.AppendUint32([]byte{kindSyn, 9}, own), "more than we know"...)
	w.ends[1].m.Received(w.now, frame)
	if !w.run(time.Minute, func() bool { return len(w.ends[0].downs) == 1 }) {
		t.Fatal("not refused")
	}
	if err := w.ends[0].downs[0]; !errors.Is(err, link.ErrRefused) ||
		err.Error() != "link refused: the ground speaks version 1 of the protocol, this build 1" {
		t.Error(err)
	}
}

// A fragment costs no memory but what its message grows by.
func TestNoHeapPerFragment(t *testing.T) {
	w := joined(t, MaxBaud, 9, luck{})
	w.run(time.Second, func() bool { return false })
	a, b := w.ends[0].m, w.ends[1].m
	now := w.now
	if !a.Offer(now, make([]byte, link.MaxMessage)) {
		t.Fatal("not taken on")
	}
	payload := make([]byte, MaxPayload+8)
	unframe := func(data []byte) []byte {
		for len(data) > 1 && data[0] == 0 {
			data = data[1:]
		}
		n := cobs(payload, data[:len(data)-1])
		return payload[:n-4]
	}
	passed := 0
	exchange := func(from, to *Machine) {
		for _, e := range from.Effects() {
			if e.Kind == Write {
				to.Received(now, unframe(e.Data))
				from.Written(now)
				passed++
			}
		}
	}
	step := func() {
		now += 2 * time.Millisecond
		a.Tick(now)
		b.Tick(now)
		exchange(a, b)
		exchange(b, a)
	}
	for range 100 {
		step() // every slot's memory is there
	}
	passed = 0
	if n := testing.AllocsPerRun(300, step); n != 0 {
		t.Errorf("%v allocations per fragment", n)
	}
	if passed < 400 {
		t.Errorf("only %d frames passed", passed)
	}
}
