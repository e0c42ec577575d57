package spec_test

import (
	"fmt"
	"testing"

	"github.com/fulmar-io/fulmar/spec"
)

const ms = 1_000_000

// run drives a clock with steps that begin at their release, or when the previous one has ended, and last as given.
func run(t spec.Timing, lasts ...int64) (begins []int64, c spec.Clock) {
	c.Start(t, 0)
	now := int64(0)
	for _, d := range lasts {
		now = max(now, c.Next())
		begins = append(begins, now/ms)
		c.Begin(now)
		now += d * ms
		c.End(now)
	}
	return begins, c
}

func TestMissPolicies(t *testing.T) {
	timing := func(p spec.MissPolicy) spec.Timing {
		return spec.Timing{Period: 10 * ms, OnMiss: p}.WithDefaults()
	}
	for _, c := range []struct {
		name           string
		policy         spec.MissPolicy
		lasts          []int64
		begins         []int64
		misses, streak uint64
	}{
		{"in time", spec.Skip, []int64{1, 9, 10, 1}, []int64{0, 10, 20, 30}, 0, 0},
		{"one late, one release skipped", spec.Skip, []int64{1, 12, 1, 1}, []int64{0, 10, 30, 40}, 2, 0},
		{"ends exactly at a release", spec.Skip, []int64{20, 1}, []int64{0, 20}, 2, 0},
		{"late by three periods", spec.Skip, []int64{35, 1}, []int64{0, 40}, 4, 0},
		{"caught up", spec.CatchUp, []int64{35, 1, 1, 1, 1}, []int64{0, 35, 36, 37, 40}, 3, 0},
		{"still late at the end", spec.Skip, []int64{1, 15}, []int64{0, 10}, 2, 2},
	} {
		begins, clock := run(timing(c.policy), c.lasts...)
		if fmt.Sprint(begins) != fmt.Sprint(c.begins) || clock.Misses != c.misses || clock.Consecutive != c.streak {
			t.Errorf("%s: begins %v, %d misses, %d in a row; want %v, %d, %d", c.name, begins, clock.Misses, clock.Consecutive,
				c.begins, c.misses, c.streak)
		}
	}
}

func TestCatchUpIsBounded(t *testing.T) {
	lasts := []int64{1000}
	for range 30 {
		lasts = append(lasts, 0)
	}
	begins, clock := run(spec.Timing{Period: 10 * ms, OnMiss: spec.CatchUp}.WithDefaults(), lasts...)
	atOnce := 0
	for _, b := range begins[1:] {
		if b == 1000 {
			atOnce++
		}
	}
	if atOnce > spec.CatchUpLimit+2 || clock.Misses < 90 {
		t.Errorf("%d steps at once, %d misses", atOnce, clock.Misses)
	}
}

func TestImpossibleTimings(t *testing.T) {
	for want, timing := range map[error]spec.Timing{
		spec.ErrPeriod:   {},
		spec.ErrDeadline: {Period: ms, Deadline: 2 * ms},
		spec.ErrBudget:   {Period: ms, Budget: 2 * ms},
		spec.ErrOffset:   {Period: ms, Offset: ms},
		spec.ErrPolicy:   {Period: ms, OnMiss: 9},
		spec.ErrPriority: {Period: ms, Priority: 101},
		spec.ErrCore:     {Period: ms, Core: spec.OnCore(1024)},
	} {
		if err := timing.WithDefaults().Validate(); err != want {
			t.Errorf("%+v: %v, want %v", timing, err, want)
		}
	}
	if err := (spec.Timing{Period: ms}).WithDefaults().Validate(); err != nil {
		t.Error(err)
	}
}

func ExampleClock() {
	var c spec.Clock
	c.Start(spec.Timing{Period: 5 * ms}.WithDefaults(), 0)
	for now := int64(0); c.Runs < 3; now = c.Next() {
		_, dt := c.Begin(now)
		fmt.Println("step at", now/ms, "ms, dt", dt/ms, "ms")
		c.End(now + ms)
	}
	// Output:
	// step at 0 ms, dt 5 ms
	// step at 5 ms, dt 5 ms
	// step at 10 ms, dt 5 ms
}
