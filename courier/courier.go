package courier

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fulmar-io/fulmar/courier/batch"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/seal"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Options of a Courier. The zero value of each field means its default, where one is given.
type Options struct {
	Device string
	Disk   env.Disk
	Dir    string // folder on the disk. Default "spool"
	Spool  spool.Options
	// Batch limits per class, by Class.Index. Default ages: urgent 100 ms, normal 1 s, bulk 5 s.
	Batch    [packet.Classes]batch.Limits
	Delivery delivery.Options
	// DeadBytes bounds the dead letters; beyond it the oldest go. Default 64 MiB.
	DeadBytes int64
	// Session is what everything is sealed in on its way to the ground. Nil is in the clear: for the bench.
	Session *seal.Session
	// Orders has the courier take orders, of the grounds that Keys trust; with nil Keys those in the clear. Wall is the machine's clock on
	// the wall for their journal, ns since 1970; nil for none.
	Orders bool
	Keys   *identity.Keyring
	Wall   func() int64
}

var defaultAges = [packet.Classes]time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second}

// WithDefaults fills what was left 0, those of the parts included.
func (o Options) WithDefaults() Options {
	if o.Dir == "" {
		o.Dir = "spool"
	}
	for i := range o.Batch {
		if o.Batch[i].Age <= 0 {
			o.Batch[i].Age = defaultAges[i]
		}
		o.Batch[i] = o.Batch[i].WithDefaults()
	}
	if o.DeadBytes <= 0 {
		o.DeadBytes = 64 << 20
	}
	o.Spool, o.Delivery = o.Spool.WithDefaults(), o.Delivery.WithDefaults()
	return o
}

// Sync is an Effect beside those of delivery: make the spool durable by calling SyncSpool, on any goroutine, and report
// with Synced. Until then the Courier appends nothing; everything else goes on.
type Sync struct{}

// Effect is a Sync, Transmit, Say, Learn or Carry, or one of delivery's Dial and HangUp.
type Effect any

// Courier is the state. It is for one goroutine, except for SyncSpool.
type Courier struct {
	o        Options
	rng      *rand.Rand
	spool    *spool.Spool
	layouts  *layouts
	ahead    *ahead
	dead     *DeadLetters
	delivery *delivery.Machine
	boot     telemetry.Boot
	last     telemetry.Boot // the greatest that is known

	region   *ring.Region
	consumer *ring.Consumer
	own      *ring.Producer // for definitions that the ground asks for
	marks    [][]mark       // per producer, what is taken and not yet durable
	streams  [packet.Classes]*stream

	syncing   bool
	unsynced  bool          // a Sync has failed: another is wanted, whether anything is appended or not
	retryAt   time.Duration // after a failure to store: not before
	failures  int
	lastError error
	savedAt   time.Duration
	at        time.Duration // of the last Poll
	effects   []Effect
	packet    packet.Writer
	counters  Counters
	wire      wire
	orders    *orders
	budgets   budgets
}

// stream is one class of the boot that is running.
type stream struct {
	sorter  batch.Sorter
	batcher *batch.Batcher
	pending [][]byte // frames to be appended
	bytes   int      // of pending
	durable uint64   // numbers below it are on disk
	framed  uint64   // and in frames
	written uint64   // numbers below it are appended, in frames
	tail    tail     // what of the batch is in no log
	added   uint64   // numbers below it are in the log ahead, if they are not written; 0 if none ever was
	ceiling uint64   // reserved, once durable
	raising uint64   // ceiling that is being made durable; 0 if none
	peak    uint64   // most numbers that were used within a second, lately
	tickAt  time.Duration
	ticked  uint64
	// waitsSince is when the record that is next began to wait for its layout; 0 if it does not.
	waitsSince time.Duration
}

type mark struct {
	at    ring.Mark
	class packet.Class
	end   uint64
}

// Counters tell what the courier did, over its lifetime.
type Counters struct {
	Frames, FrameBytes uint64 // appended to the spool
	RawBytes           uint64 // of the packets in them
	Delivered          uint64 // frames
	DeadLetters        uint64
	StoreErrors        uint64
	Forged             uint64 // messages that were not the ground's
}

