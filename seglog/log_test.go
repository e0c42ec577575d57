package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/env/simdisk"
)

// TestModel compares a log with the model over many calls, and over ends of the process of every kind.
func TestModel(t *testing.T) {
	for seed := uint64(0); seed < 60; seed++ {
		d := newDriver(t, seed)
		for life := range 4 {
			d.open()
			d.check(d.log, d.model, true)
			for range 60 {
				d.step()
			}
			if life%2 == 0 {
				d.saveMeta()
				d.disk.Kill()
				continue
			}
			if err := d.log.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestReadersBesideWriter has readers from the start and at random while one goroutine appends and trims and another syncs.
func TestReadersBesideWriter(t *testing.T) {
	l, err := Open(simdisk.New(), "log", Options{SegmentSize: 32 << 10})
	if err != nil {
		t.Fatal(err)
	}
	const records = 4000
	content := func(i uint64) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, int(i%300)) }
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	appended := make(chan uint64, records)
	wg.Go(func() {
		defer close(appended)
		for i := uint64(1); i <= records; i++ {
			index, err := l.Append(content(i))
			for errors.Is(err, ErrFull) {
				index, err = l.Append(content(i))
			}
			if err != nil || index != i {
				errs <- fmt.Errorf("append %d: %d, %w", i, index, err)
				return
			}
			if i == records/2 {
				errs <- l.TrimFront(records / 4)
			}
			appended <- i
		}
	})
	wg.Go(func() {
		for i := range appended {
			if i%16 != 0 {
				continue
			}
			if err := l.Sync(); err != nil || l.Durable() < i {
				errs <- fmt.Errorf("sync: durable %d of %d: %w", l.Durable(), i, err)
				return
			}
		}
		errs <- l.Sync()
	})
	for n := range 2 {
		wg.Go(func() {
			r := l.Reader(1)
			r.Durable = n == 1
			errs <- readAlong(l, r, records, content)
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if l.Durable() != records {
		t.Errorf("durable %d", l.Durable())
	}
}

// readAlong reads up to a record, in order and here and there, while the log is being written.
func readAlong(l *Log, r *Reader, last uint64, content func(uint64) []byte) error {
	for r.Index() <= last {
		index, p, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			runtime.Gosched()
			continue
		case errors.Is(err, ErrTrimmed):
			r.Seek(l.First())
			continue
		case err != nil || !bytes.Equal(p, content(index)):
			return fmt.Errorf("record %d: wrong, or %w", index, err)
		}
		p, err = l.ReadAt(index/2+1, nil)
		if err == nil && !bytes.Equal(p, content(index/2+1)) || err != nil && !errors.Is(err, ErrTrimmed) {
			return fmt.Errorf("record %d: wrong, or %w", index/2+1, err)
		}
	}
	return nil
}

// nullDisk takes everything at no cost, so that only what the log itself allocates is counted.
type nullDisk struct{ env.Disk }
type nullFile struct{}

func (nullDisk) MkdirAll(string) error                   { return nil }
func (nullDisk) ReadDir(string) ([]env.FileInfo, error)  { return nil, nil }
func (nullDisk) OpenFile(string, bool) (env.File, error) { return nullFile{}, nil }
func (nullDisk) Rename(string, string) error             { return nil }
func (nullDisk) SyncDir(string) error                    { return nil }
func (nullFile) ReadAt([]byte, int64) (int, error)       { return 0, io.EOF }
func (nullFile) WriteAt(p []byte, _ int64) (int, error)  { return len(p), nil }
func (nullFile) Truncate(int64) error                    { return nil }
func (nullFile) Sync() error                             { return nil }
func (nullFile) Size() (int64, error)                    { return 0, nil }
func (nullFile) Close() error                            { return nil }

func TestAppendDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates
	}
	l, err := Open(nullDisk{}, "log", Options{SegmentSize: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	p, batch := make([]byte, 1000), [][]byte{make([]byte, 100), make([]byte, 333)}
	round := func() {
		for range 50 {
			_, err1 := l.Append(p)
			_, err2 := l.AppendBatch(batch...)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
		}
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	round()
	// An index point every 64 KiB is amortised: less than one allocation in 100 records.
	if n := testing.AllocsPerRun(100, round); n >= 1 {
		t.Fatalf("%v allocations in 150 records and a Sync", n)
	}
}
