package ring

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// A Producer publishes into its own ring. It is for one goroutine at a time.
type Producer struct {
	r *Region
	s slots
	// head and tail are this side's copies: head is authoritative here, tail is refreshed when room runs out.
	head, tail uint64
}

// Producer returns the producer with that index. There must be no other Producer of the same index in any process.
func (r *Region) Producer(i int) (*Producer, error) {
	if i < 0 || i >= r.producers {
		return nil, fmt.Errorf("ring: producer %d of %d", i, r.producers)
	}
	s := r.ring(i)
	return &Producer{r: r, s: s, head: s.head().Load(), tail: s.tail().Load()}, nil
}

// Publish numbers a packet and puts a copy of it in the ring. It never waits and allocates nothing. After it has
// returned nil the packet survives the end of the process. ErrFull means that it was dropped; it will be declared lost.
// p must have been accepted by packet.ParseHeader, or come from a packet.Writer, and is not changed.
func (p *Producer) Publish(b []byte) (seq uint64, err error) {
	if len(b) < packet.HeaderSize || len(b) > packet.MaxSize {
		return 0, packet.ErrTooLarge
	}
	class := packet.Class(b[32])
	if !class.Valid() {
		return 0, packet.ErrHeader
	}
	dropped := p.s.dropped(class)
	lost := dropped.Load()
	need := slotSize(len(b))
	if lost > 0 {
		need += slotSize(lostSize)
	}
	if !p.room(need) {
		dropped.Add(1)
		return 0, ErrFull
	}
	first, ok := p.number(class, lost, 1)
	if !ok {
		dropped.Add(1)
		return 0, ErrFull
	}
	if lost > 0 {
		p.declare(class, first, lost)
	}
	seq = first + lost
	pos := p.place(len(b))
	content := p.s.content(pos, len(b))
	copy(content, b)
	packet.SetSeq(content, seq)
	p.commit(pos, kindPacket, content)
	return seq, nil
}

// Flush declares what was dropped, if there is room now, and reports whether nothing is left undeclared. A producer
// that stops calls it until it reports true or nobody reads any more.
func (p *Producer) Flush() bool {
	done := true
	for i := range packet.Classes {
		class := packet.ClassAt(i)
		dropped := p.s.dropped(class)
		lost := dropped.Load()
		if lost == 0 {
			continue
		}
		if !p.room(slotSize(lostSize)) {
			return false
		}
		first, ok := p.number(class, lost, 0)
		if !ok {
			done = false
			continue
		}
		p.declare(class, first, lost)
	}
	return done
}

// room reports whether need bytes fit, counting what a record that would straddle the end wastes at most.
func (p *Producer) room(need uint64) bool {
	size := uint64(len(p.s.data))
	left := size - p.head&(size-1)
	if left < need {
		need += left
	}
	if p.head+need-p.tail <= size {
		return true
	}
	p.tail = p.s.tail().Load()
	return p.head+need-p.tail <= size
}

// number takes consecutive numbers of a class, for what was dropped and for as many packets, or none if they would reach the
// ceiling. What was dropped is counted no more then, before its declaration is committed: a crash in between leaves numbers that
// nobody holds, which the recovery declares lost, once. For a crash between the numbers and the count there is the claim.
func (p *Producer) number(class packet.Class, lost, packets uint64) (first uint64, ok bool) {
	next, ceiling, n := p.r.class(class, 0), p.r.class(class, 64), lost+packets
	for {
		first = next.Load()
		if limit := ceiling.Load(); first+n > limit || first+n < first {
			if lost > 0 {
				p.s.claimed().Store(0)
			}
			return 0, false
		}
		if lost > 0 {
			p.s.claimFirst().Store(first)
			p.s.claimed().Store(lost<<8 | uint64(class))
		}
		if next.CompareAndSwap(first, first+n) {
			break
		}
	}
	if lost > 0 {
		p.s.dropped(class).Add(-lost)
		p.s.claimed().Store(0)
	}
	return first, true
}

// place returns the position for a slot with n bytes of content, filling what is left before the end if it does not fit.
func (p *Producer) place(n int) uint64 {
	size := uint64(len(p.s.data))
	left := size - p.head&(size-1)
	if left < slotSize(n) {
		if left >= slotHeader {
			p.commit(p.head, kindPad, p.s.content(p.head, int(left)-slotHeader))
		} else {
			p.advance(left) // 8 bytes: the consumer passes over them as it does here
		}
	}
	return p.head
}

func (p *Producer) declare(class packet.Class, first, count uint64) {
	pos := p.place(lostSize)
	content := p.s.content(pos, lostSize)
	content[0] = byte(class)
	binary.NativeEndian.PutUint64(content[8:], first)
	binary.NativeEndian.PutUint64(content[16:], count)
	p.commit(pos, kindLost, content)
}

func (p *Producer) commit(pos uint64, kind byte, content []byte) {
	sum := uint32(0)
	if kind != kindPad {
		sum = crc32.Checksum(content, castagnoli)
	}
	binary.NativeEndian.PutUint32(p.s.sum(pos), sum)
	p.s.commit(pos).Store(commitWord(pos, kind, len(content)))
	p.advance(slotSize(len(content)))
}

func (p *Producer) advance(n uint64) {
	p.head += n
	p.s.head().Store(p.head)
}

// Room reports whether a packet of n bytes would be taken now. Only this producer can make the answer worse, except
// for the ceiling, which all producers of a class share.
func (p *Producer) Room(class packet.Class, n int) bool {
	lost := p.s.dropped(class).Load()
	need := slotSize(n)
	if lost > 0 {
		need += slotSize(lostSize)
	}
	return p.room(need) && p.r.Next(class)+lost < p.r.Ceiling(class)
}
