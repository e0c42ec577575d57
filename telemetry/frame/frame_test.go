package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func encodeAll(t rapid.TB, e *Encoder, stream telemetry.Stream, records []telemetry.Record) []byte {
	t.Helper()
	e.Reset(stream)
	for _, r := range records {
		if err := e.Append(r.Layout, r.Packet); err != nil {
			t.Fatal(err)
		}
	}
	b, err := e.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.Len() != 0 {
		t.Fatalf("%d records did not fit", e.Len())
	}
	return b
}

func checkSame(t rapid.TB, d *Decoder, want []telemetry.Record) {
	t.Helper()
	i := 0
	for got := range d.Records() {
		if i >= len(want) {
			t.Fatalf("more than %d records", len(want))
		}
		if got.Layout.ID() != want[i].Layout.ID() || !bytes.Equal(got.Packet, want[i].Packet) {
			t.Fatalf("record %d of %q:\n got %x\nwant %x", i, want[i].Layout.Name, got.Packet, want[i].Packet)
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("%d records, want %d", i, len(want))
	}
}

func TestRoundTrip(t *testing.T) {
	e, d := NewEncoder(), NewDecoder(Limits{})
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		b := encodeAll(t, e, testStream, r.records)
		h, err := Peek(b)
		if err != nil {
			t.Fatal(err)
		}
		if h.Stream != testStream || h.Mode != Light || h.Count != uint64(len(r.records)) || h.First != packet.Seq(r.records[0].Packet) {
			t.Fatalf("header %+v", h)
		}
		if _, err := d.Decode(b, r.catalog()); err != nil {
			t.Fatal(err)
		}
		checkSame(t, d, r.records)
	})
}

// testLayout has a column of each type, and a vector.
var testLayout = &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{
	{Name: "accel", Type: packet.Float32, Len: 3, Unit: "m/s2"},
	{Name: "pressure", Type: packet.Float64},
	{Name: "count", Type: packet.Uint64},
	{Name: "offset", Type: packet.Int64},
	{Name: "ok", Type: packet.Bool},
	{Name: "note", Type: packet.String},
}}

func testPacket(t testing.TB, l *telemetry.Layout, seq uint64, i int) []byte {
	t.Helper()
	var w packet.Writer
	sev := packet.None
	if i%10 == 9 {
		sev = packet.Warning
	}
	mono := int64(i) * 4_000_000
	w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Seq: seq, Mono: mono, Wall: mono + 1_790_000_000_123_456_789, Class: packet.Normal, Severity: sev})
	for a := range 3 {
		w.Float32(float32(math.Sin(float64(i*7+a)*0.37)) * 9.81)
	}
	w.Float64(101325 + math.Cos(float64(i))/3)
	w.Uint64(uint64(i) * 3)
	w.Int64(int64(i%5) - 2)
	w.Bool(i%4 < 2)
	w.String([]string{"", "idle", "moving"}[i%3])
	p, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testRecords(t testing.TB, first uint64, n int) []telemetry.Record {
	var records []telemetry.Record
	for i := range n {
		records = append(records, telemetry.Record{Layout: testLayout, Packet: testPacket(t, testLayout, first+uint64(i), i)})
	}
	return records
}

type oneLayout struct{ l *telemetry.Layout }

func (o oneLayout) Layout(id telemetry.LayoutID) *telemetry.Layout {
	if o.l != nil && o.l.ID() == id {
		return o.l
	}
	return nil
}

func TestHeader(t *testing.T) {
	b := encodeAll(t, NewEncoder(), testStream, testRecords(t, 1000, 50))
	got, err := Peek(b)
	if err != nil {
		t.Fatal(err)
	}
	want := Header{
		Version: Version, Mode: Light, Stream: testStream, First: 1000, Count: 50, Readings: 50 * 8, MaxMono: 49 * 4_000_000,
		MinWall: 1_790_000_000_123_456_789, MaxWall: 1_790_000_000_123_456_789 + 49*4_000_000, Layouts: []telemetry.LayoutID{testLayout.ID()},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Next() != 1050 {
		t.Errorf("Next is %d", got.Next())
	}
}

func TestLost(t *testing.T) {
	prefix := []byte("kept")
	b := AppendLost(prefix, testStream, 7, 1<<40, ledger.Unclean)
	if string(b[:4]) != "kept" {
		t.Fatal("dst was not kept")
	}
	b = b[4:]
	h, err := Peek(b)
	if err != nil {
		t.Fatal(err)
	}
	want := Header{Version: Version, Mode: Lost, Reason: ledger.Unclean, Stream: testStream, First: 7, Count: 1 << 40}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got  %+v\nwant %+v", h, want)
	}
	d := NewDecoder(Limits{})
	blocks, err := d.Decode(b, oneLayout{})
	if len(blocks) != 0 || err != nil {
		t.Errorf("decoded to %v, %v", blocks, err)
	}
	for range d.Records() {
		t.Error("a record of a lost frame")
	}
}

