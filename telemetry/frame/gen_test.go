package frame

import (
	"fmt"
	"math"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var testStream = telemetry.Stream{
	Device: "rover-7", Boot: telemetry.Boot{0x01, 0x8f, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, Class: packet.Normal,
}

// run is a run of records as a test made them.
type run struct {
	layouts []*telemetry.Layout
	records []telemetry.Record
}

func (r *run) catalog() *telemetry.Catalog {
	var c telemetry.Catalog
	for _, l := range r.layouts {
		c.Add(l)
	}
	return &c
}

// drawRun draws layouts and rows of every shape that columns can have: constant, drifting, jumping, noise, special values.
func drawRun(t *rapid.T) *run {
	r := &run{}
	for i := range rapid.IntRange(1, 4).Draw(t, "layouts") {
		l := &telemetry.Layout{Name: fmt.Sprintf("part%d", i), Kind: telemetry.Reading}
		for j := range rapid.IntRange(1, 6).Draw(t, "fields") {
			f := telemetry.Field{Name: fmt.Sprintf("f%d", j), Type: packet.Type(rapid.IntRange(1, 6).Draw(t, "type"))}
			if f.Type != packet.String {
				f.Len = rapid.IntRange(0, 3).Draw(t, "len")
			}
			l.Fields = append(l.Fields, f)
		}
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
		r.layouts = append(r.layouts, l)
	}
	n := rapid.IntRange(1, 200).Draw(t, "records")
	seq := rapid.SampledFrom([]uint64{0, 1, 1 << 40, math.MaxUint64 - 300}).Draw(t, "first")
	g := generator{t: t, pick: rapid.Uint64().Draw(t, "seed")}
	g.columns = make(map[string]*columnState)
	mono, step := int64(g.next()), int64(rapid.SampledFrom([]int{0, 1, 1000, 4_000_000, 1234567}).Draw(t, "step"))
	for i := range n {
		l := r.layouts[g.next()%uint64(len(r.layouts))]
		mono += step
		if g.next()%16 == 0 {
			mono += int64(g.next() % 100)
		}
		h := packet.Header{Layout: uint64(l.ID()), Seq: seq + uint64(i), Mono: mono, Class: packet.Normal}
		if g.next()%64 != 0 {
			h.Wall = mono + 1_700_000_000_000_000_000
		}
		if g.next()%32 == 0 {
			h.Severity = packet.Severity(g.next() % 6)
		}
		r.records = append(r.records, telemetry.Record{Layout: l, Packet: g.packet(l, h)})
	}
	return r
}

type generator struct {
	t       *rapid.T
	pick    uint64
	columns map[string]*columnState
}

type columnState struct {
	shape uint64
	last  uint64
}

// next is splitmix64: a cheap supply for the many values, from one drawn seed.
func (g *generator) next() uint64 {
	g.pick += 0x9e3779b97f4a7c15
	z := g.pick
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

var special64 = []uint64{
	0, 1 << 63, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000001, 0x7ff4000000000000, 0xfff0000000000001, 1, math.MaxUint64,
	math.Float64bits(math.MaxFloat32), math.Float64bits(math.SmallestNonzeroFloat32), 0x7fefffffffffffff, 0x3ff0000000000000,
}

var special32 = []uint32{0, 1 << 31, 0x7f800000, 0xff800000, 0x7fc00001, 0x7fa00000, 0xff800001, 1, math.MaxUint32, 0x7f7fffff, 0x3f800000}

func (g *generator) value(c *columnState, single bool) uint64 {
	switch c.shape {
	case 0: // constant
	case 1: // drifts
		c.last += g.next() % 1000
	case 2: // walks in floating point
		if single {
			f := math.Float32frombits(uint32(c.last)) + float32(int64(g.next()))/float32(1<<63)
			c.last = uint64(math.Float32bits(f))
		} else {
			f := math.Float64frombits(c.last) + float64(int64(g.next()))/float64(1<<63)
			c.last = math.Float64bits(f)
		}
	case 3: // rarely changes
		if g.next()%8 == 0 {
			c.last = g.next()
		}
	case 4: // a float64 that is a float32
		f := math.Float32frombits(uint32(g.next()))
		if f != f {
			f = 1
		}
		if single {
			c.last = uint64(math.Float32bits(f))
		} else {
			c.last = math.Float64bits(float64(f))
		}
	case 5: // small
		c.last = g.next() % 3
	case 6:
		if single {
			c.last = uint64(special32[g.next()%uint64(len(special32))])
		} else {
			c.last = special64[g.next()%uint64(len(special64))]
		}
	case 7: // a decimal, of two digits mostly
		n, over := int64(g.next()%2_000_000)-1_000_000, 100.0
		if g.next()%64 == 0 {
			n, over = int64(g.next()), math.Pow10(int(g.next()%12))
		}
		c.last = math.Float64bits(float64(n) / over)
		if single {
			c.last = uint64(math.Float32bits(float32(float64(n) / over)))
		}
	default:
		c.last = g.next()
	}
	return c.last
}

func (g *generator) packet(l *telemetry.Layout, h packet.Header) []byte {
	var w packet.Writer
	w.Reset(nil, h)
	for i, f := range l.Fields {
		for j := range f.Elements() {
			name := l.SeriesName(i, j)
			c := g.columns[name]
			if c == nil {
				c = &columnState{shape: g.next() % 9}
				g.columns[name] = c
			}
			v := g.value(c, f.Type == packet.Float32)
			switch f.Type {
			case packet.Float64:
				w.Float64(math.Float64frombits(v))
			case packet.Float32:
				w.Float32(math.Float32frombits(uint32(v)))
			case packet.Int64:
				w.Int64(int64(v))
			case packet.Uint64:
				w.Uint64(v)
			case packet.Bool:
				w.Bool(v&1 == 1)
			case packet.String:
				w.String(fmt.Sprintf("%032d", v)[32-v%33:])
			}
		}
	}
	b, err := w.Bytes()
	if err != nil {
		g.t.Fatal(err)
	}
	return b
}
