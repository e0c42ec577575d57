package frame

import (
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Limits of what a Decoder takes memory for. The zero value of each means the default, which every frame of an Encoder
// of this build keeps.
type Limits struct {
	Bytes   int // of the records, spelled out as MaxRaw counts them. Default MaxRaw
	Records int // default MaxRecords
	Columns int // of all layouts of a frame together. Default 1 << 18
}

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = MaxRaw
	}
	if l.Records <= 0 {
		l.Records = MaxRecords
	}
	if l.Columns <= 0 {
		l.Columns = 1 << 18
	}
	return l
}

// Layouts is where a Decoder finds layouts. A *telemetry.Catalog is one.
type Layouts interface {
	// Layout returns the layout with that id, or nil.
	Layout(id telemetry.LayoutID) *telemetry.Layout
}

// A Block has the records of one layout in a frame, column by column. Row i of every slice is the same record. A Block's
// memory is the Decoder's and is valid until its next Decode, except for strings, which are anyone's.
type Block struct {
	Layout   *telemetry.Layout
	Rows     int
	Seq      []uint64
	Mono     []int64 // ns since the boot's origin
	Wall     []int64 // ns since 1970 UTC; 0 where unknown
	Severity []packet.Severity
	// Columns has one entry for each scalar of a row, vectors flattened, in the layout's order: all of them, or those
	// that Decoder.Select chose.
	Columns []Column
}

// A Column is one series: the slice of its type has a value for each row, the others are nil.
type Column struct {
	Field, Element int // see telemetry.Layout.SeriesName
	Type           packet.Type

	F64  []float64
	F32  []float32
	I64  []int64
	U64  []uint64
	Bool []bool
	Str  []string
}

// A Decoder reads frames. It is used again for one frame after the other and then takes little new memory. It is not safe
// for concurrent use, and starts no goroutine.
type Decoder struct {
	// Select, unless nil, says which series are wanted; the others are passed over at little cost. A layout of which
	// none is wanted has no Block.
	Select func(layout *telemetry.Layout, field, element int) bool

	limits Limits
	zstd   *zstd.Decoder
	header Header
	in     columnReader

	shapes       map[*telemetry.Layout]*shape
	shaped       int    // scalars of all shapes; at most limits.Columns
	joined, high []byte // decompressed
	parts        []part
	order        []uint16
	blocks       []Block
	columns      []Column

	seq        []uint64
	mono, wall []int64
	sev        []packet.Severity
	f64        arena[float64]
	f32        arena[float32]
	i64        arena[int64]
	u64        arena[uint64]
	bools      arena[bool]
	str        arena[string]

	ready  bool // Records may be called
	packet packet.Writer
	row    []int // by part
}

// part is a layout's share of the frame being decoded.
type part struct {
	layout *telemetry.Layout // nil if unknown
	shape  *shape            // of layout
	rows   int
	from   int // of its rows in Decoder.seq, mono, wall, sev
	next   int // while records are dealt out
	block  int // in Decoder.blocks; -1 if it has none

	against int // what the times are told against
	last    uint64
}

// shape is what a Decoder remembers of a layout.
type shape struct {
	scalars []place
	width   int // bytes of a row in a packet, without the strings' bytes
	strings bool
}

// place is where a scalar stands in its layout.
type place struct {
	field, element uint16
	t              packet.Type
}

// shape returns a layout's, or nil if it has more scalars than that.
func (d *Decoder) shape(l *telemetry.Layout, most int) *shape {
	if s := d.shapes[l]; s != nil && len(s.scalars) <= most {
		return s
	}
	n := l.Series()
	if n > most {
		return nil
	}
	if d.shaped += n; d.shaped > d.limits.Columns {
		clear(d.shapes)
		d.shaped = n
	}
	s := &shape{scalars: make([]place, 0, n)}
	for i, f := range l.Fields {
		for j := range f.Elements() {
			s.scalars = append(s.scalars, place{uint16(i), uint16(j), f.Type})
			s.width += f.Type.Size()
			s.strings = s.strings || f.Type == packet.String
		}
	}
	d.shapes[l] = s
	return s
}

