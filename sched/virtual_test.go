package sched_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/spec"
)

// costly are options in which each step takes its budget.
func costly(cores int) sched.VirtualOptions {
	return sched.VirtualOptions{Cores: cores, Cost: func(t *sched.Task) time.Duration { return time.Duration(t.Timing.Budget) }}
}

// noted is a task that notes its begins, ends and deadlines missed.
func noted(log *[]string, v **sched.Virtual, name string, period, cost time.Duration) *sched.Task {
	note := func(what string, at time.Duration) { *log = append(*log, fmt.Sprintf("%s %s@%d", name, what, at/ms)) }
	t := sched.NewTask(name, spec.Timing{Period: int64(period), Budget: int64(cost)}.WithDefaults(), nil,
		func(now, _ time.Duration) error { note("reads", now); return nil })
	t.Leave = func() { note("tells", (*v).Now()) }
	t.Missed = func(uint64, uint64) { note("is late", (*v).Now()) }
	return t
}

// The more urgent step preempts the other, which reads when it begins and tells when it ends.
func TestVirtualStepsTakeTime(t *testing.T) {
	var log []string
	v := costly(1).New(0)
	slow, fast := noted(&log, &v, "slow", 10*ms, 5*ms), noted(&log, &v, "fast", 4*ms, 1*ms)
	if err := v.Add(slow, fast); err != nil {
		t.Fatal(err)
	}
	v.Run(9 * ms)
	want := "[fast reads@0 fast tells@1 slow reads@1 fast reads@4 fast tells@5 slow tells@7 fast reads@8 fast tells@9]"
	if got := fmt.Sprint(log); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if s := slow.Stats(); s.ExecMax != 6*ms || s.ResponseMax != 7*ms || s.JitterMax != 1*ms {
		t.Errorf("%+v", s)
	}
}

func TestVirtualStepsOnTwoCores(t *testing.T) {
	var log []string
	v := costly(2).New(0)
	if err := v.Add(noted(&log, &v, "a", 4*ms, 3*ms), noted(&log, &v, "b", 10*ms, 5*ms), noted(&log, &v, "c", 20*ms, 1*ms)); err != nil {
		t.Fatal(err)
	}
	v.Run(5 * ms)
	if got, want := fmt.Sprint(log), "[a reads@0 b reads@0 a tells@3 c reads@3 c tells@4 a reads@4 b tells@5]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// A step that takes too long misses its deadline and the releases behind it, as its policy says.
func TestVirtualMisses(t *testing.T) {
	var log []string
	first := true
	v := sched.VirtualOptions{Cost: func(*sched.Task) time.Duration {
		if first {
			first = false
			return 25 * ms
		}
		return ms
	}}.New(0)
	task := noted(&log, &v, "a", 10*ms, 0)
	if err := v.Add(task); err != nil {
		t.Fatal(err)
	}
	v.Run(35 * ms)
	if got, want := fmt.Sprint(log), "[a reads@0 a tells@25 a is late@25 a reads@30 a tells@31]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if s := task.Stats(); s.Misses != 3 || s.Runs != 2 {
		t.Errorf("%+v", s)
	}
}

// For tasks on one core that are released at once, the longest response is the bound of the analysis.
func TestVirtualResponsesAreTheBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	checked := 0
	for range 2000 {
		var tasks []*sched.Task
		used := map[int64]bool{}
		for i := range 2 + rng.IntN(4) {
			period := int64(2+rng.IntN(30)) * int64(ms)
			if !used[period] {
				used[period] = true
				tasks = append(tasks, budgeted(string(rune('a'+i)), time.Duration(period), time.Duration(1+rng.Int64N(period/int64(ms)))*ms))
			}
		}
		for _, task := range tasks { // all on one core: what may come from another one is bounded with a reserve
			task.Timing.Core = spec.OnCore(0)
			task.Step = func(time.Duration, time.Duration) error { return nil }
		}
		bounds := sched.Analyze(tasks, 0)
		if sched.Check(bounds) != nil || !slices.ContainsFunc(bounds, func(b sched.Bound) bool { return b.Load > 0.5 }) {
			continue
		}
		checked++
		v := costly(1).New(0)
		if err := v.Add(tasks...); err != nil {
			t.Fatal(err)
		}
		v.Run(400 * ms)
		for _, task := range tasks {
			i := slices.IndexFunc(bounds, func(b sched.Bound) bool { return b.Name == task.Name })
			if got := task.Stats(); got.ResponseMax != bounds[i].Response || got.Misses != 0 {
				t.Fatalf("%s: bound %s, it took %s and missed %d: %+v", task.Name, bounds[i].Response, got.ResponseMax, got.Misses, bounds)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d sets were schedulable", checked)
	}
}

// A step that does not end keeps its processor from what is less urgent until it is abandoned; nothing of it leaves.
func TestVirtualStepsThatHang(t *testing.T) {
	var log []string
	v := sched.VirtualOptions{Cost: func(t *sched.Task) time.Duration {
		if t.Name == "hangs" {
			return sched.Forever
		}
		return ms
	}}.New(0)
	hangs, other := noted(&log, &v, "hangs", 5*ms, 0), noted(&log, &v, "other", 10*ms, 0)
	var told error
	hangs.Failed = func(err error) { told = err }
	if err := v.Add(hangs, other); err != nil {
		t.Fatal(err)
	}
	if v.Abandon(other) {
		t.Error("what has not begun was abandoned")
	}
	v.Run(20 * ms)
	if d, busy := hangs.Busy(20 * ms); !busy || d != 20*ms {
		t.Errorf("it is busy for %s, %v", d, busy)
	}
	if !v.Abandon(hangs) || !errors.Is(told, sched.ErrAbandoned) || v.Abandon(hangs) {
		t.Errorf("its owner was told %v", told)
	}
	v.Run(32 * ms)
	if got, want := fmt.Sprint(log), "[hangs reads@0 other reads@20 other tells@21 other is late@21 other reads@30 other tells@31]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if err := v.Remove(context.Background(), other); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Next(); ok {
		t.Error("no task is left, and yet something happens")
	}
}
