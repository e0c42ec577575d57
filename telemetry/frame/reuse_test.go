package frame

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// An encoder that has seen more layouts than it remembers has each of them once in a frame all the same.
func TestMoreLayoutsThanAreRemembered(t *testing.T) {
	fresh := func(i int) *telemetry.Layout {
		return &telemetry.Layout{Name: fmt.Sprintf("l%d", i), Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "x", Type: packet.Uint64}}}
	}
	var catalog telemetry.Catalog
	var layouts []*telemetry.Layout
	for i := range maxPlans + 1 {
		layouts = append(layouts, fresh(i))
		catalog.Add(layouts[i])
	}
	e, d, seq := NewEncoder(), NewDecoder(Limits{}), uint64(0)
	e.Reset(testStream)
	var pending []telemetry.Record
	add := func(l *telemetry.Layout) error {
		var w packet.Writer
		w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Seq: seq, Class: testStream.Class})
		w.Uint64(seq * seq)
		b, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Append(l, b); err != nil {
			return err
		}
		seq++
		pending = append(pending, telemetry.Record{Layout: l, Packet: b})
		return nil
	}
	finish := func(layouts int) {
		t.Helper()
		b, err := e.Finish(nil)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := d.Decode(b, &catalog)
		if err != nil || len(blocks) != layouts {
			t.Fatalf("%d blocks, %v, want %d", len(blocks), err, layouts)
		}
		checkSame(t, d, pending)
		pending = nil
	}
	first, last, beyond := layouts[0], layouts[maxPlans-1], layouts[maxPlans]
	for _, l := range []*telemetry.Layout{last, first} { // so that after the last it expects the first
		if err := add(l); err != nil {
			t.Fatal(err)
		}
	}
	finish(2)
	for i, l := range layouts[:maxPlans] {
		if err := add(l); err != nil {
			t.Fatal(err)
		}
		if i%MaxLayouts == MaxLayouts-1 && l != last {
			finish(MaxLayouts)
		}
	}
	if err := add(beyond); !errors.Is(err, ErrFull) { // and the first is forgotten
		t.Fatalf("a layout too many for the frame: %v", err)
	}
	finish(MaxLayouts)
	for _, l := range []*telemetry.Layout{first, beyond, first, fresh(0), beyond, fresh(0)} {
		if err := add(l); err != nil {
			t.Fatal(err)
		}
	}
	finish(2)
}

// A column has values in the slice of its type only, whatever was in its place in the frame before.
func TestAColumnHasOneSlice(t *testing.T) {
	e, d := NewEncoder(), NewDecoder(Limits{})
	for _, kind := range []packet.Type{packet.Float64, packet.String, packet.Bool, packet.Float32, packet.Int64, packet.Uint64, packet.Float64} {
		l := &telemetry.Layout{Name: "a", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "x", Type: kind}}}
		var w packet.Writer
		w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Class: testStream.Class})
		if kind == packet.String {
			w.String("text")
		}
		for range kind.Size() {
			if kind != packet.String {
				w.Bool(true) // a byte of 1
			}
		}
		p, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		var catalog telemetry.Catalog
		catalog.Add(l)
		blocks, err := d.Decode(encodeAll(t, e, testStream, []telemetry.Record{{Layout: l, Packet: p}}), &catalog)
		if err != nil {
			t.Fatal(err)
		}
		c := blocks[0].Columns[0]
		got := map[packet.Type]int{packet.Float64: len(c.F64), packet.Float32: len(c.F32), packet.Int64: len(c.I64), packet.Uint64: len(c.U64),
			packet.Bool: len(c.Bool), packet.String: len(c.Str)}
		for other, n := range got {
			if want := map[bool]int{true: 1}[other == kind]; n != want {
				t.Errorf("a column of %s has %d values of %s", kind, n, other)
			}
		}
	}
}

// What a decoder remembers of layouts is bounded by its limit of columns, however many there were.
func TestADecoderForgetsLayouts(t *testing.T) {
	limits := Limits{Columns: 10}
	d := NewDecoder(limits)
	for i := range 100 {
		l := &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "v", Type: packet.Uint64, Len: 1 + i%10}}}
		var w packet.Writer
		w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Class: testStream.Class})
		for j := range l.Series() {
			w.Uint64(uint64(i + j))
		}
		p, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		want := []telemetry.Record{{Layout: l, Packet: p}}
		b := encodeAll(t, NewEncoder(), testStream, want)
		var catalog telemetry.Catalog
		catalog.Add(l)
		if _, err := d.Decode(b, &catalog); err != nil {
			t.Fatal(err)
		}
		checkSame(t, d, want)
		held := 0
		for _, s := range d.shapes {
			held += len(s.scalars)
		}
		if held > limits.Columns || held != d.shaped {
			t.Fatalf("%d scalars are remembered, counted as %d", held, d.shaped)
		}
	}
}