// arena hands out slices that are valid until it is reset.
type arena[T any] struct {
	buf  []T
	used int
}

func (a *arena[T]) take(n int) []T {
	if len(a.buf)-a.used < n {
		a.buf = make([]T, max(2*len(a.buf), n, 1024))
		a.used = 0
	}
	s := a.buf[a.used : a.used+n : a.used+n]
	a.used += n
	return s
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// NewDecoder returns a decoder that keeps to the limits.
func NewDecoder(limits Limits) *Decoder {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic("frame: zstd refuses its options: " + err.Error())
	}
	return &Decoder{limits: limits.orDefault(), zstd: z, shapes: make(map[*telemetry.Layout]*shape)}
}

// Header returns what the frame that was decoded last says of itself. Its memory is the Decoder's.
func (d *Decoder) Header() *Header { return &d.header }

// Decode returns the records of a frame, a block per layout in the order of the header. A lost frame has none.
//
// If some layouts are not known, the error is an *UnknownLayoutsError and the blocks of the others are returned with it.
// Any other error comes without blocks and wraps ErrCorrupt, ErrVersion or ErrLimit.
func (d *Decoder) Decode(b []byte, layouts Layouts) ([]Block, error) {
	d.ready = false
	body, err := d.header.parse(b)
	if err != nil {
		return nil, err
	}
	if d.header.Mode == Lost {
		d.blocks, d.order = d.blocks[:0], d.order[:0]
		return nil, nil
	}
	if err := d.open(body); err != nil {
		return nil, err
	}
	d.reset()
	var unknown []telemetry.LayoutID
	columns := 0
	for i, id := range d.header.Layouts {
		p := &d.parts[i]
		if p.layout = layouts.Layout(id); p.layout == nil {
			unknown = append(unknown, id)
			continue
		}
		if p.shape = d.shape(p.layout, d.limits.Columns-columns); p.shape == nil {
			return nil, fmt.Errorf("frame: decode: more than %d columns: %w", d.limits.Columns, ErrLimit)
		}
		columns += len(p.shape.scalars)
	}
	if err := d.readOrder(); err != nil {
		return nil, err
	}
	if err := d.checkLimits(); err != nil {
		return nil, err
	}
	d.readTimes()
	if d.in.failed() {
		return nil, corrupt("decode: order or times")
	}
	if err := d.readBlocks(); err != nil {
		return nil, err
	}
	d.ready = true
	if len(unknown) != 0 {
		return d.blocks, &UnknownLayoutsError{IDs: unknown}
	}
	return d.blocks, nil
}

// open decompresses the body.
func (d *Decoder) open(body []byte) error {
	c := cursor{rest: body}
	var sizes [5]int
	joined := 0
	for i := range sizes {
		// Twice the records is more than an Encoder makes of them, see the descriptors; the rest is for tiny frames.
		n := c.uvarint()
		if n > uint64(2*d.limits.Bytes)+MaxSize {
			return fmt.Errorf("frame: decode: stream of %d bytes: %w", n, ErrLimit)
		}
		sizes[i] = int(n)
		joined += int(n)
	}
	high := sizes[4]
	joined -= high
	var err error
	if d.joined, err = d.decompress(d.joined, &c, joined); err != nil {
		return err
	}
	if d.high, err = d.decompress(d.high, &c, high); err != nil {
		return err
	}
	all := cursor{rest: d.joined}
	in := &d.in
	in.bad = false
	in.desc = cursor{rest: all.take(sizes[0])}
	in.value = cursor{rest: all.take(sizes[1])}
	in.flags = cursor{rest: all.take(sizes[2])}
	in.extra = cursor{rest: all.take(sizes[3])}
	in.high = cursor{rest: d.high}
	in.low = cursor{rest: c.rest}
	return nil
}

