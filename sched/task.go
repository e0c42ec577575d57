package sched

import (
	"sync/atomic"
	"time"

	"github.com/fulmar-io/fulmar/spec"
)

// Task is a periodic task as an executor sees it, made by NewTask. It belongs to one executor at a time, which alone writes
// its state.
type Task struct {
	Name   string      // "component/task"
	Timing spec.Timing // with its defaults
	// Step does the task's work. now is the monotonic time at which it begins, dt the time since the previous step
	// began. An error ends the task.
	Step func(now, dt time.Duration) error
	// Leave hands on what the step has come to. It is called when the step ends, if without an error: right after Step, unless in
	// virtual time, in which a step may take some. It may be nil.
	Leave func()
	// Failed is told the error that ended the task. It may be nil.
	Failed func(error)
	// Began is told, before a step, the release that it answers and when it begins. It may be nil.
	Began func(release, begin time.Duration)
	// Missed is told, after a step, how many deadlines were missed by it and how many in a row. It may be nil.
	Missed func(missed, consecutive uint64)

	clock spec.Clock
	ended atomic.Bool
	stats *stats
	// busy is 0 between steps, during one its number from 1 on, and abandoned for good; began is when that began.
	busy, began atomic.Int64
	gone        chan struct{} // closed when no step will begin any more
}

const abandoned = -1

type stats struct {
	runs, misses, consecutive   atomic.Uint64
	overruns                    atomic.Uint64
	jitter, execution, response Histogram
}

// NewTask returns a task. It goes on counting where another one has ended or was abandoned, unless that is nil.
func NewTask(name string, t spec.Timing, before *Task, step func(now, dt time.Duration) error) *Task {
	n := &Task{Name: name, Timing: t, Step: step, stats: new(stats)}
	if before != nil {
		n.stats = before.stats
	}
	return n
}

// Stats is how a task has run so far.
type Stats struct {
	Runs, Misses, Consecutive             uint64
	Overruns                              uint64        // steps that took longer than the budget, if there is one
	JitterP50, JitterP99, JitterMax       time.Duration // begin of the step after its release
	ExecutionP50, ExecP99, ExecMax        time.Duration // end of the step after its begin
	ResponseP50, ResponseP99, ResponseMax time.Duration // end of the step after its release
}

// Stats may be called from any goroutine.
func (t *Task) Stats() Stats {
	j := t.stats.jitter.Quantiles(0.5, 0.99)
	e := t.stats.execution.Quantiles(0.5, 0.99)
	r := t.stats.response.Quantiles(0.5, 0.99)
	return Stats{Runs: t.stats.runs.Load(), Misses: t.stats.misses.Load(), Consecutive: t.stats.consecutive.Load(),
		Overruns:  t.stats.overruns.Load(),
		JitterP50: j[0], JitterP99: j[1], JitterMax: t.stats.jitter.Max(),
		ExecutionP50: e[0], ExecP99: e[1], ExecMax: t.stats.execution.Max(),
		ResponseP50: r[0], ResponseP99: r[1], ResponseMax: t.stats.response.Max()}
}

// Busy returns how long the step that runs at now has run, or false if none does. It may be called from any goroutine.
func (t *Task) Busy(now time.Duration) (time.Duration, bool) {
	if t.busy.Load() <= 0 {
		return 0, false
	}
	return now - time.Duration(t.began.Load()), true
}

// run executes the step whose release has come. end tells the time after it. It returns false if the task was abandoned
// meanwhile: then nothing of it may be touched any more.
func (t *Task) run(begin time.Duration, end func() time.Duration) bool {
	release := time.Duration(t.clock.Next())
	busy := int64(t.clock.Runs) + 1
	err := t.begin(begin)
	if err == nil && t.Leave != nil {
		t.Leave()
	}
	if !t.busy.CompareAndSwap(busy, 0) {
		return false
	}
	t.finish(release, begin, end(), err)
	return true
}

// begin begins the step whose release has come, and does its work.
func (t *Task) begin(now time.Duration) error {
	t.began.Store(int64(now))
	t.busy.Store(int64(t.clock.Runs) + 1)
	release, dt := t.clock.Begin(int64(now))
	t.stats.jitter.Add(now - time.Duration(release))
	if t.Began != nil {
		t.Began(time.Duration(release), now)
	}
	return t.Step(now, time.Duration(dt))
}

// end ends a step that nobody can have abandoned.
func (t *Task) end(release, begin, after time.Duration, err error) {
	if err == nil && t.Leave != nil {
		t.Leave()
	}
	t.busy.Store(0)
	t.finish(release, begin, after, err)
}

// finish takes account of a step that has ended.
func (t *Task) finish(release, begin, after time.Duration, err error) {
	missed := t.clock.End(int64(after))
	t.stats.execution.Add(after - begin)
	if b := time.Duration(t.Timing.Budget); b > 0 && after-begin > b {
		t.stats.overruns.Add(1)
	}
	t.stats.response.Add(after - release)
	t.stats.runs.Add(1)
	t.stats.misses.Add(missed)
	t.stats.consecutive.Store(t.clock.Consecutive)
	if missed > 0 && t.Missed != nil {
		t.Missed(missed, t.clock.Consecutive)
	}
	if err != nil {
		t.ended.Store(true)
		if t.Failed != nil {
			t.Failed(err)
		}
	}
}

// Histograms returns the task's release jitter, execution and response times, which go on changing.
func (t *Task) Histograms() (jitter, execution, response *Histogram) {
	return &t.stats.jitter, &t.stats.execution, &t.stats.response
}
