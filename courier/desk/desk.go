package desk

import (
	"fmt"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/order"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
)

// Options of a Desk.
type Options struct {
	Device string
	Disk   env.Disk
	Dir    string // of the journal
	// Keys say which grounds are trusted. Nil takes what is in the clear: for the bench.
	Keys *identity.Keyring
	// Wall is the machine's clock on the wall, ns since 1970, for people who read the journal. Nil for none.
	Wall func() int64
}

// Limits of what a machine holds of orders.
const (
	maxOpen   = 64        // taken and not ended
	maxKnown  = 4096      // orders whose answer is remembered
	maxGround = 64        // processes of grounds whose numbers are remembered, of a session
	maxBytes  = 8 << 20   // of the journal; beyond it the oldest entries go
	segment   = 512 << 10 // of the journal

	// A machine takes burst orders at once, and one more each pause.
	burst = 32
	pause = 100 * time.Millisecond
)

// Desk is the state.
type Desk struct {
	o         Options
	log       *seglog.Log
	challenge order.Challenge

	known   map[command.ID]*entry
	ids     []command.ID        // of known, the oldest first
	open    []*entry            // taken and not ended, the oldest first
	numbers map[[16]byte]uint64 // per process of a ground, the greatest number that came in this session
	spent   float64             // of burst
	spentAt time.Duration

	unsynced bool     // something was appended since the last Sync began
	fresh    []*entry // taken, and not durable yet
	syncing  []*entry // of fresh, those that the Sync under way is about
	boot     telemetry.Boot
}

// entry is an order that was taken.
type entry struct {
	order   command.Order
	boot    telemetry.Boot
	durable bool
	ended   bool
	refusal string // why it was not taken; empty if it was
}

// Open opens the journal. What it says of orders that had not ended is for Begin.
func Open(o Options) (*Desk, error) {
	d := &Desk{o: o, known: make(map[command.ID]*entry), numbers: make(map[[16]byte]uint64)}
	var err error
	if d.log, err = seglog.Open(o.Disk, o.Dir, seglog.Options{MaxRecord: maxNote, SegmentSize: segment}); err != nil {
		return nil, fmt.Errorf("desk: open: %w", err)
	}
	for i := d.log.First(); i < d.log.Next(); i++ {
		b, err := d.log.ReadAt(i, nil)
		if err != nil {
			continue // damaged: an order that is lost by it is not told of again
		}
		n, err := parseNote(b)
		if err != nil {
			continue
		}
		switch e := d.known[n.Outcome.ID]; {
		case n.Kind == Took && e == nil: // another is of one that outlived the beginning of the journal
			e = &entry{order: n.Order, boot: n.Boot, durable: true}
			d.remember(e)
			d.open = append(d.open, e)
		case n.Kind == Ended && e != nil:
			d.end(e)
		}
	}
	return d, nil
}

// Close closes the journal.
func (d *Desk) Close() error { return d.log.Close() }

// Use goes on in another session, or for another start of the process.
func (d *Desk) Use(c order.Challenge) {
	d.challenge = c
	clear(d.numbers)
}

// Begin says which boot the machine is in, when the desk knows all that earlier processes have published. Of orders of an earlier boot that have
// not ended it returns what is to be published in their place; of this boot's, which are to be carried out unless they have been.
func (d *Desk) Begin(boot telemetry.Boot) (unknown []command.Outcome, again []command.Order) {
	d.boot = boot
	for _, e := range d.open {
		if e.boot == boot {
			again = append(again, e.order)
			continue
		}
		unknown = append(unknown, command.Outcome{ID: e.order.ID, Name: e.order.Name, State: command.Failed,
			Text: "the machine ended before it told what became of it: it may have been carried out"})
	}
	return unknown, again
}

// Hail answers a ground that wants to give an order.
func (d *Desk) Hail(now time.Duration) link.Clock { return link.Clock{At: now, Challenge: d.challenge} }

// Order takes an order that came over a link. The answer is nil if it is to be given when the disk has it; an error is that it is nobody's, and
// not to be answered.
func (d *Desk) Order(now time.Duration, b []byte) (*link.Receipt, error) {
	s, from, err := order.Open(b, d.o.Keys)
	if err != nil {
		return nil, err
	}
	if s.Device != d.o.Device {
		return nil, fmt.Errorf("desk: an order for %s: %w", s.Device, order.ErrForged)
	}
	if e := d.known[s.Order.ID]; e != nil {
		return e.receipt(), nil
	}
	if s.Challenge != d.challenge {
		return &link.Receipt{ID: s.Order.ID, Code: link.Stale, Text: "it was signed for another start of the machine's process"}, nil
	}
	e := &entry{order: s.Order, boot: d.boot, refusal: d.refuse(now, s)}
	n := Note{Kind: Took, Boot: d.boot, At: now, From: signer(from), Order: s.Order}
	if e.refusal == "" {
		if err = d.note(n); err == nil {
			d.remember(e)
			d.open, d.fresh = append(d.open, e), append(d.fresh, e)
			return nil, nil //nolint:nilnil // as said above
		}
		e.refusal = "the machine's journal cannot be written: " + err.Error()
	} else {
		n.Kind, n.Outcome.Text = Refused, e.refusal
		err = d.note(n) // that it could not be noted changes nothing for who gave it
	}
	e.ended = true
	d.remember(e)
	return e.receipt(), err
}