// decompress reads what appendCompressed wrote, size bytes when decompressed.
func (d *Decoder) decompress(buf []byte, c *cursor, size int) ([]byte, error) {
	buf = grow(buf, size)
	n := c.uvarint()
	if n == 0 {
		b := c.take(size)
		if c.bad {
			return buf, corrupt("decode: cut short")
		}
		copy(buf, b)
		return buf, nil
	}
	b := c.take(int(min(n, MaxSize+1)))
	if c.bad {
		return buf, corrupt("decode: cut short")
	}
	out, err := d.zstd.DecodeAll(b, buf[:0:size])
	if err != nil {
		return buf, fmt.Errorf("frame: decode: %w: %w", ErrCorrupt, err)
	}
	if len(out) != size {
		return buf, corrupt("decode: stream of another size")
	}
	return buf, nil // where DecodeAll has written, capacity and all
}

func (d *Decoder) reset() {
	d.parts = grow(d.parts, len(d.header.Layouts))
	for i := range d.parts {
		d.parts[i] = part{block: -1}
	}
	d.blocks, d.columns = d.blocks[:0], d.columns[:0]
	d.f64.used, d.f32.used, d.i64.used, d.u64.used, d.bools.used, d.str.used = 0, 0, 0, 0, 0, 0
}

// readOrder reads which record is of which layout.
func (d *Decoder) readOrder() error {
	n := int(d.header.Count)
	if n > d.limits.Records {
		return fmt.Errorf("frame: decode: %d records: %w", n, ErrLimit)
	}
	d.order = grow(d.order, n)
	if len(d.parts) == 1 {
		clear(d.order)
		d.parts[0].rows = n
		return nil
	}
	var p orderPredictor
	flags := &d.in.flags
	for i := range d.order {
		l := uint64(p.guess())
		if len(flags.rest) > 0 && flags.rest[0] == 0 {
			flags.rest = flags.rest[1:] // nearly always
		} else if v := flags.uvarint(); v != 0 {
			l = v - 1
		}
		if l >= uint64(len(d.parts)) {
			return corrupt("decode: order of records")
		}
		d.order[i] = uint16(l)
		d.parts[l].rows++
		p.update(uint16(l))
	}
	from := 0
	for i := range d.parts {
		p := &d.parts[i]
		if p.rows == 0 {
			return corrupt("decode: layout without records")
		}
		p.from, p.next = from, from
		from += p.rows
	}
	return nil
}

// checkLimits holds what the records will take against the limits, except for the bytes of strings, and against the header.
func (d *Decoder) checkLimits() error {
	size, readings, unknown := uint64(0), uint64(0), false
	for _, p := range d.parts {
		width, scalars := 0, 0
		if p.layout != nil {
			width, scalars = p.shape.width, len(p.shape.scalars)
		}
		size += uint64(p.rows) * uint64(width+recordOverhead)
		readings += uint64(p.rows) * uint64(scalars)
		unknown = unknown || p.layout == nil
	}
	if size > uint64(d.limits.Bytes) {
		return fmt.Errorf("frame: decode: %d bytes: %w", size, ErrLimit)
	}
	if readings > d.header.Readings || !unknown && readings != d.header.Readings {
		return corrupt("decode: readings of other layouts")
	}
	return nil
}

