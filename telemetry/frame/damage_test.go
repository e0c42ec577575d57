package frame

import (
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// TestBitFlips flips every bit of a frame: a CRC-32C finds them all.
func TestBitFlips(t *testing.T) {
	d := NewDecoder(Limits{})
	for name, b := range map[string][]byte{
		"light": encodeAll(t, NewEncoder(), testStream, testRecords(t, 9, 40)),
		"lost":  AppendLost(nil, testStream, 9, 40, ledger.Expired),
	} {
		for i := range len(b) * 8 {
			b[i/8] ^= 1 << (i % 8)
			if _, err := Peek(b); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s: bit %d: peek: %v", name, i, err)
			}
			if _, err := d.Decode(b, oneLayout{testLayout}); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s: bit %d: decode: %v", name, i, err)
			}
			b[i/8] ^= 1 << (i % 8)
		}
	}
}

func TestTruncation(t *testing.T) {
	d := NewDecoder(Limits{})
	b := encodeAll(t, NewEncoder(), testStream, testRecords(t, 9, 40))
	for i := range b {
		if _, err := Peek(b[:i]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d bytes: peek: %v", i, err)
		}
		// And as a writer's defect would make it: short, with a checksum that is right.
		short := append([]byte(nil), b[:i]...)
		if i >= fixedHeader {
			seal(short, 0)
		}
		if _, err := d.Decode(short, oneLayout{testLayout}); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d bytes: decode: %v", i, err)
		}
	}
	if _, err := Peek(append(b, 0)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a byte more: %v", err)
	}
}

func TestVersion(t *testing.T) {
	b := encodeAll(t, NewEncoder(), testStream, testRecords(t, 9, 4))
	for _, c := range []struct {
		off   int
		value byte
		want  error
	}{{offVersion, 0, ErrVersion}, {offVersion, 1, nil}, {offVersion, Version, nil}, {offVersion, Version + 1, ErrVersion}, {offMode, 2, ErrVersion}} {
		other := append([]byte(nil), b...)
		other[c.off] = c.value
		seal(other, 0)
		if _, err := Peek(other); !errors.Is(err, c.want) {
			t.Errorf("byte %d is %d: %v", c.off, c.value, err)
		}
	}
}

func TestDecoderLimits(t *testing.T) {
	b := encodeAll(t, NewEncoder(), testStream, testRecords(t, 0, 100))
	size := 100 * recordOverhead
	text := 0
	for i := range 100 {
		size += 12 + 8 + 8 + 8 + 1 + 4
		text += len([]string{"", "idle", "moving"}[i%3])
	}
	for _, tt := range []struct {
		limits Limits
		ok     bool
	}{
		{Limits{}, true},
		{Limits{Records: 100, Columns: 8, Bytes: size}, true},
		{Limits{Records: 99}, false},
		{Limits{Columns: 7}, false},
		{Limits{Bytes: size - 1}, false},
		{Limits{Bytes: 1}, false},
	} {
		_, err := NewDecoder(tt.limits).Decode(b, oneLayout{testLayout})
		if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrLimit) {
			t.Errorf("%+v: %v", tt.limits, err)
		}
	}
}

// frameOf makes a sealed frame from a header and a body, whatever they say.
func frameOf(h Header, body []byte) []byte {
	b := append(h.append(nil), body...)
	seal(b, 0)
	return b
}

