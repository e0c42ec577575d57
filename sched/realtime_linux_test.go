package sched_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/spec"
)

func now() time.Duration { return time.Duration(env.SystemClock{}.Now().Mono) }

// realTime returns an executor in real time, or skips where the kernel does not let this process have it.
func realTime(ctx context.Context, t *testing.T, rt sched.RealTime) *sched.Executor {
	t.Helper()
	procs := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(procs) })
	ended, cancel := context.WithCancel(ctx)
	cancel()
	probe := sched.NewExecutor(ended, sched.Options{Now: now, RealTime: &sched.RealTime{}})
	err := probe.Add(every("probe", time.Second, nil))
	probe.Wait()
	if errors.Is(err, unix.EPERM) {
		t.Skipf("no right to real-time threads: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sched.NewExecutor(ctx, sched.Options{Now: now, RealTime: &rt})
}

// where is what the kernel says of a thread.
type where struct {
	tid      int
	policy   uint32
	priority uint32
	reset    bool
	cores    int
	core     int
}

func here() (w where, err error) {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return w, err
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return w, err
	}
	w = where{tid: unix.Gettid(), policy: attr.Policy, priority: attr.Priority, reset: attr.Flags&unix.SCHED_FLAG_RESET_ON_FORK != 0, cores: set.Count()}
	for ; w.core < 1024 && !set.IsSet(w.core); w.core++ {
	}
	return w, nil
}

func TestLevelsHaveThreads(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e := realTime(ctx, t, sched.RealTime{})
	var mu sync.Mutex
	seen := make(map[string]where)
	var failed error
	var wait sync.WaitGroup
	task := func(name string, period time.Duration, priority int, core spec.Core) *sched.Task {
		wait.Add(1)
		var once sync.Once
		task := every(name, period, func(time.Duration, time.Duration) error {
			w, err := here()
			mu.Lock()
			defer mu.Unlock()
			seen[name] = w
			failed = errors.Join(failed, err)
			once.Do(wait.Done)
			return nil
		})
		task.Timing.Priority, task.Timing.Core = priority, core
		return task
	}
	fast, also := task("fast", 5*time.Millisecond, 0, spec.AnyCore), task("also", 5*time.Millisecond, 0, spec.AnyCore)
	if err := e.Add(task("slow", 20*time.Millisecond, 0, spec.OnCore(0)), fast, also); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	mu.Lock()
	first := seen["slow"]
	mu.Unlock()
	// One that belongs between them, and one above all.
	if err := e.Add(task("middle", 10*time.Millisecond, 0, spec.AnyCore), task("top", 40*time.Millisecond, 1, spec.AnyCore)); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	mu.Lock()
	clear(seen)
	mu.Unlock()
	for n := 0; n < 5; runtime.Gosched() { // until all have run at the priorities that they have now
		mu.Lock()
		n = len(seen)
		mu.Unlock()
	}
	if err := e.Remove(ctx, fast); err != nil {
		t.Fatal(err)
	}
	cancel()
	e.Wait()
	if failed != nil {
		t.Fatal(failed)
	}
	for name, rank := range map[string]uint32{"top": 0, "fast": 1, "also": 1, "middle": 2, "slow": 3} {
		w := seen[name]
		if w.policy != unix.SCHED_FIFO || w.priority != sched.DefaultTop-rank || !w.reset {
			t.Errorf("%s runs as %+v, want priority %d", name, w, sched.DefaultTop-rank)
		}
	}
	if first.priority != sched.DefaultTop-1 {
		t.Errorf("of two levels the lower has priority %d", first.priority)
	}
	if w := seen["slow"]; w.cores != 1 || w.core != 0 || w.tid != first.tid {
		t.Errorf("pinned to core 0 it runs as %+v, before as %+v", w, first)
	}
	if seen["fast"].tid != seen["also"].tid || seen["fast"].tid == seen["middle"].tid {
		t.Errorf("threads %+v", seen)
	}
	if want := runtime.NumCPU() + 4; runtime.GOMAXPROCS(0) < want {
		t.Errorf("GOMAXPROCS %d, want %d", runtime.GOMAXPROCS(0), want)
	}
}

func TestRealTimeKeepsTheGrid(t *testing.T) {
	for name, rt := range map[string]sched.RealTime{"sleep": {}, "hybrid": {Wake: sched.Hybrid}, "deadline": {Policy: sched.Deadline}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			e := realTime(ctx, t, rt)
			const period = 2 * time.Millisecond
			var first, last time.Duration
			var policy uint32
			task := every("t", period, nil)
			task.Timing.Budget = int64(period / 4)
			task.Step = func(now, _ time.Duration) error {
				if first == 0 {
					w, err := here()
					first, policy = now, w.policy
					return err
				}
				if last = now; last-first > 200*time.Millisecond {
					cancel()
				}
				return nil
			}
			if err := e.Add(task); err != nil {
				t.Fatal(err)
			}
			e.Wait()
			s := task.Stats()
			if grid := uint64((last-first)/period) + 1; s.Runs+s.Misses < grid-1 || s.Runs > grid+1 {
				t.Errorf("%d runs and %d misses in %s", s.Runs, s.Misses, last-first)
			}
			if want := map[bool]uint32{false: unix.SCHED_FIFO, true: unix.SCHED_DEADLINE}[rt.Policy == sched.Deadline]; policy != want {
				t.Errorf("policy %d, want %d", policy, want)
			}
		})
	}
}

// A fresh thread takes the place of a stuck one, at its priority.
func TestAStuckThreadIsReplaced(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e := realTime(ctx, t, sched.RealTime{})
	var hang atomic.Bool
	hang.Store(true)
	entered := make(chan int, 1)
	stuck := every("stuck", 2*time.Millisecond, func(time.Duration, time.Duration) error {
		entered <- unix.Gettid()
		for hang.Load() { // as a driver that polls a chip which never answers
			runtime.Gosched()
		}
		return nil
	})
	var ran atomic.Int64
	runs := make(chan where, 1)
	other := every("other", 2*time.Millisecond, func(time.Duration, time.Duration) error {
		if ran.Add(1); len(runs) == 0 {
			w, err := here()
			runs <- w
			return err
		}
		return nil
	})
	if err := e.Add(stuck, other); err != nil {
		t.Fatal(err)
	}
	old := <-entered
	if !e.Abandon(stuck) {
		t.Fatal("it is not stuck")
	}
	<-runs // of before, maybe
	w := <-runs
	if w.tid == old || w.policy != unix.SCHED_FIFO || w.priority != sched.DefaultTop {
		t.Errorf("the other task runs as %+v; the stuck thread is %d", w, old)
	}
	cancel()
	e.Wait()
	hang.Store(false)
}

func TestDeadlineWantsABudget(t *testing.T) {
	e := realTime(t.Context(), t, sched.RealTime{Policy: sched.Deadline})
	if err := e.Add(every("t", time.Millisecond, nil)); err == nil {
		t.Error("no budget passes")
	}
	e.Wait()
}
