package batch_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/courier/batch"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var (
	stream = telemetry.Stream{Device: "rover", Class: packet.Normal}
	text   = &telemetry.Layout{Name: "a", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "s", Type: packet.String}}}
)

func record(seq uint64, s string) telemetry.Record {
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(text.ID()), Seq: seq, Class: packet.Normal})
	w.String(s)
	b, err := w.Bytes()
	if err != nil {
		panic(err)
	}
	return telemetry.Record{Layout: text, Packet: b}
}

func TestABatchEndsByCountSizeAndAge(t *testing.T) {
	b := batch.NewBatcher(stream, batch.Limits{Records: 3, Bytes: 1000, Age: time.Second})
	add := func(seq uint64, s string) []batch.Batch {
		out, err := b.Add(time.Duration(seq), record(seq, s), seq)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	add(0, "x")
	if due, some := b.Due(); !some || due != time.Second {
		t.Errorf("due %s, %t", due, some)
	}
	add(1, "x")
	if out := add(2, "x"); len(out) != 1 || out[0].Range != (ledger.Range{First: 0, Count: 3}) || b.Len() != 0 {
		t.Errorf("by count: %+v", out)
	}
	if out := add(3, string(make([]byte, 1000))); len(out) != 1 || out[0].Range != (ledger.Range{First: 3, Count: 1}) {
		t.Errorf("by size: %+v", out)
	}
	add(4, "x")
	out, err := b.Lose(ledger.Range{First: 5, Count: 7}, ledger.Overflow)
	if err != nil || len(out) != 2 || out[1].Lost != ledger.Overflow {
		t.Fatalf("a loss: %+v, %v", out, err)
	}
	if h, err := frame.Peek(out[1].Data); err != nil || h.First != 5 || h.Count != 7 || h.Reason != ledger.Overflow {
		t.Errorf("declared %+v, %v", h, err)
	}
	if _, err := b.Add(0, record(12, "x"), 12); err != nil {
		t.Errorf("after a loss: %v", err)
	}
	if _, err := b.Add(0, record(14, "x"), 14); err == nil {
		t.Error("a number is left out, and nobody minds")
	}
}

// Records that do not compress end as more than one frame; none is lost.
func TestWhatDoesNotFitAFrame(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := batch.NewBatcher(stream, batch.Limits{Bytes: frame.MaxRaw})
	var out []batch.Batch
	for seq := range uint64(60) {
		noise := make([]byte, 30_000)
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		more, err := b.Add(0, record(seq, string(noise)), seq)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, more...)
	}
	rest, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	next := uint64(0)
	for _, f := range append(out, rest...) {
		if f.Range.First != next || len(f.Data) > frame.MaxSize {
			t.Fatalf("frame from %d after %d, %d bytes", f.Range.First, next, len(f.Data))
		}
		next = f.Range.End()
	}
	if next != 60 {
		t.Errorf("%d of 60 records", next)
	}
}

func entry(first, count uint64) ring.Entry {
	return ring.Entry{Class: packet.Normal, Range: ledger.Range{First: first, Count: count}}
}

func TestTheSorterRestoresTheOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var s batch.Sorter
	s.Start(10)
	order := rng.Perm(100)
	next := uint64(10)
	for _, i := range order {
		s.Put(entry(uint64(i), 1)) // those below 10 are in the spool already
		for e, ok := s.Peek(); ok; e, ok = s.Peek() {
			if e.Range.First != next {
				t.Fatalf("%d after %d", e.Range.First, next)
			}
			next++
			s.Pop()
		}
	}
	if next != 100 || s.Next() != 100 || s.Len() != 0 {
		t.Errorf("up to %d, %d wait", next, s.Len())
	}
}

func TestANumberThatNeverComesIsFound(t *testing.T) {
	var s batch.Sorter
	s.Put(entry(3, 2))
	if _, _, gap := s.Gap(0, time.Second); gap {
		t.Error("at once")
	}
	if _, _, gap := s.Gap(999*time.Millisecond, time.Second); gap {
		t.Error("too early")
	}
	first, count, gap := s.Gap(time.Second, time.Second)
	if !gap || first != 0 || count != 3 {
		t.Errorf("%d numbers from %d, %t", count, first, gap)
	}
	s.Put(entry(1, 1)) // comes after all, when nobody waits for it any more
	s.Skip(3)
	if e, ok := s.Peek(); !ok || e.Range.First != 3 {
		t.Error("what comes after the gap is not next")
	}
}

func ExampleBatcher() {
	b := batch.NewBatcher(stream, batch.Limits{Records: 2})
	for seq := range uint64(2) {
		out, err := b.Add(0, record(seq, "hello"), seq)
		if err != nil {
			panic(err)
		}
		for _, f := range out {
			fmt.Println("a frame with records", f.Range.First, "to", f.Range.End()-1)
		}
	}
	// Output: a frame with records 0 to 1
}
