package ring_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// TestSIGKILLLosesNothingThatWasPublished kills a process that publishes, and in most runs takes and releases, at a random
// moment, again and again, and recovers its region: each packet whose Publish had returned is there with its content,
// once, or was taken before; nothing else is; and no number is missing but those of calls that had not returned.
func TestSIGKILLLosesNothingThatWasPublished(t *testing.T) {
	kills, enough, limit := 300, 40, 10*time.Second
	if testing.Short() {
		kills, limit = 60, 3*time.Second
	}
	began, packets, holes, losses := time.Now(), 0, 0, uint64(0)
	done := 0
	for seed := uint64(1); done < kills && (done < enough || time.Since(began) < limit); seed++ {
		dir := filepath.Join(sharedDir(t), strconv.FormatUint(seed, 10))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		v, err := killOne(dir, seed)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		packets += len(v.packets)
		for i := range packet.Classes {
			runs, _ := v.gaps(i)
			holes += runs
			losses += v.declared[i] + v.dropped[i]
		}
		done++
	}
	t.Logf("%d kills, %d packets, %d in the middle of a Publish, %d dropped", done, packets, holes, losses)
}

func killOne(dir string, seed uint64) (*recovered, error) {
	j, err := openJournal(filepath.Join(dir, "journal"))
	if err != nil {
		return nil, err
	}
	defer j.close()
	c := child("publish", dir, strconv.FormatUint(seed, 10))
	if err := c.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	// The moment is a number of calls that have returned: the process is in the middle of others.
	rng := rand.New(rand.NewPCG(seed, 5))
	for target := uint64(1 + rng.IntN(1<<rng.IntN(14))); j.load(wordProgress) < target; runtime.Gosched() {
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the process ended by itself: %w", err)
		default:
		}
	}
	if err := c.Process.Kill(); err != nil {
		return nil, err
	}
	<-ended
	v, err := recoverRegion(filepath.Join(dir, "ring"), j, largestOf(seed))
	if err != nil {
		return nil, err
	}
	return v, v.check(j, killed)
}

// check holds what was recovered against the journal of so many producers.
func (v *recovered) check(j journal, producers uint64) error {
	var drops [packet.Classes]uint64 // ErrFull that had returned
	tried := [killed]int{}
	for p := range killed {
		n := 0
		for ; n < journalLength; n++ {
			seq := j.load(published1(p, n))
			if seq == 0 {
				break
			}
			id := identity(p, n)
			number, there := v.packets[id]
			switch {
			case seq == wasDropped && there:
				return fmt.Errorf("packet %x was dropped and is there", id)
			case seq == wasDropped:
				drops[classOf(id).Index()]++
			case !there:
				return fmt.Errorf("packet %x was published as %d and is gone", id, seq-1)
			case number != seq-1:
				return fmt.Errorf("packet %x was published as %d and is there as %d", id, seq-1, number)
			}
		}
		tried[p] = n
	}
	for id := range v.packets {
		if p, n := parseID(id); n > tried[p] {
			return fmt.Errorf("packet %x is there and was not published yet", id)
		}
	}
	holes := 0
	for i := range packet.Classes {
		runs, numbers := v.gaps(i)
		holes += runs
		told := v.declared[i] + v.dropped[i]
		// One call of each producer may have counted a drop and not returned, or have taken a number that nobody holds; one
		// that was declaring leaves what it was about to declare without a number's holder too, and counts it no more.
		if lost := told + numbers; lost < drops[i] || lost > drops[i]+producers {
			return fmt.Errorf("%s: %d packets were dropped, %d are declared or counted, %d numbers are missing", packet.ClassAt(i), drops[i], told, numbers)
		}
		if runs == 0 && told < drops[i] {
			return fmt.Errorf("%s: %d packets were dropped, %d are declared or counted", packet.ClassAt(i), drops[i], told)
		}
		if end := v.numbers[i].End(); end > v.next[i] {
			return fmt.Errorf("%s: number %d is held, %d is next", packet.ClassAt(i), end-1, v.next[i])
		}
	}
	if holes > int(producers) {
		return fmt.Errorf("%d holes in the numbers, and %d producers", holes, producers)
	}
	return nil
}
