package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/sched"
)

// Run opens the machine, starts its components and runs their tasks in ordinary time until ctx ends or a critical
// component fails; then it stops everything in order: tasks, components backwards, and last the courier, after
// everything published is in the spool and, as far as Linger allows, with the ground.
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
	failure := e.Add(n.Tasks()...)
	if failure == nil {
		select {
		case failure = <-n.failed:
		case <-ctx.Done():
		}
	}
	stop()
	e.Wait()
	return errors.Join(failure, n.Stop(context.WithoutCancel(ctx)))
}

func (n *Node) now() time.Duration { return time.Duration(n.o.Clock.Now().Mono) }