// TestBombs decodes small frames that claim to be large. What they are let allocate is bounded by the limits.
func TestBombs(t *testing.T) {
	l := &telemetry.Layout{Name: "wide", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "b", Type: packet.Bool, Len: telemetry.MaxSeries}}}
	header := Header{Mode: Light, Stream: testStream, Count: MaxRecords, Readings: MaxRaw, Layouts: []telemetry.LayoutID{l.ID()}}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	zeros := z.EncodeAll(make([]byte, 64<<20), nil)
	sizes := func(joined, high uint64, first []byte) []byte {
		b := binary.AppendUvarint(nil, joined)
		b = append(b, 0, 0, 0)
		b = binary.AppendUvarint(b, high)
		b = binary.AppendUvarint(b, uint64(len(first)))
		return append(b, first...)
	}
	for name, body := range map[string][]byte{
		"zstd longer than said":      sizes(1000, 0, zeros),
		"a stream of 512 MiB":        sizes(512<<20, 0, zeros),
		"a stream of 2^64 bytes":     sizes(1<<64-1, 1<<64-1, zeros),
		"a row of 4096, 65536 times": sizes(6+telemetry.MaxSeries, 0, z.EncodeAll(append([]byte{0, 0, 0, 0, 0x80, 0x20}, make([]byte, telemetry.MaxSeries)...), nil)),
	} {
		f := frameOf(header, body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := NewDecoder(Limits{}).Decode(f, oneLayout{l})
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
		allocated := after.TotalAlloc - before.TotalAlloc
		if allocated > 4*MaxRaw {
			t.Errorf("%s: %d bytes allocated", name, allocated)
		}
	}
}

// stored returns a frame with its streams uncompressed: there a fuzzer reaches what a column says.
func stored(t testing.TB, b []byte) []byte {
	var h Header
	body, err := h.parse(b)
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(Limits{})
	if err := d.open(body); err != nil {
		t.Fatal(err)
	}
	in := &d.in
	var plain []byte
	for _, s := range [...]cursor{in.desc, in.value, in.flags, in.extra, in.high} {
		plain = binary.AppendUvarint(plain, uint64(len(s.rest)))
	}
	plain = append(append(plain, 0), d.joined...)
	plain = append(append(plain, 0), d.high...)
	return frameOf(h, append(plain, in.low.rest...))
}

// seeds are frames to begin fuzzing from.
func seeds(t testing.TB) [][]byte {
	_, _, records := twoLayouts(t)
	several := encodeAll(t, NewEncoder(), testStream, records)
	return [][]byte{
		encodeAll(t, NewEncoder(), testStream, testRecords(t, 9, 40)),
		encodeAll(t, NewEncoder(), testStream, testRecords(t, 0, 1)),
		several,
		stored(t, several),
		stored(t, encodeAll(t, NewEncoder(), testStream, testRecords(t, 0, 100))),
		AppendLost(nil, testStream, 9, 40, ledger.Expired),
	}
}

// TestSeeds holds that the fuzzers begin from frames that can be read.
func TestSeeds(t *testing.T) {
	a, b, _ := twoLayouts(t)
	var c telemetry.Catalog
	c.Add(a)
	c.Add(b)
	for i, f := range seeds(t) {
		if _, err := NewDecoder(Limits{}).Decode(f, &c); err != nil {
			t.Errorf("seed %d: %v", i, err)
		}
	}
}

func FuzzPeek(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Peek(b)
		if err != nil {
			return
		}
		if h.Count == 0 || h.Next() < h.First || len(h.Layouts) > MaxLayouts || telemetry.ValidateDevice(h.Stream.Device) != nil || h.MaxMono < h.MinMono {
			t.Fatalf("accepted %+v", h)
		}
	})
}

