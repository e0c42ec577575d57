package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/internal/extent"
)

var faultsTried = []simdisk.Fault{
	{Ops: simdisk.OpAny, Times: 1, Err: syscall.EIO},
	{Ops: simdisk.OpAny, Err: syscall.EIO},
	{Ops: simdisk.OpChange, Times: 1, Err: syscall.ENOSPC},
	{Ops: simdisk.OpChange, Err: syscall.ENOSPC},
	{Ops: simdisk.OpWrite, Times: 1, Err: syscall.ENOSPC, Short: true},
	{Ops: simdisk.OpWrite, Times: 3, Err: syscall.EIO, Short: true},
	{Ops: simdisk.OpSync, Times: 1, Err: syscall.EIO},
	{Ops: simdisk.OpSync, Times: 4, Err: syscall.EIO},
	{Ops: simdisk.OpSyncDir, Times: 1, Err: syscall.EIO},
	{Ops: simdisk.OpSync | simdisk.OpSyncDir, Err: syscall.EIO},
	{Ops: simdisk.OpRead | simdisk.OpOpen, Times: 2, Err: syscall.EIO},
}

// TestEveryCallFailing makes the k-th call of the disk fail, once, several times and for good, for every k of a random
// workload with ends of the process in it. Nothing that is durable is lost, whether the power is cut while the disk fails
// or the log works on when it has recovered.
func TestEveryCallFailing(t *testing.T) {
	first, end := extent.Of(t, 3)
	runs := uint64(0)
	for workload := first; workload < end; workload++ {
		runs += everyCall(t, 1000*workload)
	}
	extent.Covered(t, runs, "failing calls of a log's disk")
}

// everyCall makes each call fail of workloads that a seed chooses.
func everyCall(t *testing.T, seed uint64) (runs uint64) {
	t.Helper()
	for i, fault := range faultsTried {
		for k := 0; ; k++ {
			f := faultRun{driver: newDriver(t, seed+uint64(i*7+k%3)), maybe: map[uint64][][]byte{}, passed: map[uint64]bool{}}
			fault.After = k
			struck, err := f.run(fault)
			if err != nil {
				t.Fatalf("seed %d: %s fails with %v (%d times, short %v) after %d: %v", seed, fault.Ops, fault.Err, fault.Times, fault.Short, k, err)
			}
			runs++
			if !struck {
				break
			}
		}
	}
	return runs
}

// faultRun is a driver that takes errors. maybe has, by index, what Append refused: it may be there after a crash until
// the index is taken.
type faultRun struct {
	*driver
	maybe  map[uint64][][]byte
	errors int
	// promised is what Sync promised in this life.
	promised uint64
	passed   map[uint64]bool // indexes that Open passed over, because it could not read what may have been there
	metas    [][]byte        // what SaveMeta may have saved although it failed
}

func (f *faultRun) run(fault simdisk.Fault) (struck bool, err error) {
	f.open()
	for range 15 {
		f.step()
	}
	f.disk.Inject(fault)
	for i := range 40 {
		if err := f.try(); err != nil {
			return true, err
		}
		if i == 20 {
			if err := f.reopen(fault); err != nil {
				return true, err
			}
		}
	}
	struck = f.disk.Struck() > 0
	if struck && fault.Ops&^(simdisk.OpSync|simdisk.OpSyncDir) == 0 && f.errors == 0 {
		return struck, errors.New("a sync failed and nobody was told")
	}
	after := f.disk.Clone()
	after.Crash(f.rng, simdisk.Mode(f.rng.IntN(simdisk.Modes)))
	if err := f.compare(after); err != nil {
		return struck, fmt.Errorf("power cut while it fails: %w", err)
	}
	f.disk.Heal()
	return struck, f.workOn()
}

// try makes a random call and takes an error.
func (f *faultRun) try() error {
	m := f.model
	switch k := f.rng.IntN(10); {
	case k < 5:
		p := f.payload()
		m.recs = append(m.recs, p)
		index, err := f.log.Append(p)
		if err != nil {
			f.refused(err, m.next()-1, p)
			m.recs = m.recs[:m.returned]
			return nil
		}
		if index != m.next()-1 {
			return fmt.Errorf("append: index %d, want %d", index, m.next()-1)
		}
		m.returned++
	case k < 8:
		if err := f.log.Sync(); err != nil {
			f.errors++
			return nil
		}
		m.durable = m.next() - 1
		f.promised = m.durable
	case k < 9:
		m.cursor += f.rng.Uint64N(m.next() - m.cursor + 1)
		f.note(f.log.TrimFront(m.cursor))
	default:
		m.meta[1] = []byte{byte(f.rng.Uint32())}
		f.metas = append(f.metas, m.meta[1])
		if f.note(f.log.SaveMeta(m.meta[1])) == nil {
			m.meta[0], f.metas = m.meta[1], nil
		}
	}
	if f.log.Durable() < f.promised {
		return fmt.Errorf("durable went back to %d from %d", f.log.Durable(), f.promised)
	}
	return nil
}