func signer(p identity.Peer) string {
	if p.Serial == "" {
		return ""
	}
	return p.String() + " " + p.Serial
}

// receipt is the answer to an order; nil as long as it is to wait for the disk.
func (e *entry) receipt() *link.Receipt {
	switch {
	case e.refusal != "":
		return &link.Receipt{ID: e.order.ID, Code: link.NotAccepted, Text: e.refusal}
	case !e.durable:
		return nil
	}
	return &link.Receipt{ID: e.order.ID, Code: link.Taken}
}

// refuse says why an order that is a ground's is not taken; empty if it is.
func (d *Desk) refuse(now time.Duration, s order.Signed) string {
	last, seen := d.numbers[s.Process]
	switch {
	case s.Number <= last:
		return "it came again, or after one that was given later"
	case !seen && len(d.numbers) >= maxGround:
		return "too many processes of grounds have commanded this machine since it started"
	}
	d.numbers[s.Process] = s.Number
	d.spent = max(0, d.spent-float64(now-d.spentAt)/float64(pause))
	d.spentAt = now
	switch {
	case now > s.Order.Deadline:
		return "it came too late"
	case len(d.open) >= maxOpen:
		return fmt.Sprintf("%d commands have not ended yet", len(d.open))
	case d.spent >= burst:
		return fmt.Sprintf("too many commands: the machine takes %d at once and then one each %s", burst, pause)
	}
	d.spent++
	return ""
}

// Ended says what became of an order, as it was published at a time of the boot. One that is not known, or has ended, is nothing.
func (d *Desk) Ended(at time.Duration, o command.Outcome) error {
	e := d.known[o.ID]
	if e == nil || e.ended {
		return nil
	}
	d.end(e)
	return d.note(Note{Kind: Ended, Boot: d.boot, At: at, Order: e.order, Outcome: o})
}

func (d *Desk) end(e *entry) {
	e.ended = true
	d.open = slices.DeleteFunc(d.open, func(x *entry) bool { return x == e })
}

// remember keeps an order's answer; the oldest that have ended are forgotten.
func (d *Desk) remember(e *entry) {
	d.known[e.order.ID] = e
	d.ids = append(d.ids, e.order.ID)
	for i := 0; len(d.ids) > maxKnown; {
		if !d.known[d.ids[i]].ended { // at most maxOpen
			i++
			continue
		}
		delete(d.known, d.ids[i])
		d.ids = slices.Delete(d.ids, i, i+1)
	}
}

// Unsynced reports whether a Sync is wanted.
func (d *Desk) Unsynced() bool { return d.unsynced }

// BeginSync returns what makes the journal durable, to be called on any goroutine and followed by Synced; nil if nothing wants it.
func (d *Desk) BeginSync() func() error {
	if !d.unsynced {
		return nil
	}
	d.unsynced = false
	d.syncing, d.fresh = append(d.syncing, d.fresh...), nil
	return d.log.Sync
}

// Synced says how a Sync went. Orders that are durable now are to be answered and carried out; with an error they wait for the next one.
func (d *Desk) Synced(err error) (receipts []link.Receipt, orders []command.Order) {
	if err != nil {
		d.fresh, d.syncing, d.unsynced = append(d.syncing, d.fresh...), nil, true
		return nil, nil
	}
	for _, e := range d.syncing {
		e.durable = true
		receipts = append(receipts, *e.receipt())
		orders = append(orders, e.order)
	}
	d.syncing = nil
	return receipts, orders
}

// note appends to the journal. What had not ended when its entry goes is noted anew.
func (d *Desk) note(n Note) error {
	if d.o.Wall != nil {
		n.Wall = d.o.Wall()
	}
	if err := d.append(n); err != nil {
		return err
	}
	for end, _, ok := d.log.OldestSealed(); ok && d.log.Bytes() > maxBytes; end, _, ok = d.log.OldestSealed() {
		for _, e := range d.open {
			if err := d.append(Note{Kind: Took, Boot: e.boot, Wall: n.Wall, Order: e.order}); err != nil {
				return err
			}
		}
		if err := d.log.Sync(); err != nil {
			return fmt.Errorf("desk: %w", err)
		}
		if err := d.log.TrimFront(end); err != nil {
			return fmt.Errorf("desk: %w", err)
		}
	}
	return nil
}

func (d *Desk) append(n Note) error {
	if _, err := d.log.Append(n.append(nil)); err != nil {
		return fmt.Errorf("desk: %w", err)
	}
	d.unsynced = true
	return nil
}

// Open returns the orders that were taken and have not ended, the oldest first.
func (d *Desk) Open() []command.Order {
	list := make([]command.Order, len(d.open))
	for i, e := range d.open {
		list[i] = e.order
	}
	return list
}
