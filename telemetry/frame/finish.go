package frame

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Finish appends the frame of the records that were appended to dst, and begins the next one of the same stream. dst
// may be nil; it grows by at most MaxSize.
//
// Should the records not fit a frame of MaxSize, which only records can bring about that hardly compress, the frame has
// as many of them as do and the rest stay for the next: call Finish until Len is 0. It is an error if Len is 0 already.
func (e *Encoder) Finish(dst []byte) ([]byte, error) {
	n := len(e.order)
	if n == 0 {
		return dst, fmt.Errorf("frame: finish: %w: no records", ErrRecord)
	}
	start := len(dst)
	for {
		var err error
		if dst, err = e.encode(dst[:start], n); err != nil {
			return dst[:start], err
		}
		size := len(dst) - start
		if size <= MaxSize {
			break
		}
		if n == 1 {
			return dst[:start], fmt.Errorf("frame: finish: one record takes %d bytes: %w", size, ErrLimit)
		}
		// A little less than in proportion, so that the second attempt mostly fits.
		n = max(1, min(n-1, int(float64(n)*0.9*MaxSize/float64(size))))
	}
	if n == len(e.order) {
		e.clear()
	} else {
		e.drop(n)
	}
	return dst, nil
}

// drop removes the first n records, which is fewer than there are.
func (e *Encoder) drop(n int) {
	old := append([]*rows(nil), e.active...)
	for _, i := range e.order[:n] {
		old[i].taken++
	}
	for _, r := range old {
		r.drop(r.taken)
		r.taken, r.index = 0, -1
	}
	rest := e.order[n:]
	e.active = e.active[:0]
	e.raw = len(rest) * recordOverhead
	for j, i := range rest {
		r := old[i]
		if r.index < 0 {
			r.index = len(e.active)
			e.active = append(e.active, r)
			e.raw += r.count*r.packed + len(r.text)
		}
		e.order[j] = uint16(r.index)
	}
	e.order = e.order[:len(rest)]
	e.mono = e.mono[:copy(e.mono, e.mono[n:])]
	e.wall = e.wall[:copy(e.wall, e.wall[n:])]
	e.sev = e.sev[:copy(e.sev, e.sev[n:])]
	e.first += uint64(n)
}

// encode appends the frame of the first n records.
func (e *Encoder) encode(dst []byte, n int) ([]byte, error) {
	layouts := 0
	for _, i := range e.order[:n] {
		e.active[i].taken++
		layouts = max(layouts, int(i)+1) // they were numbered in the order of first appearance
	}
	e.describe(n, e.active[:layouts])
	start := len(dst)
	dst = e.header.append(dst)
	w := &e.out
	w.reset()
	e.encodeOrder(n, layouts)
	e.encodeTimes(n, e.active[:layouts])
	for _, r := range e.active[:layouts] {
		w.layout(r, r.taken)
		r.taken = 0
	}
	dst = w.appendBody(dst, e.zstd)
	seal(dst, start)
	return dst, nil
}

// describe fills in the header for the first n records, which are of the given layouts.
func (e *Encoder) describe(n int, active []*rows) {
	h := &e.header
	h.Mode, h.Reason, h.Stream, h.First, h.Count = Light, ledger.Reason(0), e.stream, e.first, uint64(n)
	h.Layouts, h.Readings = h.Layouts[:0], 0
	for _, r := range active {
		h.Layouts = append(h.Layouts, r.id)
		h.Readings += uint64(r.series) * uint64(r.taken)
	}
	h.MinMono, h.MaxMono = math.MaxInt64, math.MinInt64
	h.MinWall, h.MaxWall = math.MaxInt64, math.MinInt64
	for i, m := range e.mono[:n] {
		h.MinMono, h.MaxMono = min(h.MinMono, m), max(h.MaxMono, m)
		if w := e.wall[i]; w != 0 {
			h.MinWall, h.MaxWall = min(h.MinWall, w), max(h.MaxWall, w)
		}
	}
	if h.MaxWall < h.MinWall {
		h.MinWall, h.MaxWall = 0, 0
	}
}

// encodeOrder writes which record is of which layout. A table predicts each record's layout from the three before it; as a
// machine's tasks run round and round it is nearly always right, and then the record costs a zero byte before compression.
func (e *Encoder) encodeOrder(n, layouts int) {
	if layouts == 1 {
		return
	}
	w := &e.out
	var p orderPredictor
	w.flags = slices.Grow(w.flags, n)
	for _, i := range e.order[:n] {
		if p.guess() == i {
			w.flags = append(w.flags, 0)
		} else {
			w.flags = binary.AppendUvarint(w.flags, uint64(i)+1)
		}
		p.update(i)
	}
}

// An orderPredictor remembers what followed the last time that the same three layouts came in a row.
type orderPredictor struct {
	table   [1 << 12]uint16
	context uint64
	slot    uint16
}

func (p *orderPredictor) guess() uint16 { return p.table[p.slot] }

func (p *orderPredictor) update(i uint16) {
	p.table[p.slot] = i
	p.context = p.context<<16 | uint64(i)
	p.slot = uint16((p.context & (1<<48 - 1)) * 0x9e3779b97f4a7c15 >> 52)
}

// layout writes the columns of the first n rows of r.
func (w *columnWriter) layout(r *rows, n int) {
	w.desc = binary.AppendUvarint(w.desc, uint64(r.series))
	for _, s := range r.scalars {
		w.column(s.t, r, n, s.off)
	}
}

// column writes the column that lies at off in each of the first n rows.
func (w *columnWriter) column(t packet.Type, r *rows, n, off int) {
	if t == packet.String {
		w.texts(r, n, off)
		return
	}
	w.words = grow(w.words, n)
	switch t {
	case packet.Float32:
		if !gather32(w.words, r.data[off:], r.width) {
			w.constant32(uint32(w.words[0]))
			return
		}
		w.floats32()
	case packet.Float64:
		if !gather64(w.words, r.data[off:], r.width) {
			w.constant64(w.words[0])
			return
		}
		w.floats64()
	case packet.Bool:
		for i := range w.words {
			w.words[i] = uint64(r.data[off])
			off += r.width
		}
		w.ints()
	default:
		if !gather64(w.words, r.data[off:], r.width) {
			w.constantInt(w.words[0])
			return
		}
		w.variedIntCost()
		w.emitInts()
	}
}

// gather32 sets the words from every so many bytes, and reports whether they differ; if not, only the first is set.
func gather32(words []uint64, data []byte, width int) bool {
	first := binary.LittleEndian.Uint32(data)
	words[0] = uint64(first)
	off, i := width, 1
	for ; i < len(words) && binary.LittleEndian.Uint32(data[off:]) == first; i++ {
		off += width
	}
	if i == len(words) {
		return false
	}
	for j := 1; j < i; j++ {
		words[j] = uint64(first)
	}
	for ; i < len(words); i++ {
		words[i] = uint64(binary.LittleEndian.Uint32(data[off:]))
		off += width
	}
	return true
}

// gather64 is gather32 for words of eight bytes; it sets them all.
func gather64(words []uint64, data []byte, width int) bool {
	first, diff := binary.LittleEndian.Uint64(data), uint64(0)
	off := 0
	for i := range words {
		v := binary.LittleEndian.Uint64(data[off:])
		words[i] = v
		diff |= v ^ first
		off += width
	}
	return diff != 0
}