// Open opens the courier's folder on the disk.
func Open(o Options, rng *rand.Rand) (*Courier, error) {
	o = o.WithDefaults()
	if err := telemetry.ValidateDevice(o.Device); err != nil {
		return nil, fmt.Errorf("courier: open: %w", err)
	}
	c := &Courier{o: o, rng: rng, wire: newWire(o.Session, len(o.Delivery.Links))}
	var err error
	if c.spool, err = spool.Open(o.Disk, o.Dir, o.Device, o.Spool); err != nil {
		return nil, fmt.Errorf("courier: open: %w", err)
	}
	for i := range packet.Classes {
		c.remember(c.spool.State(packet.ClassAt(i)).Boot)
	}
	if c.layouts, err = openLayouts(o.Disk, o.Dir+"/layouts"); err != nil {
		return nil, errors.Join(fmt.Errorf("courier: open: %w", err), c.spool.Close())
	}
	if c.ahead, err = openAhead(o.Disk, o.Dir+"/ahead", o.Spool.MinFree); err != nil {
		return nil, errors.Join(fmt.Errorf("courier: open: %w", err), c.layouts.close(), c.spool.Close())
	}
	if err := c.replay(); err != nil {
		return nil, errors.Join(fmt.Errorf("courier: open: %w", err), c.ahead.close(), c.layouts.close(), c.spool.Close())
	}
	if c.dead, err = OpenDeadLetters(o.Disk, o.Dir+"/dead", o.DeadBytes); err != nil {
		return nil, errors.Join(fmt.Errorf("courier: open: %w", err), c.ahead.close(), c.layouts.close(), c.spool.Close())
	}
	if o.Session != nil {
		c.failed(0, c.keepSession(o.Session))
	}
	if err := c.openOrders(); err != nil {
		return nil, errors.Join(fmt.Errorf("courier: open: %w", err), c.Close())
	}
	c.failed(0, c.openBudgets())
	return c, nil
}

// Close closes the files.
func (c *Courier) Close() error {
	var err error
	if c.orders != nil {
		err = c.orders.desk.Close()
	}
	return errors.Join(err, c.budgets.close(), c.ahead.close(), c.spool.Close(), c.layouts.close(), c.dead.Close())
}

// Identity is the spool's; see there.
func (c *Courier) Identity() (id string, renewed bool) { return c.spool.Identity() }

// LastBoot returns the boot behind which the next one's name has to sort: the greatest that the spool is at in any class, or
// that was recovered or begun since it was opened. It is the zero Boot if there is none.
func (c *Courier) LastBoot() telemetry.Boot { return c.last }

func (c *Courier) remember(boot telemetry.Boot) {
	if boot.Compare(c.last) > 0 {
		c.last = boot
	}
}

// Catalog returns the layouts that the courier knows. Layouts that a machine adds at its start need not be published.
func (c *Courier) Catalog() *telemetry.Catalog { return &c.layouts.catalog }

// Define makes a layout known and remembers it on disk.
func (c *Courier) Define(l *telemetry.Layout) error { return c.layouts.add(l) }

// Effects returns what is to be done since it was last called, in order.
func (c *Courier) Effects() []Effect {
	e := c.effects
	c.effects = nil
	return e
}

// Wake returns when Poll wants to be called at the latest, or false if only an event can change anything. Records in the
// ring are no event: whoever drives the courier polls at the pace at which they should be seen.
func (c *Courier) Wake() (time.Duration, bool) {
	at, ok := c.delivery.Wake()
	earlier := func(t time.Duration) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	for _, s := range c.streams {
		if s == nil {
			continue
		}
		if due, some := s.batcher.Due(); some {
			earlier(due)
		}
		if (len(s.pending) > 0 || c.unsynced) && !c.syncing {
			earlier(c.retryAt)
		}
	}
	return at, ok
}

// saveInterval is how often the cursors are persisted. What was acknowledged since is sent again after a crash, and
// acknowledged again; each save costs the disk a few syncs.
const saveInterval = 5 * time.Second

// Poll takes what is in the ring, and lets time pass.
func (c *Courier) Poll(now time.Duration) {
	c.take(now)
	c.store(now)
	if now-c.savedAt >= saveInterval && !c.syncing {
		c.savedAt = now
		c.failed(now, errors.Join(c.spool.Save(), c.trimAhead(), c.saveBudgets(now)))
	}
	c.at = now
	c.recallBudgets(now)
	c.delivery.Tick(now)
	c.deliver(now)
}

