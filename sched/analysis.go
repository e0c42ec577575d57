package sched

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/spec"
)

// ErrNotSchedulable is wrapped by the error of Check.
var ErrNotSchedulable = errors.New("not schedulable")

// Bound is what the analysis says of one task.
type Bound struct {
	Name   string
	Timing spec.Timing
	// Response is the longest time from a release to the end of its step, if every step stays within its budget and nothing
	// but the tasks takes processor time. It is at least that long where Exceeded says so, or where Known is false: tasks without
	// budgets are taken to need none.
	Response time.Duration
	// Known: the task and all that can hold it up have budgets.
	Known bool
	// Exceeded: the response may be longer than the deadline.
	Exceeded bool
	// Load is the share of a core that the task and all that can hold it up need, 1 for a whole one.
	Load float64
}

// Analyze bounds the response times of tasks that run under fixed priorities. wakeUp is the longest time from a release
// to the moment at which the kernel lets its thread run, where nothing runs that is more urgent.
//
// Tasks of one priority, period and core share a thread and run one after the other. Tasks that are not pinned are bounded
// as if all of them shared one core with the pinned ones of it, which is safe: with m cores, what delays a task is at most
// an m-th of the work of the more urgent ones, and carrying one job over into the window at most doubles that.
//
// The bound is the least R with
//
//	R = C + Σ C of the tasks on its thread + Σ ⌈(R + J)/T⌉·C of the more urgent ones
//
// plus wakeUp: response-time analysis after M. Joseph and P. Pandya, Finding Response Times in a Real-Time System (The
// Computer Journal 29, 1986), with release jitter J after K. Tindell. For a thread that may come from another core, J is
// its own response time, for it may have been held up there.
func Analyze(tasks []*Task, wakeUp time.Duration) []Bound {
	order := slices.Clone(tasks)
	slices.SortStableFunc(order, func(a, b *Task) int { return compareLevels(a.Timing, b.Timing) })
	bounds := make([]Bound, len(order))
	for i, t := range order {
		bounds[i] = bound(order, bounds[:i], t, wakeUp)
	}
	return bounds
}

// bound bounds one task; done are the bounds of those before it in order.
func bound(order []*Task, done []Bound, t *Task, wakeUp time.Duration) Bound {
	b := Bound{Name: t.Name, Timing: t.Timing, Known: t.Timing.Budget > 0, Load: load(t.Timing)}
	base := t.Timing.Budget
	type rival struct{ budget, period, jitter int64 }
	var rivals []rival
	for i, o := range order {
		level := compareLevels(o.Timing, t.Timing)
		if o == t || level > 0 || !meet(o.Timing, t.Timing) {
			continue
		}
		b.Load += load(o.Timing)
		b.Known = b.Known && o.Timing.Budget > 0
		if level == 0 && o.Timing.Core == t.Timing.Core {
			base += o.Timing.Budget
			continue
		}
		r := rival{budget: o.Timing.Budget, period: o.Timing.Period, jitter: int64(wakeUp)}
		if _, pinned := o.Timing.Core.Number(); !pinned && i < len(done) {
			r.jitter = max(r.jitter, int64(done[i].Response)-o.Timing.Budget)
		}
		rivals = append(rivals, r)
	}
	end := t.Timing.Deadline - int64(wakeUp)
	for r := base; ; {
		next := base
		for _, o := range rivals {
			next += (r + o.jitter + o.period - 1) / o.period * o.budget
		}
		b.Response = time.Duration(next) + wakeUp
		// Beyond a full load it grows for ever; beyond 10 deadlines it does not matter any more how long it is.
		if next == r || b.Load >= 1 && next > end || next > 10*t.Timing.Deadline {
			b.Exceeded = next > end
			return b
		}
		r = next
	}
}

func load(t spec.Timing) float64 { return float64(t.Budget) / float64(t.Period) }

// meet reports whether two tasks may run on the same core.
func meet(a, b spec.Timing) bool {
	return a.Core == b.Core || a.Core == spec.AnyCore || b.Core == spec.AnyCore
}

// Check returns an error that wraps ErrNotSchedulable and names each task which may miss its deadline, and by how much.
func Check(bounds []Bound) error {
	var errs []error
	for _, b := range bounds {
		switch deadline := time.Duration(b.Timing.Deadline); {
		case !b.Exceeded:
		case b.Load > 1:
			errs = append(errs, fmt.Errorf("sched: task %s: %w: with what is more urgent it needs %.0f %% of a core", b.Name,
				ErrNotSchedulable, 100*b.Load))
		default:
			errs = append(errs, fmt.Errorf("sched: task %s: %w: it may end %s after its release, %s after its deadline", b.Name,
				ErrNotSchedulable, b.Response, b.Response-deadline))
		}
	}
	return errors.Join(errs...)
}
