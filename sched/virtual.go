package sched

import "time"

// Virtual runs tasks in virtual time, in one goroutine. Of tasks that are due at the same time, the more urgent one runs
// first (spec.Timing.Before), then the one that was given first. A step takes no virtual time.
type Virtual struct {
	tasks []*Task
}

// NewVirtual starts the tasks at now.
func NewVirtual(now time.Duration, tasks []*Task) *Virtual {
	for _, t := range tasks {
		t.clock.Start(t.Timing, int64(now))
	}
	return &Virtual{tasks: tasks}
}

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
