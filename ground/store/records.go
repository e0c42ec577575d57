package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// RecordsQuery chooses records.
type RecordsQuery struct {
	Device   string // "" for all
	From, To int64  // ns on the axis of queries; From inclusive, To exclusive; To 0 for no end, both 0 for all
	// Layout, unless nil, says which layouts are wanted.
	Layout func(*telemetry.Layout) bool
}

// bounds returns the first and the last time that is wanted.
func (q RecordsQuery) bounds() (first, last int64) {
	switch {
	case q.From == 0 && q.To == 0:
		return math.MinInt64, math.MaxInt64
	case q.To == 0:
		return q.From, math.MaxInt64
	case q.To == math.MinInt64:
		return math.MaxInt64, math.MinInt64 // nothing is before it
	}
	return q.From, q.To - 1
}

// Stored is a record of the store. Its packet is valid until the next one of the sequence; its layout for good.
type Stored struct {
	Stream telemetry.Stream
	Time   int64 // ns on the axis of queries
	Record telemetry.Record
}

// An UnreadError says that records of a stored frame could not be read.
type UnreadError struct {
	Stream telemetry.Stream
	First  uint64 // number of the frame's first record
	Count  uint64 // records that were not read, of the frame's
	Cause  error  // the frame is damaged or was let go, or its layouts are not known
}

// Error implements error.
func (e *UnreadError) Error() string {
	return fmt.Sprintf("store: read records of %s: %d from %d on: %v", e.Stream, e.Count, e.First, e.Cause)
}

// Unwrap returns the cause.
func (e *UnreadError) Unwrap() error { return e.Cause }

// Records returns the records that a query chooses, each exactly as its machine published it. Devices come in the order
// of their names, their boots in the order of theirs, which is that in which they began (telemetry.Boot). The streams of
// a boot are merged by time; within a stream numbers ascend, and none comes twice.
//
// An *UnreadError stands for records that cannot be read; the sequence goes on behind it if the caller does. After any
// other error it ends.
//
// The records that carry layouts (telemetry.LayoutRecords) are only in the answer to a query for everything: the index does
// not know their times, and what they carry comes with every record. Nor does a query for a time or layouts know of a frame
// that could not be decoded at all.
//
// One frame per class is held at a time, and no lock or transaction between records: ingest is not held up however slowly
// they are taken. What is committed meanwhile may or may not be among them.
func (x *Index) Records(ctx context.Context, q RecordsQuery) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		names := []string{q.Device}
		if q.Device == "" {
			x.mu.RLock()
			names = slices.Sorted(maps.Keys(x.devices))
			x.mu.RUnlock()
		}
		for _, name := range names {
			d, err := x.find(name)
			if err != nil {
				yield(Stored{}, err)
				return
			}
			if !x.recordsOf(ctx, d, q, yield) {
				return
			}
		}
	}
}

// recordsOf yields the records of a device and reports whether to go on.
func (x *Index) recordsOf(ctx context.Context, d *deviceIndex, q RecordsQuery, yield func(Stored, error) bool) bool {
	x.mu.RLock()
	boots := slices.SortedFunc(maps.Keys(d.boots), telemetry.Boot.Compare)
	rows := make([]bootRow, len(boots))
	for i, b := range boots {
		rows[i] = d.boots[b]
	}
	x.mu.RUnlock()
	for i, boot := range boots {
		m := merge{}
		for c := range packet.Classes {
			s := newStreamReader(x, d, telemetry.Stream{Device: d.name, Boot: boot, Class: packet.ClassAt(c)}, rows[i], q)
			m.streams = append(m.streams, s)
		}
		ok := m.run(ctx, yield)
		for _, s := range m.streams {
			s.close()
		}
		if !ok {
			return false
		}
	}
	return true
}

// merge yields the records of several streams by time.
type merge struct{ streams []*streamReader }

func (m *merge) run(ctx context.Context, yield func(Stored, error) bool) bool {
	for _, s := range m.streams {
		if !s.advance(ctx, yield) {
			return false
		}
	}
	for {
		var first *streamReader
		for _, s := range m.streams {
			if s.ready && (first == nil || s.current.Time < first.current.Time) {
				first = s
			}
		}
		if first == nil {
			return true
		}
		if !yield(first.current, nil) || !first.advance(ctx, yield) {
			return false
		}
	}
}

// framesPerQuery is how many frames are looked up at once. The lookup ends before they are read, as an open one keeps
// SQLite from clearing its log.
const framesPerQuery = 256

// streamReader reads a stream, frame by frame.
type streamReader struct {
	x           *Index
	d           *deviceIndex
	stream      telemetry.Stream
	boot        bootRow
	first, last int64 // times
	wanted      func(*telemetry.Layout) bool
	some        bool // not everything is wanted

	query string
	args  []any // but for the place to go on from
	rows  []frameRow
	at    frameRow // the last that was looked up
	ended bool     // no more can be looked up

	dec     *frame.Decoder
	next    func() (telemetry.Record, bool) // of the frame that is being read
	stop    func()
	from    uint64 // least number that was not delivered yet
	unread  *UnreadError
	current Stored
	ready   bool // current is there
}

type frameRow struct{ index, first, count int64 }

