package store_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"path/filepath"
	"testing"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var (
	volts = &telemetry.Layout{Name: "power", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "volts", Type: packet.Int64}}}
	notes = &telemetry.Layout{Name: "note", Kind: telemetry.Event, Fields: []telemetry.Field{{Name: "text", Type: packet.String}}}
)

// A shelf is a log and an index, into which a test puts frames of any stream.
type shelf struct {
	t      *testing.T
	o      store.FramesOptions
	path   string // of the index
	disk   *simdisk.Disk
	frames *store.Frames
	index  *store.Index
	time   int64 // the ground's
}

func newShelf(t *testing.T, o store.FramesOptions) *shelf {
	t.Helper()
	o.MinFree = 1
	s := &shelf{t: t, o: o, path: filepath.Join(t.TempDir(), "index.sqlite"), disk: simdisk.New(), time: 1000}
	s.open()
	t.Cleanup(s.close)
	return s
}

func (s *shelf) open() {
	s.t.Helper()
	var err error
	if s.frames, err = store.OpenFrames(s.disk, "frames", s.o); err != nil {
		s.t.Fatal(err)
	}
	if s.index, _, err = store.OpenIndex(context.Background(), s.path, s.frames); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) close() {
	if err := errors.Join(s.index.Close(), s.frames.Close()); err != nil {
		s.t.Error(err)
	}
}

// A line is a record of a layout with one field.
type line struct {
	layout *telemetry.Layout
	wall   int64 // also the monotonic time
	value  any
}

func definition(l *telemetry.Layout) line {
	return line{telemetry.LayoutRecords, 1, string(l.AppendBinary(nil))}
}

