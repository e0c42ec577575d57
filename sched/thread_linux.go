package sched

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/spec"
)

// thread is the locked thread of a loop under a real-time policy.
//
// The Go runtime takes a thread that has run for 10 ms without a break off its processor, and puts a locked one back by way
// of another thread, an ordinary one, which a busy host may let wait for milliseconds. So the thread takes its break itself,
// behind a step, when there is time for it; and host.Taken.Raise makes those other threads less ordinary.
type thread struct {
	now    func() time.Duration
	base   int64 // CLOCK_MONOTONIC where now is 0
	margin time.Duration
	rested time.Duration // when it last took a break
}

const (
	restPeriod = 4 * time.Millisecond // well below the runtime's 10 ms
	// near is how long before a release the thread gives up no more processors: getting one back is not free.
	near = time.Millisecond
)

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
	now := th.now()
	wake := release - th.margin
	if wake-now > 2*near {
		ts := unix.NsecToTimespec(th.base + int64(min(wake-near, now+lookAgain)))
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) // cut short: it looks again
		return false
	}
	if now-th.rested > restPeriod {
		runtime.Gosched()
		th.rested = now
	}
	if ctx.Err() != nil {
		return false
	}
	if wake > now {
		th.sleep(unix.NsecToTimespec(th.base + int64(wake)))
	}
	for th.now() < release {
	}
	return true
}

// sleep sleeps until ts without giving up the scheduler's processor. Who wants the thread meanwhile, such as the garbage
// collector to stop the world, interrupts it with a signal, and is served.
func (th *thread) sleep(ts unix.Timespec) {
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
		if errno != unix.EINTR {
			return
		}
		runtime.Gosched()
		th.rested = th.now()
	}
}
