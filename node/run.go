package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/sched"
)

// Run opens the machine, starts its components, and runs and supervises their tasks until ctx ends; then it stops everything
// in order: tasks, components backwards, and last the courier, after everything published is in the spool and, as far as
// Linger allows, with the ground. A machine that went to its safe state meanwhile stays there, and its courier goes on; why is
// in the error.
func (n *Node) Run(ctx context.Context) error {
	if err := n.Open(); err != nil {
		return err
	}
	runner := &courier.Runner{Courier: n.courier, Links: n.o.Links, Now: n.now, Linger: n.o.Linger, Logger: n.o.Logger}
	n.house.status = runner.Status
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
	if err := n.Start(ctx); err != nil {
		return err
	}
	tasksCtx, stop := context.WithCancel(ctx)
	defer stop()
	e := sched.NewExecutor(tasksCtx, sched.Options{Now: n.now})
	err := e.Add(n.Tasks()...)
	if err == nil {
		n.supervise(ctx, e)
	}
	stop()
	ended := make(chan struct{})
	go func() { defer close(ended); e.Wait() }()
	n.end(e, ended)
	return errors.Join(err, n.safe, n.Stop(context.WithoutCancel(ctx)))
}

// supervise attends to the components until ctx ends.
func (n *Node) supervise(ctx context.Context, e *sched.Executor) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-n.wake:
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return
		}
		timer.Reset(max(n.attend(ctx, e)-n.now(), time.Millisecond))
	}
}

// end returns when the tasks have ended, or their steps have been given up.
func (n *Node) end(e *sched.Executor, ended <-chan struct{}) {
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
