package courier_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// hope has somebody wait for everything of a class to be durable, who has given up by now.
func (r *rig) hope(class packet.Class) {
	if next := r.region.Next(class); next > 0 {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = r.region.AwaitDurable(ctx, class, next-1) // it says that it was given up, unless it was durable already
	}
}

// What somebody waits for is durable at once, and yet goes over the link in the frame that it would have been in.
func TestWhatSomebodyWaitsForIsBatchedAllTheSame(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	r.Poll(r.now)
	r.perform()
	for i := range uint64(45) {
		r.publish(packet.Normal, 2)
		r.want(packet.Normal, 2*i+1)
		r.Poll(r.now)
		r.perform()
		if got := r.region.Durable(packet.Normal); got != 2*i+2 {
			t.Fatalf("records below %d are durable, want %d", got, 2*i+2)
		}
		r.now += 20 * time.Millisecond
	}
	if r.Drained() {
		t.Error("drained, with records that are in no frame")
	}
	r.pass(time.Second)
	if h := r.headers(); len(h) != 1 || h[0].First != 0 || h[0].Count != 90 {
		t.Errorf("frames %+v", h)
	}
	if a := r.account(); !r.Drained() || a.Numbered != 90 || a.Waiting != 90 {
		t.Errorf("drained: %v, account %+v", r.Drained(), a)
	}
}

// An urgent record that somebody waits for goes at once.
func TestWhatIsUrgentAndWaitedForGoesAtOnce(t *testing.T) {
	r := open(t, simdisk.New(), 1)
	r.Poll(r.now)
	r.perform()
	r.publish(packet.Urgent, 1)
	r.want(packet.Urgent, 0)
	r.Poll(r.now)
	r.perform()
	if h := r.headers(); len(h) != 1 || r.region.Durable(packet.Urgent) != 1 {
		t.Errorf("frames %+v; records below %d are durable", h, r.region.Durable(packet.Urgent))
	}
}

// ordeal is a boot in which many things are published and waited for, and how it ends.
type ordeal struct {
	*rig
	rng *rand.Rand
}

func (o *ordeal) live() {
	for range 5 + o.rng.IntN(60) {
		class := packet.ClassAt(o.rng.IntN(packet.Classes))
		if o.rng.IntN(4) > 0 {
			o.publish(class, 1+o.rng.IntN(9))
		}
		if o.rng.IntN(2) == 0 {
			o.hope(class)
		}
		if o.rng.IntN(3) == 0 {
			o.now += time.Duration(o.rng.IntN(400)) * time.Millisecond
		}
		o.Poll(o.now)
		if o.rng.IntN(8) > 0 {
			o.perform() // else the disk is slow: no sync ends before the next look
		}
	}
	if o.syncs() > 0 && o.rng.IntN(2) == 0 {
		_ = o.SyncSpool() // and the process ended before it knew; an error is as good as an end
	}
}

// covered checks that every number of the first boot below end is in one frame of records that went over the link.
func (r *rig) covered(class packet.Class, end uint64) error {
	frames := make(map[uint64]frame.Header)
	var lost ledger.Set
	for _, h := range r.headers() {
		if h.Stream.Boot != (telemetry.Boot{1}) || h.Stream.Class != class {
			continue
		}
		if h.Mode == frame.Lost {
			lost.Add(ledger.Range{First: h.First, Count: h.Count})
		} else {
			frames[h.First] = h
		}
	}
	next := uint64(0)
	for next < end {
		h, ok := frames[next]
		if !ok {
			return fmt.Errorf("%s: %d is in no frame, of those below %d: %v", class, next, end, frames)
		}
		if lost.Contains(ledger.Range{First: next, Count: 1}) {
			return fmt.Errorf("%s: %d is declared lost", class, next)
		}
		delete(frames, next)
		next += h.Count
	}
	for first := range frames {
		if first < next {
			return fmt.Errorf("%s: %d is in two frames", class, first)
		}
	}
	return nil
}

// A power cut loses nothing that was durable, the end of the process nothing at all; and nothing comes twice.
func TestWhatSomebodyWaitedForSurvives(t *testing.T) {
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 1))
		disk := simdisk.New()
		o := &ordeal{open(t, disk, 1), rng}
		o.live()
		var promised [packet.Classes]uint64
		how := "killed"
		var after *rig
		if seed%2 == 0 {
			mode := simdisk.Mode(rng.IntN(int(simdisk.Modes)))
			how = fmt.Sprintf("power cut %d", mode)
			for i := range promised {
				promised[i] = o.region.Durable(packet.ClassAt(i))
			}
			disk.Crash(rng, mode)
			after = open(t, disk, 2)
		} else {
			for i := range promised {
				promised[i] = o.region.Next(packet.ClassAt(i))
			}
			disk.Kill()
			after = open(t, disk, 2, o.region)
		}
		after.pass(time.Second)
		for i, end := range promised {
			if err := after.covered(packet.ClassAt(i), end); err != nil {
				t.Fatalf("seed %d, %s: %v", seed, how, err)
			}
		}
		after.account()
	}
}

// Where the disk has no room for the log ahead, the frame is made at once: what somebody waits for is durable, in a smaller frame.
func TestWithoutTheLogAheadTheFrameIsMadeAtOnce(t *testing.T) {
	disk := simdisk.New()
	r := open(t, disk, 1)
	r.Poll(r.now)
	r.perform()
	disk.Inject(simdisk.Fault{Ops: simdisk.OpWrite, Name: "/ahead/", Err: syscall.ENOSPC})
	r.publish(packet.Normal, 3)
	r.want(packet.Normal, 2)
	r.pass(40 * time.Second)
	if got := r.region.Durable(packet.Normal); got != 3 {
		t.Errorf("records below %d are durable, want 3", got)
	}
	if disk.Struck() == 0 {
		t.Error("the fault did not strike")
	}
}