func TestBlocks(t *testing.T) {
	b := encodeAll(t, NewEncoder(), testStream, testRecords(t, 5, 30))
	d := NewDecoder(Limits{})
	blocks, err := d.Decode(b, oneLayout{testLayout})
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) != 1 || blocks[0].Rows != 30 || len(blocks[0].Columns) != 8 {
		t.Fatalf("blocks %+v", blocks)
	}
	bl := blocks[0]
	c := bl.Columns
	for i := range 30 {
		if bl.Seq[i] != uint64(5+i) || bl.Mono[i] != int64(i)*4_000_000 || bl.Wall[i] != bl.Mono[i]+1_790_000_000_123_456_789 {
			t.Fatalf("row %d: %d, %d, %d", i, bl.Seq[i], bl.Mono[i], bl.Wall[i])
		}
		if (bl.Severity[i] == packet.Warning) != (i%10 == 9) || c[4].U64[i] != uint64(i)*3 || c[5].I64[i] != int64(i%5)-2 || c[6].Bool[i] != (i%4 < 2) {
			t.Fatalf("row %d: %v", i, bl)
		}
		if c[7].Str[i] != []string{"", "idle", "moving"}[i%3] || c[3].F64[i] != 101325+math.Cos(float64(i))/3 || c[2].F32[i] != float32(math.Sin(float64(i*7+2)*0.37))*9.81 {
			t.Fatalf("row %d: %v", i, bl)
		}
	}
	if c[2].Field != 0 || c[2].Element != 2 || c[7].Field != 5 || c[7].Type != packet.String {
		t.Errorf("columns %+v %+v", c[2], c[7])
	}
}

// twoLayouts is a run of a and b by turns.
func twoLayouts(t testing.TB) (a, b *telemetry.Layout, records []telemetry.Record) {
	a = testLayout
	b = &telemetry.Layout{Name: "motor", Kind: telemetry.Reading, Fields: append([]telemetry.Field(nil), testLayout.Fields...)}
	for i := range 40 {
		l := a
		if i%3 == 0 {
			l = b
		}
		records = append(records, telemetry.Record{Layout: l, Packet: testPacket(t, l, uint64(i), i)})
	}
	return a, b, records
}

func TestUnknownLayout(t *testing.T) {
	a, b, records := twoLayouts(t)
	f := encodeAll(t, NewEncoder(), testStream, records)
	for _, known := range []*telemetry.Layout{a, b, nil} {
		d := NewDecoder(Limits{})
		blocks, err := d.Decode(f, oneLayout{known})
		var unknown *UnknownLayoutsError
		if !errors.As(err, &unknown) {
			t.Fatalf("error %v", err)
		}
		var want []telemetry.Record
		for _, r := range records {
			if r.Layout == known {
				want = append(want, r)
			}
		}
		if known == nil {
			if len(unknown.IDs) != 2 || len(blocks) != 0 {
				t.Errorf("unknown %v, %d blocks", unknown.IDs, len(blocks))
			}
		} else if len(unknown.IDs) != 1 || unknown.IDs[0] == known.ID() || len(blocks) != 1 || blocks[0].Layout != known {
			t.Errorf("%s known: unknown %v, %d blocks", known.Name, unknown.IDs, len(blocks))
		}
		checkSame(t, d, want)
	}
}

func TestWrongLayout(t *testing.T) {
	f := encodeAll(t, NewEncoder(), testStream, testRecords(t, 0, 20))
	for _, fields := range [][]telemetry.Field{testLayout.Fields[1:], append([]telemetry.Field{{Name: "x", Type: packet.String}}, testLayout.Fields...)} {
		wrong := &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: fields}
		if _, err := NewDecoder(Limits{}).Decode(f, anyLayout{wrong}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("with another layout of that id: %v", err)
		}
	}
}

