package export_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/courier/batch"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground/export"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/recording/mcap"
	"github.com/fulmar-io/fulmar/recording/mcap/records"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// A rig is machines that number and batch records, and a ground that ingests, stores and indexes them: all real but for the
// disk of the frames and the link.
type rig struct {
	t       rapid.TB
	path    string // of the index
	disk    *simdisk.Disk
	intake  *ingest.Intake
	index   *store.Index
	streams map[telemetry.Stream]*machineStream
	known   map[string]bool // device and layout
	clock   int64           // the ground's, ns
	stored  []records.Entry // what was published, as it is to be exported
	w       packet.Writer
}

type machineStream struct {
	batcher *batch.Batcher
	next    uint64
}

// A cleaner is what rapid.TB leaves out.
type cleaner interface {
	rapid.TB
	Cleanup(func())
}

// newRig makes a ground in a folder of its own.
func newRig(t cleaner, dir string) *rig {
	r := &rig{t: t, path: filepath.Join(dir, "index.sqlite"), disk: simdisk.New(), streams: map[telemetry.Stream]*machineStream{},
		known: map[string]bool{}, clock: 1_000_000}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) open() {
	var err, rebuilt error
	r.intake, err = ingest.OpenIntake(r.disk, "frames", ingest.Options{}, store.FramesOptions{SegmentBytes: 1 << 20, MinFree: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	r.index, rebuilt, err = store.OpenIndex(context.Background(), r.path, r.intake.Frames())
	if err != nil || rebuilt != nil {
		r.t.Fatal(err, rebuilt)
	}
}

func (r *rig) close() {
	if err := errors.Join(r.index.Close(), r.intake.Close()); err != nil {
		r.t.Errorf("close: %v", err)
	}
}

// publish numbers a record of a stream and batches it. Its layout goes before it, as a record of its own.
func (r *rig) publish(s telemetry.Stream, l *telemetry.Layout, p []byte) {
	if key := s.Device + l.ID().String(); !r.known[key] && l != telemetry.LayoutRecords {
		r.known[key] = true
		def, err := telemetry.AppendDefinition(&r.w, l, s.Class, 0, 1)
		if err != nil {
			r.t.Fatal(err)
		}
		r.publish(s, telemetry.LayoutRecords, def)
	}
	ms := r.streams[s]
	if ms == nil {
		ms = &machineStream{batcher: batch.NewBatcher(s, batch.Limits{Records: 500})}
		r.streams[s] = ms
	}
	p = bytes.Clone(p)
	packet.SetSeq(p, ms.next)
	full, err := ms.batcher.Add(0, telemetry.Record{Layout: l, Packet: p}, ms.next)
	if err != nil {
		r.t.Fatal(err)
	}
	ms.next++
	r.stored = append(r.stored, records.Entry{Stream: s, Record: telemetry.Record{Layout: l, Packet: p}})
	r.send(s.Device, full)
}

// send brings frames over the link to the ground, and has them committed and indexed.
func (r *rig) send(device string, frames []batch.Batch) {
	for _, b := range frames {
		r.clock += int64(time.Second)
		if err := r.intake.Message(r.clock, device, link.Append(nil, link.Frame{Data: b.Data})); err != nil {
			r.t.Fatal(err)
		}
		r.commit()
	}
}

func (r *rig) commit() {
	for effects := r.intake.Effects(); len(effects) > 0; effects = r.intake.Effects() {
		for _, e := range effects {
			switch e := e.(type) {
			case ingest.Sync:
				r.intake.Synced(r.intake.Sync())
			case ingest.Committed:
				if _, err := r.index.Add(context.Background(), []store.Item{{Index: e.Index, Received: e.Received, Data: e.Data}}, false); err != nil {
					r.t.Fatal(err)
				}
			}
		}
	}
}

// finish sends what the batchers still hold.
func (r *rig) finish() {
	for s, ms := range r.streams {
		full, err := ms.batcher.Finish()
		if err != nil {
			r.t.Fatal(err)
		}
		r.send(s.Device, full)
	}
}

// damage flips a bit in the second frame of the log, which is opened anew, as it may have read the frame ahead while it was
// sound.
func (r *rig) damage() {
	r.close()
	defer r.open()
	files, err := r.disk.ReadDir("frames")
	if err != nil {
		r.t.Fatal(err)
	}
	seen := 0
	for _, f := range files {
		name := "frames/" + f.Name
		b := r.disk.File(name)
		head := []byte{'F', 'U', 'L', 'M', frame.Version}
		for at := bytes.Index(b, head); at >= 0; {
			if seen++; seen == 2 {
				if err := r.disk.FlipBit(name, int64(at+40)*8); err != nil {
					r.t.Fatal(err)
				}
				return
			}
			next := bytes.Index(b[at+1:], head)
			if next < 0 {
				break
			}
			at += 1 + next
		}
	}
	r.t.Fatalf("%d frames in the log", seen)
}

func (r *rig) export(format, device string, series []string, from, to int64) []byte {
	var buf bytes.Buffer
	if _, err := export.New(r.index).Export(context.Background(), &buf, format, device, series, from, to); err != nil {
		r.t.Fatal(err)
	}
	return buf.Bytes()
}

// read reads an export back, in the file's order. The packets are copies.
func read(t rapid.TB, format string, file []byte) []records.Entry {
	var next func() (records.Entry, error)
	if format == export.CSV {
		r, err := export.NewCSVReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		next = r.Next
	} else {
		r, err := mcap.NewReader(bytes.NewReader(file), mcap.ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		dec := new(records.Decoder)
		next = func() (records.Entry, error) {
			m, err := r.Next()
			if err != nil {
				if errors.Is(err, io.EOF) && !r.Complete() {
					t.Fatal("the file is not complete")
				}
				return records.Entry{}, err
			}
			return dec.Decode(m)
		}
	}
	var list []records.Entry
	for {
		e, err := next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		e.Record.Packet = bytes.Clone(e.Record.Packet)
		list = append(list, e)
	}
}

// wantEntries checks that got has the entries of want, every one bit for bit and in the order of its stream. Times are
// compared where want has one: the ground makes them up where the machine knew none.
func wantEntries(t rapid.TB, got, want []records.Entry) {
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	byStream := map[telemetry.Stream][]records.Entry{}
	for _, e := range want {
		byStream[e.Stream] = append(byStream[e.Stream], e)
	}
	for i, g := range got {
		list := byStream[g.Stream]
		if len(list) == 0 {
			t.Fatalf("record %d: too many of %s", i, g.Stream)
		}
		w := list[0]
		byStream[g.Stream] = list[1:]
		if !bytes.Equal(g.Record.Packet, w.Record.Packet) {
			t.Fatalf("record %d of %s: %x, want %x", i, g.Stream, g.Record.Packet, w.Record.Packet)
		}
		if !bytes.Equal(g.Record.Layout.AppendBinary(nil), w.Record.Layout.AppendBinary(nil)) {
			t.Fatalf("record %d of %s: layout %q, want %q", i, g.Stream, g.Record.Layout.AppendBinary(nil), w.Record.Layout.AppendBinary(nil))
		}
		h, err := packet.ParseHeader(w.Record.Packet)
		if err != nil {
			t.Fatal(err)
		}
		if h.Wall != 0 && g.Time != h.Wall {
			t.Fatalf("record %d of %s: time %d, want %d", i, g.Stream, g.Time, h.Wall)
		}
	}
}

// drawLayout makes a layout of anything.
func drawLayout(t *rapid.T) *telemetry.Layout {
	l := &telemetry.Layout{Name: rapid.StringMatching(`[a-z][a-zA-Z0-9_-]{0,5}(/[a-z0-9]{1,5})?`).Draw(t, "name"),
		Kind: telemetry.Kind(rapid.IntRange(1, 4).Draw(t, "kind"))}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zA-Z0-9_.\[\]-]{1,5}`), 1, 8, rapid.ID[string]).Draw(t, "fields") {
		f := telemetry.Field{Name: name, Type: packet.Type(rapid.IntRange(1, 6).Draw(t, "type")),
			Unit: rapid.SampledFrom([]string{"", "m/s2", `"a",b`, "%"}).Draw(t, "unit")}
		if f.Type != packet.String {
			f.Len = rapid.IntRange(0, 3).Draw(t, "len")
		}
		l.Fields = append(l.Fields, f)
	}
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	return l
}

// drawPacket makes a packet of anything that the layout allows.
func drawPacket(t *rapid.T, l *telemetry.Layout, class packet.Class) []byte {
	var w packet.Writer
	times := rapid.OneOf(rapid.Int64Range(-1<<61, 1<<61), rapid.Int64Range(-100, 100))
	w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Mono: times.Draw(t, "mono"), Wall: times.Draw(t, "wall"), Class: class,
		Severity: packet.Severity(rapid.IntRange(0, 5).Draw(t, "severity"))})
	for _, f := range l.Fields {
		for range f.Elements() {
			drawValue(t, &w, f.Type)
		}
	}
	p, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func drawValue(t *rapid.T, w *packet.Writer, typ packet.Type) {
	switch typ {
	case packet.Float64:
		odd := rapid.SampledFrom([]uint64{0, 1 << 63, 0x7ff8 << 48, 0x7ff8<<48 + 1, 0x7ff0<<48 + 1, 0xfff8 << 48, 0x7ff0 << 48, 0xfff0 << 48, 1})
		w.Float64(math.Float64frombits(rapid.OneOf(rapid.Uint64(), odd).Draw(t, "float64")))
	case packet.Float32:
		odd := rapid.SampledFrom([]uint32{0, 1 << 31, 0x7fc0 << 16, 0x7fc0<<16 + 1, 0x7f80<<16 + 1, 0xffc0 << 16, 0x7f80 << 16, 0xff80 << 16, 1})
		w.Float32(math.Float32frombits(rapid.OneOf(rapid.Uint32(), odd).Draw(t, "float32")))
	case packet.Int64:
		w.Int64(rapid.Int64().Draw(t, "int64"))
	case packet.Uint64:
		w.Uint64(rapid.Uint64().Draw(t, "uint64"))
	case packet.Bool:
		w.Bool(rapid.Bool().Draw(t, "bool"))
	case packet.String:
		odd := rapid.SampledFrom([]string{"", " ", " a", "a ", `"`, `a"b,c`, "\r\n", "a\nb", "=1+1", "-", "+", "@", "hex:00", "hex:", "nan", "\xff", "é", "\u2028", "a\x00", "\t"})
		w.String(rapid.OneOf(rapid.StringN(0, 10, 20), odd, rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) string { return string(b) })).Draw(t, "string"))
	}
}

func drawStream(t *rapid.T) telemetry.Stream {
	return telemetry.Stream{Device: fmt.Sprintf("rover-%d", rapid.IntRange(1, 2).Draw(t, "device")),
		Boot: telemetry.Boot{byte(rapid.IntRange(0, 2).Draw(t, "boot"))}, Class: packet.ClassAt(rapid.IntRange(0, 2).Draw(t, "class"))}
}
