package sched_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/spec"
)

const ms = time.Millisecond

func budgeted(name string, period, budget time.Duration) *sched.Task {
	return sched.NewTask(name, spec.Timing{Period: int64(period), Budget: int64(budget)}.WithDefaults(), nil, nil)
}

// The textbook's example: periods 7, 12, 20 and budgets 3, 3, 5 have responses 3, 6 and 20.
func TestResponseTimesOfTheTextbook(t *testing.T) {
	bounds := sched.Analyze([]*sched.Task{budgeted("c", 20*ms, 5*ms), budgeted("a", 7*ms, 3*ms), budgeted("b", 12*ms, 3*ms)}, 0)
	want := []time.Duration{3 * ms, 6 * ms, 20 * ms}
	for i, b := range bounds {
		if b.Response != want[i] || b.Exceeded || !b.Known {
			t.Errorf("%+v, want %s", b, want[i])
		}
	}
	if err := sched.Check(bounds); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeScheduledIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		tasks []*sched.Task
		wake  time.Duration
		want  []string // in the error; none for no error
	}{
		"late":            {[]*sched.Task{budgeted("c", 20*ms, 6*ms), budgeted("a", 7*ms, 3*ms), budgeted("b", 12*ms, 3*ms)}, 0, []string{"task c: ", "1ms after its deadline"}},
		"overload":        {[]*sched.Task{budgeted("a", 10*ms, 8*ms), budgeted("b", 20*ms, 10*ms)}, 0, []string{"task b: ", "130 % of a core"}},
		"wake-up":         {[]*sched.Task{budgeted("a", 10*ms, 8*ms)}, 3 * ms, []string{"task a: ", "1ms after its deadline"}},
		"wake-up in time": {[]*sched.Task{budgeted("a", 10*ms, 8*ms)}, 2 * ms, nil},
		"one thread":      {[]*sched.Task{budgeted("a", 10*ms, 6*ms), budgeted("b", 10*ms, 5*ms)}, 0, []string{"task a: ", "task b: "}},
	} {
		err := sched.Check(sched.Analyze(c.tasks, c.wake))
		if (err != nil) != (len(c.want) > 0) || err != nil && !errors.Is(err, sched.ErrNotSchedulable) {
			t.Errorf("%s: %v", name, err)
		}
		for _, w := range c.want {
			if err != nil && !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q", name, err, w)
			}
		}
	}
}

func TestPinnedTasksMeetOnlyTheirCore(t *testing.T) {
	pinned := func(name string, core int) *sched.Task {
		t := budgeted(name, 10*ms, 6*ms)
		t.Timing.Core = spec.OnCore(core)
		return t
	}
	if err := sched.Check(sched.Analyze([]*sched.Task{pinned("a", 0), pinned("b", 1)}, 0)); err != nil {
		t.Error(err)
	}
	if err := sched.Check(sched.Analyze([]*sched.Task{pinned("a", 0), pinned("b", 0)}, 0)); err == nil {
		t.Error("1.2 of a core pass")
	}
	if err := sched.Check(sched.Analyze([]*sched.Task{pinned("a", 0), budgeted("b", 10*ms, 6*ms)}, 0)); err == nil {
		t.Error("one that may run anywhere is not counted where the other is")
	}
}

// What has no budget is taken to need nothing: that all is well is not claimed, that it is not is.
func TestWithoutABudgetItIsABoundFromBelow(t *testing.T) {
	bounds := sched.Analyze([]*sched.Task{budgeted("fast", 5*ms, 1*ms), budgeted("unknown", 10*ms, 0), budgeted("slow", 20*ms, 1*ms)}, 0)
	if !bounds[0].Known || bounds[1].Known || bounds[2].Known || bounds[2].Response != 2*ms || sched.Check(bounds) != nil {
		t.Errorf("%+v", bounds)
	}
	bounds = sched.Analyze([]*sched.Task{budgeted("fast", 5*ms, 4*ms), budgeted("unknown", 10*ms, 0), budgeted("slow", 20*ms, 5*ms)}, 0)
	if err := sched.Check(bounds); bounds[2].Known || !errors.Is(err, sched.ErrNotSchedulable) {
		t.Errorf("%v: %+v", err, bounds)
	}
}

// preempt runs tasks on one core under fixed priorities in steps of a unit, with all released at once, and returns the
// longest response of each: what a bound must not be below.
func preempt(tasks []*sched.Task, unit, length int64) []int64 {
	left := make([]int64, len(tasks)) // of the job that waits or runs
	released := make([]int64, len(tasks))
	worst := make([]int64, len(tasks))
	for now := int64(0); now < length; now += unit {
		run := -1
		for i, t := range tasks {
			if now%t.Timing.Period == 0 {
				left[i], released[i] = left[i]+t.Timing.Budget, now
			}
			if left[i] > 0 && (run < 0 || t.Timing.Before(tasks[run].Timing)) {
				run = i
			}
		}
		if run < 0 {
			continue
		}
		if left[run] -= unit; left[run] == 0 {
			worst[run] = max(worst[run], now+unit-released[run])
		}
	}
	return worst
}

// For tasks on one core with all released at once, the bound is what happens.
func TestBoundsAreWhatHappens(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	checked := 0
	for range 500 {
		var tasks []*sched.Task
		used := map[int64]bool{}
		for i := range 2 + rng.IntN(4) {
			period := int64(2+rng.IntN(30)) * int64(ms)
			if used[period] {
				continue
			}
			used[period] = true
			task := budgeted(string(rune('a'+i)), time.Duration(period), time.Duration(1+rng.Int64N(period/int64(ms)))*ms)
			task.Timing.Core = spec.OnCore(0)
			tasks = append(tasks, task)
		}
		bounds := sched.Analyze(tasks, 0)
		if sched.Check(bounds) != nil {
			continue
		}
		checked++
		worst := preempt(tasks, int64(ms), int64(400*ms))
		for i, task := range tasks {
			for _, b := range bounds {
				if b.Name == task.Name && int64(b.Response) != worst[i] {
					t.Fatalf("%s: bound %s, it took %s: %+v", b.Name, b.Response, time.Duration(worst[i]), bounds)
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d task sets could be scheduled", checked)
	}
}
