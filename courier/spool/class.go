package spool

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// class is one log and what is known of it.
type class struct {
	class  packet.Class
	device string
	log    *seglog.Log
	// mu guards state: the log asks for a checkpoint from Sync too, which may run while the rest goes on.
	mu    sync.Mutex
	state State
	// load is where to read next, and what came before it there.
	load   position
	loaded []*entry // read and not yet passed by the cursor, in order
	// declare is what is to be declared lost when there is a chance to append: what reading found damaged, what the
	// ground refused.
	declare []loss
	buf     []byte
	tries   int    // to read the record at load
	yields  int    // tries to read a record that is to yield
	yieldAt uint64 // and which: those before it that cannot be read are given up
	saved   uint64 // the cursor's index when it was last persisted
	// discarded is the index of the last record that let the cursor pass what was not delivered. What it declares must be
	// durable before the cursor is.
	discarded uint64
}

type position struct {
	index uint64
	boot  telemetry.Boot
	seq   uint64 // that comes next in boot
}

// entry is what was read at one index: a frame, and before it perhaps numbers that nobody holds any more.
type entry struct {
	index   uint64
	after   position
	boot    telemetry.Boot
	rng     ledger.Range
	count   uint64 // records of a frame that has any
	missing uint64 // numbers before it that were damaged
	outcome outcome
}

type outcome uint8

const (
	waiting outcome = iota
	delivered
	refused
	nothing // no frame: a mark, or damage
)

