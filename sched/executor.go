package sched

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fulmar-io/fulmar/spec"
)

// Options of an Executor.
type Options struct {
	// Now is the machine's monotonic clock. In real time it must advance as the kernel's CLOCK_MONOTONIC does.
	Now func() time.Duration
	// RealTime, unless nil, runs the tasks in threads of their own under a real-time policy of the kernel's.
	RealTime *RealTime
}

// ErrAbandoned is what Failed is told of a task that was abandoned.
var ErrAbandoned = errors.New("its step does not end")

// Executor runs periodic tasks. In ordinary time each task has a goroutine; in real time each level (the tasks of one
// priority, period and core) has a locked thread, in which they run by the order of their releases, and GOMAXPROCS is
// raised to the number of cores and of these threads. All methods may be called from any goroutine, but not from a step.
type Executor struct {
	o   Options
	ctx context.Context
	wg  sync.WaitGroup // of loops that are not abandoned

	mu     sync.Mutex // guards what is below
	loops  []*loop
	levels []spec.Timing // that tasks have had, the most urgent first
	left   int           // threads that were left alone with a step
}

// loop is one goroutine or thread and its tasks.
type loop struct {
	e       *Executor
	timing  spec.Timing // of the level
	tasks   atomic.Pointer[[]*Task]
	changed chan struct{} // holds one word that tasks has changed
	rank    int           // of the level, 0 the most urgent; guarded by e.mu
	tid     int           // the kernel's name of the thread; 0 if it has none; guarded by e.mu
}

// NewExecutor returns an executor without tasks. It runs what it is given until ctx ends.
func NewExecutor(ctx context.Context, o Options) *Executor { return &Executor{o: o, ctx: ctx} }

// Add starts tasks, their grids counted from now; that of one which joins a level that runs already begins a little later.
// In real time an error says which thread the kernel refused; then none of the tasks runs.
func (e *Executor) Add(tasks ...*Task) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.o.Now()
	var groups [][]*Task // of a loop each
	for _, t := range tasks {
		t.gone = make(chan struct{})
		t.ended.Store(false)
		t.busy.Store(0)
		t.clock.Start(t.Timing, int64(now))
		i := slices.IndexFunc(groups, func(g []*Task) bool { return e.together(g[0].Timing, t.Timing) })
		if i < 0 {
			groups = append(groups, []*Task{t})
		} else {
			groups[i] = append(groups[i], t)
		}
	}
	err := e.rank(tasks)
	for _, g := range groups {
		i := slices.IndexFunc(e.loops, func(l *loop) bool { return e.together(l.timing, g[0].Timing) })
		switch {
		case err != nil:
		case i < 0:
			err = e.begin(g[0].Timing, g)
		default:
			for _, t := range g {
				t.clock.Start(t.Timing, int64(now+lookAgain))
			}
			e.loops[i].set(append(slices.Clone(*e.loops[i].tasks.Load()), g...))
		}
	}
	if err != nil {
		for _, t := range tasks {
			t.ended.Store(true)
			t.leave()
		}
	}
	return err
}

// together reports whether two tasks share a loop.
func (e *Executor) together(a, b spec.Timing) bool {
	return e.o.RealTime != nil && e.o.RealTime.Policy != Deadline && a.Core == b.Core && compareLevels(a, b) == 0
}

// rank finds the levels of new tasks their places among the others, and tells the kernel of those that have moved.
func (e *Executor) rank(tasks []*Task) error {
	for _, t := range tasks {
		at, _ := slices.BinarySearchFunc(e.levels, t.Timing, compareLevels)
		if at == len(e.levels) || compareLevels(e.levels[at], t.Timing) != 0 {
			e.levels = slices.Insert(e.levels, at, t.Timing)
		}
	}
	for _, l := range e.loops {
		at, _ := slices.BinarySearchFunc(e.levels, l.timing, compareLevels)
		if at == l.rank {
			continue
		}
		l.rank = at
		if rt := e.o.RealTime; rt != nil {
			if err := rt.prioritize(l.tid, l.timing, at); err != nil {
				return fmt.Errorf("sched: thread for %s: %w", (*l.tasks.Load())[0].Name, err)
			}
		}
	}
	return nil
}

func compareLevels(a, b spec.Timing) int {
	switch {
	case a.Before(b):
		return -1
	case b.Before(a):
		return 1
	}
	return 0
}

// begin begins a loop, and returns once it has its thread.
func (e *Executor) begin(level spec.Timing, tasks []*Task) error {
	l := &loop{e: e, timing: level, changed: make(chan struct{}, 1)}
	l.rank, _ = slices.BinarySearchFunc(e.levels, level, compareLevels)
	l.tasks.Store(&tasks)
	ready := make(chan started)
	e.wg.Add(1)
	go l.run(l.rank, ready)
	s := <-ready
	if s.err != nil {
		e.wg.Done()
		return fmt.Errorf("sched: thread for %s: %w", tasks[0].Name, s.err)
	}
	l.tid = s.tid
	e.loops = append(e.loops, l)
	// A thread that wakes needs one of the scheduler's processors: with all of them busy it would wait for a time slice.
	if want := runtime.NumCPU() + len(e.loops) + e.left; e.o.RealTime != nil && runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
	return nil
}

