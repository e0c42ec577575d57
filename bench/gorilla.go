package main

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// gorilla is the encoding of Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory Time Series Database", VLDB 2015,
// section 4.1: delta of delta for times, XOR with the value before for values, bit by bit. As in the frame, one column of times
// is shared by the series that were sampled together, and names are not stored. The paper's times are seconds; these are
// microseconds, so the classes of their differences are wider.
type gorilla struct {
	f      *flight
	groups map[telemetry.LayoutID]*gorillaGroup
	order  []*gorillaGroup
	w      bitWriter
}

type gorillaGroup struct {
	layout *telemetry.Layout
	rows   int
	time   []int64
	words  [][]uint64 // by series
}

func newGorilla(f *flight) codec {
	return &gorilla{f: f, groups: make(map[telemetry.LayoutID]*gorillaGroup)}
}

func (*gorilla) name() string { return "Gorilla, 64 bit, times shared" }

func (c *gorilla) encode(batch []telemetry.Record) ([]byte, error) {
	for _, g := range c.order {
		g.rows, g.time = 0, g.time[:0]
		for i := range g.words {
			g.words[i] = g.words[i][:0]
		}
	}
	c.order = c.order[:0]
	for _, r := range batch {
		c.add(r)
	}
	c.w = bitWriter{buf: c.w.buf[:0]}
	for _, g := range c.order {
		c.w.bits(uint64(g.layout.ID()), 64)
		c.w.bits(uint64(g.rows), 32)
		c.w.times(g.time)
		for _, words := range g.words {
			c.w.values(words)
		}
	}
	return c.w.finish(), nil
}

func (c *gorilla) add(r telemetry.Record) {
	g := c.groups[r.Layout.ID()]
	if g == nil {
		g = &gorillaGroup{layout: r.Layout, words: make([][]uint64, r.Layout.Series())}
		c.groups[r.Layout.ID()] = g
	}
	if g.rows == 0 {
		c.order = append(c.order, g)
	}
	g.rows++
	b := r.Packet
	g.time = append(g.time, int64(binary.LittleEndian.Uint64(b[16:]))/1000)
	b = b[packet.HeaderSize:]
	i := 0
	for _, f := range r.Layout.Fields {
		for range f.Elements() {
			word, size := uint64(0), f.Type.Size()
			switch f.Type {
			case packet.Float32:
				word = math.Float64bits(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
			case packet.Bool:
				word = uint64(b[0])
			case packet.String:
				size += int(binary.LittleEndian.Uint32(b)) // text is left out
			default:
				word = binary.LittleEndian.Uint64(b)
			}
			g.words[i] = append(g.words[i], word)
			b = b[size:]
			i++
		}
	}
}

// bitWriter writes the highest bit first.
type bitWriter struct {
	buf []byte
	acc uint64
	n   uint
}

func (w *bitWriter) bits(v uint64, n uint) {
	if n < 64 {
		v &= 1<<n - 1
	}
	if free := 64 - w.n; n >= free {
		w.acc |= v >> (n - free)
		w.buf = binary.BigEndian.AppendUint64(w.buf, w.acc)
		w.acc, w.n = 0, 0
		if n -= free; n == 0 {
			return
		}
	}
	w.acc |= v << (64 - w.n - n)
	w.n += n
}

func (w *bitWriter) finish() []byte {
	for used := uint(0); used < w.n; used += 8 {
		w.buf = append(w.buf, byte(w.acc>>(56-used)))
	}
	return w.buf
}

// timeClasses are the widths of a difference of differences, and the ones before its zero.
var timeClasses = [...]uint{7, 12, 20, 64}

func (w *bitWriter) times(times []int64) {
	w.bits(uint64(times[0]), 64)
	before, delta := times[0], int64(0)
	for _, t := range times[1:] {
		d := t - before
		dd := d - delta
		before, delta = t, d
		if dd == 0 {
			w.bits(0, 1)
			continue
		}
		for i, width := range timeClasses {
			if width == 64 {
				w.bits(0b1111, 4)
				w.bits(uint64(dd), 64)
			} else if dd >= -(1<<(width-1)) && dd < 1<<(width-1) {
				w.bits((1<<(i+1)-1)<<1, uint(i)+2)
				w.bits(uint64(dd), width)
				break
			}
		}
	}
}

func (w *bitWriter) values(words []uint64) {
	before := words[0]
	w.bits(before, 64)
	leading, trailing := uint(65), uint(0)
	for _, v := range words[1:] {
		x := v ^ before
		before = v
		if x == 0 {
			w.bits(0, 1)
			continue
		}
		lead, trail := min(uint(bits.LeadingZeros64(x)), 31), uint(bits.TrailingZeros64(x))
		if lead >= leading && trail >= trailing {
			w.bits(0b10, 2)
		} else {
			leading, trailing = lead, trail
			w.bits(0b11<<11|uint64(lead)<<6|uint64(63-lead-trail), 13)
		}
		w.bits(x>>trailing, 64-leading-trailing)
	}
}

type bitReader struct {
	b   []byte
	at  uint // bit
	bad bool
}

func (r *bitReader) bits(n uint) uint64 {
	if r.at+n > uint(len(r.b))*8 {
		r.bad = true
		return 0
	}
	i := r.at >> 3
	shift := r.at & 7
	r.at += n
	if n <= 56 && int(i)+8 <= len(r.b) {
		return binary.BigEndian.Uint64(r.b[i:]) << shift >> (64 - n)
	}
	v := uint64(0)
	for n > 0 {
		take := min(8-shift, n)
		v = v<<take | uint64(r.b[i]<<shift>>(8-take))
		n -= take
		shift = 0
		i++
	}
	return v
}

func (r *bitReader) times(out []int64) {
	out[0] = int64(r.bits(64))
	before, delta := out[0], int64(0)
	for i := range out[1:] {
		class := 0
		for class < len(timeClasses) && r.bits(1) == 1 {
			class++
		}
		if class > 0 {
			width := timeClasses[class-1]
			delta += int64(r.bits(width)) << (64 - width) >> (64 - width)
		}
		before += delta
		out[i+1] = before
	}
}

func (r *bitReader) values(out []uint64) {
	before := r.bits(64)
	out[0] = before
	leading, trailing := uint(0), uint(0)
	for i := range out[1:] {
		if r.bits(1) == 1 {
			if r.bits(1) == 1 {
				v := uint(r.bits(11))
				leading = v >> 6
				trailing = 63 - leading - v&63
			}
			before ^= r.bits(64-leading-trailing) << trailing
		}
		out[i+1] = before
	}
}

func (c *gorilla) decode(b []byte) (tally, error) {
	t := tally{}
	r := bitReader{b: b}
	var times []int64
	var words []uint64
	for int(r.at+7)/8 < len(b) {
		l := c.f.catalog.Layout(telemetry.LayoutID(r.bits(64)))
		rows := int(r.bits(32))
		if l == nil || rows == 0 || r.bad {
			return t, errors.New("corrupt")
		}
		if cap(words) < rows {
			times, words = make([]int64, rows), make([]uint64, rows)
		}
		times, words = times[:rows], words[:rows]
		r.times(times)
		for _, f := range l.Fields {
			for range f.Elements() {
				r.values(words)
				if f.Type == packet.String {
					continue
				}
				t.readings += rows
				for _, v := range words {
					t.sum += v
				}
			}
		}
	}
	if r.bad {
		return t, errors.New("cut short")
	}
	return t, nil
}
