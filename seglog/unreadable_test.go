package seglog

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/fulmar-io/fulmar/env/simdisk"
)

// TestUnreadableIsNotDamaged: whatever call of the disk fails while a log is opened and read, what it hides is told with
// the error, or Open fails with it; and it is there when the disk returns it.
func TestUnreadableIsNotDamaged(t *testing.T) {
	disk := simdisk.New()
	state := func() []byte { return bytes.Repeat([]byte{7}, 300) }
	opt := Options{SegmentSize: 4096, Checkpoint: state}
	l, err := Open(disk, "log", opt)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		mustAppend(t, l, bytes.Repeat([]byte{byte(i)}, 400))
	}
	mustSync(t, l)
	if err := l.TrimFront(3); err != nil {
		t.Fatal(err)
	}
	if err := l.SaveMeta([]byte("meta")); err != nil {
		t.Fatal(err)
	}
	whole := disk.Clone()
	for after := range 200 {
		for times := range 4 {
			disk := whole.Clone()
			disk.Inject(simdisk.Fault{Ops: simdisk.OpRead | simdisk.OpOpen, After: after, Times: times, Err: syscall.EIO})
			l, err := Open(disk, "log", opt)
			if err != nil {
				if !errors.Is(err, syscall.EIO) {
					t.Fatalf("%d after %d: %v", times, after, err)
				}
				continue
			}
			checkpoint, _ := l.Checkpoint()
			hidden := string(l.Meta()) != "meta" || l.First() != 3 || !bytes.Equal(checkpoint, state()) || l.Report().CheckpointsLost > 0
			if hidden && !errors.Is(l.Report().Unreadable, syscall.EIO) {
				t.Fatalf("%d after %d: meta %q, first %d, checkpoint of %d bytes, report %+v", times, after, l.Meta(), l.First(), len(checkpoint), l.Report())
			}
			for i := l.First(); i < min(l.Next(), 31); i++ { // behind that indexes may have been passed over
				if _, err := l.ReadAt(i, nil); err != nil && !Unreadable(err) {
					t.Fatalf("%d after %d: read %d: %v", times, after, i, err)
				}
			}
			disk.Heal()
			for i := l.First(); l.Report().Unreadable == nil && i < l.Next(); i++ {
				if p, err := l.ReadAt(i, nil); err != nil || p[0] != byte(i-1) {
					t.Fatalf("%d after %d: read %d of the healed disk: %v", times, after, i, err)
				}
			}
		}
	}
	if damaged := (&DamagedError{First: 1, Last: 1}); Unreadable(damaged) || Unreadable(errors.New("other")) {
		t.Error("damage passes for unreadable")
	}
}

// TestWhatCouldNotBeReadIsNotReplaced: an Open that the disk hides the metadata from leaves it for the next one.
func TestWhatCouldNotBeReadIsNotReplaced(t *testing.T) {
	whole := simdisk.New()
	l, err := Open(whole, "log", Options{SegmentSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		mustAppend(t, l, bytes.Repeat([]byte{byte(i)}, 400))
	}
	mustSync(t, l)
	for i, meta := range []string{"before", "meta"} {
		if err := l.TrimFront(l.Next() - 1 + uint64(i)); err != nil {
			t.Fatal(err)
		}
		if err := l.SaveMeta([]byte(meta)); err != nil {
			t.Fatal(err)
		}
	}
	whole.Crash(nil, simdisk.Lose) // and with it the marks that prove what was durable: the cursor is the proof
	for after := range 20 {
		for times := range 6 {
			disk := whole.Clone()
			disk.Inject(simdisk.Fault{Ops: simdisk.OpRead | simdisk.OpOpen, After: after, Times: times, Err: syscall.EIO})
			if l, err := Open(disk, "log", Options{}); err == nil {
				_ = l.Close()
			}
			disk.Kill()
			l, err := Open(disk, "log", Options{})
			if err != nil {
				t.Fatal(err)
			}
			if string(l.Meta()) != "meta" || l.First() != 31 {
				t.Fatalf("%d after %d: meta %q, first %d", times, after, l.Meta(), l.First())
			}
		}
	}
}

// TestCloseWritesNoStateThatIsNone: an owner that cannot restore its state closes the log, and the state is there the next
// time, even if the log has records that must be written again.
func TestCloseWritesNoStateThatIsNone(t *testing.T) {
	disk := simdisk.New()
	owner := []byte("state")
	opt := Options{SegmentSize: 4096, Checkpoint: func() []byte { return owner }}
	l, err := Open(disk, "log", opt)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, []byte("one")) // not synced
	disk.Kill()
	owner = nil
	if l, err = Open(disk, "log", opt); err != nil || l.Report().Unproven != 1 {
		t.Fatalf("%+v, %v", l.Report(), err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(disk, "log", opt); err != nil {
		t.Fatal(err)
	}
	if state, from := l.Checkpoint(); string(state) != "state" || from != 1 || l.Next() != 2 {
		t.Errorf("state %q from %d, next %d", state, from, l.Next())
	}
}

// TestTrimKeepsACheckpoint: the segment whose checkpoint takes the place of the ones that go is durable before they go; also
// if it has no record because the disk is full, which is when space must be given back.
func TestTrimKeepsACheckpoint(t *testing.T) {
	for _, full := range []bool{false, true} {
		trimAndCrash(t, full)
	}
}

func trimAndCrash(t *testing.T, full bool) {
	disk := simdisk.New()
	opt := Options{SegmentSize: 4096, Checkpoint: func() []byte { return []byte("state") }}
	l, err := Open(disk, "log", opt)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // both files exist before the disk is full
		if err := l.SaveMeta(nil); err != nil {
			t.Fatal(err)
		}
	}
	for l.SegmentCount() < 2 {
		mustSync(t, l)
		mustAppend(t, l, make([]byte, 500))
	}
	if full {
		for l.SegmentCount() < 3 {
			mustSync(t, l)
			disk.SetQuota(0)
			if l.tail.size.Load() > 3500 { // the next one begins a segment and does not fit into it
				disk.SetQuota(disk.Used() + 200)
			}
			if _, err := l.Append(make([]byte, 500)); err != nil && !errors.Is(err, ErrDiskFull) {
				t.Fatal(err)
			}
		}
		if l.durable+1 != l.next || l.tail.first != l.next {
			t.Fatalf("durable %d, next %d, the last segment begins at %d", l.durable, l.next, l.tail.first)
		}
	}
	before := l.SegmentCount()
	if err := l.TrimFront(l.Next() - 1); err != nil {
		t.Fatal(err)
	}
	if err := l.TrimFront(l.Next()); err != nil || l.SegmentCount() >= before {
		t.Fatalf("%d segments, %v", l.SegmentCount(), err)
	}
	disk.Crash(rand.New(rand.NewPCG(1, 1)), simdisk.Garbage)
	if l, err = Open(disk, "log", opt); err != nil {
		t.Fatal(err)
	}
	if state, _ := l.Checkpoint(); string(state) != "state" {
		t.Errorf("state %q, report %+v", state, l.Report())
	}
}