type anyLayout struct{ l *telemetry.Layout }

func (a anyLayout) Layout(telemetry.LayoutID) *telemetry.Layout { return a.l }

func TestSelect(t *testing.T) {
	_, b, records := twoLayouts(t)
	f := encodeAll(t, NewEncoder(), testStream, records)
	var c telemetry.Catalog
	c.Add(testLayout)
	c.Add(b)
	all := NewDecoder(Limits{})
	want, err := all.Decode(f, &c)
	if err != nil {
		t.Fatal(err)
	}
	for column, col := range want[0].Columns {
		d := NewDecoder(Limits{})
		d.Select = func(l *telemetry.Layout, field, element int) bool {
			return l == want[0].Layout && field == col.Field && element == col.Element
		}
		got, err := d.Decode(f, &c)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || len(got[0].Columns) != 1 || !reflect.DeepEqual(got[0].Columns[0], want[0].Columns[column]) || !reflect.DeepEqual(got[0].Seq, want[0].Seq) {
			t.Errorf("column %d alone: %+v", column, got)
		}
		for range d.Records() {
			t.Error("a record of which not every series was read")
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	e := NewEncoder()
	good := testPacket(t, testLayout, 3, 3)
	if err := e.Append(testLayout, good); !errors.Is(err, ErrRecord) {
		t.Errorf("without Reset: %v", err)
	}
	if _, err := e.Finish(nil); err == nil {
		t.Error("finished an empty frame")
	}
	e.Reset(testStream)
	if err := e.Append(testLayout, good); err != nil {
		t.Fatal(err)
	}
	edit := func(f func(p []byte) []byte) []byte {
		return f(append([]byte(nil), testPacket(t, testLayout, 4, 4)...))
	}
	other := &telemetry.Layout{Name: "other", Kind: telemetry.Reading, Fields: testLayout.Fields[:1]}
	boolAt := packet.HeaderSize + 12 + 8 + 8 + 8
	for _, tt := range []struct {
		name   string
		layout *telemetry.Layout
		packet []byte
	}{
		{"the same number", testLayout, testPacket(t, testLayout, 3, 4)},
		{"a gap", testLayout, testPacket(t, testLayout, 5, 4)},
		{"another layout", other, testPacket(t, testLayout, 4, 4)},
		{"another class", testLayout, edit(func(p []byte) []byte { p[32] = byte(packet.Bulk); return p })},
		{"cut short", testLayout, edit(func(p []byte) []byte { return p[:len(p)-1] })},
		{"a value less", testLayout, edit(func(p []byte) []byte {
			binary.LittleEndian.PutUint32(p[36:], uint32(len(p)-packet.HeaderSize-4))
			return p[:len(p)-4]
		})},
		{"a byte more", testLayout, edit(func(p []byte) []byte {
			binary.LittleEndian.PutUint32(p[36:], uint32(len(p)-packet.HeaderSize+1))
			return append(p, 0)
		})},
		{"a bool of 2", testLayout, edit(func(p []byte) []byte { p[boolAt] = 2; return p })},
		{"a string's length", testLayout, edit(func(p []byte) []byte { p[boolAt+1+3] = 0xff; return p })},
	} {
		if err := e.Append(tt.layout, tt.packet); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	next := testPacket(t, testLayout, 4, 4)
	if err := e.Append(testLayout, next); err != nil {
		t.Fatalf("after refusals: %v", err)
	}
	b, err := e.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(Limits{})
	if _, err := d.Decode(b, oneLayout{testLayout}); err != nil {
		t.Fatal(err)
	}
	checkSame(t, d, []telemetry.Record{{Layout: testLayout, Packet: good}, {Layout: testLayout, Packet: next}})
}

// TestFull appends noise until the encoder is full: more than fits a frame. Nothing of it may be lost or out of order.
func TestFull(t *testing.T) {
	noise := &telemetry.Layout{Name: "noise", Kind: telemetry.Reading, Fields: []telemetry.Field{
		{Name: "f", Type: packet.Float64, Len: 60}, {Name: "s", Type: packet.String}, {Name: "t", Type: packet.String},
	}}
	g := generator{pick: 1}
	e, d := NewEncoder(), NewDecoder(Limits{})
	e.Reset(testStream)
	var records []telemetry.Record
	for i := 0; ; i++ {
		l := noise
		var p []byte
		if i%5 == 4 {
			l, p = testLayout, testPacket(t, testLayout, uint64(i), i)
		} else {
			var w packet.Writer
			w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Seq: uint64(i), Mono: int64(g.next()), Class: packet.Normal})
			for range 60 {
				w.Float64(math.Float64frombits(g.next()))
			}
			w.String(fmt.Sprint(g.next()))
			w.String(fmt.Sprint(g.next()))
			p, _ = w.Bytes()
		}
		err := e.Append(l, p)
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, telemetry.Record{Layout: l, Packet: append([]byte(nil), p...)})
	}
	if e.Raw() > MaxRaw || e.Raw() < MaxRaw*9/10 {
		t.Errorf("full at %d of %d bytes", e.Raw(), MaxRaw)
	}
	var c telemetry.Catalog
	c.Add(noise)
	c.Add(testLayout)
	frames := 0
	for e.Len() > 0 {
		before := e.Len()
		b, err := e.Finish(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > MaxSize {
			t.Fatalf("a frame of %d bytes", len(b))
		}
		if _, err := d.Decode(b, &c); err != nil {
			t.Fatal(err)
		}
		n := before - e.Len()
		checkSame(t, d, records[:n])
		records = records[n:]
		frames++
		raw := 0
		for _, r := range records {
			raw += len(r.Packet) - packet.HeaderSize + recordOverhead
		}
		if raw != e.Raw() {
			t.Fatalf("raw is %d, want %d", e.Raw(), raw)
		}
	}
	if len(records) != 0 || frames < MaxRaw/MaxSize {
		t.Errorf("%d frames, %d records left", frames, len(records))
	}
}

// TestLargestRecord holds that a frame always has room for one record.
func TestLargestRecord(t *testing.T) {
	l := &telemetry.Layout{Name: "blob", Kind: telemetry.Event, Fields: []telemetry.Field{{Name: "f", Type: packet.Int64, Len: 4000}, {Name: "b", Type: packet.String}}}
	g := generator{pick: 2}
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Class: packet.Normal})
	for range 4000 {
		w.Int64(int64(g.next()))
	}
	text := make([]byte, packet.MaxSize-packet.HeaderSize-4000*8-4)
	for i := range text {
		text[i] = byte(g.next())
	}
	w.String(string(text))
	p, err := w.Bytes()
	if err != nil || len(p) != packet.MaxSize {
		t.Fatal(len(p), err)
	}
	r := []telemetry.Record{{Layout: l, Packet: p}}
	b := encodeAll(t, NewEncoder(), testStream, r)
	d := NewDecoder(Limits{})
	if _, err := d.Decode(b, oneLayout{l}); err != nil {
		t.Fatal(err)
	}
	checkSame(t, d, r)
}

