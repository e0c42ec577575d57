package frame

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/klauspost/compress/zstd"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// An Encoder makes light frames. It is used again for one frame after the other and then allocates nothing; what it
// holds grows to a few times MaxRaw. It is not safe for concurrent use, and starts no goroutine.
type Encoder struct {
	stream telemetry.Stream
	begun  bool
	first  uint64 // of the record at order[0]; meaningful if there is one
	next   uint64

	byID   map[telemetry.LayoutID]*rows
	active []*rows // layouts of this frame, in the order of first appearance
	order  []uint16
	mono   []int64
	wall   []int64
	sev    []byte
	raw    int   // as MaxRaw counts
	last   *rows // of the record that was appended last; nil if there is none

	header Header
	out    columnWriter
	times  timeWriter
	zstd   *zstd.Encoder
}

// rows are the records of one layout, as packets have them.
type rows struct {
	layout *telemetry.Layout
	id     telemetry.LayoutID
	index  int // in Encoder.active; -1 if not there
	count  int
	taken  int   // of count, into the frame being encoded
	follow *rows // what came after a record of this layout the last time; nil if nothing did
	series int
	packed int // bytes of a row's values in a packet, without the strings' bytes
	width  int // bytes of a row in data

	scalars []scalar
	strings bool
	data    []byte // count × width
	text    []byte // all strings, row by row
	bools   []int  // offsets in a row
}

// scalar is where one of a row's is, in data.
type scalar struct {
	t   packet.Type
	off int
}

// maxPlans bounds the layouts that an Encoder remembers.
const maxPlans = 4 * MaxLayouts

// NewEncoder returns an encoder. Reset it before the first Append.
func NewEncoder() *Encoder {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithAllLitEntropyCompression(true), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic("frame: zstd refuses its options: " + err.Error())
	}
	return &Encoder{zstd: z, byID: make(map[telemetry.LayoutID]*rows)}
}

// Reset drops what was appended and begins a frame of a stream, whose device and class must be valid. The first record
// that is appended sets the frame's first number.
func (e *Encoder) Reset(stream telemetry.Stream) {
	e.stream, e.begun = stream, true
	e.clear()
}

func (e *Encoder) clear() {
	for _, r := range e.active {
		r.clear()
	}
	e.active, e.order = e.active[:0], e.order[:0]
	e.mono, e.wall, e.sev = e.mono[:0], e.wall[:0], e.sev[:0]
	e.raw = 0
}

func (r *rows) clear() {
	r.index, r.count = -1, 0
	r.data, r.text = r.data[:0], r.text[:0]
}

// Len returns how many records the next Finish has to take.
func (e *Encoder) Len() int { return len(e.order) }

// Raw returns the bytes that the records take when they are spelled out, as MaxRaw counts them. The frame will be
// smaller, by how much depends on the data: 2 to 10 times is common.
func (e *Encoder) Raw() int { return e.raw }

// Append takes a record: a numbered packet of a validated layout. The packet is copied.
//
// The error wraps ErrFull if the record belongs in the next frame, or ErrRecord if the packet is not one of this layout
// and of this stream's class, or its number does not follow the last one's. The encoder is unchanged after an error.
func (e *Encoder) Append(layout *telemetry.Layout, p []byte) error {
	h, err := packet.ParseHeader(p)
	if err != nil {
		return fmt.Errorf("frame: append: %w: %w", ErrRecord, err)
	}
	switch {
	case !e.begun:
		return fmt.Errorf("frame: append: %w: the encoder was not reset", ErrRecord)
	case h.Class != e.stream.Class:
		return fmt.Errorf("frame: append: %w: class %s in a stream of class %s", ErrRecord, h.Class, e.stream.Class)
	case len(e.order) > 0 && h.Seq != e.next, h.Seq == math.MaxUint64:
		return fmt.Errorf("frame: append: %w: number %d after %d", ErrRecord, h.Seq, e.next-1)
	}
	r := e.rows(layout)
	if telemetry.LayoutID(h.Layout) != r.id {
		return fmt.Errorf("frame: append: %w: packet of layout %016x as %q", ErrRecord, h.Layout, layout.Name)
	}
	cost := int(h.Len) + recordOverhead
	full := len(e.order) == MaxRecords || e.raw+cost > MaxRaw || r.index < 0 && len(e.active) == MaxLayouts
	if full && len(e.order) > 0 {
		return fmt.Errorf("frame: append: %w", ErrFull)
	}
	if err := r.append(p[packet.HeaderSize:]); err != nil {
		return fmt.Errorf("frame: append to %q: %w: %w", layout.Name, ErrRecord, err)
	}
	if r.index < 0 {
		r.index = len(e.active)
		e.active = append(e.active, r)
	}
	if len(e.order) == 0 {
		e.first = h.Seq
	}
	if e.last != nil {
		e.last.follow = r
	}
	e.last = r
	e.next = h.Seq + 1
	e.order = append(e.order, uint16(r.index))
	e.mono, e.wall, e.sev = append(e.mono, h.Mono), append(e.wall, h.Wall), append(e.sev, byte(h.Severity))
	e.raw += cost
	return nil
}

