package spool_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/internal/decay"
	"github.com/fulmar-io/fulmar/internal/extent"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// spooled is what a spool was given, kept outside of it.
type spooled struct {
	disk   *simdisk.Disk
	frames map[[32]byte]delivery.Frame // by the hash
	letGo  map[[32]byte]bool           // which may come again: the ground has them
}

// ceiling is below which all numbers are that a boot reserved.
const ceiling = 200

var spoolDirs = []string{"spool/urgent", "spool/normal", "spool/bulk", "spool/identity"}

// twoBoots fills a spool in two boots, the second of which was killed, with segments so small that there are several. What was
// acknowledged of the first is let go of.
func twoBoots(t *testing.T) *spooled {
	t.Helper()
	w := &spooled{disk: simdisk.New(), frames: make(map[[32]byte]delivery.Frame), letGo: make(map[[32]byte]bool)}
	s := open(t, w.disk)
	for b, boot := range []telemetry.Boot{{1}, {2}} {
		s.must(s.Begin(boot, [packet.Classes]uint64{100, 100, 100}))
		for i := range packet.Classes {
			class := packet.ClassAt(i)
			for first := uint64(0); first < 20; first += 4 {
				f, err := encodeFrame(telemetry.Stream{Device: "rover", Boot: boot, Class: class}, first, 4)
				s.must(err)
				_, err = s.Append(class, f)
				s.must(err)
				w.frames[sha256.Sum256(f)] = delivery.Frame{Key: delivery.Key{Class: class}, Boot: boot, Range: ledger.Range{First: first, Count: 4}, Data: f}
			}
			s.must(s.Reserve(class, ceiling))
		}
		s.must(s.Sync())
		if b == 0 {
			frames, _ := s.Load(packet.Normal, 2, 1<<20)
			for _, f := range frames {
				s.Done(f.Key, false)
				w.letGo[sha256.Sum256(f.Data)] = true
				delete(w.frames, sha256.Sum256(f.Data))
			}
			s.must(s.End())
		}
	}
	s.must(s.Save())
	s.must(s.Close())
	return w
}

func encodeFrame(stream telemetry.Stream, first uint64, records int) ([]byte, error) {
	e := frame.NewEncoder()
	e.Reset(stream)
	var w packet.Writer
	for i := range records {
		w.Reset(nil, packet.Header{Layout: uint64(imu.ID()), Seq: first + uint64(i), Mono: int64(i), Class: stream.Class})
		w.Float64(float64(i))
		p, err := w.Bytes()
		if err == nil {
			err = e.Append(imu, p)
		}
		if err != nil {
			return nil, err
		}
	}
	return e.Finish(nil)
}

// arrived is what a spool gives out when it is opened after its disk has suffered.
type arrived struct {
	frames map[[32]byte]bool
	lost   map[telemetry.Stream]*ledger.Set
}

// drain opens a spool, goes on in another boot, as a machine does, and brings everything to its end.
func drain(disk *simdisk.Disk) (*arrived, error) {
	s, err := spool.Open(disk, "spool", "rover", spool.Options{MinFree: 1})
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	a := &arrived{frames: make(map[[32]byte]bool), lost: make(map[telemetry.Stream]*ledger.Set)}
	for i := range packet.Classes { // as the courier does it: the numbers up to the ceiling may have been in use
		class := packet.ClassAt(i)
		if state := s.State(class); !state.Clean && state.Next < state.Ceiling {
			stream := telemetry.Stream{Device: "rover", Boot: state.Boot, Class: class}
			if _, err := s.Append(class, frame.AppendLost(nil, stream, state.Next, state.Ceiling-state.Next, ledger.Unclean)); err != nil {
				return nil, fmt.Errorf("end the boot before: %w", err)
			}
		}
	}
	if err := s.Begin(telemetry.Boot{3}, [packet.Classes]uint64{100, 100, 100}); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	for i := range packet.Classes {
		class := packet.ClassAt(i)
		next, err := encodeFrame(telemetry.Stream{Device: "rover", Boot: telemetry.Boot{3}, Class: class}, 0, 4)
		if err != nil {
			return nil, err
		}
		if _, err := s.Append(class, next); err != nil {
			return nil, fmt.Errorf("append: %w", err)
		}
		if err := s.Sync(); err != nil {
			return nil, fmt.Errorf("sync: %w", err)
		}
		for again := true; again; {
			frames, _ := s.Load(class, 100, 1<<20)
			for _, f := range frames {
				if err := a.take(f); err != nil {
					return nil, err
				}
				s.Done(f.Key, false)
			}
			if again, err = s.Declare(class); err != nil {
				return nil, fmt.Errorf("declare: %w", err)
			}
			if err := s.Sync(); err != nil {
				return nil, fmt.Errorf("sync: %w", err)
			}
		}
		if !a.frames[sha256.Sum256(next)] {
			return nil, fmt.Errorf("what is appended to %s after it does not arrive", class)
		}
		delete(a.frames, sha256.Sum256(next))
		if account := s.Account(class); account.Waiting > 0 || account.Check() != nil {
			return nil, fmt.Errorf("the account of %s: %+v", class, account)
		}
	}
	return a, s.Close()
}

