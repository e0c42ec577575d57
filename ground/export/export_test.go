package export_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/export"
	"github.com/fulmar-io/fulmar/recording/mcap"
	"github.com/fulmar-io/fulmar/recording/mcap/records"
	"github.com/fulmar-io/fulmar/recording/ulog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// TestExportIsLossless publishes anything, and reads it back from both formats bit for bit.
func TestExportIsLossless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "export")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		r := newRig(t, dir)
		layouts := rapid.SliceOfN(rapid.Custom(drawLayout), 1, 4).Draw(t, "layouts")
		for range rapid.IntRange(1, 60).Draw(t, "records") {
			s := drawStream(t)
			l := rapid.SampledFrom(layouts).Draw(t, "of")
			r.publish(s, l, drawPacket(t, l, s.Class))
			if rapid.IntRange(0, 9).Draw(t, "finish") == 0 {
				r.finish()
			}
		}
		r.finish()
		for _, format := range []string{export.CSV, export.MCAP} {
			got := read(t, format, r.export(format, "", nil, 0, 0))
			wantEntries(t, got, r.stored)
			wantOrder(t, got)
		}
		csv, mcap := read(t, export.CSV, r.export(export.CSV, "", nil, 0, 0)), read(t, export.MCAP, r.export(export.MCAP, "", nil, 0, 0))
		for i := range csv {
			if csv[i].Time != mcap[i].Time {
				t.Fatalf("record %d: time %d in CSV, %d in MCAP", i, csv[i].Time, mcap[i].Time)
			}
		}
		wantRange(t, r, csv)
	})
}

// wantOrder checks that devices, boots and, within a stream, numbers ascend.
func wantOrder(t rapid.TB, list []records.Entry) {
	last := map[telemetry.Stream]uint64{}
	for i, e := range list {
		if i > 0 {
			p := list[i-1]
			if p.Stream.Device > e.Stream.Device || p.Stream.Device == e.Stream.Device && bytes.Compare(p.Stream.Boot[:], e.Stream.Boot[:]) > 0 {
				t.Fatalf("record %d: %s after %s", i, e.Stream, p.Stream)
			}
		}
		seq := packet.Seq(e.Record.Packet)
		if n, have := last[e.Stream]; have && seq <= n {
			t.Fatalf("record %d: number %d after %d of %s", i, seq, n, e.Stream)
		}
		last[e.Stream] = seq
	}
}

// wantRange exports a part of the time of one device, and compares with that part of everything.
func wantRange(t *rapid.T, r *rig, all []records.Entry) {
	edge := rapid.OneOf(rapid.SampledFrom(all), rapid.Just(records.Entry{}))
	from, to := edge.Draw(t, "from").Time, edge.Draw(t, "to").Time
	device := rapid.SampledFrom(all).Draw(t, "on").Stream.Device
	if from == 0 && to == 0 {
		return
	}
	var want []records.Entry
	for _, e := range all {
		if e.Stream.Device == device && e.Time >= from && (to == 0 || e.Time < to) && e.Record.Layout.ID() != telemetry.LayoutRecords.ID() {
			want = append(want, e)
		}
	}
	for _, format := range []string{export.CSV, export.MCAP} {
		got := read(t, format, r.export(format, device, nil, from, to))
		wantEntries(t, got, want)
		for _, e := range got {
			if e.Time < from || to != 0 && e.Time >= to {
				t.Fatalf("%d of %s is at %d, not between %d and %d", packet.Seq(e.Record.Packet), e.Stream, e.Time, from, to)
			}
		}
	}
}

// TestRecordings exports flights.
func TestRecordings(t *testing.T) {
	for _, name := range []string{"sample.ulg", "sample_log_small.ulg", "sample_px4_events.ulg"} {
		t.Run(name, func(t *testing.T) {
			f := recordingFile(t, "px4-pyulog/"+name)
			in, err := ulog.NewReader(f, ulog.Options{})
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t, t.TempDir())
			s := telemetry.Stream{Device: "drone", Boot: telemetry.Boot{7}, Class: packet.Normal}
			for {
				e, err := in.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					continue // damage, which package ulog is tested for
				}
				if e.Kind == ulog.Data {
					r.publish(s, e.Record.Layout, e.Record.Packet)
				}
			}
			r.finish()
			for _, format := range []string{export.CSV, export.MCAP} {
				file := r.export(format, "drone", nil, 0, 0)
				wantEntries(t, read(t, format, file), r.stored)
				t.Logf("%s: %d records, %d bytes", format, len(r.stored), len(file))
			}
		})
	}
}

func recordingFile(t *testing.T, name string) *os.File {
	t.Helper()
	dir := os.Getenv("FULMAR_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		if os.Getenv("FULMAR_REQUIRE_DATA") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs the recordings: ", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

var (
	imu  = &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "accel", Type: packet.Float32, Len: 3, Unit: "m/s2"}, {Name: "temp", Type: packet.Float32, Unit: "Cel"}}}
	note = &telemetry.Layout{Name: "note", Kind: telemetry.Event, Fields: []telemetry.Field{{Name: "text", Type: packet.String}}}
)

