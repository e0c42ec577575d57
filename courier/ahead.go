package courier

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/fulmar-io/fulmar/courier/batch"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// ahead is a log of records of classes normal and bulk that somebody waits for, as packets, until the frame that they belong to is in the spool. So they are
// durable within a commit, and what goes over the link is still a frame that compresses well. It is read when the courier is opened:
// what is in no frame yet is put into some. Otherwise nothing ever reads it.
//
// A record of the log has a version, the class, the boot, and the packets, each behind its length in four bytes.
type ahead struct {
	disk    env.Disk
	dir     string
	minFree int64
	log     *seglog.Log // nil until it is there
	ends    []aheadEnd  // of what the log has, in order
}

// aheadEnd says that the record at an index is of no use when the numbers of a class below end are in the spool.
type aheadEnd struct {
	index, end uint64
	class      packet.Class
}

const (
	aheadVersion = 1
	aheadHeader  = 2 + 16
	aheadSegment = 2 << 20 // of which a few are there, usually
	aheadLargest = frame.MaxRaw + packet.MaxSize + 64<<10
)

// openAhead opens the log if there is one: it is made by the first record that somebody waits for.
func openAhead(disk env.Disk, dir string, minFree int64) (*ahead, error) {
	a := &ahead{disk: disk, dir: dir, minFree: minFree}
	files, err := disk.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(files) == 0 {
		return a, nil
	}
	return a, a.open()
}

func (a *ahead) open() (err error) {
	a.log, err = seglog.Open(a.disk, a.dir, seglog.Options{SegmentSize: aheadSegment, MaxRecord: 2 * aheadLargest, MinFree: uint64(a.minFree)})
	return err
}

func (a *ahead) close() error {
	if a.log == nil {
		return nil
	}
	return a.log.Close()
}

// add appends packets, as tail has them. It is durable after the next sync.
func (a *ahead) add(boot telemetry.Boot, class packet.Class, packets []byte, end uint64) error {
	if a.log == nil {
		if err := a.open(); err != nil {
			return fmt.Errorf("ahead: %w", err)
		}
	}
	b := make([]byte, 0, aheadHeader+len(packets))
	b = append(append(b, aheadVersion, byte(class)), boot[:]...)
	index, err := a.log.Append(append(b, packets...))
	if err != nil {
		return fmt.Errorf("ahead: %w", err)
	}
	a.ends = append(a.ends, aheadEnd{index: index, end: end, class: class})
	return nil
}

// unsynced reports whether something was added since the last sync.
func (a *ahead) unsynced() bool { return a.log != nil && a.log.Durable()+1 < a.log.Next() }

func (a *ahead) sync() error {
	if !a.unsynced() {
		return nil
	}
	return a.log.Sync()
}

// trim lets go of what is in the spool: below framed, durably.
func (a *ahead) trim(framed func(packet.Class) uint64) error {
	n := 0
	for n < len(a.ends) && a.ends[n].end <= framed(a.ends[n].class) {
		n++
	}
	if n == 0 {
		return nil
	}
	first := a.ends[n-1].index + 1
	a.ends = append(a.ends[:0], a.ends[n:]...)
	for end, _, ok := a.log.OldestSealed(); ok && end <= first; end, _, ok = a.log.OldestSealed() {
		if err := a.log.TrimFront(end); err != nil {
			return fmt.Errorf("ahead: %w", err)
		}
	}
	return nil
}

// tail is the packets that were added to a stream's batch and are in neither log, each behind its length.
type tail struct {
	packets []byte
	end     uint64 // behind the last one's number
}

func (t *tail) add(p []byte, end uint64) {
	t.packets = append(binary.LittleEndian.AppendUint32(t.packets, uint32(len(p))), p...)
	t.end = end
}

// drop drops what has numbers below first.
func (t *tail) drop(first uint64) {
	n := 0
	_ = eachPacket(t.packets, func(p []byte) error { // it stops at the first that stays
		if packet.Seq(p) >= first {
			return errors.ErrUnsupported
		}
		n += 4 + len(p)
		return nil
	})
	t.packets = append(t.packets[:0], t.packets[n:]...)
}

// errAhead is of a record of the log that says something else than it should. Its checksum was right: another version wrote it, or it is a bug.
var errAhead = errors.New("ahead: a record that this version does not understand")