// started is what a new loop says.
type started struct {
	tid int
	err error
}

// set changes the tasks of a loop.
func (l *loop) set(tasks []*Task) {
	l.tasks.Store(&tasks)
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *loop) run(rank int, ready chan<- started) {
	var th *thread
	if rt := l.e.o.RealTime; rt != nil {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		var s started
		if th, s = rt.thread(l.timing, rank, l.e.o.Now); s.err != nil {
			ready <- s
			return
		}
		ready <- s
	} else {
		ready <- started{}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for l.e.ctx.Err() == nil {
		t := l.next()
		if t == nil {
			break
		}
		release := time.Duration(t.clock.Next())
		if th != nil {
			if !th.wait(l.e.ctx, release) {
				continue // it is time to look again
			}
		} else if !l.wait(timer, release) {
			continue
		}
		if t.ended.Load() {
			continue
		}
		if !t.run(l.e.o.Now(), l.e.o.Now) {
			return // Abandon has put another in this one's place
		}
	}
	l.end()
}

// wait waits in ordinary time, and reports whether the release has come; otherwise it is time to look again.
func (l *loop) wait(timer *time.Timer, release time.Duration) bool {
	d := release - l.e.o.Now()
	if d <= 0 {
		return true
	}
	timer.Reset(d)
	select {
	case <-l.e.ctx.Done():
		return false
	case <-l.changed:
		return false
	case <-timer.C:
		return true
	}
}

// next returns the task that is released first, or nil if none is left, and takes leave of those that have ended.
func (l *loop) next() *Task {
	for {
		var first *Task
		ended := false
		for _, t := range *l.tasks.Load() {
			if t.ended.Load() {
				ended = true
			} else if first == nil || t.clock.Next() < first.clock.Next() {
				first = t
			}
		}
		if first != nil && !ended {
			return first
		}
		if !l.takeLeave() {
			return nil
		}
	}
}

// takeLeave drops the tasks that have ended, and reports whether any is left. A loop without any is no more.
func (l *loop) takeLeave() bool {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	var tasks []*Task
	for _, t := range *l.tasks.Load() {
		if t.ended.Load() {
			t.leave()
		} else {
			tasks = append(tasks, t)
		}
	}
	l.tasks.Store(&tasks)
	if len(tasks) == 0 {
		l.drop()
	}
	return len(tasks) > 0
}

// drop takes the loop off the executor's. Its mu is held.
func (l *loop) drop() {
	l.e.loops = slices.DeleteFunc(l.e.loops, func(o *loop) bool { return o == l })
}

func (t *Task) leave() {
	select {
	case <-t.gone:
	default:
		close(t.gone)
	}
}

// end takes leave of all tasks.
func (l *loop) end() {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	for _, t := range *l.tasks.Load() {
		t.leave()
	}
	l.drop()
	l.e.wg.Done()
}

// Remove ends tasks: no step of theirs begins any more. It returns when none runs, or ctx ends.
func (e *Executor) Remove(ctx context.Context, tasks ...*Task) error {
	e.mu.Lock()
	for _, t := range tasks {
		t.ended.Store(true)
	}
	for _, l := range e.loops {
		l.set(*l.tasks.Load())
	}
	e.mu.Unlock()
	for _, t := range tasks {
		if t.gone == nil {
			continue // it was never added
		}
		select {
		case <-t.gone:
		case <-ctx.Done():
			return fmt.Errorf("sched: remove %s: %w", t.Name, ctx.Err())
		}
	}
	return nil
}

// Abandon gives up a task whose step does not end, and reports whether there is such a step. Go cannot end it: its
// thread is left alone with it, and a fresh one runs the other tasks of its level. When the step ends after all, nothing
// follows from it here; what else it may reach its owner must take from it beforehand.
func (e *Executor) Abandon(t *Task) bool {
	e.mu.Lock()
	i := slices.IndexFunc(e.loops, func(l *loop) bool { return slices.Contains(*l.tasks.Load(), t) })
	b := t.busy.Load()
	if i < 0 || b <= 0 || !t.busy.CompareAndSwap(b, abandoned) {
		e.mu.Unlock()
		return false
	}
	old := e.loops[i]
	e.loops = slices.Delete(e.loops, i, i+1)
	e.left++
	t.ended.Store(true)
	t.leave()
	tasks := slices.DeleteFunc(slices.Clone(*old.tasks.Load()), func(o *Task) bool { return o == t })
	var err error
	if len(tasks) > 0 {
		err = e.begin(old.timing, tasks)
	}
	e.mu.Unlock()
	if err != nil {
		for _, o := range tasks {
			o.ended.Store(true)
			o.leave()
			if o.Failed != nil {
				o.Failed(err)
			}
		}
	}
	e.wg.Done() // of the old loop, which will not say so itself
	if t.Failed != nil {
		t.Failed(ErrAbandoned)
	}
	return true
}

// Wait returns when no step runs and none will, after the executor's context has ended or all tasks have. It does not wait
// for steps that were abandoned.
func (e *Executor) Wait() { e.wg.Wait() }