// smallRig has three records of imu and a note between them.
func smallRig(t *testing.T) *rig {
	r := newRig(t, t.TempDir())
	s := telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: packet.Normal}
	var w packet.Writer
	for i := range int64(4) {
		l := imu
		if i == 2 {
			l = note
		}
		w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Mono: i * 10, Wall: 1000 + i*10, Class: s.Class})
		if l == imu {
			for k := range 4 {
				w.Float32(float32(i) + float32(k)/4)
			}
		} else {
			w.String("hit, hard")
		}
		p, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		r.publish(s, l, p)
		r.finish()
	}
	return r
}

func TestSomeSeries(t *testing.T) {
	r := smallRig(t)
	series := []string{"imu.temp", "imu.accel[1]"}
	boot := telemetry.Boot{1}.String()
	row := func(rest string) string { return "rover," + boot + ",normal," + rest }
	id := imu.ID().String()
	want := strings.Join([]string{
		"device,boot,class,seq,time_ns,wall_ns,mono_ns,severity,layout,layout_id,kind,field,element,type,unit,value",
		row("1,1000,1000,0,none,imu," + id + ",reading,accel,1,float32,m/s2,0.25"),
		row("1,1000,1000,0,none,imu," + id + ",reading,temp,,float32,Cel,0.75"),
		row("2,1010,1010,10,none,imu," + id + ",reading,accel,1,float32,m/s2,1.25"),
		row("2,1010,1010,10,none,imu," + id + ",reading,temp,,float32,Cel,1.75"),
	}, "\n") + "\n"
	if got := string(r.export(export.CSV, "rover", series, 1000, 1030)); got != want {
		t.Errorf("CSV\n%s\nwant\n%s", got, want)
	}
	var reader *export.CSVReader
	reader, err := export.NewCSVReader(strings.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := reader.Next(); !errors.Is(err, export.ErrPartial) {
			t.Errorf("a record without all values: %v", err)
		}
	}
	if _, err := reader.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	got := read(t, export.MCAP, r.export(export.MCAP, "rover", series, 0, 0))
	wantEntries(t, got, slices.DeleteFunc(slices.Clone(r.stored), func(e records.Entry) bool { return e.Record.Layout != imu }))
}

func TestWhatIsNotThere(t *testing.T) {
	r := smallRig(t)
	for _, tt := range []struct {
		format, device string
		series         []string
		notFound       bool
	}{
		{"parquet", "rover", nil, false},
		{export.CSV, "boat", nil, true},
		{export.MCAP, "boat", nil, true},
		{export.MCAP, "rover", []string{"imu.temp", "imu.speed"}, true},
		{export.CSV, "", []string{"imu.speed"}, true},
	} {
		var out bytes.Buffer
		_, err := export.New(r.index).Export(t.Context(), &out, tt.format, tt.device, tt.series, 0, 0)
		if err == nil || errors.Is(err, ground.ErrNotFound) != tt.notFound || out.Len() > 0 {
			t.Errorf("%s %q %q: %v, %d bytes", tt.format, tt.device, tt.series, err, out.Len())
		}
	}
	if got := read(t, export.CSV, r.export(export.CSV, "", []string{"imu.temp"}, 5000, 0)); len(got) != 0 {
		t.Errorf("%d records after the last", len(got))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := export.New(r.index).Export(ctx, io.Discard, export.CSV, "rover", nil, 0, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

var errWriter = errors.New("connection reset")

type failingWriter struct{ left int }

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errWriter
	}
	return len(b), nil
}

func TestWriteErrorIsTold(t *testing.T) {
	r := smallRig(t)
	for _, format := range []string{export.CSV, export.MCAP} {
		whole := len(r.export(format, "", nil, 0, 0))
		for n := 0; n < whole; n += 23 {
			if _, err := export.New(r.index).Export(t.Context(), &failingWriter{left: n}, format, "", nil, 0, 0); !errors.Is(err, errWriter) {
				t.Fatalf("%s, after %d bytes: %v", format, n, err)
			}
		}
	}
}

// TestDamagedFramesAreTold flips a bit in a stored frame: the others are exported, and the file says what it lacks.
func TestDamagedFramesAreTold(t *testing.T) {
	r := smallRig(t)
	r.damage()
	csv := r.export(export.CSV, "rover", nil, 0, 0)
	reader, err := export.NewCSVReader(bytes.NewReader(csv))
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	for {
		if _, err := reader.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if reader.Missing() == 0 || n+reader.Missing() != uint64(len(r.stored)) {
		t.Errorf("CSV: %d records and %d missing of %d", n, reader.Missing(), len(r.stored))
	}
	file := r.export(export.MCAP, "rover", nil, 0, 0)
	x, err := mcap.NewIndexed(bytes.NewReader(file), int64(len(file)), mcap.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := x.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(metadata, func(m mcap.Metadata) bool { return m.Name == "fulmar.missing" })
	if i < 0 || metadata[i].Values["device"] != "rover" || metadata[i].Values["count"] == "" || x.Statistics().Messages != n {
		t.Errorf("MCAP: %d messages, want %d, metadata %v", x.Statistics().Messages, n, metadata)
	}
}
