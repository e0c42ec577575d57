package world

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// pollPeriod is how often a machine's courier looks at its ring.
const pollPeriod = 20 * time.Millisecond

// machine is one machine: node, courier, disk and shared memory.
type machine struct {
	w     *World
	name  string
	disk  *disk
	clock clock
	life  int // counts starts and ends

	node      *node.Node // nil while it is down
	tasks     watched
	attend    time.Duration // when its supervision is due
	connected []bool        // per link
	heard     int           // the link over which the ground heard of it last, over which it answers
	retired   bool          // no tasks any more
	published list
	spool     string           // its identity
	boots     []telemetry.Boot // in the order in which they began
}

func newMachine(w *World, name string) *machine {
	m := &machine{w: w, name: name, disk: newDisk(w), clock: clock{w: w}, published: make(list), connected: make([]bool, len(w.net.down))}
	if w.c.ColdClocks {
		m.clock.lose()
	}
	return m
}

// Now and Read make the machine its node's clock and source of randomness.
func (m *machine) Now() env.Time { return env.Time{Mono: int64(m.w.now), Wall: m.clock.wall()} }

func (m *machine) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(m.w.rng.Uint32())
	}
	return len(p), nil
}

// dialer is a link.Dialer of which the node only needs to know that there is one: the world performs the courier's effects
// itself.
type dialer int

// Dial implements link.Dialer.
func (d dialer) Dial(context.Context) (link.Conn, error) { return nil, errUnreachable }

func (d dialer) String() string { return fmt.Sprintf("world-%d", int(d)) }

func (m *machine) dialers() []link.Dialer {
	list := make([]link.Dialer, len(m.connected))
	for l := range list {
		list[l] = dialer(l)
	}
	return list
}

// rings is the machine's shared memory.
func (m *machine) rings() node.SharedRings {
	return node.SharedRings{Dir: m.w.c.Shared, Logger: m.w.logger}
}

// restartDelay is what a supervisor waits at most before it starts a process again.
const restartDelay = 4 * time.Second

// start starts the machine's process; one that the disk does not let start is started again, as a supervisor would.
func (m *machine) start() {
	if m.node != nil {
		return
	}
	n, err := node.New(node.Options{
		Device:     m.name,
		Components: m.w.c.Components(m.w.rng, m.w.id),
		Disk:       m.disk.Disk,
		Links:      m.dialers(),
		Courier:    courier.Options{Spool: m.w.c.Spool, Batch: m.w.c.Batch, Delivery: m.w.c.Delivery},
		Keys:       m.w.c.Keys.device(m.name),
		RingBytes:  m.w.c.RingBytes,
		Clock:      m,
		Rings:      m.rings(),
		Random:     m,
		Rand:       rand.New(rand.NewPCG(m.w.rng.Uint64(), 1)),
		Logger:     m.w.logger,
	})
	if err == nil {
		err = n.Open()
		m.identify(n)
	}
	if err != nil && m.disk.excuses(err) {
		m.disk.Kill()
		m.w.after(m.w.upTo(restartDelay), m.start)
		return
	}
	if err == nil {
		err = n.Start(context.Background())
	}
	if err != nil {
		m.w.must(err)
		return
	}
	m.life++
	m.node = n
	clear(m.connected)
	m.boots = append(m.boots, n.Region().Boot())
	tasks := n.Tasks()
	if m.retired {
		tasks = nil
	}
	m.attend = m.w.now
	m.tasks = watched{sched.NewVirtual(m.w.now, nil), m}
	m.w.must(m.tasks.Add(tasks...))
	m.perform()
	m.alive(m.runTasks)
	m.alive(m.poll)
}

// identify notes the identity of a node's spool, which stays for good.
func (m *machine) identify(n *node.Node) {
	if n.Courier() == nil {
		return
	}
	id, _ := n.Courier().Identity()
	if m.spool != "" && m.spool != id {
		m.w.must(fmt.Errorf("%s: its spool was %s and is %s", m.name, m.spool, id))
	}
	m.spool = id
}

func (w *World) id() uint64 {
	w.nextID++
	return w.nextID
}

// alive does something now, as long as the machine is in the same life. What it schedules is to go through alive too.
func (m *machine) alive(do func()) { m.later(0, do) }

func (m *machine) later(d time.Duration, do func()) {
	life := m.life
	m.w.after(d, func() {
		if m.life == life && m.node != nil {
			do()
		}
	})
}

// watch notes, for the judge, every record whose Publish returned.
func (m *machine) watch(t *sched.Task) {
	step, leave := t.Step, t.Leave
	t.Step = func(now, dt time.Duration) (err error) {
		m.noting(func() { err = step(now, dt) })
		return err
	}
	if leave != nil {
		t.Leave = func() { m.noting(leave) }
	}
}

// noting notes what is published meanwhile.
func (m *machine) noting(do func()) {
	region := m.node.Region()
	var before [packet.Classes]uint64
	for i := range before {
		before[i] = region.Next(packet.ClassAt(i))
	}
	do()
	for i := range before {
		class := packet.ClassAt(i)
		stream := telemetry.Stream{Device: m.name, Boot: region.Boot(), Class: class}
		for seq := before[i]; seq < region.Next(class); seq++ {
			m.published.add(stream, seq)
		}
	}
}

// watched runs a machine's tasks, those that supervision adds too, under the judge's eyes.
type watched struct {
	*sched.Virtual
	m *machine
}

