package sched

import (
	"context"
	"slices"
	"time"
)

// Virtual runs tasks in virtual time, in one goroutine. Of tasks that are due at the same time, the more urgent one runs
// first (spec.Timing.Before), then the one that was given first. A step takes no virtual time.
type Virtual struct {
	tasks []*Task
	now   time.Duration
}

// NewVirtual starts the tasks at now.
func NewVirtual(now time.Duration, tasks []*Task) *Virtual {
	v := &Virtual{now: now}
	_ = v.Add(tasks...) // which never fails
	return v
}

// Add starts more tasks at the time of the last Run. It never fails.
func (v *Virtual) Add(tasks ...*Task) error {
	for _, t := range tasks {
		t.ended.Store(false)
		t.clock.Start(t.Timing, int64(v.now))
	}
	v.tasks = append(v.tasks, tasks...)
	return nil
}

// Remove ends tasks. It never fails: no step is under way between two Runs.
func (v *Virtual) Remove(_ context.Context, tasks ...*Task) error {
	for _, t := range tasks {
		t.ended.Store(true)
	}
	v.tasks = slices.DeleteFunc(v.tasks, func(t *Task) bool { return slices.Contains(tasks, t) })
	return nil
}

// Abandon does nothing: a step takes no virtual time.
func (v *Virtual) Abandon(*Task) bool { return false }

// Next returns the time of the next release, or false if no task is left.
func (v *Virtual) Next() (time.Duration, bool) {
	t := v.first()
	if t == nil {
		return 0, false
	}
	return time.Duration(t.clock.Next()), true
}

// Run executes everything that is due at now.
func (v *Virtual) Run(now time.Duration) {
	v.now = now
	for {
		t := v.first()
		if t == nil || time.Duration(t.clock.Next()) > now {
			return
		}
		t.run(now, func() time.Duration { return now })
	}
}

func (v *Virtual) first() *Task {
	var first *Task
	for _, t := range v.tasks {
		if t.ended.Load() {
			continue
		}
		if first == nil || t.clock.Next() < first.clock.Next() ||
			t.clock.Next() == first.clock.Next() && t.Timing.Before(first.Timing) {
			first = t
		}
	}
	return first
}