func (f *faultRun) note(err error) error {
	if err != nil {
		f.errors++
	}
	return err
}

func (f *faultRun) refused(err error, index uint64, p []byte) {
	if !errors.Is(err, ErrFull) {
		f.errors++
		f.maybe[index] = append(f.maybe[index], p)
	}
}

// reopen ends the process. If the log cannot be opened the disk is healed and put to the test again.
func (f *faultRun) reopen(fault simdisk.Fault) error {
	life := f.log
	f.log.files.closeAll()
	before := f.disk.Struck()
	l, err := Open(f.disk, "log", f.opt)
	if f.disk.Struck() > before {
		f.errors++ // Open tells what matters in its Report; that it could not save the cursor does not
	}
	if err != nil {
		f.disk.Heal()
		if l, err = Open(f.disk, "log", f.opt); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		f.disk.Inject(fault)
	}
	if l.Report().Unreadable != nil {
		f.metas = append(f.metas, l.Meta()) // the owner was told, and goes on: what was saved before may take the place of what was hidden
	}
	f.log, f.promised = l, 0
	if l.Next() < f.model.durable+1 {
		return fmt.Errorf("next is %d after opening, %d is durable", l.Next(), f.model.durable)
	}
	if l.Next() < life.Next() && len(l.Report().Damaged) == 0 {
		return fmt.Errorf("next was %d, is %d after opening", life.Next(), l.Next())
	}
	f.takeOver(l)
	return nil
}

// takeOver makes the model what the log is: records that Append refused may be there, and where something could not be
// read, indexes may have been passed over.
func (f *faultRun) takeOver(l *Log) {
	m := f.model
	for i := m.next(); i < l.Next(); i++ {
		p, err := l.ReadAt(i, nil)
		if err != nil {
			f.passed[i] = true
		}
		m.recs = append(m.recs, p)
	}
	m.recs = m.recs[:l.Next()-1]
	m.returned = len(m.recs)
	if l.First() > m.cursor {
		m.cursor = l.First()
	}
}

// compare opens a disk and compares: every record that was durable is there, every other is one that may be there.
func (f *faultRun) compare(disk *simdisk.Disk) error {
	l, err := Open(disk, "log", f.opt)
	if err != nil {
		return err
	}
	m := f.model
	last := m.durable
	for f.passed[last] {
		last--
	}
	// What was let go counts as durable, be it on disk or not; and that it was let go is durable with the next save that succeeds.
	if l.Next() <= last && m.cursor <= last {
		return fmt.Errorf("next is %d, %d is durable, what is below %d was let go", l.Next(), m.durable, m.cursor)
	}
	if !slices.ContainsFunc(append(f.metas, m.meta[0]), func(b []byte) bool { return bytes.Equal(l.Meta(), b) }) {
		return fmt.Errorf("metadata is %x, want %x or one of %x", l.Meta(), m.meta[0], f.metas)
	}
	r := l.Reader(max(l.First(), m.cursor))
	for {
		at := r.Index()
		index, p, err := r.Next()
		var d *DamagedError
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &d):
			for i := at; i <= d.Last; i++ {
				if i <= m.durable && !f.passed[i] {
					return fmt.Errorf("record %d, %d is durable: %w", i, m.durable, err)
				}
			}
		case err != nil:
			return err
		case !f.mayBe(index, p):
			return fmt.Errorf("record %d is none that was appended", index)
		}
	}
}

func (f *faultRun) mayBe(index uint64, p []byte) bool {
	if index < f.model.next() && bytes.Equal(f.model.recs[index-1], p) {
		return true
	}
	if index <= f.model.durable && !f.passed[index] {
		return false
	}
	for _, q := range f.maybe[index] {
		if bytes.Equal(p, q) {
			return true
		}
	}
	return false
}