// FuzzDecode seals what it is given, so that more than the checksum is put to the test.
func FuzzDecode(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	_, second, _ := twoLayouts(f)
	var c telemetry.Catalog
	c.Add(testLayout)
	c.Add(second)
	limits := Limits{Bytes: 1 << 18, Records: 1 << 12, Columns: 1 << 10}
	known, unknown, selected := NewDecoder(limits), NewDecoder(limits), NewDecoder(limits)
	selected.Select = func(_ *telemetry.Layout, field, element int) bool { return field%2 == 0 && element != 1 }
	e := NewEncoder()
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= fixedHeader && len(b) <= MaxSize {
			b = append([]byte(nil), b...)
			seal(b, 0)
		}
		_, _ = unknown.Decode(b, oneLayout{})
		_, _ = selected.Decode(b, &c)
		blocks, err := known.Decode(b, &c)
		if err != nil || len(blocks) == 0 {
			return
		}
		// What can be decoded can be encoded again, and is the same then.
		e.Reset(known.Header().Stream)
		var records []telemetry.Record
		for r := range known.Records() {
			p := append([]byte(nil), r.Packet...)
			if err := (telemetry.Record{Layout: r.Layout, Packet: p}).Check(); err != nil {
				t.Fatal(err)
			}
			if err := e.Append(r.Layout, p); err != nil {
				t.Fatal(err)
			}
			records = append(records, telemetry.Record{Layout: r.Layout, Packet: p})
		}
		again, err := e.Finish(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := known.Decode(again, &c); err != nil {
			t.Fatal(err)
		}
		checkSame(t, known, records)
	})
}

// FuzzRoundTrip takes the values of records from the fuzzer.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("12345678abcdefgh12345678abcdefgh12345678abcdefgh"), uint8(6))
	f.Add(make([]byte, 400), uint8(1))
	e, d := NewEncoder(), NewDecoder(Limits{})
	f.Fuzz(func(t *testing.T, values []byte, shape uint8) {
		l := &telemetry.Layout{Name: "fuzzed", Kind: telemetry.Reading, Fields: []telemetry.Field{
			{Name: "a", Type: packet.Float64}, {Name: "b", Type: packet.Float32}, {Name: "c", Type: packet.Int64}, {Name: "d", Type: packet.Bool}, {Name: "e", Type: packet.String},
		}[shape%5:]}
		var records []telemetry.Record
		c := cursor{rest: values}
		for len(c.rest) > 0 && len(records) < 1000 {
			var w packet.Writer
			h := packet.Header{Layout: uint64(l.ID()), Seq: uint64(len(records)), Mono: int64(c.uint32()) * 1000, Class: packet.Normal}
			if h.Mono%3000 == 0 {
				h.Wall = h.Mono + 1<<60
			}
			w.Reset(nil, h)
			for _, f := range l.Fields {
				switch f.Type {
				case packet.Float64:
					w.Float64(math.Float64frombits(c.uint64()))
				case packet.Float32:
					w.Float32(math.Float32frombits(c.uint32()))
				case packet.Int64:
					w.Int64(int64(c.uint64()))
				case packet.Bool:
					w.Bool(c.byte()&1 == 1)
				case packet.String:
					w.String(string(c.take(int(c.byte() % 8))))
				}
			}
			p, err := w.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			p = append([]byte(nil), p...)
			records = append(records, telemetry.Record{Layout: l, Packet: p})
		}
		if len(records) == 0 {
			return
		}
		b := encodeAll(t, e, testStream, records)
		if _, err := d.Decode(b, oneLayout{l}); err != nil {
			t.Fatal(err)
		}
		checkSame(t, d, records)
	})
}

// TestOversizedRecord decodes an intact frame of a record that no packet can hold, as only another writer can make it.
func TestOversizedRecord(t *testing.T) {
	l := &telemetry.Layout{Name: "two", Kind: telemetry.Event, Fields: []telemetry.Field{{Name: "a", Type: packet.String}, {Name: "b", Type: packet.String}}}
	half := make([]byte, 40_000)
	values := append(binary.LittleEndian.AppendUint32(nil, uint32(len(half))), half...)
	e := NewEncoder()
	e.Reset(testStream)
	r := e.rows(l)
	if err := r.append(append(values, values...)); err != nil {
		t.Fatal(err)
	}
	r.index, e.active = 0, []*rows{r}
	e.order, e.mono, e.wall, e.sev = []uint16{0}, []int64{1}, []int64{0}, []byte{0}
	b, err := e.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewDecoder(Limits{}).Decode(b, oneLayout{l}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v", err)
	}
}
