package sched

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/spec"
)

// thread is the locked thread of a loop under a real-time policy.
type thread struct {
	now    func() time.Duration
	base   int64 // CLOCK_MONOTONIC where now is 0
	margin time.Duration
}

// thread makes the calling thread, which must be locked, a real-time one.
func (r *RealTime) thread(level spec.Timing, rank int, now func() time.Duration) (*thread, started) {
	o := r.withDefaults()
	if core, pinned := level.Core.Number(); pinned && o.Policy == FIFO {
		var set unix.CPUSet
		set.Set(core)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return nil, started{err: fmt.Errorf("pin to core %d: %w", core, err)}
		}
	}
	s := started{tid: unix.Gettid()}
	if s.err = r.prioritize(s.tid, level, rank); s.err != nil {
		return nil, s
	}
	th := &thread{now: now, base: monotonic() - int64(now())}
	if o.Wake == Hybrid {
		th.margin = o.Margin
	}
	growStack(64)
	return th, s
}

// prioritize gives a thread the policy and the priority of its level.
func (r *RealTime) prioritize(tid int, level spec.Timing, rank int) error {
	o := r.withDefaults()
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	switch o.Policy {
	case FIFO:
		attr.Policy, attr.Priority = unix.SCHED_FIFO, uint32(max(o.Top-rank, 1))
	case Deadline:
		if _, pinned := level.Core.Number(); pinned || level.Budget == 0 {
			return errors.New("SCHED_DEADLINE wants a budget and no core")
		}
		attr.Policy = unix.SCHED_DEADLINE
		attr.Runtime, attr.Deadline, attr.Period = uint64(level.Budget), uint64(level.Deadline), uint64(level.Period)
	}
	if err := unix.SchedSetAttr(tid, &attr, 0); err != nil {
		return fmt.Errorf("scheduling policy: %w", err)
	}
	return nil
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it cannot fail for this clock
	return ts.Nano()
}

// growStack makes the goroutine's stack as large as a step is likely to need, before one is under way.
//
//go:noinline
func growStack(kib int) byte {
	var page [1024]byte
	if kib == 0 {
		return page[0]
	}
	return growStack(kib-1) + page[kib]
}

// wait waits for a release, and reports whether it has come; otherwise it is time to look again.
func (th *thread) wait(ctx context.Context, release time.Duration) bool {
	wake := release - th.margin
	if now := th.now(); wake > now {
		until := min(wake, now+lookAgain)
		ts := unix.NsecToTimespec(th.base + int64(until))
		for {
			err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil)
			if !errors.Is(err, unix.EINTR) { // Go interrupts threads to preempt them
				break
			}
		}
		if until < wake || ctx.Err() != nil {
			return false
		}
	}
	for th.now() < release {
	}
	return true
}
