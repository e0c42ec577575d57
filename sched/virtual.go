package sched

import (
	"context"
	"slices"
	"time"
)

// Virtual runs tasks in virtual time, in one goroutine, in a fixed order: of tasks that are ready at the same time the more urgent
// one first (spec.Timing.Before), then the one that was given first. Its methods are for that goroutine.
//
// Steps take no virtual time unless a model says how long: then they run as under fixed priorities on a number of processors, the
// more urgent preempting the others, to the nanosecond and the same each time. What a step reads it reads when it begins; its
// outputs leave when it ends (Task.Leave). Pinning to a core is not modelled.
type Virtual struct {
	o     VirtualOptions
	tasks []*Task
	jobs  []*job // steps that have begun or wait to, the most urgent first
	now   time.Duration
}

// VirtualOptions are a Virtual's. The zero value is one of steps that take no time.
type VirtualOptions struct {
	// Cost says how long the next step of a task takes, if nothing preempts it. It is asked once for each step. Nil: no time.
	Cost func(t *Task) time.Duration
	// Cores is how many processors there are. Default 1.
	Cores int
}

// job is one release of a task that is being served.
type job struct {
	task    *Task
	release time.Duration
	begin   time.Duration
	left    time.Duration // of its cost
	begun   bool
	err     error
}

// Forever is the cost of a step that does not end.
const Forever = time.Duration(1<<63 - 1)

// NewVirtual starts the tasks at now.
func NewVirtual(now time.Duration, tasks []*Task) *Virtual {
	v := VirtualOptions{}.New(now)
	_ = v.Add(tasks...) // it refuses nothing
	return v
}

// New returns an executor at now, without tasks.
func (o VirtualOptions) New(now time.Duration) *Virtual {
	o.Cores = max(o.Cores, 1)
	return &Virtual{o: o, now: now}
}

// Add starts tasks, their grids counted from the time to which the executor has run.
func (v *Virtual) Add(tasks ...*Task) error {
	for _, t := range tasks {
		t.ended.Store(false)
		t.busy.Store(0)
		t.clock.Start(t.Timing, int64(v.now))
	}
	v.tasks = append(v.tasks, tasks...)
	return nil
}

// Remove ends tasks. A step that is under way is cut short: nothing of it leaves any more.
func (v *Virtual) Remove(_ context.Context, tasks ...*Task) error {
	for _, t := range tasks {
		v.drop(t)
	}
	return nil
}

// Abandon gives up a task whose step is under way, and reports whether one is.
func (v *Virtual) Abandon(t *Task) bool {
	if !slices.ContainsFunc(v.jobs, func(j *job) bool { return j.task == t && j.begun }) {
		return false
	}
	v.drop(t)
	t.busy.Store(abandoned)
	if t.Failed != nil {
		t.Failed(ErrAbandoned)
	}
	return true
}

func (v *Virtual) drop(t *Task) {
	t.ended.Store(true)
	t.busy.Store(0)
	v.tasks = slices.DeleteFunc(v.tasks, func(o *Task) bool { return o == t })
	v.jobs = slices.DeleteFunc(v.jobs, func(j *job) bool { return j.task == t })
}

// Now returns the time to which the executor has run.
func (v *Virtual) Now() time.Duration { return v.now }

// Next returns when something happens next, or false if nothing does any more.
func (v *Virtual) Next() (at time.Duration, ok bool) {
	earlier := func(t time.Duration) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	if t := v.first(); t != nil {
		earlier(max(time.Duration(t.clock.Next()), v.now))
	}
	for _, j := range v.jobs[:min(v.o.Cores, len(v.jobs))] {
		switch {
		case !j.begun: // what had its processor was taken out
			earlier(v.now)
		case j.left < Forever-v.now:
			earlier(v.now + j.left)
		}
	}
	return at, ok
}

// Run lets time pass until now, and executes everything that is due by then.
func (v *Virtual) Run(now time.Duration) {
	for {
		at, ok := v.Next()
		if !ok || at > now {
			break
		}
		v.pass(at)
		v.happen()
	}
	v.pass(now)
}

// pass lets the steps that have a processor go on until a time.
func (v *Virtual) pass(until time.Duration) {
	d := until - v.now
	if d <= 0 {
		return
	}
	for _, j := range v.jobs[:min(v.o.Cores, len(v.jobs))] {
		if j.left != Forever {
			j.left -= d
		}
	}
	v.now = until
}

// happen does what happens now, one thing: steps end before others are released, so that these see what has left.
func (v *Virtual) happen() {
	for _, j := range v.jobs[:min(v.o.Cores, len(v.jobs))] {
		if !j.begun {
			v.dispatch()
			return
		}
		if j.left <= 0 {
			v.end(j)
			return
		}
	}
	t := v.first()
	if t == nil || time.Duration(t.clock.Next()) > v.now {
		return
	}
	j := &job{task: t, release: time.Duration(t.clock.Next())}
	if v.o.Cost != nil {
		j.left = v.o.Cost(t)
	}
	at, _ := slices.BinarySearchFunc(v.jobs, j, func(a, b *job) int {
		if b.task.Timing.Before(a.task.Timing) {
			return 1
		}
		return -1 // of equal ones the one that was ready first
	})
	v.jobs = slices.Insert(v.jobs, at, j)
	v.dispatch()
}

// dispatch begins the steps that have come to a processor.
func (v *Virtual) dispatch() {
	for i := 0; i < min(v.o.Cores, len(v.jobs)); i++ {
		j := v.jobs[i]
		if j.begun {
			continue
		}
		j.begun, j.begin = true, v.now
		j.err = j.task.begin(v.now)
		if j.left <= 0 { // it takes no time: nothing comes between
			v.end(j)
			i = -1
		}
	}
}

// end ends a step, and lets others have its processor.
func (v *Virtual) end(j *job) {
	v.jobs = slices.DeleteFunc(v.jobs, func(o *job) bool { return o == j })
	j.task.end(j.release, j.begin, v.now, j.err)
	if j.task.ended.Load() {
		v.drop(j.task)
	}
	v.dispatch()
}

// first returns the task that is released first of those that are not being served.
func (v *Virtual) first() *Task {
	var first *Task
	for _, t := range v.tasks {
		if t.ended.Load() || slices.ContainsFunc(v.jobs, func(j *job) bool { return j.task == t }) {
			continue
		}
		if first == nil || t.clock.Next() < first.clock.Next() ||
			t.clock.Next() == first.clock.Next() && t.Timing.Before(first.Timing) {
			first = t
		}
	}
	return first
}
