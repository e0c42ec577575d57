package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/seal"
	"github.com/fulmar-io/fulmar/telemetry"
)

// Options of a Node. The zero value of each field means its default, where one is given.
type Options struct {
	Device     string
	Components []fulmar.Component
	// Configured are further components, of the machine's file.
	Configured []Configured
	// Hardware is what the components' handles are opened on. Default: none.
	Hardware hal.Host
	// Disk holds the machine's data: the spool, the dead letters, the catalog. No other process may use it meanwhile: take a
	// folder with env.LockFolder.
	Disk env.Disk
	// Links to the ground, most preferred first. None: everything stays in the spool.
	Links   []link.Dialer
	Courier courier.Options // Device, Disk and Session are filled in
	// Keys are the machine's identity, by which everything is sealed on its way to the ground. Nil sends in the clear: for the bench.
	// Only the courier half uses them.
	Keys *identity.Keyring
	// RingBytes is the room of each task's ring. Default 1 MiB.
	RingBytes int
	// Filter makes the filter of one publisher, filter.Set's NewFilter say: of each task, and of what the node tells of
	// itself. Nil, or a nil result, passes everything.
	Filter func() telemetry.Filter
	// HealthPeriod is how often health, timing and accounts are published. Default 1 s.
	HealthPeriod time.Duration
	// Notify is told how the machine is, for a service manager, in the words of systemd's sd_notify: READY=1 when its
	// components run, STATUS= with its health, STOPPING=1 when it ends, and WATCHDOG=1 every Watchdog while its supervision
	// works. It is called from one goroutine. Nil for none.
	Notify func(state string)
	// Watchdog is between words that supervision works. 0 for none.
	Watchdog time.Duration
	// Probation is how long new parameters are on trial: if a component that they change, or that depends on one, fails within it, they are rolled
	// back. Default 10 s.
	Probation time.Duration
	// StopTimeout bounds each component's Stop, and its Start. Default 5 s.
	StopTimeout time.Duration
	// RealTime says in which threads the components' tasks run. Nil, or a host that does not let them, unless RealTimeOnly is
	// set: in ordinary goroutines.
	RealTime     *sched.RealTime
	RealTimeOnly bool
	// WakeUp is the longest time from a release until the kernel lets an idle thread run, which the analysis of response times
	// adds. Default 100 µs.
	WakeUp time.Duration
	// MemoryLimit is how much memory the control half may have, if it is a process of its own, before its garbage is
	// collected. Default 256 MiB.
	MemoryLimit int64
	// Sandbox names what the process has given up of its host, to be published with what it takes; empty if nobody has cared.
	Sandbox string
	// Linger is how long Run waits at its end for the ground to acknowledge everything. Default 0.
	Linger time.Duration

	Clock  env.Clock  // default env.SystemClock
	Rings  Rings      // default SharedRings
	Random io.Reader  // names boots and a new spool
	Rand   *rand.Rand // jitter
	Logger *slog.Logger
}

