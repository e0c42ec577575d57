package seglog

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/env/simdisk"
)

// FuzzSegment opens a log whose last segment and metadata are what the fuzzer says. It opens, or says that it is of a
// newer version; reading comes to an end; and it can be written on.
func FuzzSegment(f *testing.F) {
	disk, _ := written(f, 2<<10, 1<<10)
	entries, err := disk.ReadDir("log")
	if err != nil {
		f.Fatal(err)
	}
	var segment, meta string
	for _, e := range entries {
		if strings.HasSuffix(e.Name, segmentSuffix) {
			segment = "log/" + e.Name
		} else {
			meta = "log/" + e.Name
		}
	}
	f.Add(disk.File(segment), disk.File(meta))
	f.Add([]byte(headerMagic), []byte(metaMagic))
	f.Fuzz(func(t *testing.T, s, m []byte) {
		d := disk.Clone()
		if d.SetFile(segment, s) != nil || d.SetFile(meta, m) != nil {
			t.Fatal("set")
		}
		l, err := Open(d, "log", Options{})
		if errors.Is(err, ErrVersion) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		first, next := l.First(), l.Next()
		r := l.Reader(first)
		for n := 0; ; n++ {
			at := r.Index()
			_, _, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil && !errors.Is(err, ErrDamaged) || r.Index() <= at || n > 10_000 {
				t.Fatalf("at %d of %d to %d: %v", at, first, next, err)
			}
		}
		if next > maxIndex-10 {
			return // the log is at its end, after 10^19 records
		}
		index, err := l.Append([]byte("on"))
		if err != nil || index != next {
			t.Fatal(index, next, err)
		}
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		d.Crash(nil, simdisk.Lose)
		l, err = Open(d, "log", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := l.ReadAt(index, nil); err != nil || string(p) != "on" {
			t.Fatalf("%q, %v", p, err)
		}
	})
}
