package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/sched/host"
)

// Run opens the machine, starts its components, and runs and supervises their tasks until ctx ends; then it stops everything
// in order: tasks, components backwards, and last the courier, after everything published is in the spool and, as far as
// Linger allows, with the ground. A machine that went to its safe state meanwhile stays there, and its courier goes on; why is
// in the error.
func (n *Node) Run(ctx context.Context) error {
	if err := n.Open(); err != nil {
		return err
	}
	runner := &courier.Runner{Courier: n.courier, Links: n.o.Links, Now: n.now, Linger: n.o.Linger, Keys: n.o.Keys, Carry: n.Command, Logger: n.o.Logger}
	n.house.status, n.house.figures = runner.Status, thisProcess
	n.running.Store(true)
	courierCtx, stopCourier := context.WithCancel(context.Background())
	defer stopCourier()
	var courierErr error
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		courierErr = runner.Run(courierCtx)
	}()
	err := n.runTasks(ctx)
	n.Flush()
	stopCourier()
	wg.Wait()
	return errors.Join(err, courierErr, n.Close(courierErr == nil))
}

func (n *Node) runTasks(ctx context.Context) error {
	switch cause, stopped := n.startAll(ctx); {
	case cause != nil && ctx.Err() != nil:
		n.o.Logger.Info("the machine is stopped before all its components have started", "at", cause)
		return stopped
	case cause != nil:
		return errors.Join(cause, stopped)
	}
	tasksCtx, stop := context.WithCancel(ctx)
	defer stop()
	own := sched.NewExecutor(tasksCtx, sched.Options{Now: n.now}) // for the node's own task, which allocates
	e, release, err := n.execute(tasksCtx)
	if err == nil {
		err = own.Add(n.house.task)
	}
	if err == nil {
		n.supervise(ctx, e)
	}
	stop()
	if e != nil {
		ended := make(chan struct{})
		go func() { defer close(ended); e.Wait() }()
		n.end(e, ended)
	}
	own.Wait()
	if cause := n.safe.Load(); cause != nil {
		err = errors.Join(err, *cause)
	}
	return errors.Join(err, n.Stop(context.WithoutCancel(ctx)), release())
}

// execute runs the components' tasks: in real time if that is wanted and can be had.
func (n *Node) execute(ctx context.Context) (e *sched.Executor, release func() error, err error) {
	tasks := n.Tasks()
	tasks = tasks[:len(tasks)-1]
	release = func() error { return nil }
	if n.o.RealTime != nil && (n.o.RealTimeOnly || !raceDetector) {
		try, cancel := context.WithCancel(ctx)
		e = sched.NewExecutor(try, sched.Options{Now: n.now, RealTime: n.o.RealTime})
		if err = e.Add(tasks...); err == nil {
			taken := n.prepareHost()
			return e, func() error { cancel(); return taken.Close() }, nil
		}
		cancel()
		e.Wait()
		if n.o.RealTimeOnly {
			return nil, release, fmt.Errorf("node: real time: %w", err)
		}
		n.o.Logger.Warn("the tasks run in ordinary time: this process may not have real-time threads; fulmar doctor says how it may", "error", err)
		n.house.event(fulmar.Warning, "the tasks run in ordinary time: this process may not have real-time threads")
	}
	e = sched.NewExecutor(ctx, sched.Options{Now: n.now})
	return e, release, e.Add(tasks...)
}

// prepareHost takes what real-time threads need of the host, as far as it can be had, and says what cannot.
func (n *Node) prepareHost() *host.Taken {
	taken := host.Prepare()
	if n.half == controlHalf {
		if err := taken.Raise(); err != nil {
			n.o.Logger.Warn("the runtime's own threads stay ordinary: a busy host may delay loops through them", "error", err)
		}
	}
	for _, f := range taken.Findings {
		if f.Grade != host.Good {
			n.o.Logger.Warn(f.What+": "+f.Detail, "cure", f.Cure)
		}
	}
	n.realTime.Store(true)
	return taken
}

// supervise attends to the components until ctx ends.
func (n *Node) supervise(ctx context.Context, e Executor) {
	defer close(n.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	manager := notifier{n: n, barked: n.now()}
	manager.tell("READY=1")
	defer manager.tell("STOPPING=1")
	for {
		select {
		case <-ctx.Done():
		case <-n.wake:
		case r := <-n.requests:
			n.fulfil(ctx, e, r)
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return
		}
		due := n.attend(ctx, e)
		manager.alive()
		timer.Reset(max(due-n.now(), time.Millisecond))
	}
}

// end returns when the tasks have ended, or their steps have been given up.
func (n *Node) end(e Executor, ended <-chan struct{}) {
	t := time.NewTicker(lookPeriod)
	defer t.Stop()
	for {
		select {
		case <-ended:
			return
		case <-t.C:
			n.look(e)
		}
	}
}

func (n *Node) now() time.Duration { return time.Duration(n.o.Clock.Now().Mono) }
