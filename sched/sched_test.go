package sched_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/spec"
)

func every(name string, period time.Duration, step func(now, dt time.Duration) error) *sched.Task {
	return sched.NewTask(name, spec.Timing{Period: int64(period)}.WithDefaults(), nil, step)
}

// execute runs tasks in ordinary time until ctx ends or they have.
func execute(ctx context.Context, t *testing.T, now func() time.Duration, tasks ...*sched.Task) {
	t.Helper()
	e := sched.NewExecutor(ctx, sched.Options{Now: now})
	if err := e.Add(tasks...); err != nil {
		t.Fatal(err)
	}
	e.Wait()
}

func TestTheGridIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		now := func() time.Duration { return time.Since(start) }
		var at []time.Duration
		slow := 0
		task := every("t", 10*time.Millisecond, func(now, _ time.Duration) error {
			at = append(at, now)
			if slow++; slow == 3 {
				<-time.After(25 * time.Millisecond)
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(context.Background(), 95*time.Millisecond)
		defer cancel()
		execute(ctx, t, now, task)
		if got, want := fmt.Sprint(at), "[0s 10ms 20ms 50ms 60ms 70ms 80ms 90ms]"; got != want {
			t.Errorf("steps at %s, want %s", got, want)
		}
		if s := task.Stats(); s.Runs != 8 || s.Misses != 3 || s.JitterMax != 0 || s.ExecMax != 25*time.Millisecond || s.ResponseMax != 25*time.Millisecond {
			t.Errorf("%+v", s)
		}
	})
}

func TestATaskThatFailsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told error
		n := 0
		bad := every("bad", time.Millisecond, func(time.Duration, time.Duration) error {
			if n++; n == 3 {
				return errors.New("broken")
			}
			return nil
		})
		bad.Failed = func(err error) { told = err }
		start := time.Now()
		execute(t.Context(), t, func() time.Duration { return time.Since(start) }, bad)
		if n != 3 || told == nil {
			t.Errorf("%d steps, told %v", n, told)
		}
	})
}

func TestVirtualOrder(t *testing.T) {
	var order []string
	note := func(name string) func(time.Duration, time.Duration) error {
		return func(now, _ time.Duration) error { order = append(order, fmt.Sprint(name, "@", now)); return nil }
	}
	v := sched.NewVirtual(0, []*sched.Task{every("slow", 20*time.Millisecond, note("slow")), every("fast", 10*time.Millisecond, note("fast")),
		every("also", 10*time.Millisecond, note("also"))})
	for {
		at, ok := v.Next()
		if !ok || at > 20*time.Millisecond {
			break
		}
		v.Run(at)
	}
	if got, want := fmt.Sprint(order), "[fast@0s also@0s slow@0s fast@10ms also@10ms fast@20ms also@20ms slow@20ms]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, ok := sched.NewVirtual(0, nil).Next(); ok {
		t.Error("no tasks, and yet a next one")
	}
}

func TestQuantilesAgainstSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h sched.Histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(rng.ExpFloat64() * float64(time.Millisecond))
		all = append(all, d)
		h.Add(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.99, 0.9999, 1} {
		exact := all[max(int(q*float64(len(all))+0.999999)-1, 0)]
		got := h.Quantiles(q)[0]
		if got < exact || float64(got) > float64(exact)*(1+1.0/16)+1 {
			t.Errorf("quantile %v: %s, exactly %s", q, got, exact)
		}
	}
	if h.Max() != all[len(all)-1] || h.Count() != 20_000 {
		t.Errorf("max %s, count %d", h.Max(), h.Count())
	}
	h.Add(-5)
	h.Add(time.Hour)
	if h.Max() != time.Hour || h.Quantiles(1)[0] > time.Hour {
		t.Error("an hour is not kept as the maximum")
	}
	var empty sched.Histogram
	if empty.Quantiles(0.5)[0] != 0 {
		t.Error("an empty histogram has a median")
	}
}

func ExampleVirtual() {
	task := every("imu/read", 5*time.Millisecond, func(now, dt time.Duration) error {
		fmt.Println("step at", now, "after", dt)
		return nil
	})
	v := sched.NewVirtual(0, []*sched.Task{task})
	for range 3 {
		at, _ := v.Next()
		v.Run(at)
	}
	// Output:
	// step at 0s after 5ms
	// step at 5ms after 5ms
	// step at 10ms after 5ms
}
