package spool

import (
	"fmt"

	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Yielded tells, per class, the index below which frames are gone; 0 where none went.
type Yielded [packet.Classes]uint64

// makeRoom lets the oldest of bulk, then of normal, then of what is urgent yield, until size more bytes fit the quota
// and leave MinFree on the disk. A class never makes room by taking from a more urgent one.
func (s *Spool) makeRoom(c packet.Class, size int64) (Yielded, error) {
	var gone Yielded
	for why := s.short(size); why != nil; why = s.short(size) {
		done := false
		for i := packet.Classes - 1; i >= c.Index() && !done; i-- {
			upTo, err := s.classes[i].yield()
			if upTo > 0 {
				gone[i], done = upTo, true
			}
			if err != nil {
				return gone, err
			}
		}
		if !done {
			return gone, fmt.Errorf("%w: %w, and %s may not displace more urgent records", ErrFull, why, c)
		}
	}
	return gone, nil
}

// short returns why there is no room for size more bytes, or nil if there is.
func (s *Spool) short(size int64) error {
	used, quota := s.Bytes()
	if used+size > quota {
		return fmt.Errorf("%d bytes of a quota of %d are used", used, quota)
	}
	// A disk that cannot tell is found full by writing.
	if free, err := s.disk.Free(); err == nil && int64(free)-size < s.o.MinFree {
		return fmt.Errorf("%w: %d bytes free, %d to be left", seglog.ErrDiskFull, free, s.o.MinFree)
	}
	return nil
}

// itemBytes is about what a record takes in the log beside itself.
const itemBytes = 40

// yield lets go of the oldest segment of a class and returns the index up to which it did, or 0 if there is only the
// segment that is being written, or what it declares would take too much of its place. What was waiting in it is declared lost; the declaration is durable before anything
// is removed. With an error it may have let go all the same, and the space comes later.
func (c *class) yield() (uint64, error) {
	end, bytes, ok := c.log.OldestSealed()
	if !ok {
		return 0, nil
	}
	if c.state.cursor.index < end {
		lost, moved, err := c.discard(end)
		if err != nil {
			return 0, err
		}
		// At once: a declaration that reached the ground while the records are still here to be sent would be acknowledged for
		// them. Of what is written at once a power cut may leave the beginning: declarations that are void without the mark.
		records := make([][]byte, 0, len(lost)+1)
		cost := int64(0)
		for i, f := range lost {
			records = append(records, goneRecord(len(lost)-i, f))
			cost += int64(len(f)) + itemBytes
		}
		if 2*cost > bytes {
			// A segment of declarations, which have to be made again: nothing would be gained, forever.
			return 0, nil
		}
		if err := c.append(append(records, append([]byte{kindDiscard}, moved.append(nil)...))...); err != nil {
			return 0, err
		}
		c.discarded = c.log.Next() - 1
		c.pass(end) // the cursor has moved: what was read before it is done with
	}
	return end, c.save()
}

// pass forgets what was read before end.
func (c *class) pass(end uint64) {
	n := 0
	for n < len(c.loaded) && c.loaded[n].index < end {
		n++
	}
	c.loaded = c.loaded[n:]
	if c.load.index < end {
		k := c.state.cursor
		c.load = position{index: k.index, boot: k.boot, seq: k.seq}
	}
}

// discard reads what waits before end. It returns the frames that declare it lost and the cursor behind it.
func (c *class) discard(end uint64) ([][]byte, cursor, error) {
	var lost losses
	k := c.state.cursor
	outcomes := make(map[uint64]*entry, len(c.loaded))
	for _, e := range c.loaded {
		outcomes[e.index] = e
	}
	for i := k.index; i < end; i++ {
		if e := outcomes[i]; e != nil && e.outcome != waiting {
			e.countInto(&k)
			continue
		}
		record, err := c.log.ReadAt(i, c.buf)
		if err == nil {
			c.buf = record
			record, err = c.valid(i, record)
		}
		if err != nil && i >= c.yieldAt && !givenUp(err, &c.yields, yieldTries) {
			return nil, k, fmt.Errorf("spool: %s: %w", c.class, err)
		}
		if i >= c.yieldAt {
			c.yieldAt, c.yields = i+1, 0
		}
		lost.take(&k, record)
		k.index = i + 1
	}
	return lost.frames(c), k, nil
}

// losses are what a discarded stretch of a log declares.
type losses struct{ list []loss }

type loss struct {
	boot telemetry.Boot
	rng  ledger.Range
	why  ledger.Reason
}

// take counts a record that yields, and moves the cursor's boot and number past it.
func (l *losses) take(k *cursor, record []byte) {
	switch {
	case len(record) == 0:
	case record[0] == kindBegin:
		if before, end, ok := beforeBegin(record); ok {
			l.missing(k, before, end)
			k.boot, k.seq = telemetry.Boot(record[1:17]), 0
		}
	case record[0] == kindFrame, record[0] == kindAside, record[0] == kindGone:
		h, err := frame.Peek(frameIn(record))
		if err != nil {
			return
		}
		r := ledger.Range{First: h.First, Count: h.Count}
		if record[0] == kindFrame {
			if h.Stream.Boot != k.boot { // its begin record was damaged
				k.boot, k.seq = h.Stream.Boot, 0
			}
			l.missing(k, h.Stream.Boot, h.First)
			k.seq = r.End()
		}
		if h.Mode == frame.Lost { // counted already; only the declaration must not be lost
			l.add(loss{h.Stream.Boot, r, h.Reason})
			return
		}
		k.lost[ledger.Quota] += h.Count
		l.add(loss{h.Stream.Boot, r, ledger.Quota})
	}
}

// missing declares numbers that nobody holds before seq.
func (l *losses) missing(k *cursor, boot telemetry.Boot, seq uint64) {
	if boot != k.boot || seq <= k.seq {
		return
	}
	r := ledger.Range{First: k.seq, Count: seq - k.seq}
	k.lost[ledger.Corrupted] += r.Count
	l.add(loss{boot, r, ledger.Corrupted})
}

func (l *losses) add(x loss) {
	if n := len(l.list); n > 0 {
		last := &l.list[n-1]
		if last.boot == x.boot && last.why == x.why && last.rng.End() == x.rng.First {
			last.rng.Count += x.rng.Count
			return
		}
	}
	l.list = append(l.list, x)
}

// maxLosses is how many declarations a discarded segment may leave behind. With more, runs of different reasons become
// one: otherwise a log full of declarations could never shrink.
const maxLosses = 256

func (l *losses) frames(c *class) [][]byte {
	if len(l.list) > maxLosses {
		merged := losses{}
		for _, x := range l.list {
			x.why = ledger.Quota
			merged.add(x)
		}
		l.list = merged.list
	}
	frames := make([][]byte, len(l.list))
	for i, x := range l.list {
		frames[i] = c.lostFrame(x.boot, x.rng, x.why)
	}
	return frames
}
