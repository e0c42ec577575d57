package courier

import (
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/courier/batch"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Recovered tells what Recover found.
type Recovered struct {
	Boot    telemetry.Boot
	Records uint64 // taken from the ring into the spool
	Unclean uint64 // numbers whose Publish had not returned
	Dropped uint64 // records that had found no room and are declared now
	Known   bool   // everything was in the spool already
}

// Recover takes what a boot left in its region, after the process that ran it ended without doing so itself, and ends
// the boot. It is called before Begin, for the regions in the order of their boots. When it returns nil everything is
// durable and the region may be removed.
func (c *Courier) Recover(region *ring.Region) (Recovered, error) {
	r := Recovered{Boot: region.Boot()}
	c.remember(region.Boot())
	begun, inPart, ended := c.spooled(region.Boot())
	switch {
	case inPart && unused(region): // it ended between the classes' beginnings
		if err := c.Begin(region.Boot()); err != nil {
			return r, err
		}
	case ended, !begun && c.spool.State(packet.Urgent).Boot != (telemetry.Boot{}) && drained(region):
		// Who ended the boot may have been told that the disk failed, or may have been killed before it was told anything:
		// that it is in the log does not say that it is durable.
		r.Known = true
		return r, c.SyncSpool()
	case !begun: // the folder was removed, or a record is damaged
		if err := c.Begin(region.Boot()); err != nil {
			return r, err
		}
	}
	c.attach(region, -1)
	defer c.detach()
	for i := range c.marks {
		c.takeFrom(i)
	}
	for i, s := range c.streams {
		class := packet.ClassAt(i)
		before := s.sorter.Next()
		c.takeSorted(0, s)
		var missing ledger.Set
		unclean, err := c.sweep(s, region.Next(class), &missing)
		if err != nil {
			return r, err
		}
		r.Unclean += unclean
		dropped, err := c.declareDropped(class, s, &missing)
		if err != nil {
			return r, err
		}
		r.Dropped += dropped
		r.Records += region.Next(class) - before
		out, err := s.batcher.Finish()
		if err != nil {
			return r, err
		}
		s.queue(out)
	}
	r.Records -= r.Unclean + r.Dropped
	return r, c.finish()
}

// spooled reports whether the spool knows a boot as the last one of each class, or of some and not of others, and as one that has ended.
func (c *Courier) spooled(boot telemetry.Boot) (begun, inPart, ended bool) {
	n, ended := 0, true
	for i := range packet.Classes {
		state := c.spool.State(packet.ClassAt(i))
		if state.Boot == boot {
			n++
		}
		ended = ended && state.Clean
	}
	begun = n == packet.Classes
	return begun, n > 0 && !begun, begun && ended
}

// unused reports whether no number of a region was ever taken, nor would have been.
func unused(region *ring.Region) bool {
	for i := range packet.Classes {
		if class := packet.ClassAt(i); region.Next(class) > 0 || region.Dropped(class) > 0 {
			return false
		}
	}
	return true
}

// drained reports whether a region says that nothing in it waits for the disk. That is how the region of a boot that has
// ended is told from one that has not when the spool is at another boot. The order of their names would say it as well, as
// far as the spool remembers: one that was removed, or lost its last boots to damage, has let names begin anew.
func drained(region *ring.Region) bool {
	for i := range packet.Classes {
		if class := packet.ClassAt(i); region.Durable(class) < region.Next(class) || region.Dropped(class) > 0 {
			return false
		}
	}
	return true
}

// sweep moves everything that waits in a sorter into the batch, declaring lost up to end what cannot be told: what is missing, which
// it adds to the set, and records whose layout never came.
func (c *Courier) sweep(s *stream, end uint64, missing *ledger.Set) (lost uint64, err error) {
	for s.sorter.Next() < end {
		r := ledger.Range{First: s.sorter.Next(), Count: end - s.sorter.Next()}
		if first, count, gap := s.sorter.Gap(gapPatience, 0); gap {
			r.Count = first + count - r.First
			missing.Add(r)
		} else if e, ok := s.sorter.Peek(); ok {
			r.Count = e.Range.End() - r.First
		} else {
			missing.Add(r)
		}
		out, err := s.batcher.Lose(r, ledger.Unclean)
		s.queue(out)
		s.sorter.Skip(r.End())
		lost += r.Count
		if err != nil {
			return lost, err
		}
		c.takeSorted(0, s)
	}
	return lost, nil
}

// declareDropped numbers what producers that have ended dropped and could not declare, and declares it lost. Missing is what
// sweep found so.
func (c *Courier) declareDropped(class packet.Class, s *stream, missing *ledger.Set) (uint64, error) {
	first, n := c.region.NumberDropped(class, missing)
	if n == 0 {
		return 0, nil
	}
	out, err := s.batcher.Lose(ledger.Range{First: first, Count: n}, ledger.Overflow)
	if err != nil {
		return 0, err
	}
	s.queue(out)
	s.sorter.Skip(first + n)
	return n, nil
}

// put appends a frame outside of a boot's run. What finds no room is declared lost instead, for nothing makes room before
// the next boot has begun.
func (c *Courier) put(class packet.Class, f []byte) error {
	_, err := c.spool.Append(class, f)
	if errors.Is(err, spool.ErrFull) {
		return c.spool.Forgo(class, f)
	}
	return err
}

// finish appends what is pending, durably, and ends the boot.
func (c *Courier) finish() error {
	for i, s := range c.streams {
		class := packet.ClassAt(i)
		for len(s.pending) > 0 {
			f := s.pending[0]
			if err := c.put(class, f); err != nil {
				return fmt.Errorf("courier: end boot: %w", err)
			}
			s.pending, s.bytes = s.pending[1:], s.bytes-len(f)
		}
	}
	if err := c.layouts.sync(); err != nil {
		return fmt.Errorf("courier: end boot: %w", err)
	}
	if err := c.spool.End(); err != nil {
		return fmt.Errorf("courier: end boot: %w", err)
	}
	if err := c.finishOrders(); err != nil {
		return err
	}
	for i := range c.streams {
		class := packet.ClassAt(i)
		c.region.SetDurable(class, c.region.Next(class))
	}
	return nil
}

// Begin begins a boot in the spool. If the boot before did not end, and its region is gone with what it held, the
// numbers up to its ceiling are declared lost: at most these can have been in use.
func (c *Courier) Begin(boot telemetry.Boot) error {
	for i := range packet.Classes {
		class := packet.ClassAt(i)
		state := c.spool.State(class)
		if state.Clean || state.Next >= state.Ceiling || state.Boot == boot {
			continue
		}
		stream := telemetry.Stream{Device: c.o.Device, Boot: state.Boot, Class: class}
		lost := frame.AppendLost(nil, stream, state.Next, state.Ceiling-state.Next, ledger.Unclean)
		if err := c.put(class, lost); err != nil {
			return fmt.Errorf("courier: begin boot: %w", err)
		}
	}
	var ceilings [packet.Classes]uint64
	for i := range ceilings {
		ceilings[i] = minReserve
	}
	if err := c.spool.Begin(boot, ceilings); err != nil {
		return fmt.Errorf("courier: begin boot: %w", err)
	}
	c.boot = boot
	c.remember(boot)
	return nil
}

// Attach joins the courier with the region of the boot that Begin began, and starts delivery. own is the index of the
// producer that the courier may use itself. The region's numbers may be used from here on.
func (c *Courier) Attach(region *ring.Region, own int) error {
	c.attach(region, own)
	if own >= 0 {
		p, err := region.Producer(own)
		if err != nil {
			return err
		}
		c.own = p
	}
	var cursors [packet.Classes]uint64
	for i := range cursors {
		class := packet.ClassAt(i)
		cursors[i] = c.spool.Cursor(class)
		region.SetCeiling(class, c.streams[i].ceiling)
	}
	o := c.o.Delivery
	o.Overhead = c.wire.overhead()
	c.delivery = delivery.New(o, c.rng, cursors)
	for i := range cursors {
		c.delivery.Committed(0, packet.ClassAt(i), c.spool.Committed(packet.ClassAt(i)))
	}
	c.beginOrders(region.Boot())
	return nil
}

// Resume is Begin and Attach for a boot that goes on: the process that ran its courier has ended, its producers live. What
// that process took and had not made durable is still in the region.
func (c *Courier) Resume(region *ring.Region, own int) error {
	begun, _, ended := c.spooled(region.Boot())
	switch {
	case ended:
		return fmt.Errorf("courier: resume: boot %s has ended", region.Boot())
	case !begun: // the folder was removed, or a record is damaged
		if err := c.Begin(region.Boot()); err != nil {
			return err
		}
	}
	c.boot = region.Boot()
	c.remember(c.boot)
	return c.Attach(region, own)
}

func (c *Courier) attach(region *ring.Region, own int) {
	c.region, c.consumer = region, region.Consumer()
	c.marks = make([][]mark, region.Producers())
	for i := range c.streams {
		class := packet.ClassAt(i)
		state := c.spool.State(class)
		s := &stream{durable: state.Next, framed: state.Next, written: state.Next, ceiling: state.Ceiling}
		s.sorter.Start(state.Next)
		s.batcher = batch.NewBatcher(telemetry.Stream{Device: c.o.Device, Boot: region.Boot(), Class: class}, c.o.Batch[i])
		c.streams[i] = s
	}
}

func (c *Courier) detach() {
	c.region, c.consumer, c.own, c.marks = nil, nil, nil, nil
	clear(c.streams[:])
}

// End ends the boot, when its producers have ended and everything is Drained. Undeclared drops are declared. The region
// may be removed then.
func (c *Courier) End(now time.Duration) error {
	for i, s := range c.streams {
		class := packet.ClassAt(i)
		var missing ledger.Set
		if _, err := c.sweep(s, c.region.Next(class), &missing); err != nil {
			return err
		}
		if _, err := c.declareDropped(class, s, &missing); err != nil {
			return err
		}
		out, err := s.batcher.Finish()
		if err != nil {
			return err
		}
		s.queue(out)
	}
	return c.finish()
}