// Up, Down and Sent are delivery's events; see there.
func (c *Courier) Up(now time.Duration, l int) {
	c.announce(now, l)
	c.delivery.Up(now, l)
	c.deliver(now)
}

// Down reports that a Dial failed or a connection was cut.
func (c *Courier) Down(now time.Duration, l int, err error) {
	c.wire.buffers[l] = nil
	c.delivery.Down(now, l, err)
	c.deliver(now)
}

// Sent answers a Transmit.
func (c *Courier) Sent(now time.Duration, l int, key delivery.Key, err error) {
	c.delivery.Sent(now, l, key, err)
	c.deliver(now)
}

// deliver performs the effects of delivery that concern the disk and passes the others on.
func (c *Courier) deliver(now time.Duration) {
	for {
		effects := c.delivery.Effects()
		if len(effects) == 0 {
			return
		}
		for _, e := range effects {
			switch e := e.(type) {
			case delivery.Load:
				frames, next := c.spool.Load(e.Class, e.Frames, e.Bytes)
				c.delivery.Loaded(now, e.Class, frames, next)
			case delivery.Done:
				c.counters.Delivered++
				c.spool.Done(e.Frame.Key, false)
			case delivery.Dead:
				c.bury(now, e)
			case delivery.Wanted:
				c.define(now, e.Layouts)
			case delivery.Transmit:
				m, err := c.wire.transmit(e)
				if err != nil {
					c.delivery.Sent(now, e.Link, e.Key, err)
					continue
				}
				c.effects = append(c.effects, m)
			case delivery.HangUp:
				c.wire.buffers[e.Link] = nil
				c.effects = append(c.effects, e)
			default:
				c.effects = append(c.effects, e)
			}
		}
	}
}

// bury keeps a refused frame with the dead letters. If it cannot be kept there it stays where it is, and is sent again
// after the next start.
func (c *Courier) bury(now time.Duration, e delivery.Dead) {
	c.counters.DeadLetters++
	if err := c.dead.Add(e.Frame.Class, e.Frame.Data, e.Reason); err != nil {
		c.failed(now, err)
		return
	}
	c.spool.Done(e.Frame.Key, true)
}

// define publishes the layouts that the ground asks for, as far as they are known.
func (c *Courier) define(now time.Duration, ids []telemetry.LayoutID) {
	if c.own == nil {
		return
	}
	for _, id := range ids {
		l := c.layouts.catalog.Layout(id)
		if l == nil {
			continue
		}
		if b, err := telemetry.AppendDefinition(&c.packet, l, packet.Urgent, int64(now), 0); err == nil {
			_, _ = c.own.Publish(b) // without room the ground asks again
		}
	}
}

// failed notes an error of the disk. The courier goes on: it tries again, and the machine's health shows it.
func (c *Courier) failed(now time.Duration, err error) {
	if err == nil {
		return
	}
	c.counters.StoreErrors++
	c.failures++
	c.lastError = err
	wait := min(250*time.Millisecond<<min(c.failures, 8), 30*time.Second)
	c.retryAt = now + time.Duration(c.rng.Int64N(int64(wait)+1))
}

// Status is how the courier is doing.
type Status struct {
	Accounts          [packet.Classes]ledger.Account
	SpoolBytes, Quota int64
	Counters          Counters
	Links             []delivery.LinkStatus
	Pauses            []delivery.PauseStatus
	InFlight          int
	RingBytes         uint64
	RingFullest       float64 // share of its capacity that the fullest producer's ring uses
	DiskError         error   // the last one, nil once it worked again
}

// Status returns how the courier is doing. Accounts include what is in the ring: numbered there, and waiting.
func (c *Courier) Status() Status {
	s := Status{Counters: c.counters, Links: c.delivery.Links(), Pauses: c.delivery.Pauses(c.at), DiskError: c.lastError}
	s.Counters.Forged = c.wire.forged
	s.SpoolBytes, s.Quota = c.spool.Bytes()
	s.InFlight, _ = c.delivery.InFlight()
	if c.consumer != nil {
		s.RingBytes, s.RingFullest = c.consumer.Backlog()
	}
	for i := range s.Accounts {
		class := packet.ClassAt(i)
		a := c.spool.Account(class)
		if c.region != nil {
			ahead := c.region.Next(class) - c.spool.State(class).Next
			a.Numbered += ahead
			a.Waiting += ahead
		}
		s.Accounts[i] = a
	}
	return s
}