// Add implements node.Executor.
func (w watched) Add(tasks ...*sched.Task) error {
	for _, t := range tasks {
		w.m.watch(t)
	}
	return w.Virtual.Add(tasks...)
}

func (m *machine) runTasks() {
	m.tasks.Run(m.w.now)
	if !m.retired && m.attend <= m.w.now {
		m.noting(func() { m.attend = m.node.Attend(context.Background(), m.tasks) })
	}
	at, ok := m.tasks.Next()
	if !m.retired && (!ok || m.attend < at) {
		at, ok = m.attend, true
	}
	if ok {
		m.later(at-m.w.now, m.runTasks)
	}
}

func (m *machine) poll() {
	c := m.node.Courier()
	c.Poll(m.w.now)
	if m.retired && !c.Drained() {
		c.Flush(m.w.now)
	}
	m.perform()
	m.later(pollPeriod, m.poll)
}

// perform does what the courier asks for.
func (m *machine) perform() {
	c := m.node.Courier()
	for effects := c.Effects(); len(effects) > 0; effects = c.Effects() {
		for _, e := range effects {
			switch e := e.(type) {
			case courier.Sync:
				m.later(m.w.upTo(25*time.Millisecond), func() {
					c.Synced(m.w.now, c.SyncSpool())
					m.perform()
				})
			case delivery.Dial:
				m.later(m.w.upTo(m.w.c.Delay), func() { m.dialled(e.Link) })
			case delivery.HangUp:
				m.connected[e.Link] = false
			case courier.Transmit:
				m.transmit(e)
			case courier.Say:
				m.send(e.Link, e.Message)
			case courier.Carry:
				m.node.Command(e.Order)
			}
		}
	}
}

func (m *machine) dialled(l int) {
	if m.w.net.down[l] || m.w.ground.intake == nil && m.w.rng.IntN(2) == 0 {
		m.node.Courier().Down(m.w.now, l, errUnreachable)
	} else {
		m.connected[l] = true
		m.node.Courier().Up(m.w.now, l)
	}
	m.perform()
}

// send hands a message to the network.
func (m *machine) send(l int, message []byte) {
	if m.connected[l] {
		m.w.net.send(l, message, m.up)
	}
}

// up is where the network delivers what the machine sends.
func (m *machine) up(l int, b []byte) {
	m.heard = l
	m.w.ground.receive(m.name, b)
}

func (m *machine) transmit(e courier.Transmit) {
	m.send(e.Link, e.Message)
	m.later(m.w.upTo(2*time.Millisecond), func() {
		m.node.Courier().Sent(m.w.now, e.Link, e.Key, nil)
		m.perform()
	})
}

func (m *machine) receive(l int, b []byte) {
	if m.node == nil || !m.connected[l] {
		return
	}
	if err := m.node.Courier().Received(m.w.now, l, b); err != nil && m.w.c.Attacks == 0 {
		m.w.must(err)
	}
	m.perform()
}

// cut is the network's end of the connection over a link.
func (m *machine) cut(l int) {
	if m.node == nil || !m.connected[l] {
		return
	}
	m.connected[l] = false
	m.node.Courier().Down(m.w.now, l, errCut)
	m.perform()
}

// kill is a SIGKILL: the disk has what was written, the shared memory stays.
func (m *machine) kill() {
	if m.node == nil {
		return
	}
	region := m.node.Region()
	if !region.Survives() {
		m.mayLose(region)
	}
	m.w.must(region.Close())
	m.end()
	m.disk.Kill()
}

// powerCut takes the shared memory and what was not synced, also while the machine is down.
func (m *machine) powerCut() {
	if m.node != nil {
		m.mayLose(m.node.Region())
		m.w.must(m.node.Region().Close())
		m.end()
	}
	left, err := m.rings().Leftovers(m.spool, m.name)
	m.w.must(err)
	for _, region := range left {
		m.mayLose(region)
		m.w.must(region.Remove())
	}
	m.disk.Crash(m.w.rng, simdisk.Mode(m.w.rng.IntN(simdisk.Modes)))
	if m.w.c.ColdClocks {
		m.clock.lose()
	}
}

// mayLose notes that what a region holds and is not on disk is gone.
func (m *machine) mayLose(region *ring.Region) {
	for i := range packet.Classes {
		class := packet.ClassAt(i)
		m.published.mayLose(telemetry.Stream{Device: m.name, Boot: region.Boot(), Class: class}, region.Durable(class))
	}
}

func (m *machine) end() {
	m.node, m.tasks = nil, watched{}
	clear(m.connected)
	m.life++
	m.w.after(m.w.upTo(restartDelay), m.start)
}

// retire ends the tasks, for good.
func (m *machine) retire() {
	m.retired = true
	if m.node != nil {
		m.tasks = watched{sched.NewVirtual(m.w.now, nil), m}
		m.node.Flush()
	}
}

func (m *machine) settled() bool { return m.node != nil && m.node.Courier().Delivered() }

func (m *machine) describe() string {
	if m.node == nil {
		return m.name + " down"
	}
	s := m.node.Courier().Status()
	return fmt.Sprintf("%s drained %t, accounts %+v, links %+v, disk error %v", m.name, m.node.Courier().Drained(), s.Accounts, s.Links, s.DiskError)
}

// idOf reads the identity of a record: its first value, if that is a uint64 named "id".
func idOf(l *telemetry.Layout, p []byte) (uint64, bool) {
	if l.Fields[0].Name != "id" || l.Fields[0].Type != packet.Uint64 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(p[packet.HeaderSize:]), true
}
