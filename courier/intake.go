package courier

import (
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/courier/batch"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

const (
	// maxPending bounds the frames, in bytes, that wait to be appended; beyond it the ring keeps its records.
	maxPending = 8 << 20
	// gapPatience is how long a number may be missing while later ones are there. A producer commits a number within
	// microseconds after it took it, unless it was stopped in between.
	gapPatience = 5 * time.Second
	// minReserve is the least number of numbers that are reserved at a time.
	minReserve = 1024
)

// take moves what is in the ring through the sorters into batches.
func (c *Courier) take(now time.Duration) {
	if c.consumer == nil {
		return
	}
	for i := range c.marks {
		c.takeFrom(i)
	}
	for i, s := range c.streams {
		c.takeSorted(now, s)
		class := packet.ClassAt(i)
		if due, some := s.batcher.Due(); some && due <= now || c.urged(class, s) {
			out, err := s.batcher.Finish()
			s.queue(out)
			c.failed(now, err)
		}
		c.reserve(now, class, s)
	}
}

// urged reports whether somebody waits for an urgent record: that goes at once, its frame may be small.
func (c *Courier) urged(class packet.Class, s *stream) bool {
	return class == packet.Urgent && !c.syncing && s.batcher.Has(c.region.Wanted(class))
}

// takeFrom reads one producer's ring. What is read stays in the ring, and in the sorters, until it is durable.
func (c *Courier) takeFrom(producer int) {
	for c.pendingBytes() < maxPending {
		e, ok := c.consumer.Next(producer)
		if !ok {
			return
		}
		if e.Packet != nil {
			c.learn(e)
		}
		c.streams[e.Class.Index()].sorter.Put(e)
		m := mark{at: e.Mark, class: e.Class, end: e.Range.End()}
		q := c.marks[producer]
		if n := len(q); n > 0 && q[n-1].class == m.class {
			q[n-1] = m // numbers of one class ascend within a ring
		} else {
			c.marks[producer] = append(q, m)
		}
	}
}

// learn takes a definition into the catalog before anything that uses it is batched, and hears of outcomes.
func (c *Courier) learn(e ring.Entry) {
	h, err := packet.ParseHeader(e.Packet)
	if err != nil {
		return
	}
	switch telemetry.LayoutID(h.Layout) {
	case telemetry.LayoutRecords.ID():
		if l, err := telemetry.ParseDefinition(e.Packet); err == nil {
			if err := c.layouts.add(l); err != nil {
				c.lastError = err
			}
		}
	case command.OutcomeLayout.ID():
		if c.orders != nil {
			c.orders.hear(e, h)
		}
	}
}

func (c *Courier) takeSorted(now time.Duration, s *stream) {
	for {
		e, ok := s.sorter.Peek()
		if !ok {
			first, count, gap := s.sorter.Gap(now, gapPatience)
			if !gap {
				return
			}
			out, err := s.batcher.Lose(ledger.Range{First: first, Count: count}, ledger.Corrupted)
			s.queue(out)
			c.failed(now, err)
			s.sorter.Skip(first + count)
			continue
		}
		out, taken, err := c.batch(now, s, e)
		s.queue(out)
		if err != nil {
			c.failed(now, err)
		}
		if !taken {
			return
		}
		s.sorter.Pop()
	}
}

// batch puts one entry into a stream's batch. It is not taken if its layout has not come yet.
func (c *Courier) batch(now time.Duration, s *stream, e ring.Entry) (out []batch.Batch, taken bool, err error) {
	if e.Packet == nil {
		out, err = s.batcher.Lose(e.Range, ledger.Overflow)
		return out, err == nil, err
	}
	h, err := packet.ParseHeader(e.Packet)
	if err != nil {
		return nil, false, err // not reached: the consumer has checked it
	}
	l := c.layouts.catalog.Layout(telemetry.LayoutID(h.Layout))
	if l == nil {
		if s.waitsSince == 0 {
			s.waitsSince = now
		}
		if now-s.waitsSince < gapPatience {
			return nil, false, nil
		}
		out, err = s.batcher.Lose(e.Range, ledger.Corrupted)
		return out, err == nil, err
	}
	s.waitsSince = 0
	if out, err = s.batcher.Add(now, telemetry.Record{Layout: l, Packet: e.Packet}, e.Range.First); err != nil {
		// The packet does not match its layout: a defect of its producer, which must not stop the stream.
		more, lerr := s.batcher.Lose(e.Range, ledger.Corrupted)
		return append(out, more...), lerr == nil, errors.Join(err, lerr)
	}
	c.counters.RawBytes += uint64(len(e.Packet))
	s.tail.add(e.Packet, e.Range.End())
	return out, true, nil
}

func (s *stream) queue(batches []batch.Batch) {
	for _, b := range batches {
		s.pending = append(s.pending, b.Data)
		s.bytes += len(b.Data)
		s.tail.drop(b.Range.End()) // it has its frame
	}
}

func (c *Courier) pendingBytes() int {
	n := 0
	for _, s := range c.streams {
		n += s.bytes
	}
	return n
}

// reserve raises a class's ceiling well before it is reached: by what eight seconds at the peak rate may use, so that a courier
// half that is stopped, noticed and replaced within four leaves numbers to publish with meanwhile.
func (c *Courier) reserve(now time.Duration, class packet.Class, s *stream) {
	next := c.region.Next(class)
	if now-s.tickAt >= time.Second {
		used := next - s.ticked
		s.peak = max(used, s.peak-s.peak/16)
		s.tickAt, s.ticked = now, next
	}
	margin := max(minReserve, 8*max(s.peak, next-s.ticked))
	if s.raising == 0 && next+margin/2 > s.ceiling {
		s.raising = next + margin
	}
}

// store appends what is pending to the spool and asks for a Sync.
func (c *Courier) store(now time.Duration) {
	if c.syncing || c.consumer == nil || now < c.retryAt {
		return
	}
	dirty := c.unsynced
	for i, s := range c.streams {
		class := packet.ClassAt(i)
		if s.raising > 0 {
			if err := c.spool.Reserve(class, s.raising); err != nil {
				c.failed(now, err)
			}
			dirty = true
		}
		declared, err := c.spool.Declare(class)
		c.failed(now, err)
		dirty = dirty || declared
		for len(s.pending) > 0 {
			yielded, err := c.spool.Append(class, s.pending[0])
			c.discard(now, yielded)
			if err != nil {
				c.failed(now, err)
				break
			}
			c.counters.Frames++
			c.counters.FrameBytes += uint64(len(s.pending[0]))
			s.bytes -= len(s.pending[0])
			s.pending[0] = nil
			s.pending = s.pending[1:]
			dirty = true
		}
		s.written = c.spool.State(class).Next
		c.keepAhead(now, class, s)
	}
	dirty = dirty || c.ahead.unsynced()
	if c.orders != nil {
		if c.orders.sync = c.orders.desk.BeginSync(); c.orders.sync != nil {
			dirty = true
		}
	}
	if dirty {
		c.syncing = true
		c.effects = append(c.effects, Sync{})
	}
}

func (c *Courier) discard(now time.Duration, y spool.Yielded) {
	for i, upTo := range y {
		if upTo > 0 {
			c.delivery.Discard(now, packet.ClassAt(i), upTo)
		}
	}
}

// SyncSpool performs a Sync. It may run on another goroutine while other methods are called.
func (c *Courier) SyncSpool() error {
	err := errors.Join(c.layouts.sync(), c.ahead.sync(), c.spool.Sync())
	if c.orders != nil && c.orders.sync != nil {
		err = errors.Join(err, c.orders.sync())
	}
	return err
}

// Synced says how SyncSpool ended.
func (c *Courier) Synced(now time.Duration, err error) {
	c.syncing = false
	c.unsynced = err != nil
	c.ordersSynced(now, err)
	if err != nil {
		c.failed(now, fmt.Errorf("courier: %w", err))
		c.deliver(now)
		return
	}
	c.failures, c.lastError = 0, nil
	for i, s := range c.streams {
		if s == nil {
			continue
		}
		class := packet.ClassAt(i)
		s.framed, s.durable = s.written, s.written
		if s.added > s.durable { // from there on it is in the log ahead
			s.durable = s.added
		}
		if c.region != nil {
			c.region.SetDurable(class, s.durable)
			if state := c.spool.State(class); s.raising > 0 && state.Ceiling >= s.raising {
				s.ceiling, s.raising = s.raising, 0
				c.region.SetCeiling(class, s.ceiling)
			}
		}
		c.delivery.Committed(now, class, c.spool.Committed(class))
	}
	c.settle(now, func(class packet.Class) uint64 { return c.streams[class.Index()].durable })
	c.release()
	c.hurry(now)
	c.deliver(now)
}

// hurry begins the next Sync if somebody waits for what came during the last one.
func (c *Courier) hurry(now time.Duration) {
	for i := range packet.Classes {
		if class := packet.ClassAt(i); c.region != nil && c.region.Wanted(class) > c.region.Durable(class) {
			c.take(now)
			c.store(now)
			return
		}
	}
}

// release lets the producers have the room of what is durable.
func (c *Courier) release() {
	for i, q := range c.marks {
		n := 0
		for n < len(q) && q[n].end <= c.streams[q[n].class.Index()].durable {
			c.consumer.Release(q[n].at)
			n++
		}
		if n > 0 {
			c.marks[i] = append(q[:0], q[n:]...)
		}
	}
}

// Drained reports whether everything that was published is in the spool, in frames, and durable.
func (c *Courier) Drained() bool {
	if c.syncing || c.region == nil {
		return !c.syncing
	}
	for i, s := range c.streams {
		class := packet.ClassAt(i)
		if s.framed < c.region.Next(class) || c.region.Dropped(class) > 0 {
			return false
		}
	}
	return true
}

// Flush finishes the batches, however young, and declares what producers dropped. These have ended. Drive the courier on,
// with Flush again, until Drained, or Delivered.
func (c *Courier) Flush(now time.Duration) {
	for i, s := range c.streams {
		if class := packet.ClassAt(i); s.sorter.Next() == c.region.Next(class) {
			_, err := c.declareDropped(class, s, &ledger.Set{})
			c.failed(now, err)
		}
		out, err := s.batcher.Finish()
		s.queue(out)
		c.failed(now, err)
	}
	c.store(now)
	c.deliver(now)
}

// Delivered reports whether nothing of what was published waits.
func (c *Courier) Delivered() bool {
	if !c.Drained() {
		return false
	}
	for i := range packet.Classes {
		if c.spool.Account(packet.ClassAt(i)).Waiting > 0 || c.spool.Cursor(packet.ClassAt(i)) < c.spool.Committed(packet.ClassAt(i)) {
			return false
		}
	}
	return true
}
