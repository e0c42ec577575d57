package frame_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/recording/ulog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var stream = telemetry.Stream{
	Device: "px4", Boot: telemetry.Boot{0x01, 0x8f, 0x3c, 0xa1, 0x77, 0x10, 0xbb, 0x5e, 0x09, 0x62, 0xd4, 0x1f, 0x83, 0xee, 0x40, 0x2a},
	Class: packet.Normal,
}

// flight is a recording cut into runs of records.
type flight struct {
	catalog  telemetry.Catalog
	batches  [][]telemetry.Record
	records  int
	readings int // scalars that are numbers
}

// loadFlight reads one of the recordings that are not part of the repository, and cuts it every so often.
func loadFlight(t testing.TB, name string, every time.Duration) *flight {
	t.Helper()
	dir := os.Getenv("FULMAR_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	file, err := os.Open(filepath.Join(dir, "px4-pyulog", name))
	if err != nil {
		if os.Getenv("FULMAR_REQUIRE_DATA") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs the recordings: ", err)
	}
	defer file.Close()
	r, err := ulog.NewReader(file, ulog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &flight{}
	cut := int64(0)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return f
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != ulog.Data {
			continue
		}
		p := append([]byte(nil), e.Record.Packet...)
		packet.SetSeq(p, uint64(f.records))
		h, err := packet.ParseHeader(p)
		if err != nil {
			t.Fatal(err)
		}
		// A time far outside the rest, which one of the recordings has, begins no batch.
		late := h.Mono - cut
		if f.records == 0 || late >= int64(every) && late < int64(every+time.Minute) {
			cut += late / int64(every) * int64(every)
			f.batches = append(f.batches, nil)
		}
		f.catalog.Add(e.Record.Layout)
		last := len(f.batches) - 1
		f.batches[last] = append(f.batches[last], telemetry.Record{Layout: e.Record.Layout, Packet: p})
		f.records++
		for _, fd := range e.Record.Layout.Fields {
			if fd.Type != packet.String {
				f.readings += fd.Elements()
			}
		}
	}
}

// encode calls use with each frame of the flight, whose memory is overwritten by the next.
func (f *flight) encode(t testing.TB, e *frame.Encoder, dst []byte, use func(batch int, b []byte)) []byte {
	e.Reset(stream)
	for i, batch := range f.batches {
		for _, r := range batch {
			if err := e.Append(r.Layout, r.Packet); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if dst, err = e.Finish(dst[:0]); err != nil {
			t.Fatal(err)
		}
		if e.Len() != 0 {
			t.Fatalf("batch %d: %d records did not fit", i, e.Len())
		}
		use(i, dst)
	}
	return dst
}

// TestRecordings holds, on real flights, that every packet comes back bit for bit, and that a reading takes no more bytes
// than it did when this was written. The numbers are what was measured, and one per cent.
func TestRecordings(t *testing.T) {
	e, d := frame.NewEncoder(), frame.NewDecoder(frame.Limits{})
	for _, tt := range []struct {
		file  string
		every time.Duration
		most  float64
	}{
		{"sample.ulg", time.Second, 1.105},
		{"sample.ulg", 10 * time.Second, 1.042},
		{"sample_px4_events.ulg", time.Second, 1.199},
		{"sample_px4_events.ulg", 10 * time.Second, 1.0},
		{"sample_log_small.ulg", time.Second, 1.242},
		{"sample_log_small.ulg", 10 * time.Second, 1.155},
	} {
		f := loadFlight(t, tt.file, tt.every)
		size, readings := 0, uint64(0)
		f.encode(t, e, nil, func(batch int, b []byte) {
			size += len(b)
			if _, err := d.Decode(b, &f.catalog); err != nil {
				t.Fatal(err)
			}
			readings += d.Header().Readings
			i := 0
			for r := range d.Records() {
				if !bytes.Equal(r.Packet, f.batches[batch][i].Packet) {
					t.Fatalf("%s: batch %d, record %d of %q differs", tt.file, batch, i, r.Layout.Name)
				}
				i++
			}
			if i != len(f.batches[batch]) {
				t.Fatalf("%s: batch %d: %d records of %d", tt.file, batch, i, len(f.batches[batch]))
			}
		})
		if got := float64(size) / float64(f.readings); got > tt.most {
			t.Errorf("%s, a frame per %v: %.4f bytes per reading, want at most %v", tt.file, tt.every, got, tt.most)
		}
		if texts := readings - uint64(f.readings); texts > 1 {
			t.Errorf("%s: %d readings in the headers, %d in the packets", tt.file, readings, f.readings)
		}
	}
}

// TestAllocations holds that an encoder that has seen a flight needs no memory for another.
func TestAllocations(t *testing.T) {
	f := loadFlight(t, "sample.ulg", time.Second)
	e := frame.NewEncoder()
	dst := f.encode(t, e, nil, func(int, []byte) {})
	n := testing.AllocsPerRun(1, func() { f.encode(t, e, dst, func(int, []byte) {}) })
	// The compressor's own pools may be emptied by the garbage collector.
	if perRecord := n / float64(f.records); perRecord > 0.001 {
		t.Errorf("%v allocations for %d records", n, f.records)
	}
}

// BenchmarkEncodings is what the frame costs; the module bench puts it beside what one would use instead.
func BenchmarkEncodings(b *testing.B) {
	for _, file := range []string{"sample.ulg", "sample_px4_events.ulg", "sample_log_small.ulg"} {
		for _, every := range []time.Duration{time.Second, 10 * time.Second} {
			f := loadFlight(b, file, every)
			e, d := frame.NewEncoder(), frame.NewDecoder(frame.Limits{})
			var frames [][]byte
			size := 0
			dst := f.encode(b, e, nil, func(_ int, b []byte) {
				frames = append(frames, bytes.Clone(b))
				size += len(b)
			})
			b.Run(fmt.Sprintf("encode/%s/%v", file, every), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					dst = f.encode(b, e, dst, func(int, []byte) {})
				}
				b.ReportMetric(float64(size)/float64(f.readings), "B/reading")
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(f.readings), "ns/reading")
			})
			b.Run(fmt.Sprintf("decode/%s/%v", file, every), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					for _, x := range frames {
						if _, err := d.Decode(x, &f.catalog); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(f.readings), "ns/reading")
			})
		}
	}
}
