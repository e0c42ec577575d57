package filter

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// band is what a deadband remembers of one layout.
type band struct {
	*Deadband
	fields []field
	last   []uint64 // what is watched, as it was in the last record that passed: bits, or a hash of a text
	at     int64    // time of that record, ns
	begun  bool
}

// field is a run of elements of one type within a record.
type field struct {
	t       packet.Type
	n       int
	watched bool
}

// watches returns how many scalars of a layout the deadband compares.
func (d *Deadband) watches(l *telemetry.Layout) int {
	n := 0
	for _, f := range l.Fields {
		if d.counts(f) {
			n += f.Elements()
		}
	}
	return n
}

func (d *Deadband) counts(f telemetry.Field) bool {
	return len(d.Fields) == 0 || slices.Contains(d.Fields, f.Name)
}

func newBand(d *Deadband, l *telemetry.Layout, watched int) *band {
	b := &band{Deadband: d, fields: make([]field, len(l.Fields)), last: make([]uint64, watched)}
	for i, f := range l.Fields {
		b.fields[i] = field{t: f.Type, n: f.Elements(), watched: d.counts(f)}
	}
	return b
}

// left reports whether a record is to pass: it is the first, or out of the band, or comes after too long a silence. One
// that is shorter than its layout promises passes too.
func (b *band) left(now int64, values []byte) bool {
	if !b.begun || b.MaxSilence > 0 && b.silent(now) {
		return true
	}
	last := b.last
	for _, f := range b.fields {
		size := f.t.Size() * f.n
		if len(values) < size {
			return true
		}
		if f.t == packet.String {
			text, ok := cutText(values)
			if !ok || f.watched && textHash(text) != last[0] {
				return true
			}
			size += len(text)
		} else if f.watched && b.moved(f, values, last) {
			return true
		}
		if f.watched {
			last = last[f.n:]
		}
		values = values[size:]
	}
	return false
}

// silent reports whether the last record is MaxSilence ago. Where time has gone back the difference wraps around to more
// than any silence: nobody knows how long it was.
func (b *band) silent(now int64) bool {
	return uint64(now)-uint64(b.at) >= uint64(b.MaxSilence)
}

// remember keeps a record that has passed. Where it is too short the rest stays as it was.
func (b *band) remember(now int64, values []byte) {
	last := b.last
	b.at, b.begun = now, true
	for _, f := range b.fields {
		size := f.t.Size() * f.n
		if len(values) < size {
			return
		}
		if f.t == packet.String {
			text, ok := cutText(values)
			if !ok {
				return
			}
			size += len(text)
			if f.watched {
				last[0] = textHash(text)
			}
		} else if f.watched {
			for i := range f.n {
				last[i] = bits(f.t, values, i)
			}
		}
		if f.watched {
			last = last[f.n:]
		}
		values = values[size:]
	}
}

// moved reports whether an element of a field that is no text has left its band.
func (b *band) moved(f field, values []byte, last []uint64) bool {
	for i := range f.n {
		now, then := bits(f.t, values, i), last[i]
		if now == then {
			continue
		}
		var out bool
		switch f.t {
		case packet.Float64:
			out = b.outside(math.Float64frombits(now), math.Float64frombits(then))
		case packet.Float32:
			out = b.outside(float64(math.Float32frombits(uint32(now))), float64(math.Float32frombits(uint32(then))))
		case packet.Int64:
			out = b.beyond(distance(int64(now) > int64(then), now, then), float64(int64(then)))
		case packet.Uint64:
			out = b.beyond(distance(now > then, now, then), float64(then))
		default:
			out = true
		}
		if out {
			return true
		}
	}
	return false
}

// outside reports whether x, whose bits are not those of last, lies outside of the band around it. Numbers that are none
// are all alike.
func (b *band) outside(x, last float64) bool {
	switch {
	case math.IsNaN(x) || math.IsNaN(last):
		return math.IsNaN(x) != math.IsNaN(last)
	case math.IsInf(x, 0) || math.IsInf(last, 0):
		return true
	}
	return b.beyond(math.Abs(x-last), last)
}

func (b *band) beyond(distance, last float64) bool {
	return distance > max(b.Absolute, b.Relative*math.Abs(last))
}

// distance returns a−b, or b−a if a is not the greater, of integers given by their bits.
func distance(greater bool, a, b uint64) float64 {
	if greater {
		return float64(a - b)
	}
	return float64(b - a)
}

// bits returns the i-th element of type t, which values holds.
func bits(t packet.Type, values []byte, i int) uint64 {
	switch t {
	case packet.Float32:
		return uint64(binary.LittleEndian.Uint32(values[4*i:]))
	case packet.Bool:
		return uint64(values[i])
	}
	return binary.LittleEndian.Uint64(values[8*i:])
}

// cutText returns the text at the beginning of values, which hold at least its length.
func cutText(values []byte) ([]byte, bool) {
	n := binary.LittleEndian.Uint32(values)
	if uint64(n) > uint64(len(values)-4) {
		return nil, false
	}
	return values[4 : 4+n], true
}

var seed = maphash.MakeSeed()

// textHash stands for a text, which can be far longer than what a filter should keep. Two texts with the same one are
// taken for the same once in 2⁶⁴ changes.
func textHash(text []byte) uint64 { return maphash.Bytes(seed, text) }
