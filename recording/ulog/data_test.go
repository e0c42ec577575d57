package ulog

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// recordingFile opens one of the real recordings that are not part of the repository.
func recordingFile(t testing.TB, name string) *os.File {
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

// numbers returns the scalars of a row that are not text, which is what the counts below, not this package's, are of.
func numbers(l *telemetry.Layout) int {
	n := l.Series()
	for _, f := range l.Fields {
		if f.Type == packet.String {
			n--
		}
	}
	return n
}

func TestRecordings(t *testing.T) {
	for _, tt := range []struct {
		file                       string
		readings, series, dropouts int
	}{
		{"px4-pyulog/sample.ulg", 826_976, 285, 4},
		{"px4-pyulog/sample_log_small.ulg", 176_619, 1_099, 1},
		{"px4-pyulog/sample_px4_events.ulg", 337_037, 1_432, 0},
	} {
		t.Run(filepath.Base(tt.file), func(t *testing.T) {
			r, err := NewReader(recordingFile(t, tt.file), Options{})
			if err != nil {
				t.Fatal(err)
			}
			readings, dropouts, records := 0, 0, 0
			layouts := map[string]int{}
			for {
				e, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Error(err)
					continue
				}
				switch e.Kind {
				case Dropout:
					dropouts++
				case Data:
					if err := e.Record.Check(); err != nil {
						t.Fatal(err)
					}
					records++
					n := numbers(e.Record.Layout)
					readings += n
					layouts[e.Record.Layout.Name] = n
				}
			}
			series := 0
			for _, n := range layouts {
				series += n
			}
			if readings != tt.readings || series != tt.series || dropouts != tt.dropouts {
				t.Errorf("%d records: %d readings of %d series, %d dropouts; want %d of %d, %d", records, readings, series, dropouts, tt.readings, tt.series, tt.dropouts)
			}
		})
	}
}

// TestTopics holds the messages of each topic against what pyulog counted, which comes with the recording.
func TestTopics(t *testing.T) {
	info, err := io.ReadAll(recordingFile(t, "px4-pyulog/sample_info.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for line := range strings.Lines(string(info)) {
		var name string
		var multi, size, n, bytes int
		if k, _ := fmt.Sscanf(line, " %s (%d, %d) %d %d", &name, &multi, &size, &n, &bytes); k == 5 && multi == 0 {
			want[name] = n
		}
	}
	r, err := NewReader(recordingFile(t, "px4-pyulog/sample.ulg"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, records := map[string]int{}, 0
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == Data {
			got[e.Record.Layout.Name]++
			records++
		}
	}
	if len(want) != 15 || records != 64_542 || !maps.Equal(got, want) {
		t.Errorf("%d records\n got %v\nwant %v", records, got, want)
	}
}
