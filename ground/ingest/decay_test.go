package ingest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/internal/decay"
	"github.com/fulmar-io/fulmar/internal/extent"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// logged is a frame log, and what it was given, kept outside of it.
type logged struct {
	disk   *simdisk.Disk
	frames [][]byte // in order
}

// logOptions make several segments of a few frames.
var logOptions = store.FramesOptions{SegmentBytes: 1024, MinFree: 1}

// aLog has the frames of two streams in it, and was closed.
func aLog(t *testing.T) *logged {
	t.Helper()
	w := &logged{disk: simdisk.New()}
	in, err := ingest.OpenIntake(w.disk, "frames", ingest.Options{}, logOptions)
	if err != nil {
		t.Fatal(err)
	}
	for first := uint64(0); first < 100; first += 10 {
		for _, class := range []packet.Class{packet.Normal, packet.Urgent} {
			s := telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: class}
			w.frames = append(w.frames, frameOf(t, s, first, 10, 0))
		}
	}
	acked, err := give(in, w.frames)
	if err != nil || acked != len(w.frames) {
		t.Fatalf("%d acknowledged, %v", acked, err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// give has the ground take frames, one after the other, and counts the acknowledgements.
func give(in *ingest.Intake, frames [][]byte) (acked int, err error) {
	for _, f := range frames {
		if err := in.Message(1, "rover", link.Append(nil, link.Frame{Data: slices.Clone(f)})); err != nil {
			return acked, err
		}
		for effects := in.Effects(); len(effects) > 0; effects = in.Effects() {
			for _, e := range effects {
				switch e := e.(type) {
				case ingest.Reply:
					if _, ok := e.Message.(link.Ack); ok {
						acked++
					}
				case ingest.Sync:
					in.Synced(in.Sync())
				}
			}
		}
	}
	return acked, nil
}

// read returns which frames are in the log, and fails for one that nobody gave, or that is there twice.
func (w *logged) read(in *ingest.Intake) (there map[[32]byte]bool, err error) {
	given := make(map[[32]byte]bool)
	for _, f := range w.frames {
		given[sha256.Sum256(f)] = true
	}
	there = make(map[[32]byte]bool)
	for i := in.Frames().First(); i < in.Frames().Next(); i++ {
		_, data, err := in.Frames().Read(i)
		if errors.Is(err, seglog.ErrDamaged) {
			continue
		}
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		if !given[sum] || there[sum] {
			return nil, fmt.Errorf("frame %d: of the rover's %t, read before %t", i, given[sum], there[sum])
		}
		there[sum] = true
	}
	return there, nil
}

// after opens the log on a disk that has suffered, reads it, has its machine send everything again, and reads it once more: missing
// is how many frames are not there, before and after. Whatever is sent is acknowledged, be it stored again or known.
func (w *logged) after(disk *simdisk.Disk) (before, after int, err error) {
	in, err := ingest.OpenIntake(disk, "frames", ingest.Options{}, logOptions)
	if err != nil {
		return 0, 0, fmt.Errorf("open: %w", err)
	}
	first, err := w.read(in)
	if err != nil {
		return 0, 0, err
	}
	acked, err := give(in, w.frames)
	if err != nil {
		return 0, 0, err
	}
	if acked != len(w.frames) {
		return 0, 0, fmt.Errorf("%d of %d frames are acknowledged when they come again", acked, len(w.frames))
	}
	second, err := w.read(in)
	if err != nil {
		return 0, 0, fmt.Errorf("after all was sent again: %w", err)
	}
	return len(w.frames) - len(first), len(w.frames) - len(second), in.Close()
}

// Whatever bit of the ground's frame log is another: it opens, no frame has other bytes, at most the one that was hit is missing, and none
// is there twice when its machine sends all of them again.
func TestAnyBitOfAFrameLogMayFlip(t *testing.T) {
	w := aLog(t)
	field, err := decay.Of(w.disk, "frames")
	if err != nil {
		t.Fatal(err)
	}
	if before, after, err := w.after(w.disk.Clone()); err != nil || before > 0 || after > 0 {
		t.Fatalf("undamaged: %d and %d are missing, %v", before, after, err)
	}
	first, end := extent.Of(t, 4000)
	first, end = min(first, field.Bits()), min(end, field.Bits())
	for i := first; i < end; i++ {
		disk := w.disk.Clone()
		where, err := field.Flip(disk, i)
		if err != nil {
			t.Fatal(err)
		}
		if before, after, err := w.after(disk); err != nil || before > 1 || after > before {
			t.Errorf("case %d, %s: %d are missing, %d after all came again: %v", i, where, before, after, err)
		}
	}
	extent.Covered(t, end-first, "flipped bits of a frame log")
	extent.All(t, field.Bits(), "flipped bits of a frame log")
}

// Wherever a file of the frame log ends too soon: it opens, no frame has other bytes or is there twice, and the ones that lie whole before the cut are there.
func TestAFrameLogMayBeCutAnywhere(t *testing.T) {
	w := aLog(t)
	field, err := decay.Of(w.disk, "frames")
	if err != nil {
		t.Fatal(err)
	}
	first, end := extent.Of(t, 2000)
	first, end = min(first, field.Cuts()), min(end, field.Cuts())
	for i := first; i < end; i++ {
		disk := w.disk.Clone()
		where, err := field.Cut(disk, i)
		if err != nil {
			t.Fatal(err)
		}
		whole := w.whole(t, disk)
		if before, after, err := w.after(disk); err != nil || len(w.frames)-before < whole || after > before {
			t.Errorf("case %d, %s: %d are missing, %d lie whole, %d are missing after all came again: %v", i, where, before, whole, after, err)
		}
	}
	extent.Covered(t, end-first, "cuts of a frame log")
	extent.All(t, field.Cuts(), "cuts of a frame log")
}

// whole counts the frames whose bytes are in a file.
func (w *logged) whole(t *testing.T, disk *simdisk.Disk) (n int) {
	t.Helper()
	entries, err := disk.ReadDir("frames")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b := disk.File("frames/" + e.Name)
		for _, f := range w.frames {
			if bytes.Contains(b, f) {
				n++
			}
		}
	}
	return n
}