func newStreamReader(x *Index, d *deviceIndex, stream telemetry.Stream, boot bootRow, q RecordsQuery) *streamReader {
	s := &streamReader{x: x, d: d, stream: stream, boot: boot, wanted: q.Layout, at: frameRow{index: -1, first: math.MinInt64}}
	s.first, s.last = q.bounds()
	s.query = "SELECT idx, first, count FROM frame WHERE device = ? AND boot = ? AND class = ?"
	s.args = []any{d.id, boot.id, int64(stream.Class)}
	if s.some = s.wanted != nil || s.first != math.MinInt64 || s.last != math.MaxInt64; s.some {
		s.query += " AND EXISTS (SELECT 1 FROM part WHERE part.frame = frame.idx AND tmax >= ? AND tmin <= ?"
		s.args = append(s.args, s.first, s.last)
		const most = 10_000 // SQLite has a limit of parameters; with more layouts, frames are opened in vain
		if ids := s.layouts(); s.wanted != nil && len(ids) <= most {
			s.query += " AND layout IN (" + strings.TrimSuffix(strings.Repeat("?,", len(ids)), ",") + ")"
			s.args = append(s.args, ids...)
		}
		s.query += ")"
	}
	s.query += " AND (first, idx) > (?, ?) ORDER BY first, idx LIMIT ?"
	return s
}

// layouts returns the rows of the layouts that are wanted.
func (s *streamReader) layouts() []any {
	if s.wanted == nil {
		return nil
	}
	s.x.mu.RLock()
	defer s.x.mu.RUnlock()
	var ids []any
	for _, l := range s.d.catalog.All() {
		if r := s.d.layouts[l.ID()]; r != nil && s.wanted(l) {
			ids = append(ids, r.id)
		}
	}
	return ids
}

// advance makes the next record current, or ready false if there is none. It reports whether to go on.
func (s *streamReader) advance(ctx context.Context, yield func(Stored, error) bool) bool {
	s.ready = false
	for {
		for s.next != nil {
			r, ok := s.next()
			if !ok {
				s.stop()
				s.next = nil
				break
			}
			if s.take(r) {
				return true
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Stored{}, err)
			return false
		}
		if len(s.rows) == 0 && !s.ended {
			if err := s.lookUp(ctx); err != nil {
				yield(Stored{}, fmt.Errorf("store: records of %s: %w", s.stream, err))
				return false
			}
		}
		// A frame that was damaged may have come again: it is next then.
		if e := s.unread; e != nil && (len(s.rows) == 0 || uint64(s.rows[0].first) != e.First) {
			s.unread = nil
			if !yield(Stored{}, e) {
				return false
			}
		}
		if len(s.rows) == 0 {
			return true
		}
		r := s.rows[0]
		s.rows = s.rows[1:]
		s.unread = nil
		if err := s.open(r); err != nil {
			yield(Stored{}, fmt.Errorf("store: records of %s: %w", s.stream, err))
			return false
		}
	}
}

// take makes a record current if it is wanted.
func (s *streamReader) take(r telemetry.Record) bool {
	h, err := packet.ParseHeader(r.Packet)
	if err != nil || h.Seq < s.from {
		return false // not reached; or it is in another frame too
	}
	if s.some && r.Layout == telemetry.LayoutRecords {
		return false
	}
	t := h.Wall
	if t == 0 {
		t = h.Mono + s.boot.offset
	}
	if t < s.first || t > s.last {
		return false
	}
	s.from = h.Seq + 1
	s.current, s.ready = Stored{Stream: s.stream, Time: t, Record: r}, true
	return true
}

// lookUp gets the places of the next frames.
func (s *streamReader) lookUp(ctx context.Context) error {
	args := append(slices.Clip(s.args), s.at.first, s.at.index, framesPerQuery)
	err := each(ctx, s.x.db, func(rows *sql.Rows) error {
		var r frameRow
		err := rows.Scan(&r.index, &r.first, &r.count)
		s.rows = append(s.rows, r)
		return err
	}, s.query, args...)
	if err != nil {
		return err
	}
	s.ended = len(s.rows) < framesPerQuery
	if len(s.rows) > 0 {
		s.at = s.rows[len(s.rows)-1]
	}
	return nil
}

// open decodes a frame. What cannot be read of it is told by unread; an error is one of the disk's.
func (s *streamReader) open(r frameRow) error {
	lost := &UnreadError{Stream: s.stream, First: uint64(r.first), Count: uint64(r.count)}
	_, data, err := s.x.frames.Read(uint64(r.index))
	switch {
	case errors.Is(err, seglog.ErrTrimmed):
		return nil // retention let it go meanwhile
	case errors.Is(err, seglog.ErrDamaged):
		lost.Cause, s.unread = err, lost
		return nil
	case err != nil:
		return err
	}
	if s.dec == nil {
		s.dec = s.x.readers.Get().(*frame.Decoder)
		s.dec.Select = nil
		if s.wanted != nil {
			s.dec.Select = func(l *telemetry.Layout, _, _ int) bool { return s.wanted(l) }
		}
	}
	blocks, err := s.dec.Decode(data, s.d.catalog)
	var unknown *frame.UnknownLayoutsError
	switch {
	case errors.As(err, &unknown) && s.wanted != nil:
		// Layouts that are not known are not wanted.
	case errors.As(err, &unknown):
		for i := range blocks {
			lost.Count -= uint64(blocks[i].Rows)
		}
		lost.Cause, s.unread = err, lost
	case err != nil:
		lost.Cause, s.unread = err, lost
		return nil //nolint:nilerr // told as lost
	}
	s.next, s.stop = iter.Pull(s.dec.Records())
	return nil
}

func (s *streamReader) close() {
	if s.next != nil {
		s.stop()
	}
	if s.dec != nil {
		s.dec.Select = nil
		s.x.readers.Put(s.dec)
	}
}
