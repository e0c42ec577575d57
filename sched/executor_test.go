package sched_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar/sched"
)

func TestTasksComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		e := sched.NewExecutor(ctx, sched.Options{Now: func() time.Duration { return time.Since(start) }})
		count := func(n *int) func(time.Duration, time.Duration) error {
			return func(time.Duration, time.Duration) error { *n++; return nil }
		}
		var a, b int
		one, two := every("one", 10*time.Millisecond, count(&a)), every("two", 10*time.Millisecond, count(&b))
		if err := e.Add(one); err != nil {
			t.Fatal(err)
		}
		<-time.After(95 * time.Millisecond)
		if err := errors.Join(e.Remove(ctx, one), e.Add(two)); err != nil {
			t.Fatal(err)
		}
		<-time.After(95 * time.Millisecond)
		if err := errors.Join(e.Remove(ctx, two), e.Add(one)); err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Millisecond)
		cancel()
		e.Wait()
		if a != 11 || b != 10 {
			t.Errorf("%d and %d steps", a, b)
		}
		if err := e.Remove(context.Background(), every("never added", time.Millisecond, nil)); err != nil {
			t.Error(err)
		}
	})
}

func TestAStuckStepIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		now := func() time.Duration { return time.Since(start) }
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		e := sched.NewExecutor(ctx, sched.Options{Now: now})
		release := make(chan struct{})
		var told error
		stuck := every("stuck", 10*time.Millisecond, func(time.Duration, time.Duration) error {
			<-release
			return errors.New("too late to be told")
		})
		stuck.Failed = func(err error) { told = err }
		if err := e.Add(stuck); err != nil {
			t.Fatal(err)
		}
		<-time.After(50 * time.Millisecond)
		if d, busy := stuck.Busy(now()); !busy || d != 50*time.Millisecond {
			t.Errorf("busy for %s, %v", d, busy)
		}
		removeCtx, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if err := e.Remove(removeCtx, stuck); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a step that does not end was removed: %v", err)
		}
		if !e.Abandon(stuck) || e.Abandon(stuck) || !errors.Is(told, sched.ErrAbandoned) {
			t.Errorf("abandoned, and told %v", told)
		}
		if err := e.Remove(ctx, stuck); err != nil {
			t.Error(err)
		}
		cancel()
		e.Wait() // not for the stuck one
		before := stuck.Stats()
		close(release)
		synctest.Wait()
		if after := stuck.Stats(); after != before || !errors.Is(told, sched.ErrAbandoned) {
			t.Errorf("it counts: %+v, told %v", after, told)
		}
	})
}

func TestAnIdleTaskIsNotAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithCancel(context.Background())
		e := sched.NewExecutor(ctx, sched.Options{Now: func() time.Duration { return time.Since(start) }})
		var n atomic.Int64
		task := every("t", 10*time.Millisecond, func(time.Duration, time.Duration) error { n.Add(1); return nil })
		if err := e.Add(task); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if e.Abandon(task) {
			t.Error("it was abandoned between two steps")
		}
		<-time.After(15 * time.Millisecond)
		cancel()
		e.Wait()
		if n.Load() != 2 {
			t.Errorf("%d steps", n.Load())
		}
	})
}

func TestMissesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 75*time.Millisecond)
		defer cancel()
		var missed, streak []uint64
		n := 0
		task := every("t", 10*time.Millisecond, func(time.Duration, time.Duration) error {
			if n++; n == 2 || n == 3 {
				<-time.After(12 * time.Millisecond)
			}
			return nil
		})
		task.Missed = func(m, s uint64) { missed, streak = append(missed, m), append(streak, s) }
		execute(ctx, t, func() time.Duration { return time.Since(start) }, task)
		// Released at 10 it ends at 22, at 30 at 42: each is late, and the release after it has passed.
		if len(missed) != 2 || missed[0] != 2 || streak[1] != 4 {
			t.Errorf("missed %v, in a row %v", missed, streak)
		}
	})
}