// rows returns the rows of a layout. As a machine's tasks run round and round, it is mostly the one that came next before.
func (e *Encoder) rows(l *telemetry.Layout) *rows {
	if e.last != nil && e.last.follow != nil && e.last.follow.layout == l {
		return e.last.follow
	}
	id := l.ID()
	if r := e.byID[id]; r != nil {
		r.layout = l // of the same content, and what comes next probably has this pointer too
		return r
	}
	if len(e.byID) >= maxPlans {
		for _, r := range e.byID {
			r.follow = nil // it may be forgotten, and must not come back beside one that takes its place
		}
		clear(e.byID)
		for _, r := range e.active {
			e.byID[r.id] = r
		}
	}
	r := &rows{layout: l, id: id, index: -1, series: l.Series()}
	for _, f := range l.Fields {
		for range f.Elements() {
			if f.Type == packet.Bool {
				r.bools = append(r.bools, r.width)
			}
			r.scalars = append(r.scalars, scalar{f.Type, r.width})
			r.strings = r.strings || f.Type == packet.String
			r.width += rowSize(f.Type)
			r.packed += f.Type.Size()
		}
	}
	e.byID[id] = r
	return r
}

// rowSize is what an element takes in a row: what it takes in a packet, but for a string its offset and length, 4 bytes each.
func rowSize(t packet.Type) int {
	if t == packet.String {
		return 8
	}
	return t.Size()
}

// append takes the values of a packet, or returns why they are not a row and leaves r as it was.
func (r *rows) append(values []byte) error {
	data, text := len(r.data), len(r.text)
	if r.strings {
		if err := r.appendStrings(values); err != nil {
			r.data, r.text = r.data[:data], r.text[:text]
			return err
		}
	} else {
		if len(values) != r.width {
			return packet.ErrShort
		}
		r.data = append(r.data, values...)
	}
	row := r.data[data:]
	for _, off := range r.bools {
		if row[off] > 1 {
			r.data, r.text = r.data[:data], r.text[:text]
			return packet.ErrType
		}
	}
	r.count++
	return nil
}

func (r *rows) appendStrings(values []byte) error {
	c := cursor{rest: values}
	for _, f := range r.layout.Fields {
		if f.Type != packet.String {
			r.data = append(r.data, c.take(f.Elements()*f.Type.Size())...)
			continue
		}
		s := c.take(int(min(c.uint32(), packet.MaxSize)))
		r.data = binary.LittleEndian.AppendUint32(r.data, uint32(len(r.text)))
		r.data = binary.LittleEndian.AppendUint32(r.data, uint32(len(s)))
		r.text = append(r.text, s...)
	}
	switch {
	case c.bad:
		return packet.ErrShort
	case len(c.rest) != 0:
		return packet.ErrTrailing
	}
	return nil
}

// drop removes the first n rows.
func (r *rows) drop(n int) {
	if n == 0 {
		return
	}
	r.count -= n
	r.data = r.data[:copy(r.data, r.data[n*r.width:])]
	if !r.strings || r.count == 0 {
		r.text = r.text[:0]
		return
	}
	offsets := make([]int, 0, 8)
	off := 0
	for _, f := range r.layout.Fields {
		if f.Type == packet.String {
			offsets = append(offsets, off)
		}
		off += f.Elements() * rowSize(f.Type)
	}
	cut := binary.LittleEndian.Uint32(r.data[offsets[0]:])
	r.text = r.text[:copy(r.text, r.text[cut:])]
	for i := range r.count {
		for _, off := range offsets {
			p := r.data[i*r.width+off:]
			binary.LittleEndian.PutUint32(p, binary.LittleEndian.Uint32(p)-cut)
		}
	}
}