func (a *arrived) take(f delivery.Frame) error {
	h, err := frame.Peek(f.Data)
	if err != nil {
		return fmt.Errorf("a frame that is none: %w", err)
	}
	if h.Mode == frame.Lost {
		if a.lost[h.Stream] == nil {
			a.lost[h.Stream] = &ledger.Set{}
		}
		if r := (ledger.Range{First: h.First, Count: h.Count}); a.lost[h.Stream].Add(r) != h.Count {
			return fmt.Errorf("%s: %v is declared lost twice", h.Stream, r)
		}
		return nil
	}
	sum := sha256.Sum256(f.Data)
	if a.frames[sum] {
		return fmt.Errorf("%s: records from %d come twice", h.Stream, h.First)
	}
	a.frames[sum] = true
	return nil
}

// judge compares what arrived with what was spooled: no other bytes, nothing twice, and what is missing is declared, or forgiven. It returns
// how many frames are missing.
func (w *spooled) judge(a *arrived, forgiven func(delivery.Frame) bool) (missing int, err error) {
	for sum, f := range w.frames {
		stream := telemetry.Stream{Device: "rover", Boot: f.Boot, Class: f.Class}
		lost := a.lost[stream]
		switch {
		case a.frames[sum] && lost != nil && lost.Covered(f.Range) > 0:
			return 0, fmt.Errorf("%s: %v is there and declared lost", stream, f.Range)
		case a.frames[sum]:
			delete(a.frames, sum)
			continue
		case !forgiven(f) && (lost == nil || !lost.Contains(f.Range)):
			return 0, fmt.Errorf("%s: %v is gone without a word", stream, f.Range)
		}
		missing++
	}
	for sum := range a.frames {
		if !w.letGo[sum] {
			return 0, errors.New("a frame arrives that nobody spooled")
		}
	}
	for stream, lost := range a.lost {
		if lost.End() > ceiling {
			return 0, fmt.Errorf("%s: numbers up to %d are declared lost, and were never reserved", stream, lost.End())
		}
	}
	return missing, nil
}

func nothing(delivery.Frame) bool { return false }

// suffer damages a copy of the disk at each place of a stretch, and has check look at what comes out.
func (w *spooled) suffer(t *testing.T, damage func(*simdisk.Disk, uint64) (string, error), first, end uint64, check func(*simdisk.Disk, *arrived) error) {
	t.Helper()
	a, err := drain(w.disk.Clone())
	if err == nil {
		var missing int
		if missing, err = w.judge(a, nothing); missing > 0 {
			t.Fatalf("%d frames are missing without any damage", missing)
		}
	}
	if err != nil {
		t.Fatalf("undamaged: %v", err)
	}
	for i := first; i < end; i++ {
		disk := w.disk.Clone()
		where, err := damage(disk, i)
		if err != nil {
			t.Fatal(err)
		}
		a, err := drain(disk.Clone())
		if err == nil {
			err = check(disk, a)
		}
		if err != nil {
			t.Errorf("case %d, %s: %v", i, where, err)
		}
	}
}

// Whatever bit of a spool's files is another: it opens, nothing comes out that was not put in, and of what was, at most the frame that was
// hit is missing, and declared.
func TestAnyBitOfASpoolMayFlip(t *testing.T) {
	w := twoBoots(t)
	field, err := decay.Of(w.disk, spoolDirs...)
	if err != nil {
		t.Fatal(err)
	}
	first, end := extent.Of(t, 4000)
	first, end = min(first, field.Bits()), min(end, field.Bits())
	w.suffer(t, field.Flip, first, end, func(_ *simdisk.Disk, a *arrived) error {
		missing, err := w.judge(a, nothing)
		if err == nil && missing > 1 {
			err = fmt.Errorf("%d frames are lost", missing)
		}
		return err
	})
	extent.Covered(t, end-first, "flipped bits of a spool")
	extent.All(t, field.Bits(), "flipped bits of a spool")
}

// Wherever a spool's file ends too soon: it opens, nothing comes out that was not put in, and what lies whole before the cut does.
func TestASpoolMayBeCutAnywhere(t *testing.T) {
	w := twoBoots(t)
	field, err := decay.Of(w.disk, spoolDirs...)
	if err != nil {
		t.Fatal(err)
	}
	first, end := extent.Of(t, 2000)
	first, end = min(first, field.Cuts()), min(end, field.Cuts())
	w.suffer(t, field.Cut, first, end, func(disk *simdisk.Disk, a *arrived) error {
		_, err := w.judge(a, func(f delivery.Frame) bool { return !onDisk(disk, f.Data) })
		return err
	})
	extent.Covered(t, end-first, "cuts of a spool")
	extent.All(t, field.Cuts(), "cuts of a spool")
}

// onDisk reports whether a frame lies whole in a file of the spool.
func onDisk(disk *simdisk.Disk, f []byte) bool {
	for _, dir := range spoolDirs {
		entries, err := disk.ReadDir(dir)
		if err != nil {
			return false
		}
		for _, e := range entries {
			if bytes.Contains(disk.File(dir+"/"+e.Name), f) {
				return true
			}
		}
	}
	return false
}