// WithDefaults fills what was left 0.
func (o Options) WithDefaults() Options {
	if o.RingBytes <= 0 {
		o.RingBytes = 1 << 20
	}
	if o.HealthPeriod <= 0 {
		o.HealthPeriod = time.Second
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = 5 * time.Second
	}
	if o.Probation <= 0 {
		o.Probation = 10 * time.Second
	}
	if o.WakeUp <= 0 {
		o.WakeUp = 100 * time.Microsecond
	}
	if o.MemoryLimit <= 0 {
		o.MemoryLimit = 256 << 20
	}
	if o.Clock == nil {
		o.Clock = env.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Rings == nil {
		o.Rings = SharedRings{Logger: o.Logger}
	}
	o.Courier.Device, o.Courier.Disk = o.Device, o.Disk
	o.Courier.Spool.Random = o.Random
	o.Courier.Delivery.Links = delivery.For(o.Courier.Delivery.Links, o.Links)
	return o
}

// Node is a machine. Unless a method says otherwise it is for one goroutine.
type Node struct {
	o       Options
	parts   []*part // in the order of their start
	tasks   []*task
	courier *courier.Courier
	spool   string // its identity, which the rings bear
	region  *ring.Region
	house   *house
	outputs map[string]fulmar.Output // by port
	opened  time.Duration
	running atomic.Bool

	half      half
	realTime  atomic.Bool           // the components' tasks have threads of their own
	safe      atomic.Pointer[error] // why the machine is in its safe state; nil if it is not
	version   version               // of the parameters
	commands  commands
	kept      kept                   // parameters that were set while the machine ran
	trouble   atomic.Pointer[string] // what is wrong with them on disk
	requests  chan request
	ended     chan struct{} // closed when the components are not supervised any more
	wake      chan struct{}
	troubleMu sync.Mutex
	troubles  []trouble // guarded by troubleMu
}

// New checks the components and joins their ports. It has no side effects.
func New(o Options) (*Node, error) {
	n := &Node{o: o.WithDefaults(), wake: make(chan struct{}, 1), requests: make(chan request), ended: make(chan struct{}), outputs: make(map[string]fulmar.Output)}
	if err := telemetry.ValidateDevice(o.Device); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if err := n.join(); err != nil {
		return nil, err
	}
	if len(n.tasks)+taskProducers > ring.MaxProducers {
		return nil, fmt.Errorf("node: %d tasks, at most %d", len(n.tasks), ring.MaxProducers-taskProducers)
	}
	if err := sched.Check(n.Analyze()); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if err := n.declareCommands(); err != nil {
		return nil, err
	}
	layouts, err := n.wire()
	if err != nil {
		return nil, err
	}
	n.house = newHouse(n, layouts)
	return n, nil
}

// Analyze bounds the response times of the components' tasks, the most urgent first, as far as they have budgets.
func (n *Node) Analyze() []sched.Bound {
	tasks := make([]*sched.Task, len(n.tasks))
	for i, t := range n.tasks {
		tasks[i] = sched.NewTask(t.part.name+"/"+t.name, t.spec.Timing(), nil, nil)
	}
	return sched.Analyze(tasks, n.o.WakeUp)
}

// join asks the components for their declarations and puts them in the order of their start.
func (n *Node) join() error {
	all := make([]Configured, 0, len(n.o.Components)+len(n.o.Configured))
	for _, c := range n.o.Components {
		all = append(all, Configured{Component: c})
	}
	all = append(all, n.o.Configured...)
	parts := make([]*part, len(all))
	specs := make([]fulmar.Spec, len(all))
	for i := range all {
		as := &all[i]
		if i < len(n.o.Components) {
			as = nil
		}
		p, err := newPart(all[i].Component, as)
		if err != nil {
			return err
		}
		if reserved(p.name) {
			return fmt.Errorf("node: %w: %q is the name of a part of every machine", ErrGraph, p.name)
		}
		if n.o.Hardware == nil && len(p.spec.Hardware) > 0 {
			return fmt.Errorf("node: %w: %q needs hardware, and this machine has none", ErrGraph, p.name)
		}
		parts[i], specs[i] = p, p.spec
	}
	sequence, err := order(specs)
	if err == nil {
		err = owners(specs)
	}
	if err != nil {
		return err
	}
	for _, i := range sequence {
		n.parts = append(n.parts, parts[i])
		n.tasks = append(n.tasks, parts[i].tasks...)
	}
	return nil
}

// Producers of the region.
const (
	houseProducer   = 0
	courierProducer = 1
	reportProducer  = 2 // of a courier half, about itself
	taskProducers   = 3 // and on
)

// wire binds the outputs, joins the inputs to them, and returns the outputs' layouts.
func (n *Node) wire() ([]*fulmar.Layout, error) {
	var layouts []*fulmar.Layout
	for _, t := range n.tasks {
		for _, out := range t.spec.Writes {
			l, err := out.Bind(t.part.name, nil)
			if err != nil {
				return nil, err
			}
			if _, dup := n.outputs[out.Port()]; dup {
				return nil, fmt.Errorf("node: %w: two outputs are named %q", ErrGraph, out.Port())
			}
			n.outputs[out.Port()] = out
			layouts = append(layouts, l)
		}
	}
	for _, t := range n.tasks {
		for _, in := range t.spec.Reads {
			if err := n.connect(t.part, in, nil); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range n.parts {
		layouts = append(layouts, p.events)
	}
	return layouts, nil
}

// source returns which component's port an input of a component reads.
func (n *Node) source(p *part, in fulmar.Input) (component, port string) {
	component, port, _ = strings.Cut(in.Source(), "/")
	return p.as.standsFor(p.own, component), port
}

// connect connects an input of a component, unless it is of parameters, or from an optional component that is not there.
func (n *Node) connect(p *part, in, before fulmar.Input) error {
	if in.Source() == "" {
		return nil
	}
	from, port := n.source(p, in)
	out, ok := n.outputs[from+"/"+port]
	if !ok && slices.Contains(p.spec.Optional, from) && n.part(from) == nil {
		return nil
	}
	if !ok {
		return fmt.Errorf("node: %w: %q reads %q, which no component writes", ErrGraph, p.name, from+"/"+port)
	}
	return in.Connect(out, before)
}

// Open opens the machine's data, recovers what earlier boots left, and begins a boot. After an error everything is closed, and
// what earlier boots left is there for another Node.
func (n *Node) Open() (err error) {
	defer n.closeAfter(&err)
	if err := n.openCourier(); err != nil {
		return err
	}
	return n.openControl()
}

// closeAfter closes what was opened, after an error.
func (n *Node) closeAfter(err *error) {
	if *err == nil {
		return
	}
	if n.courier != nil {
		*err = errors.Join(*err, n.courier.Close())
	}
	if n.region != nil {
		*err = errors.Join(*err, n.region.Close())
		n.region = nil
	}
}

// openCourier opens the spool and begins a boot in it, with a region.
func (n *Node) openCourier() (err error) {
	if err := n.openSpool(); err != nil {
		return err
	}
	if err := n.recover(); err != nil {
		return err
	}
	now := n.o.Clock.Now()
	boot, err := telemetry.NewBoot(n.courier.LastBoot(), time.Unix(0, now.Wall), n.o.Random)
	if err != nil {
		return err
	}
	// The region first: of a boot that is in the spool and has none, whatever its numbers may have been is lost. A process that ends
	// here leaves a region in which nothing is, and so does a boot that may have begun or not.
	n.region, err = n.o.Rings.Create(n.spool, ring.Options{Device: n.o.Device, Boot: boot, Producers: n.wantedProducers(), Capacity: n.o.RingBytes})
	if err != nil {
		return err
	}
	if err := n.courier.Begin(boot); err != nil {
		return err
	}
	return n.courier.Attach(n.region, courierProducer)
}

func (n *Node) wantedProducers() int {
	return len(n.tasks) + taskProducers
}

// openSpool opens the spool, which knows the machine's layouts from then on.
func (n *Node) openSpool() (err error) {
	n.opened = n.now()
	o := n.o.Courier
	o.Orders, o.Keys, o.Wall = true, n.o.Keys, func() int64 { return n.o.Clock.Now().Wall }
	if n.o.Keys != nil {
		if o.Session, err = seal.Begin(n.o.Keys, time.Unix(0, n.o.Clock.Now().Wall)); err != nil {
			return err
		}
	}
	if n.courier, err = courier.Open(o, n.o.Rand); err != nil {
		return err
	}
	for _, l := range n.house.layouts() {
		if err := n.courier.Define(l); err != nil {
			return err
		}
	}
	name, renewed := n.courier.Identity()
	n.spool = name
	if renewed {
		n.o.Logger.Warn("the spool's identity was missing or damaged, and it has a new one: a ring that an earlier process left is not found, and what was only there is declared lost")
	}
	return nil
}

// openControl makes everything ready that publishes into the region.
func (n *Node) openControl() error {
	n.opened = n.now()
	if err := n.house.open(); err != nil {
		return err
	}
	n.restore()
	for _, t := range n.tasks {
		if err := n.prepare(t); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) filter() telemetry.Filter {
	if n.o.Filter == nil {
		return nil
	}
	return n.o.Filter()
}

func (n *Node) recover() error {
	regions, err := n.o.Rings.Leftovers(n.spool, n.o.Device)
	if err != nil {
		return err
	}
	for i, region := range regions {
		r, err := n.courier.Recover(region)
		if err != nil {
			for _, rest := range regions[i:] {
				err = errors.Join(err, rest.Close())
			}
			return fmt.Errorf("node: recover boot %s: %w", region.Boot(), err)
		}
		if !r.Known {
			n.o.Logger.Info("recovered what an earlier process left", "boot", r.Boot.String(), "records", r.Records,
				"unfinished", r.Unclean, "dropped", r.Dropped)
		}
		if err := region.Remove(); err != nil {
			return fmt.Errorf("node: recover boot %s: %w", r.Boot, err)
		}
	}
	return nil
}

// Start starts the components in order. If one fails, those that had started are stopped again, unless its policy lets the machine
// start without it.
func (n *Node) Start(ctx context.Context) error { return errors.Join(n.startAll(ctx)) }

// startAll starts the components, and returns why it could not, and what went wrong when it stopped them again.
func (n *Node) startAll(ctx context.Context) (cause, stopped error) {
	for _, p := range n.parts {
		if ctx.Err() != nil {
			return fmt.Errorf("node: start: %w", ctx.Err()), n.Stop(context.WithoutCancel(ctx))
		}
		if !n.dependenciesUp(p) {
			p.to(waiting)
			p.until = n.now()
			p.monitor.Set(fulmar.StatusStopped, "it depends on what has not started")
			continue
		}
		p.to(starting)
		err := n.start(ctx, p)
		if err == nil {
			p.to(up)
			continue
		}
		p.monitor.Fail(int64(n.now()), err.Error())
		_, renews := p.component.(fulmar.Renewer)
		if r := p.spec.Restart; !r.FromStart || r.Never || !renews || ctx.Err() != nil {
			return fmt.Errorf("node: component %q: %w", p.name, err), n.Stop(context.WithoutCancel(ctx))
		}
		n.o.Logger.Error("the machine starts without a component, and goes on trying", "component", p.name, "error", err)
		n.house.event(fulmar.Error, fmt.Sprintf("component %s failed: %v", p.name, err))
		n.takeDown(ctx, nil, p)
		n.wait(p)
	}
	n.takeCommands()
	return nil, nil
}

// Stop stops the components that were started, last first. Their tasks have ended before.
func (n *Node) Stop(ctx context.Context) error {
	defer n.refuseCommands()
	var err error
	for _, p := range slices.Backward(n.parts) {
		if p.state == down {
			continue
		}
		if p.running {
			p.to(stopping)
			err = errors.Join(err, n.stop(ctx, p))
		}
		p.to(down)
		p.monitor.Set(fulmar.StatusStopped, "")
	}
	return err
}

// Tasks returns what an executor is to run from the start: the tasks of the components that have started, and last the node's own.
func (n *Node) Tasks() []*sched.Task {
	list := make([]*sched.Task, 0, len(n.tasks)+1)
	for _, t := range n.tasks {
		if t.part.state == up {
			list = append(list, t.scheduled())
		}
	}
	return append(list, n.house.task)
}

// Device returns the machine's name.
func (n *Node) Device() string { return n.o.Device }

// CourierStatus returns how the courier is doing, or was doing at the end. It may be called from any goroutine after
// Open.
func (n *Node) CourierStatus() courier.Status { return n.house.status() }

// Courier returns the machine's courier, for whoever drives it in virtual time.
func (n *Node) Courier() *courier.Courier { return n.courier }

// Region returns the ring of the boot.
func (n *Node) Region() *ring.Region { return n.region }

// Health returns how the components are, in the order of their start. It may be called from any goroutine.
func (n *Node) Health() []ComponentHealth {
	list := make([]ComponentHealth, len(n.parts))
	for i, p := range n.parts {
		list[i] = ComponentHealth{Name: p.name, Critical: p.critical, Health: p.monitor.Health()}
	}
	return list
}

// ComponentHealth is how one component is.
type ComponentHealth struct {
	Name     string
	Critical bool
	fulmar.Health
}

// TaskStats is how one task has run.
type TaskStats struct {
	Component, Task string
	Period          time.Duration
	Queued          uint64 // values that wait in the queues it reads
	QueueMissed     uint64 // values that found no room there since the component was built
	sched.Stats
}

// TaskStats returns how the components' tasks have run. It may be called from any goroutine.
func (n *Node) TaskStats() []TaskStats {
	list := make([]TaskStats, len(n.tasks))
	for i, t := range n.tasks {
		queued, missed := t.queues()
		list[i] = TaskStats{Component: t.part.name, Task: t.name, Period: t.period, Queued: queued, QueueMissed: missed, Stats: t.scheduled().Stats()}
	}
	return list
}

// Flush publishes a last word about health and accounts, after the tasks have ended, and declares what was dropped.
func (n *Node) Flush() {
	n.house.tell(time.Duration(n.o.Clock.Now().Mono))
	for _, t := range n.tasks {
		t.publisher.Flush()
	}
	n.house.publisher.Flush()
}

// Close closes the machine's data after the courier has ended the boot. With ended the ring is removed: everything is in
// the spool.
func (n *Node) Close(ended bool) error {
	if n.courier == nil {
		return nil
	}
	err := n.courier.Close()
	if n.region != nil {
		if ended {
			return errors.Join(err, n.region.Remove())
		}
		return errors.Join(err, n.region.Close())
	}
	return err
}
