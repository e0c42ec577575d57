package frame

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/telemetry"
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
		if h.Stream != testStream || h.Count != uint64(len(r.records)) {
			t.Fatalf("header %+v", h)
		}
		if _, err := d.Decode(b, r.catalog()); err != nil {
			t.Fatal(err)
		}
		checkSame(t, d, r.records)
	})
}
