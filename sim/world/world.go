package world

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/courier/batch"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Config says what happens in a world. Probabilities are 0 to 1; durations of 0 mean never.
type Config struct {
	Seed     uint64
	Machines int // default 1
	// Components makes the components of a machine at each of its starts. Records must carry their identity in a first
	// field "id" of type uint64 that no other record of the same machine has, unless their layout has no such field.
	Components func(rng *rand.Rand, nextID func() uint64) []fulmar.Component

	// The network. Links is how many ways a machine has to the ground, most preferred first; each breaks on its own, and at times all do.
	// Default 1.
	Links             int
	Loss, Duplication float64
	Delay             time.Duration // each message takes 1 ms to this long; more than a few ms reorders. Default 20 ms
	// Keys are what machines and ground seal with; see NewKeys. Nil: in the clear.
	Keys *Keys
	// Attacks is how often somebody on the way, who sees everything and has no keys, sends something of his own with a message: what
	// went over earlier, again, to anybody, or with bits changed. Only with Keys.
	Attacks    float64
	Partitions time.Duration // mean time between; each lasts up to a tenth of the world's Run or 20 s

	// What breaks.
	Kills     time.Duration // mean time between SIGKILLs of a machine's process
	PowerCuts time.Duration // mean time between power cuts of a machine
	GroundDie time.Duration // mean time between kills or power cuts of the ground

	// Disks. Each machine's and the ground's has troubles of its own; a process that cannot start with it is started
	// again, and one that runs goes on.
	DiskFaults time.Duration // mean time between: calls fail with EIO or ENOSPC, writes are short; for up to 6 s
	DiskFull   time.Duration // mean time between: somebody else takes the space that is left; for up to 20 s

	// Wall clocks. Monotonic time is always right.
	ClockJumps time.Duration // mean time between jumps of one clock, forwards or backwards, by up to 12 h
	ColdClocks bool          // a machine's clock shows 1970 after each power cut, and at first, for up to a minute

	// Shared is the folder of the shared memory of this world's machines, which nobody else may use. Default: a new one,
	// that Close removes.
	Shared string

	Spool     spool.Options
	Batch     [packet.Classes]batch.Limits
	Delivery  delivery.Options
	RingBytes int
}

// World is the state. It is for one goroutine.
type World struct {
	c      Config
	rng    *rand.Rand
	now    time.Duration
	events events
	order  uint64

	machines []*machine
	ground   *ground
	net      network
	calm     bool // nothing breaks any more
	logger   *slog.Logger
	err      error // the first thing that must not happen
	nextID   uint64
	shared   string // to be removed
}

// Carried returns how many messages went over each link, both ways together.
func (w *World) Carried() []uint64 { return w.net.carried }

// New makes a world and starts what is in it.
func New(c Config) (*World, error) {
	if c.Machines <= 0 {
		c.Machines = 1
	}
	if c.Delay <= 0 {
		c.Delay = 20 * time.Millisecond
	}
	w := &World{c: c, rng: rand.New(rand.NewPCG(c.Seed, 0x66756c6d6172)), logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	w.net.w, w.net.down, w.net.carried = w, make([]bool, max(1, c.Links)), make([]uint64, max(1, c.Links))
	if c.Shared == "" {
		if err := w.makeShared(); err != nil {
			return nil, err
		}
	}
	w.ground = newGround(w)
	w.ground.start()
	w.wear(w.ground.disk, &w.ground.clock)
	for i := range c.Machines {
		m := newMachine(w, machineName(i))
		w.machines = append(w.machines, m)
		w.wear(m.disk, &m.clock)
		m.start()
		w.often(c.Kills, m.kill)
		w.often(c.PowerCuts, m.powerCut)
	}
	w.often(c.Partitions, w.net.partition)
	w.often(c.GroundDie, w.ground.die)
	if w.err != nil {
		return nil, errors.Join(w.err, w.Close())
	}
	return w, nil
}

// makeShared makes the folder of shared memory, in memory where there is such a file system.
func (w *World) makeShared() (err error) {
	dir := ""
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		dir = "/dev/shm"
	}
	if w.shared, err = os.MkdirTemp(dir, "fulmar-world-"); err != nil {
		return fmt.Errorf("world: %w", err)
	}
	w.c.Shared = w.shared
	return nil
}

// wear lets a disk and a clock have their troubles.
func (w *World) wear(d *disk, c *clock) {
	w.often(w.c.DiskFaults, d.breakDown)
	w.often(w.c.DiskFull, d.fill)
	w.often(w.c.ClockJumps, c.jump)
}

// Close ends what still runs and removes the shared memory that New made. The world is of no use afterwards.
func (w *World) Close() error {
	var err error
	for _, m := range w.machines {
		if m.node != nil {
			err = errors.Join(err, m.node.Region().Close())
			m.node = nil
		}
	}
	if w.shared != "" {
		err = errors.Join(err, os.RemoveAll(w.shared))
	}
	return err
}

// Now returns the virtual time since the world's beginning.
func (w *World) Now() time.Duration { return w.now }

// Run lets time pass. It ends early with the first thing that must not happen.
func (w *World) Run(d time.Duration) error {
	for end := w.now + d; w.err == nil && len(w.events) > 0 && w.events[0].at <= end; {
		w.next()
	}
	return w.err
}

func (w *World) next() {
	e := heap.Pop(&w.events).(event)
	w.now = e.at
	e.do()
}

// Settle stops everything that breaks, ends the machines in order, and lets time pass until all that was published is
// accounted for, at most limit.
func (w *World) Settle(limit time.Duration) error {
	w.calm = true
	w.net.heal()
	w.ground.disk.heal()
	for _, m := range w.machines {
		m.disk.heal()
		m.retire()
	}
	for end := w.now + limit; w.err == nil && !w.settled(); {
		if len(w.events) == 0 || w.events[0].at > end {
			return fmt.Errorf("world: not settled after %s: %s", limit, w.describe())
		}
		w.next()
	}
	return w.err
}

func (w *World) settled() bool {
	if w.ground.intake == nil {
		return false
	}
	for _, m := range w.machines {
		if !m.settled() {
			return false
		}
	}
	return true
}

func (w *World) describe() string {
	s := fmt.Sprintf("ground up %t", w.ground.intake != nil)
	for _, m := range w.machines {
		s += "; " + m.describe()
	}
	return s
}

// after does something later. Things at the same time happen in the order in which they were asked for.
func (w *World) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, event{at: w.now + max(d, 0), order: w.order, do: do})
}

// often does something again and again, at random times with the given mean, until the world is calm.
func (w *World) often(mean time.Duration, do func()) {
	if mean <= 0 {
		return
	}
	w.after(time.Duration(w.rng.ExpFloat64()*float64(mean)), func() {
		if w.calm {
			return
		}
		do()
		w.often(mean, do)
	})
}

func (w *World) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// upTo draws a duration from 1 ms to d.
func (w *World) upTo(d time.Duration) time.Duration {
	return time.Millisecond + time.Duration(w.rng.Int64N(int64(max(d-time.Millisecond, 1))))
}

func (w *World) must(err error) {
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("world: at %s: %w", w.now, err)
	}
}

type event struct {
	at    time.Duration
	order uint64
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}