func openClass(disk env.Disk, dir, device string, pc packet.Class, o Options) (*class, error) {
	c := &class{class: pc, device: device, state: State{Clean: true}}
	log, err := seglog.Open(disk, dir+"/"+pc.String(), seglog.Options{
		SegmentSize: o.SegmentBytes,
		MaxRecord:   frame.MaxSize + 1,
		MinFree:     uint64(o.MinFree) / 2, // the other half is for declaring what yields
		Checkpoint:  c.checkpoint,
		ReadOnly:    o.ReadOnly,
	})
	if err != nil {
		return nil, err
	}
	c.log = log
	err = log.Report().Unreadable
	if o.ReadOnly {
		err = nil // for looking, what can be read is better than nothing
	}
	if err == nil {
		err = c.restore(o.ReadOnly)
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return c, nil
}

// restore rebuilds the state: from the newest checkpoint, what was appended after it, and the cursor that is furthest. A
// record that is damaged is passed over. One that the disk does not return may be whole: a boot that went on without it
// would number and spool the same records again.
func (c *class) restore(looking bool) error {
	checkpoint, from := c.log.Checkpoint()
	if len(checkpoint) > 0 {
		if err := c.state.parse(checkpoint); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	for i := from; i < c.log.Next(); i++ {
		record, err := c.log.ReadAt(i, c.buf)
		if errors.Is(err, seglog.ErrDamaged) && (looking || !seglog.Unreadable(err)) {
			continue // found again, and declared, when it is loaded
		}
		if err != nil {
			return err
		}
		c.buf = record
		if err := c.state.apply(record); err != nil {
			return fmt.Errorf("index %d: %w", i, err)
		}
	}
	var saved cursor
	if meta := c.log.Meta(); len(meta) > 0 && saved.parse(meta) == nil && saved.index > c.state.cursor.index {
		c.state.cursor = saved
	}
	if first := c.log.First(); c.state.cursor.index < first {
		c.state.cursor.index = first
	}
	k := &c.state.cursor
	c.saved = k.index
	if next := c.log.Next(); k.index > next && !looking {
		// The log has lost its end, of which the ground has a part. What is appended from here on gets indexes that were
		// passed, and would be passed again, if the cursor did not go back durably before.
		c.state.endAtCursor(next)
		if err := c.save(); err != nil {
			return err
		}
	}
	c.discarded = c.log.Next() - 1 // what is there may be such a record, and not durable
	c.load = position{index: k.index, boot: k.boot, seq: k.seq}
	return nil
}

// append appends records, all or none.
func (c *class) append(records ...[]byte) error {
	if _, err := c.log.AppendBatch(records...); err != nil {
		if errors.Is(err, seglog.ErrDiskFull) || errors.Is(err, seglog.ErrFull) {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
		return fmt.Errorf("spool: %s: %w", c.class, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		if err := c.state.apply(r); err != nil {
			return err
		}
	}
	return nil
}

func (c *class) checkpoint() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.append(nil)
}

func (c *class) appendFrame(kind byte, f []byte) error {
	c.buf = append(append(c.buf[:0], kind), f...)
	return c.append(c.buf)
}

func (c *class) appendDeclarations() error {
	for len(c.declare) > 0 {
		x := c.declare[0]
		if err := c.appendFrame(kindAside, c.lostFrame(x.boot, x.rng, x.why)); err != nil {
			return err
		}
		c.declare = c.declare[1:]
	}
	return nil
}

func (c *class) lostFrame(boot telemetry.Boot, r ledger.Range, why ledger.Reason) []byte {
	return frame.AppendLost(nil, telemetry.Stream{Device: c.device, Boot: boot, Class: c.class}, r.First, r.Count, why)
}

// read is Spool.Load.
func (c *class) read(most, bytes int) (frames []delivery.Frame, next uint64) {
	for len(frames) < most && bytes > 0 && c.load.index <= c.log.Durable() {
		e := &entry{index: c.load.index}
		record, err := c.log.ReadAt(c.load.index, nil)
		if err == nil {
			record, err = c.valid(c.load.index, record)
		}
		if err != nil && !givenUp(err, &c.tries, readTries) {
			break // the disk does not answer: again later
		}
		c.tries = 0
		c.load.index++
		if f, ok := c.take(e, record); ok {
			frames = append(frames, f)
			bytes -= len(f.Data)
		} else {
			e.outcome = nothing
		}
		e.after = c.load
		c.loaded = append(c.loaded, e)
	}
	c.advance()
	return frames, c.load.index
}

// How often a record that the disk does not return is asked for before it counts as damaged. To be sent it is asked for a
// second apart, to yield a few times a second.
const (
	readTries  = 10
	yieldTries = 100
)

// givenUp reports whether a record that could not be read is lost: damaged, or not returned by the disk again and again.
func givenUp(err error, tries *int, most int) bool {
	if errors.Is(err, seglog.ErrDamaged) && !seglog.Unreadable(err) {
		return true
	}
	*tries++
	return *tries >= most
}

// valid returns a record, or nil for a declaration of what was to yield and did not: a power cut has left only the beginning of
// what lets go, and what was to go is there to be sent. With an error of the mark's the record comes as well: it counts where
// that is given up, for a mark that is damaged has been there, and what it let go is gone.
func (c *class) valid(index uint64, record []byte) ([]byte, error) {
	ahead, ok := goneAhead(record)
	if !ok {
		return record, nil
	}
	mark, err := c.log.ReadAt(index+ahead, nil)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return record, err
	case len(mark) == 0 || mark[0] != kindDiscard:
		return nil, nil
	}
	return record, nil
}

// take looks at a record that was read and keeps the load position, and what is missing before it, up to date.
func (c *class) take(e *entry, record []byte) (delivery.Frame, bool) {
	if len(record) == 0 {
		return delivery.Frame{}, false
	}
	switch record[0] {
	case kindBegin:
		if before, end, ok := beforeBegin(record); ok {
			e.missing = c.expect(before, end)
			c.load.boot, c.load.seq = telemetry.Boot(record[1:17]), 0
		}
	case kindFrame, kindAside, kindGone:
		f := frameIn(record)
		h, err := frame.Peek(f)
		if err != nil {
			return delivery.Frame{}, false // its numbers are missed by the frame after it
		}
		r := ledger.Range{First: h.First, Count: h.Count}
		if record[0] == kindFrame {
			if h.Stream.Boot != c.load.boot { // its begin record was damaged
				c.load.boot, c.load.seq = h.Stream.Boot, 0
			}
			e.missing = c.expect(h.Stream.Boot, h.First)
			c.load.seq = r.End()
		}
		e.boot, e.rng = h.Stream.Boot, r
		if h.Mode != frame.Lost {
			e.count = h.Count
		}
		return delivery.Frame{Key: delivery.Key{Class: c.class, Index: e.index}, Boot: h.Stream.Boot, Range: r, Data: f}, true
	}
	return delivery.Frame{}, false
}

// expect says that the next number of a boot should be seq. If it is not, what lies between was damaged.
func (c *class) expect(boot telemetry.Boot, seq uint64) (missing uint64) {
	if boot != c.load.boot || seq <= c.load.seq {
		return 0
	}
	r := ledger.Range{First: c.load.seq, Count: seq - c.load.seq}
	c.declare = append(c.declare, loss{boot, r, ledger.Corrupted})
	return r.Count
}

func (c *class) done(index uint64, wasRefused bool) {
	for _, e := range c.loaded {
		if e.index == index && e.outcome == waiting {
			e.outcome = delivered
			if wasRefused {
				e.outcome = refused
				if e.count > 0 { // a declaration that is refused is not declared again
					c.declare = append(c.declare, loss{e.boot, e.rng, ledger.Refused})
				}
			}
			break
		}
	}
	c.advance()
}

// advance moves the cursor over what is done with.
func (c *class) advance() {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, e := range c.loaded {
		if e.outcome == waiting {
			break
		}
		e.countInto(&c.state.cursor)
		n++
	}
	clear(c.loaded[:n])
	c.loaded = c.loaded[n:]
}

// countInto is what passing an entry adds to the cursor's account.
func (e *entry) countInto(k *cursor) {
	switch e.outcome {
	case delivered:
		k.delivered += e.count
	case refused:
		k.lost[ledger.Refused] += e.count
	}
	k.lost[ledger.Corrupted] += e.missing
	k.index, k.boot, k.seq = e.after.index, e.after.boot, e.after.seq
}

func (c *class) account() ledger.Account {
	k := c.state.cursor
	for _, e := range c.loaded {
		e.countInto(&k)
	}
	a := ledger.Account{Numbered: c.state.appended.numbered, Delivered: k.delivered}
	for i := range a.LostBy {
		a.LostBy[i] = c.state.appended.lost[i] + k.lost[i]
	}
	a.Waiting = a.Numbered - a.Delivered - a.Lost()
	return a
}

// save persists the cursor and lets go of what is before it.
func (c *class) save() error {
	k := &c.state.cursor
	if c.log.Durable() < c.discarded {
		if err := c.log.Sync(); err != nil {
			return fmt.Errorf("spool: %s: %w", c.class, err)
		}
	}
	if k.index != c.saved {
		if err := c.log.SaveMeta(k.append(nil)); err != nil {
			return fmt.Errorf("spool: %s: %w", c.class, err)
		}
		c.saved = k.index
	}
	// Only whole segments: the state follows from all records after a checkpoint, those before the cursor among them.
	for end, _, ok := c.log.OldestSealed(); ok && end <= k.index; end, _, ok = c.log.OldestSealed() {
		if err := c.log.TrimFront(end); err != nil {
			return fmt.Errorf("spool: %s: %w", c.class, err)
		}
	}
	return nil
}
