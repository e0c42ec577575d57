package batch

import (
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
)

// Limits cut a batch. The zero value of each field means its default.
type Limits struct {
	Records int           // default 8,192
	Bytes   int           // of the records as packets, before encoding; default 512 KiB
	Age     time.Duration // of the oldest record since it was taken; default 1 s
}

// WithDefaults fills what was left 0.
func (l Limits) WithDefaults() Limits {
	if l.Records <= 0 {
		l.Records = 8192
	}
	if l.Bytes <= 0 {
		l.Bytes = 512 << 10
	}
	if l.Age <= 0 {
		l.Age = time.Second
	}
	l.Records, l.Bytes = min(l.Records, frame.MaxRecords), min(l.Bytes, frame.MaxRaw)
	return l
}

// Batch is a finished frame.
type Batch struct {
	Range ledger.Range
	Lost  ledger.Reason // 0 for records
	Data  []byte
}

// Batcher collects the records of one stream. It is for one goroutine.
type Batcher struct {
	stream telemetry.Stream
	limits Limits
	enc    *frame.Encoder
	first  uint64
	since  time.Duration
}

// NewBatcher returns an empty batcher.
func NewBatcher(stream telemetry.Stream, l Limits) *Batcher {
	b := &Batcher{stream: stream, limits: l.WithDefaults(), enc: frame.NewEncoder()}
	b.enc.Reset(stream)
	return b
}

// Len returns how many records the batch has.
func (b *Batcher) Len() int { return b.enc.Len() }

// Add adds a record, whose packet is copied, and returns the batches that are complete now: none mostly.
func (b *Batcher) Add(now time.Duration, r telemetry.Record, seq uint64) ([]Batch, error) {
	var out []Batch
	err := b.add(now, r, seq)
	for errors.Is(err, frame.ErrFull) && b.enc.Len() > 0 {
		var full []Batch
		if full, err = b.Finish(); err != nil {
			return out, err
		}
		out = append(out, full...)
		err = b.add(now, r, seq)
	}
	if err != nil {
		return out, fmt.Errorf("batch: record %d of %s: %w", seq, b.stream, err)
	}
	if b.enc.Len() >= b.limits.Records || b.enc.Raw() >= b.limits.Bytes {
		full, err := b.Finish()
		return append(out, full...), err
	}
	return out, nil
}

func (b *Batcher) add(now time.Duration, r telemetry.Record, seq uint64) error {
	empty := b.enc.Len() == 0
	if err := b.enc.Append(r.Layout, r.Packet); err != nil {
		return err
	}
	if empty {
		b.first, b.since = seq, now
	}
	return nil
}

// Lose finishes the batch and returns it, followed by the declaration that r is lost.
func (b *Batcher) Lose(r ledger.Range, why ledger.Reason) ([]Batch, error) {
	out, err := b.Finish()
	if err != nil {
		return nil, err
	}
	return append(out, Batch{Range: r, Lost: why, Data: frame.AppendLost(nil, b.stream, r.First, r.Count, why)}), nil
}

// Due returns when the batch becomes too old, or false if it is empty.
func (b *Batcher) Due() (time.Duration, bool) { return b.since + b.limits.Age, b.enc.Len() > 0 }

// Has reports whether the batch has records with numbers below end.
func (b *Batcher) Has(end uint64) bool { return b.enc.Len() > 0 && b.first < end }

// First returns the number of the batch's first record, or if it is empty what that of the last batch was.
func (b *Batcher) First() uint64 { return b.first }

// Finish returns the batch as frames and begins a new one: mostly one, several where the records do not compress into
// one, none for an empty batch. The memory is the caller's.
func (b *Batcher) Finish() ([]Batch, error) {
	var out []Batch
	for b.enc.Len() > 0 {
		n := b.enc.Len()
		data, err := b.enc.Finish(nil)
		if err != nil {
			return nil, fmt.Errorf("batch: %d records of %s: %w", n, b.stream, err)
		}
		took := uint64(n - b.enc.Len())
		out = append(out, Batch{Range: ledger.Range{First: b.first, Count: took}, Data: data})
		b.first += took
	}
	return out, nil
}