// eachPacket calls f with the packets of a tail until that returns an error, which it returns.
func eachPacket(b []byte, f func([]byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return errAhead
		}
		n := binary.LittleEndian.Uint32(b)
		if uint64(n) > uint64(len(b)-4) || n < packet.HeaderSize {
			return errAhead
		}
		if err := f(b[4 : 4+n]); err != nil {
			return err
		}
		b = b[4+n:]
	}
	return nil
}

// keepAhead appends what somebody waits for to the log ahead. All before the batch is in the spool then, so that what is in either log has
// no gaps. If the disk does not take it there, its frame is made now.
func (c *Courier) keepAhead(now time.Duration, class packet.Class, s *stream) {
	wanted := c.region.Wanted(class)
	if class == packet.Urgent || len(s.pending) > 0 || len(s.tail.packets) == 0 || wanted <= s.added || !s.batcher.Has(wanted) {
		return
	}
	if err := c.ahead.add(c.region.Boot(), class, s.tail.packets, s.tail.end); err != nil {
		c.failed(now, err)
		out, err := s.batcher.Finish()
		s.queue(out)
		c.failed(now, err)
		return
	}
	s.added = s.tail.end
	s.tail.packets = s.tail.packets[:0]
}

// replay puts into frames what is only in the log ahead: a power cut, or the end of a process, has come before its frame was made.
func (c *Courier) replay() error {
	if c.ahead.log == nil {
		return nil
	}
	before := c.spooledNext()
	for i := c.ahead.log.First(); i < c.ahead.log.Next(); i++ {
		b, err := c.ahead.log.ReadAt(i, nil)
		if errors.Is(err, seglog.ErrDamaged) && !seglog.Unreadable(err) {
			continue // its numbers are missing in the spool, which declares them
		}
		if err == nil {
			err = c.replayRecord(b)
		}
		if err != nil {
			return fmt.Errorf("ahead: record %d: %w", i, err)
		}
	}
	if c.spooledNext() == before {
		return nil // what is left in the log goes with the first that is added
	}
	return c.spool.Sync()
}

func (c *Courier) spooledNext() (next [packet.Classes]uint64) {
	for i := range next {
		next[i] = c.spool.State(packet.ClassAt(i)).Next
	}
	return next
}

func (c *Courier) replayRecord(b []byte) error {
	if len(b) < aheadHeader || b[0] != aheadVersion || !packet.Class(b[1]).Valid() {
		return errAhead
	}
	class, boot := packet.Class(b[1]), telemetry.Boot(b[2:aheadHeader])
	state := c.spool.State(class)
	if boot != state.Boot || state.Clean {
		return nil // of a boot that has been brought to its end
	}
	batcher := batch.NewBatcher(telemetry.Stream{Device: c.o.Device, Boot: boot, Class: class}, c.o.Batch[class.Index()])
	var frames []batch.Batch
	next := state.Next
	take := func(out []batch.Batch, err error) error {
		frames = append(frames, out...)
		return err
	}
	err := eachPacket(b[aheadHeader:], func(p []byte) error {
		h, err := packet.ParseHeader(p)
		if err != nil || h.Seq < next {
			return err
		}
		if h.Seq > next { // a power cut: what was between was not durable
			if err := take(batcher.Lose(ledger.Range{First: next, Count: h.Seq - next}, ledger.Unclean)); err != nil {
				return err
			}
		}
		next = h.Seq + 1
		l := c.layouts.catalog.Layout(telemetry.LayoutID(h.Layout))
		if l == nil {
			return take(batcher.Lose(ledger.Range{First: h.Seq, Count: 1}, ledger.Corrupted))
		}
		return take(batcher.Add(0, telemetry.Record{Layout: l, Packet: p}, h.Seq))
	})
	if err := errors.Join(err, take(batcher.Finish())); err != nil {
		return err
	}
	for _, f := range frames {
		if err := c.put(class, f.Data); err != nil {
			return err
		}
	}
	return nil
}

// trimAhead lets go of what has its frame.
func (c *Courier) trimAhead() error {
	if c.region == nil {
		return nil
	}
	return c.ahead.trim(func(class packet.Class) uint64 { return c.streams[class.Index()].framed })
}
