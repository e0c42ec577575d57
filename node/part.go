package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/sched"
)

// part is one component at run time. What is not said to be guarded is the node's goroutine's.
type part struct {
	name      string
	own       string // what the component calls itself
	critical  bool
	component fulmar.Component
	as        *Configured // what the machine's file says of it; nil if it is not in there
	spec      fulmar.Spec
	monitor   fulmar.Monitor // may be used by any goroutine
	events    *fulmar.Layout
	tasks     []*task
	startedAt atomic.Int64 // monotonic ns

	state    lifecycle
	running  bool            // Start has been called, and Stop has not
	failures []time.Duration // of the last Restart.Window
	until    time.Duration   // when it may be rebuilt, in waiting
}

// newPart asks a component for its declaration.
func newPart(c fulmar.Component, as *Configured) (*part, error) {
	own, s, err := as.declare(c)
	if err != nil {
		return nil, err
	}
	p := &part{name: s.Name, own: own, critical: s.Critical, component: c, as: as, spec: s, events: fulmar.EventLayout(s.Name)}
	for _, t := range s.Tasks {
		never := sched.NewTask(s.Name+"/"+t.Name, t.Timing(), nil, nil) // until it is prepared, for whoever asks how it has run
		p.tasks = append(p.tasks, &task{part: p, name: t.Name, period: t.Period, spec: t, sched: never})
	}
	return p, nil
}

// task is one task of a part, through all its rebuilds.
type task struct {
	part   *part
	name   string
	period time.Duration
	spec   fulmar.Task // the node's goroutine's

	mu        sync.Mutex // guards what is below
	run       *fulmar.TaskRun
	publisher *fulmar.Publisher
	sched     *sched.Task
	inputs    []fulmar.Input // of the component that run is of
	stuck     bool           // its step was given up
}

// queues returns how many values wait in the queues that the task reads, and how many found no room there.
func (t *task) queues() (waiting, missed uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, in := range t.inputs {
		w, m := in.Waiting()
		waiting, missed = waiting+uint64(w), missed+m
	}
	return waiting, missed
}

func (t *task) scheduled() *sched.Task {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sched
}

// lifecycle is where a component is in its life.
type lifecycle uint8

// The states. A component goes from one to another only where next says so.
const (
	down     lifecycle = iota // not started yet, or stopped for good
	starting                  // Start is under way
	up                        // its tasks run, or may
	stopping                  // its tasks end, then Stop is under way
	waiting                   // it will be rebuilt
	lost                      // it has failed, and stays down
)

// String returns the state in a word.
func (l lifecycle) String() string {
	return [...]string{"down", "starting", "up", "stopping", "waiting", "lost"}[l]
}

var next = [...][]lifecycle{
	down:     {starting, waiting},
	starting: {up, stopping, down},
	up:       {stopping},
	stopping: {down, waiting, lost},
	waiting:  {starting, lost, down},
	lost:     {down},
}

// to changes the state. A transition that is not legal is a defect of this package.
func (p *part) to(s lifecycle) {
	if !slices.Contains(next[p.state], s) {
		panic(fmt.Sprintf("node: component %q from %s to %s", p.name, p.state, s))
	}
	p.state = s
}

// schedules returns the tasks for an executor.
func (p *part) schedules() []*sched.Task {
	list := make([]*sched.Task, len(p.tasks))
	for i, t := range p.tasks {
		list[i] = t.scheduled()
	}
	return list
}

// hangs reports whether a step of the part was given up.
func (p *part) hangs() bool {
	return slices.ContainsFunc(p.tasks, func(t *task) bool { t.mu.Lock(); defer t.mu.Unlock(); return t.stuck })
}

// start calls the component's Start. Its state is starting.
func (n *Node) start(ctx context.Context, p *part) error {
	p.running = true
	p.monitor.Set(fulmar.StatusStarting, "")
	p.startedAt.Store(int64(n.now()))
	if err := n.open(ctx, p); err != nil {
		return err
	}
	if s, ok := p.component.(fulmar.Starter); ok {
		if err := n.bounded(ctx, s.Start); err != nil {
			return fmt.Errorf("start: %w", err)
		}
	}
	p.monitor.Set(fulmar.StatusOK, "")
	n.openCommands(p)
	return nil
}

// open opens the hardware that a component declared.
func (n *Node) open(ctx context.Context, p *part) error {
	for _, h := range p.spec.Hardware {
		if err := n.bounded(ctx, func(context.Context) error { return h.Open(n.o.Hardware) }); err != nil {
			return err
		}
	}
	return nil
}

// close takes a component's hardware from it and brings that to rest, the last declared first.
func (n *Node) close(ctx context.Context, p *part) (err error) {
	for _, h := range slices.Backward(p.spec.Hardware) {
		err = errors.Join(err, n.bounded(ctx, func(context.Context) error { return h.Close() }))
	}
	return err
}

// stop calls the component's Stop, after its tasks have ended. If a step of it hangs that could not be called safely: then
// the component is brought to rest, as far as it knows how.
func (n *Node) stop(ctx context.Context, p *part) error {
	if !p.running {
		return nil
	}
	p.running = false
	n.closeCommands(p)
	stop := func(context.Context) error { return nil }
	safer, isSafer := p.component.(fulmar.Safer)
	stopper, isStopper := p.component.(fulmar.Stopper)
	switch hangs := p.hangs(); {
	case hangs && isSafer:
		stop = func(context.Context) error { return safer.Safe() }
	case hangs && isStopper && len(p.spec.Hardware) == 0:
		n.o.Logger.Error("a step hangs and the component is no Safer: what it drives stays as it is", "component", p.name)
	case !hangs && isStopper:
		stop = stopper.Stop
	}
	if err := errors.Join(n.bounded(ctx, stop), n.close(ctx, p)); err != nil {
		return fmt.Errorf("node: stop %q: %w", p.name, err)
	}
	return nil
}

// bounded calls a component's method with the time limit, and does not wait longer than that for one that disregards it. When ctx ends
// the method still has that time to return: nothing else of its component is to be called meanwhile.
func (n *Node) bounded(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, n.o.StopTimeout)
	defer cancel()
	limit := time.NewTimer(n.o.StopTimeout)
	defer limit.Stop()
	result := make(chan error, 1)
	go func() { result <- guarded(func() error { return f(ctx) }) }()
	select {
	case err := <-result:
		return err
	case <-limit.C:
		select {
		case err := <-result:
			return err
		default:
			return fmt.Errorf("took longer than %s: %w", n.o.StopTimeout, context.DeadlineExceeded)
		}
	}
}

// guarded turns a panic into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}