// put stores a frame whose first record has the number first.
func (s *shelf) put(stream telemetry.Stream, first uint64, lines ...line) {
	s.t.Helper()
	enc := frame.NewEncoder()
	enc.Reset(stream)
	var w packet.Writer
	for i, l := range lines {
		w.Reset(nil, packet.Header{Layout: uint64(l.layout.ID()), Seq: first + uint64(i), Mono: l.wall, Wall: l.wall, Class: stream.Class})
		switch v := l.value.(type) {
		case int64:
			w.Int64(v)
		case string:
			w.String(v)
		}
		p, err := w.Bytes()
		if err == nil {
			err = enc.Append(l.layout, p)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	data, err := enc.Finish(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.time++
	at, err := s.frames.Append(s.time, data)
	if err == nil {
		err = s.frames.Sync()
	}
	if err == nil {
		_, err = s.index.Add(context.Background(), []store.Item{{Index: at, Received: s.time, Data: data}}, false)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// damage flips a bit in the stored frame that was put as the nth, from 0. The log is opened anew, as it may have read
// the frame ahead while it was sound.
func (s *shelf) damage(n int) {
	s.t.Helper()
	s.close()
	defer s.open()
	files, err := s.disk.ReadDir("frames")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		name := "frames/" + f.Name
		b := s.disk.File(name)
		for at := 0; ; at++ {
			next := bytes.Index(b[at:], []byte{'F', 'U', 'L', 'M', frame.Version})
			if next < 0 {
				break
			}
			if at += next; n == 0 {
				if err := s.disk.FlipBit(name, int64(at+40)*8); err != nil {
					s.t.Fatal(err)
				}
				return
			}
			n--
		}
	}
	s.t.Fatal("there is no such frame")
}

type got struct {
	stream telemetry.Stream
	seq    uint64
	time   int64
}

func (s *shelf) records(q store.RecordsQuery) (list []got, unread []*store.UnreadError) {
	s.t.Helper()
	for r, err := range s.index.Records(s.t.Context(), q) {
		var u *store.UnreadError
		switch {
		case errors.As(err, &u):
			unread = append(unread, u)
		case err != nil:
			s.t.Fatal(err)
		default:
			if err := r.Record.Check(); err != nil {
				s.t.Fatal(err)
			}
			list = append(list, got{r.Stream, packet.Seq(r.Record.Packet), r.Time})
		}
	}
	return list, unread
}

func wantSeqs(t *testing.T, what string, list []got, want ...uint64) {
	t.Helper()
	ok := len(list) == len(want)
	for i := range list {
		ok = ok && list[i].seq == want[i]
	}
	if !ok {
		t.Errorf("%s: %v, want numbers %v", what, list, want)
	}
}

func stream(device string, boot byte, class packet.Class) telemetry.Stream {
	return telemetry.Stream{Device: device, Boot: telemetry.Boot{boot}, Class: class}
}

func TestRecordsAreMergedByTime(t *testing.T) {
	s := newShelf(t, store.FramesOptions{})
	urgent, normal := stream("rover", 1, packet.Urgent), stream("rover", 1, packet.Normal)
	s.put(normal, 0, definition(volts), line{volts, 10, int64(1)}, line{volts, 30, int64(2)})
	s.put(stream("rover", 2, packet.Normal), 0, line{volts, 5, int64(3)}) // a later boot, whose clock is wrong
	s.put(urgent, 0, definition(notes), line{notes, 20, "low"}, line{notes, 40, "lower"})
	s.put(stream("boat", 1, packet.Bulk), 0, definition(volts), line{volts, 1, int64(4)})
	list, unread := s.records(store.RecordsQuery{})
	want := []got{
		{stream("boat", 1, packet.Bulk), 0, 1}, {stream("boat", 1, packet.Bulk), 1, 1},
		{urgent, 0, 1}, {normal, 0, 1}, {normal, 1, 10}, {urgent, 1, 20}, {normal, 2, 30}, {urgent, 2, 40},
		{stream("rover", 2, packet.Normal), 0, 5},
	}
	if len(list) != len(want) || len(unread) > 0 {
		t.Fatalf("%v, %v, want %v", list, unread, want)
	}
	for i := range want {
		if list[i] != want[i] {
			t.Errorf("record %d: %v, want %v", i, list[i], want[i])
		}
	}
}

func TestRecordsOfATimeOrLayout(t *testing.T) {
	s := newShelf(t, store.FramesOptions{})
	str := stream("rover", 1, packet.Normal)
	s.put(str, 0, definition(volts), definition(notes), line{volts, 10, int64(1)}, line{notes, 20, "low"})
	s.put(str, 4, line{volts, 30, int64(2)}, line{notes, -40, "before 1970"})
	onlyNotes := func(l *telemetry.Layout) bool { return l.Name == "note" }
	for _, tt := range []struct {
		name string
		q    store.RecordsQuery
		want []uint64
	}{
		{"all", store.RecordsQuery{}, []uint64{0, 1, 2, 3, 4, 5}},
		{"a time", store.RecordsQuery{From: 10, To: 30}, []uint64{2, 3}},
		{"from a time on", store.RecordsQuery{From: 20}, []uint64{3, 4}},
		{"to a time", store.RecordsQuery{From: -100, To: 20}, []uint64{2, 5}},
		{"the last moment", store.RecordsQuery{From: 30, To: 31}, []uint64{4}},
		{"nothing", store.RecordsQuery{From: 31, To: 40}, nil},
		{"before all time", store.RecordsQuery{From: math.MinInt64, To: math.MinInt64}, nil},
		{"a layout", store.RecordsQuery{Layout: onlyNotes}, []uint64{3, 5}},
		{"a layout in a time", store.RecordsQuery{Layout: onlyNotes, From: 1, To: 100}, []uint64{3}},
		{"no layout", store.RecordsQuery{Layout: func(*telemetry.Layout) bool { return false }}, nil},
	} {
		tt.q.Device = "rover"
		list, unread := s.records(tt.q)
		wantSeqs(t, tt.name, list, tt.want...)
		if len(unread) > 0 {
			t.Errorf("%s: %v", tt.name, unread)
		}
	}
	for _, err := range s.index.Records(t.Context(), store.RecordsQuery{Device: "boat"}) {
		if !errors.Is(err, ground.ErrNotFound) {
			t.Errorf("a machine that is not there: %v", err)
		}
	}
}

func TestUnreadRecordsAreTold(t *testing.T) {
	s := newShelf(t, store.FramesOptions{})
	str := stream("rover", 1, packet.Normal)
	s.put(str, 0, definition(volts), line{volts, 10, int64(1)})
	s.put(str, 2, line{volts, 20, int64(2)}, line{volts, 21, int64(3)})
	s.put(str, 4, line{volts, 30, int64(4)}, line{notes, 31, "of a layout that is not known"})
	s.damage(1)
	list, unread := s.records(store.RecordsQuery{})
	wantSeqs(t, "damaged", list, 0, 1, 4)
	var layouts *frame.UnknownLayoutsError
	if len(unread) != 2 || unread[0].First != 2 || unread[0].Count != 2 || unread[0].Stream != str ||
		unread[1].First != 4 || unread[1].Count != 1 || !errors.As(unread[1], &layouts) {
		t.Errorf("unread %v", unread)
	}
	// The machine had the damaged frame still, and sends it again; the layout comes, too.
	s.put(str, 2, line{volts, 20, int64(2)}, line{volts, 21, int64(3)})
	s.put(str, 6, definition(notes))
	list, unread = s.records(store.RecordsQuery{})
	wantSeqs(t, "sent again", list, 0, 1, 2, 3, 4, 5, 6)
	if len(unread) > 0 {
		t.Errorf("unread %v", unread)
	}
}

// A frame may be stored twice, after its marks were forgotten: its records come once.
func TestRecordsComeOnce(t *testing.T) {
	s := newShelf(t, store.FramesOptions{})
	str := stream("rover", 1, packet.Normal)
	s.put(str, 0, definition(volts), line{volts, 10, int64(1)})
	for range 2 {
		s.put(str, 2, line{volts, 20, int64(2)}, line{volts, 21, int64(3)})
	}
	s.put(str, 3, line{volts, 21, int64(3)}, line{volts, 22, int64(4)})
	list, unread := s.records(store.RecordsQuery{})
	wantSeqs(t, "stored twice", list, 0, 1, 2, 3, 4)
	if len(unread) > 0 {
		t.Errorf("unread %v", unread)
	}
}

// TestRecordsDoNotHoldUpIngest takes records one by one while more frames than one lookup has are committed, and old ones go.
func TestRecordsDoNotHoldUpIngest(t *testing.T) {
	s := newShelf(t, store.FramesOptions{SegmentBytes: 4 << 10, MaxBytes: 64 << 10})
	str := stream("rover", 1, packet.Normal)
	s.put(str, 0, definition(volts))
	next := uint64(1)
	more := func(n int) {
		for range n {
			s.put(str, next, line{volts, int64(next), int64(next)})
			next++
		}
	}
	more(300)
	seen, last := 0, uint64(0)
	for r, err := range s.index.Records(t.Context(), store.RecordsQuery{Device: "rover"}) {
		if err != nil {
			t.Fatal(err)
		}
		if seq := packet.Seq(r.Record.Packet); seen > 0 && seq <= last {
			t.Fatalf("number %d after %d", seq, last)
		} else {
			last = seq
		}
		if seen++; seen == 10 {
			more(600)
			if err := s.index.Retain(t.Context()); err != nil || s.frames.First() < 100 {
				t.Fatalf("retention left all from %d on, %v", s.frames.First(), err)
			}
		}
	}
	if last != next-1 || seen >= int(next) {
		t.Errorf("%d records, the last %d of %d", seen, last, next-1)
	}
}
