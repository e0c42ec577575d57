package frame_test

import (
	"errors"
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
	dir := os.Getenv("FULMAR_DATA")
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

func (f *flight) encode(t testing.TB, e *frame.Encoder) [][]byte {
	t.Helper()
	e.Reset(stream)
	var frames [][]byte
	for _, batch := range f.batches {
		for _, r := range batch {
			if err := e.Append(r.Layout, r.Packet); err != nil {
				t.Fatal(err)
			}
		}
		for e.Len() > 0 {
			b, err := e.Finish(nil)
			if err != nil {
				t.Fatal(err)
			}
			frames = append(frames, b)
		}
	}
	return frames
}

func TestMeasure(t *testing.T) {
	e, d := frame.NewEncoder(), frame.NewDecoder(frame.Limits{})
	for _, name := range []string{"sample.ulg", "sample_px4_events.ulg", "sample_log_small.ulg"} {
		for _, every := range []time.Duration{time.Second, 10 * time.Second} {
			f := loadFlight(t, name, every)
			frames := f.encode(t, e)
			start := time.Now()
			for range 5 {
				f.encode(t, e)
			}
			enc := time.Since(start) / 5
			start = time.Now()
			size := 0
			for range 5 {
				size = 0
				for _, b := range frames {
					size += len(b)
					if _, err := d.Decode(b, &f.catalog); err != nil {
						t.Fatal(err)
					}
				}
			}
			dec := time.Since(start) / 5
			n := float64(f.readings)
			t.Logf("%-22s %3v %3d batches %3d frames: %.4f B/reading, encode %.1f ns, decode %.1f ns", name, every, len(f.batches), len(frames), float64(size)/n, float64(enc)/n, float64(dec)/n)
		}
	}
}
