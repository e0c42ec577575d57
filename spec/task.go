package spec

// Err is an error that needs no heap.
type Err string

// Error implements error.
func (e Err) Error() string { return string(e) }

// The errors of Timing.Validate.
const (
	ErrPeriod   Err = "period must be 100 µs to 1 h"
	ErrDeadline Err = "deadline must be positive and no longer than the period"
	ErrBudget   Err = "budget must be no longer than the deadline"
	ErrOffset   Err = "offset must be at least 0 and shorter than the period"
	ErrPolicy   Err = "unknown miss policy"
	ErrPriority Err = "priority must be 0 to 100"
	ErrCore     Err = "core must be 0 to 1023"
)

// Bounds of a period, in nanoseconds.
const (
	MinPeriod = 100_000
	MaxPeriod = 3600 * 1_000_000_000
)

// MissPolicy says what happens to a periodic task after it missed its deadline.
type MissPolicy uint8

// The miss policies.
const (
	// Skip leaves out the releases that have passed: the next one is the next on the task's grid.
	Skip MissPolicy = iota
	// CatchUp runs the passed releases one after the other, at most CatchUpLimit of them; older ones are skipped.
	CatchUp
	// Degrade is Skip, and the component counts as degraded until InTime steps in a row have ended in time.
	Degrade
	// SafeState is Skip, and the machine goes to its safe state.
	SafeState
)

// InTime is how many steps in a row must end in time before a task that missed its deadline counts as on time again.
const InTime = 100

// CatchUpLimit bounds how many passed releases CatchUp runs.
const CatchUpLimit = 8

// String returns the policy as configs spell it.
func (p MissPolicy) String() string {
	switch p {
	case Skip:
		return "skip"
	case CatchUp:
		return "catch-up"
	case Degrade:
		return "degrade"
	case SafeState:
		return "safe-state"
	}
	return "invalid"
}

// Core is the processor that a task runs on: AnyCore, or one that OnCore names.
type Core int16

// AnyCore leaves the choice to the kernel.
const AnyCore Core = 0

// OnCore pins to the processor with the kernel's number n, from 0 on.
func OnCore(n int) Core { return Core(n + 1) }

// Number returns the kernel's number of the processor, and whether there is one.
func (c Core) Number() (n int, pinned bool) { return int(c) - 1, c != AnyCore }

// Bounds of a priority and of a core's number.
const (
	MaxPriority = 100
	MaxCore     = 1023
)

// Timing is when a periodic task runs. All times are nanoseconds.
type Timing struct {
	Period   int64
	Offset   int64      // of the first release from the start; default 0
	Deadline int64      // from the release; 0 means the period
	Budget   int64      // longest execution that is expected; 0 if it is not known
	OnMiss   MissPolicy // default Skip
	// Priority decides between tasks that are ready at once: the higher runs. Of equal ones, such as the default 0, that
	// with the shorter period does (rate-monotonic).
	Priority int
	Core     Core // default AnyCore
}

// WithDefaults fills what was left 0.
func (t Timing) WithDefaults() Timing {
	if t.Deadline == 0 {
		t.Deadline = t.Period
	}
	return t
}

// Validate reports the first thing that is impossible about a Timing whose defaults are filled in.
func (t Timing) Validate() error {
	switch {
	case t.Period < MinPeriod || t.Period > MaxPeriod:
		return ErrPeriod
	case t.Deadline <= 0 || t.Deadline > t.Period:
		return ErrDeadline
	case t.Budget < 0 || t.Budget > t.Deadline:
		return ErrBudget
	case t.Offset < 0 || t.Offset >= t.Period:
		return ErrOffset
	case t.OnMiss > SafeState:
		return ErrPolicy
	case t.Priority < 0 || t.Priority > MaxPriority:
		return ErrPriority
	case t.Core < 0 || t.Core > MaxCore+1:
		return ErrCore
	}
	return nil
}

// Before reports whether a task with this timing runs before one with the other when both are ready.
func (t Timing) Before(o Timing) bool {
	if t.Priority != o.Priority {
		return t.Priority > o.Priority
	}
	return t.Period < o.Period
}

// Clock is the state of one periodic task's releases: a state machine that an executor of any kind drives.
type Clock struct {
	t       Timing
	next    int64 // absolute time of the next release
	last    int64 // time at which the last step began
	started bool

	Runs        uint64
	Misses      uint64 // steps that ended after their deadline, and releases that were skipped
	Consecutive uint64 // misses since the last step that ended in time
}

// Start sets the first release at now plus the offset.
func (c *Clock) Start(t Timing, now int64) {
	*c = Clock{t: t, next: now + t.Offset}
}

// Next returns the absolute time of the next release.
func (c *Clock) Next() int64 { return c.next }

// Begin says that a step begins. It returns the release it answers and the time since the last step began; for the first
// step that is the period.
func (c *Clock) Begin(now int64) (release, dt int64) {
	release, dt = c.next, c.t.Period
	if c.started {
		dt = now - c.last
	}
	c.started, c.last = true, now
	return release, dt
}

// End says that the step which began last has ended, and reports how many deadlines were missed by it: its own and those
// of the releases that are left out because of it.
func (c *Clock) End(now int64) (missed uint64) {
	release := c.next
	c.Runs++
	if now > release+c.t.Deadline {
		missed = 1
	}
	c.next = release + c.t.Period
	if late := now - c.next; late > 0 {
		passed := late / c.t.Period // releases whose successor has passed too
		if c.t.OnMiss == CatchUp {
			passed = max(passed-CatchUpLimit, 0)
		} else if late > 0 && late%c.t.Period > 0 {
			passed++ // the release at c.next itself has passed
		}
		c.next += passed * c.t.Period
		missed += uint64(passed)
	}
	c.Misses += missed
	if missed == 0 {
		c.Consecutive = 0
	} else {
		c.Consecutive += missed
	}
	return missed
}
