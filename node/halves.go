package node

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/spec"
)

// half is what of a machine a process runs.
type half uint8

const (
	whole half = iota
	controlHalf
	courierHalf
)

// RunCourier runs the half of the machine that brings what was published to the ground, as a process of its own: everything
// that talks. The other half, in another process, publishes into the region that this one tells of on the way to it, with a sign of
// life five times a second. With a region given, that half lives already, and an earlier process with its courier has ended; otherwise a boot
// begins. ToControl is written to by several goroutines; that a write fails says nothing, for ctx is what tells that the control half
// has ended.
//
// Ctx ends when the other half has ended, however it did. Then everything that it published is brought to the spool and, as far
// as Linger allows, to the ground, and the boot ends.
func (n *Node) RunCourier(ctx context.Context, region string, toControl io.Writer) error {
	n.half = courierHalf
	said := make(chan struct{})
	living, dead := context.WithCancel(context.Background())
	defer func() { dead(); <-said }()
	go func() { defer close(said); sayAlive(living, toControl) }()
	if err := n.openCourierHalf(region); err != nil {
		return err
	}
	report, err := fulmar.NewPublisher(n.region, reportProducer, n.filter())
	if err != nil {
		return errors.Join(err, n.Close(false))
	}
	orders := make(chan command.Order, maxCarried)
	go carry(living, orders, toControl)
	runner := &courier.Runner{Courier: n.courier, Links: n.o.Links, Now: n.now, Linger: n.o.Linger, Keys: n.o.Keys, Logger: n.o.Logger,
		Carry: func(o command.Order) { orders <- o }}
	n.house.publisher, n.house.status, n.house.figures = report, runner.Status, thisProcess
	n.running.Store(true)
	fmt.Fprintln(toControl, readyPrefix+n.region.Path())
	runnerCtx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { defer wg.Done(); err = runner.Run(runnerCtx) }()
	e := sched.NewExecutor(ctx, sched.Options{Now: n.now})
	added := e.Add(sched.NewTask("node/house", spec.Timing{Period: int64(n.o.HealthPeriod)}.WithDefaults(), nil,
		func(now, _ time.Duration) error { n.house.tellOfCourier(now); return nil }))
	<-ctx.Done()
	e.Wait()
	n.house.tellOfCourier(n.now())
	report.Flush()
	stop()
	wg.Wait()
	return errors.Join(added, err, n.Close(err == nil))
}

// maxCarried is more than how many orders there can be that have not ended.
const maxCarried = 128

// carry tells the control half of orders until ctx ends.
func carry(ctx context.Context, orders <-chan command.Order, to io.Writer) {
	for {
		select {
		case o := <-orders:
			fmt.Fprintln(to, orderPrefix+base64.StdEncoding.EncodeToString(o.Append(nil)))
		case <-ctx.Done():
			return
		}
	}
}

// sayAlive gives signs of life until ctx ends.
func sayAlive(ctx context.Context, to io.Writer) {
	tick := time.NewTicker(alivePeriod)
	defer tick.Stop()
	for {
		fmt.Fprintln(to, "alive")
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) openCourierHalf(region string) (err error) {
	defer n.closeAfter(&err)
	if region == "" {
		if err := n.openCourier(); err != nil {
			return err
		}
		return n.region.Share()
	}
	if err := n.openSpool(); err != nil {
		return err
	}
	if n.region, err = n.joinRegion(region); err != nil {
		return err
	}
	return n.courier.Resume(n.region, courierProducer)
}

// joinRegion opens a region that the machine's other half uses.
func (n *Node) joinRegion(path string) (*ring.Region, error) {
	r, err := ring.Join(path)
	if err != nil {
		return nil, fmt.Errorf("node: join the other half: %w", err)
	}
	if r.Device() != n.o.Device || r.Producers() != n.wantedProducers() {
		return nil, errors.Join(fmt.Errorf("node: join the other half: %s is of a machine %q with %d producers, this one is %q with %d: both halves are to be of one file and one binary",
			path, r.Device(), r.Producers(), n.o.Device, n.wantedProducers()), r.Close())
	}
	return r, nil
}

// RunControl runs the half of the machine with its components, as a process of its own: no network, and no garbage collector as
// long as MemoryLimit allows. The other half made the region. It returns when ctx has ended and the components have stopped; the
// other half is to be told then.
func (n *Node) RunControl(ctx context.Context, region string) (err error) {
	n.half = controlHalf
	if n.region, err = n.joinRegion(region); err != nil {
		return err
	}
	defer n.closeAfter(&err)
	n.keepCollectorAway()
	if err := n.openControl(); err != nil {
		return err
	}
	n.house.figures = thisProcess
	n.running.Store(true)
	err = n.runTasks(ctx)
	n.Flush()
	return errors.Join(err, n.closeRegion())
}

func (n *Node) closeRegion() error {
	r := n.region
	n.region = nil
	return r.Close()
}

// keepCollectorAway keeps the garbage collector from running until the process has its memory limit. A step makes no garbage;
// what little the rest of the half makes takes hours to get there.
func (n *Node) keepCollectorAway() {
	debug.SetMemoryLimit(n.o.MemoryLimit)
	debug.SetGCPercent(-1)
}

// tellOfCourier publishes one round of the courier half's own.
func (h *house) tellOfCourier(now time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wall := h.n.o.Clock.Now().Wall
	h.tellProcess(h.process[1], now, wall)
	h.tellCourier(now, wall)
}
