package sched

import (
	"sync/atomic"
	"time"

	"github.com/fulmar-io/fulmar/spec"
)

// Task is a periodic task as an executor sees it.
type Task struct {
	Name   string // "component/task"
	Timing spec.Timing
	// Step does the task's work. now is the monotonic time at which it begins, dt the time since the previous step
	// began. An error ends the task.
	Step func(now, dt time.Duration) error
	// Failed is told the error that ended the task. It may be nil.
	Failed func(error)

	clock spec.Clock
	ended bool
	stats stats
}

type stats struct {
	runs, misses, consecutive atomic.Uint64
	jitter, execution         Histogram
}

// Stats is how a task has run so far.
type Stats struct {
	Runs, Misses, Consecutive       uint64
	JitterP50, JitterP99, JitterMax time.Duration // begin of the step after its release
	ExecutionP50, ExecP99, ExecMax  time.Duration
}

// Stats may be called from any goroutine.
func (t *Task) Stats() Stats {
	j := t.stats.jitter.Quantiles(0.5, 0.99)
	e := t.stats.execution.Quantiles(0.5, 0.99)
	return Stats{Runs: t.stats.runs.Load(), Misses: t.stats.misses.Load(), Consecutive: t.stats.consecutive.Load(),
		JitterP50: j[0], JitterP99: j[1], JitterMax: t.stats.jitter.Max(),
		ExecutionP50: e[0], ExecP99: e[1], ExecMax: t.stats.execution.Max()}
}

// run executes the step whose release has come. end tells the time after it.
func (t *Task) run(begin time.Duration, end func() time.Duration) {
	release, dt := t.clock.Begin(int64(begin))
	t.stats.jitter.Add(begin - time.Duration(release))
	err := t.Step(begin, time.Duration(dt))
	after := end()
	t.clock.End(int64(after))
	t.stats.execution.Add(after - begin)
	t.stats.runs.Store(t.clock.Runs)
	t.stats.misses.Store(t.clock.Misses)
	t.stats.consecutive.Store(t.clock.Consecutive)
	if err != nil {
		t.ended = true
		if t.Failed != nil {
			t.Failed(err)
		}
	}
}

// Histograms returns the task's jitter and execution times, which go on changing.
func (t *Task) Histograms() (jitter, execution *Histogram) {
	return &t.stats.jitter, &t.stats.execution
}
