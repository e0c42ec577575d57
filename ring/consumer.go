package ring

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// An Entry is one thing a producer left: a packet, or the declaration that numbers are lost.
type Entry struct {
	Class  packet.Class
	Range  ledger.Range
	Packet []byte // nil for a loss; otherwise the ring's own memory, valid until its Mark is released
	Mark   Mark
}

// A Mark is a place in a producer's ring, right behind an entry.
type Mark struct {
	Producer int
	pos      uint64
}

// A Consumer takes entries out of a region. It is for one goroutine. What it has read but not released is read again by
// the next Consumer, in this process or, after a crash, another.
type Consumer struct {
	r     *Region
	rings []slots
	read  []uint64
	// Damaged counts entries that were committed and whose content does not match their checksum. Their numbers are
	// missing from what Next yields.
	Damaged uint64
}

// Consumer returns the region's consumer, positioned behind what was released.
func (r *Region) Consumer() *Consumer {
	c := &Consumer{r: r, rings: make([]slots, r.producers), read: make([]uint64, r.producers)}
	for i := range c.rings {
		c.rings[i] = r.ring(i)
		c.read[i] = c.rings[i].tail().Load()
	}
	return c
}

// Next returns the next entry of one producer, or false if there is none now.
func (c *Consumer) Next(producer int) (Entry, bool) {
	s := c.rings[producer]
	size := uint64(len(s.data))
	for {
		pos, head := c.read[producer], s.head().Load()
		if pos >= head {
			return Entry{}, false
		}
		left := size - pos&(size-1)
		if left < slotHeader {
			c.read[producer] += left
			continue
		}
		w := s.commit(pos).Load()
		kind, n := byte(w>>24), int(w&0xffffff)
		if uint32(w>>32) != uint32(pos>>3) || slotSize(n) > left {
			// The head says that a slot was committed here, the slot says otherwise: where the next one begins is
			// not known either.
			c.Damaged++
			c.read[producer] = head
			continue
		}
		c.read[producer] = pos + slotSize(n)
		if kind == kindPad {
			continue
		}
		if e, ok := parseEntry(kind, s.content(pos, n), binary.NativeEndian.Uint32(s.sum(pos))); ok {
			e.Mark = Mark{Producer: producer, pos: c.read[producer]}
			return e, true
		}
		c.Damaged++
	}
}

func parseEntry(kind byte, content []byte, sum uint32) (Entry, bool) {
	if crc32.Checksum(content, castagnoli) != sum {
		return Entry{}, false
	}
	switch {
	case kind == kindLost && len(content) == lostSize:
		e := Entry{Class: packet.Class(content[0]), Range: ledger.Range{
			First: binary.NativeEndian.Uint64(content[8:]), Count: binary.NativeEndian.Uint64(content[16:])}}
		return e, e.Class.Valid()
	case kind == kindPacket:
		h, err := packet.ParseHeader(content)
		return Entry{Class: h.Class, Range: ledger.Range{First: h.Seq, Count: 1}, Packet: content}, err == nil
	}
	return Entry{}, false
}

// Release says that everything of the mark's producer up to the mark is held elsewhere: its slots may be written again.
func (c *Consumer) Release(m Mark) {
	tail := c.rings[m.Producer].tail()
	if m.pos > tail.Load() {
		tail.Store(m.pos)
	}
}

// Backlog returns the bytes of slots that are in use, summed over the producers, and the largest share of its capacity
// that any one producer uses, 0 to 1.
func (c *Consumer) Backlog() (bytes uint64, fullest float64) {
	for _, s := range c.rings {
		n := s.head().Load() - s.tail().Load()
		bytes += n
		fullest = max(fullest, float64(n)/float64(len(s.data)))
	}
	return bytes, fullest
}