// readBlocks reads the columns.
func (d *Decoder) readBlocks() error {
	textLeft := d.limits.Bytes
	for i := range d.parts {
		p := &d.parts[i]
		columns := d.in.desc.uvarint()
		if p.layout == nil {
			if columns > telemetry.MaxSeries {
				return corrupt("decode: too many columns")
			}
			for ; columns > 0 && !d.in.failed(); columns-- {
				d.in.skip(p.rows)
			}
			continue
		}
		if columns != uint64(len(p.shape.scalars)) {
			return corrupt("decode: columns of another layout")
		}
		d.readBlock(p, &textLeft)
		if textLeft < 0 {
			return fmt.Errorf("frame: decode: strings of more than %d bytes: %w", d.limits.Bytes, ErrLimit)
		}
		if d.in.failed() {
			return fmt.Errorf("frame: decode: columns of %q: %w", p.layout.Name, ErrCorrupt)
		}
	}
	in := &d.in
	if in.failed() || len(in.desc.rest)+len(in.value.rest)+len(in.flags.rest)+len(in.extra.rest)+len(in.high.rest)+len(in.low.rest) != 0 {
		return corrupt("decode: streams cut short or bytes left over")
	}
	return nil
}

func (d *Decoder) readBlock(p *part, textLeft *int) {
	first := len(d.columns)
	d.columns = slices.Grow(d.columns, len(p.shape.scalars))
	for _, s := range p.shape.scalars {
		if d.Select != nil && !d.Select(p.layout, int(s.field), int(s.element)) {
			d.in.skip(p.rows)
			continue
		}
		// What is in this place is a column of an earlier frame, mostly of the same type: then
		// it has no other slice to be cleared.
		d.columns = d.columns[:len(d.columns)+1]
		c := &d.columns[len(d.columns)-1]
		if c.Type != s.t {
			*c = Column{Type: s.t}
		}
		c.Field, c.Element = int(s.field), int(s.element)
		d.readColumn(c, p.rows, textLeft)
	}
	if len(d.columns) == first {
		return
	}
	if p.shape.strings {
		d.checkRows(d.columns[first:], p)
	}
	to := p.from + p.rows
	p.block = len(d.blocks)
	d.blocks = append(d.blocks, Block{
		Layout: p.layout, Rows: p.rows, Seq: d.seq[p.from:to:to], Mono: d.mono[p.from:to:to], Wall: d.wall[p.from:to:to],
		Severity: d.sev[p.from:to:to], Columns: d.columns[first:len(d.columns):len(d.columns)],
	})
}

// checkRows refuses strings that together with the row's other values exceed a packet.
func (d *Decoder) checkRows(columns []Column, p *part) {
	fixed := packet.HeaderSize
	for _, c := range columns {
		fixed += c.Type.Size()
	}
	for i := range p.rows {
		size := fixed
		for _, c := range columns {
			if c.Type == packet.String {
				size += len(c.Str[i])
			}
		}
		if size > packet.MaxSize {
			d.in.fail()
			return
		}
	}
}

func (d *Decoder) readColumn(c *Column, n int, textLeft *int) {
	in := &d.in
	zero := in.zero() // about half of all columns
	switch c.Type {
	case packet.Float64:
		c.F64 = d.f64.take(n)
		if zero {
			clear(c.F64)
			return
		}
		for i, v := range in.floats64(n) {
			c.F64[i] = math.Float64frombits(v)
		}
	case packet.Float32:
		c.F32 = d.f32.take(n)
		if zero {
			clear(c.F32)
			return
		}
		for i, v := range in.floats32(n) {
			c.F32[i] = math.Float32frombits(uint32(v))
		}
	case packet.Int64:
		c.I64 = d.i64.take(n)
		if zero {
			clear(c.I64)
			return
		}
		for i, v := range in.ints(n) {
			c.I64[i] = int64(v)
		}
	case packet.Uint64:
		c.U64 = d.u64.take(n)
		if zero {
			clear(c.U64)
			return
		}
		copy(c.U64, in.ints(n))
	case packet.Bool:
		c.Bool = d.bools.take(n)
		if zero {
			clear(c.Bool)
			return
		}
		for i, v := range in.ints(n) {
			if v > 1 {
				in.fail()
			}
			c.Bool[i] = v == 1
		}
	case packet.String:
		c.Str = d.str.take(n)
		if zero {
			clear(c.Str)
			return
		}
		*textLeft -= in.strings(c.Str, max(*textLeft, 0))
	}
}