func TestEncoderAllocatesNothing(t *testing.T) {
	records := testRecords(t, 0, 200)
	e := NewEncoder()
	var dst []byte
	run := func() {
		e.Reset(testStream)
		for _, r := range records {
			if err := e.Append(r.Layout, r.Packet); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if dst, err = e.Finish(dst[:0]); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(20, run); n != 0 {
		t.Errorf("%v allocations in a frame of %d records", n, len(records))
	}
}

func TestReadersAllocateLittle(t *testing.T) {
	b := encodeAll(t, NewEncoder(), testStream, testRecords(t, 0, 200))
	lost := AppendLost(nil, testStream, 200, 5, ledger.Quota)
	var h Header
	if n := testing.AllocsPerRun(20, func() {
		if h.Parse(b) != nil || h.Parse(lost) != nil {
			t.Fatal("not parsed")
		}
	}); n != 0 {
		t.Errorf("Header.Parse: %v allocations", n)
	}
	d := NewDecoder(Limits{})
	layouts := oneLayout{testLayout}
	if n := testing.AllocsPerRun(20, func() {
		if _, err := d.Decode(b, layouts); err != nil {
			t.Fatal(err)
		}
	}); n > 4 { // the dictionary's text
		t.Errorf("Decode: %v allocations", n)
	}
}
