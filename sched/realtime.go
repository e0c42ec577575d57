package sched

import "time"

// Wake is how a thread waits for a release.
type Wake uint8

// The ways to wait.
const (
	// Sleep sleeps until the release: the kernel's timer and its wake-up latency decide when the step begins.
	Sleep Wake = iota
	// Hybrid sleeps until shortly before the release and spins for the rest: a step begins within a microsecond or so of
	// its release, for the price of Margin of processor time each period.
	Hybrid
)

// Policy is the kernel's scheduling policy of a thread.
type Policy uint8

// The policies.
const (
	// FIFO is SCHED_FIFO: fixed priorities. A task may be pinned to a core.
	FIFO Policy = iota
	// Deadline is SCHED_DEADLINE: a thread per task, which the kernel guarantees its budget before each deadline, or refuses.
	// Each task needs a budget, and none may be pinned: the kernel has no partial sets of cores for it. Where a lock of Go's runtime
	// is contended the runtime yields, and here that gives up the rest of a period: such tasks miss releases now and then.
	Deadline
)

// RealTime says how threads are to run. The zero value of each field means its default.
type RealTime struct {
	Wake Wake
	// Margin is how long Hybrid spins, at most. Default 120 µs: more than the wake-up latency mostly is.
	Margin time.Duration
	Policy Policy
	// Top is the kernel's priority of the most urgent level under FIFO; each further level has one less. Default 80: below
	// the threads that serve interrupts where those have 90 and more, above those that have the usual 50.
	Top int
}

// The defaults of RealTime.
const (
	DefaultMargin = 120 * time.Microsecond
	DefaultTop    = 80
)

func (r RealTime) withDefaults() RealTime {
	if r.Margin <= 0 {
		r.Margin = DefaultMargin
	}
	if r.Top <= 0 {
		r.Top = DefaultTop
	}
	return r
}

// lookAgain bounds how long a thread sleeps at once: it looks then whether it is to end, or whether its tasks have changed.
const lookAgain = 20 * time.Millisecond
