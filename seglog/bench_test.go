package seglog

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/fulmar-io/fulmar/env"
)

func benchLog(b *testing.B, dir string) *Log {
	b.Helper()
	disk, err := env.NewOSDisk(dir)
	if err != nil {
		b.Fatal(err)
	}
	l, err := Open(disk, "log", Options{})
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// BenchmarkAppend appends records of 4 KiB to the operating system's disk with a Sync after every 1, 16 and 256, beside
// the same bytes written to one plain file and synced as often, which is what this costs at least.
func BenchmarkAppend(b *testing.B) {
	p := make([]byte, 4096)
	for _, group := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("seglog/sync-every-%d", group), func(b *testing.B) {
			l := benchLog(b, b.TempDir())
			b.SetBytes(int64(len(p)))
			for i := 0; b.Loop(); i++ {
				if _, err := l.Append(p); err != nil {
					b.Fatal(err)
				}
				if i%group == group-1 {
					if err := l.Sync(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run(fmt.Sprintf("plain-file/sync-every-%d", group), func(b *testing.B) {
			disk, err := env.NewOSDisk(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			f, err := disk.OpenFile("plain", true)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.SetBytes(int64(len(p)))
			for i := 0; b.Loop(); i++ {
				if _, err := f.WriteAt(p, int64(i)*int64(len(p))); err != nil {
					b.Fatal(err)
				}
				if i%group == group-1 {
					if err := f.Sync(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkLarge opens and reads a log of 1 GiB, or of FULMAR_BENCH_MIB.
func BenchmarkLarge(b *testing.B) {
	mib := 1024
	if s := os.Getenv("FULMAR_BENCH_MIB"); s != "" {
		if _, err := fmt.Sscan(s, &mib); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	l := benchLog(b, dir)
	p := make([]byte, 4096-itemSize)
	for range mib << 8 {
		if _, err := l.Append(p); err != nil {
			b.Fatal(err)
		}
		if l.Stats().Unsynced > 4<<20 {
			if err := l.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if err := benchLog(b, dir).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	l = benchLog(b, dir)
	b.Run("read-sequential", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		r := l.Reader(1)
		for b.Loop() {
			if _, _, err := r.Next(); err == io.EOF {
				r.Seek(1)
			} else if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read-random", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		buf, at := make([]byte, 0, len(p)), uint64(0)
		for b.Loop() {
			at = (at + 7919*31) % (l.Next() - 1)
			if _, err := l.ReadAt(at+1, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