// workOn uses the log when the disk has recovered: every call succeeds, and what is durable survives a power cut.
func (f *faultRun) workOn() error {
	m := f.model
	for range 10 {
		if len(f.log.pending) > 2000 {
			if err := f.log.Sync(); err != nil {
				return fmt.Errorf("sync after the disk recovered: %w", err)
			}
		}
		p := f.payload()
		index, err := f.log.Append(p)
		if err != nil {
			return fmt.Errorf("append after the disk recovered: %w", err)
		}
		m.recs = append(m.recs, p)
		if index != m.next()-1 {
			return fmt.Errorf("append: index %d, want %d", index, m.next()-1)
		}
		m.returned++
	}
	if err := f.log.Sync(); err != nil {
		return fmt.Errorf("sync after the disk recovered: %w", err)
	}
	m.durable = m.next() - 1
	if err := f.log.SaveMeta([]byte("on")); err != nil {
		return fmt.Errorf("save metadata after the disk recovered: %w", err)
	}
	m.meta[0], f.metas = []byte("on"), nil
	f.disk.Crash(rand.New(rand.NewPCG(1, 1)), simdisk.Lose)
	if err := f.compare(f.disk); err != nil {
		return fmt.Errorf("power cut after the disk recovered: %w", err)
	}
	return nil
}

// TestDiskFull: when there is no space, Append says so and nothing is lost; when there is again, it works again.
func TestDiskFull(t *testing.T) {
	disk := simdisk.New()
	l, err := Open(disk, "log", Options{SegmentSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		mustAppend(t, l, make([]byte, 500))
	}
	disk.SetQuota(6500)
	n := uint64(10)
	for {
		_, err := l.Append(make([]byte, 500))
		if err != nil {
			if !errors.Is(err, ErrDiskFull) {
				t.Fatal(err)
			}
			break
		}
		n++
	}
	mustSync(t, l) // what was appended before can still be synced: the disk is full, not broken
	if _, err := l.Append(nil); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("append: %v", err)
	}
	disk.SetQuota(0)
	if index := mustAppend(t, l, []byte("again")); index != n+1 {
		t.Fatalf("index %d, want %d", index, n+1)
	}
	mustSync(t, l)
	if v, err := l.Verify(); err != nil || v.Records != n+1 || v.Lost != 0 || len(v.Headers) != 0 {
		t.Fatalf("%+v, %v", v, err)
	}
}

// TestLimits: each limit has its error, and what the owner is to do about it helps.
func TestLimits(t *testing.T) {
	disk := simdisk.New()
	disk.SetQuota(1 << 20)
	l, err := Open(disk, "log", Options{SegmentSize: 4096, MaxRecord: 1000, MaxUnsynced: 2000, MaxBytes: 16384, MinFree: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(make([]byte, 1001)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if err := l.SaveMeta(make([]byte, MaxMeta+1)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	mustAppend(t, l, make([]byte, 1000))
	if _, err := l.Append(make([]byte, 1000)); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	mustSync(t, l)
	for err == nil {
		if _, err = l.Append(make([]byte, 900)); err == nil {
			err = l.Sync()
		}
	}
	if !errors.Is(err, ErrQuota) {
		t.Fatal(err)
	}
	if b := l.Bytes(); b > 16384 || b < 14000 {
		t.Fatalf("%d bytes", b)
	}
	if err := l.TrimFront(l.Next()); err != nil {
		t.Fatal(err)
	}
	if b := l.Bytes(); b > 5000 || l.SegmentCount() != 1 {
		t.Fatalf("%d bytes in %d segments after everything was trimmed", b, l.SegmentCount())
	}
	if _, err := l.ReadAt(l.First()-1, nil); !errors.Is(err, ErrTrimmed) {
		t.Fatal(err)
	}
	disk.SetQuota(1900 + l.Bytes())
	for err = nil; err == nil; { // until a segment begins, which is when it looks
		if _, err = l.Append(make([]byte, 900)); err == nil {
			err = l.Sync()
		}
	}
	if !errors.Is(err, ErrDiskFull) {
		t.Fatal(err)
	}
	if _, err := Open(disk, "log", Options{SegmentSize: 4096, MaxBytes: 4097}); err == nil {
		t.Fatal("a quota of one segment")
	}
}

// TestNotTrustedAgain: after a write error that is no full disk, what is not durable is written to a new segment, and that
// is durable at once.
func TestNotTrustedAgain(t *testing.T) {
	disk := simdisk.New()
	l, err := Open(disk, "log", Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, []byte("one"))
	mustSync(t, l)
	mustAppend(t, l, []byte("two"))
	disk.Inject(simdisk.Fault{Ops: simdisk.OpWrite, Times: 1, Err: syscall.EIO})
	if _, err := l.Append([]byte("three")); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	mustSync(t, l)
	st := l.Stats()
	if l.segs[1].first != 2 || st.Rewritten != 1 || st.Failures != 1 || st.Durable != 2 {
		t.Fatalf("segment begins at %d, %+v", l.segs[1].first, st)
	}
	disk.Crash(nil, simdisk.Lose)
	if l, err = Open(disk, "log", Options{}); err != nil || l.Next() != 3 {
		t.Fatal(err)
	}
}
