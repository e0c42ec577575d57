package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry/frame"
)

// FramesOptions of a Frames. The zero value of each field means its default.
type FramesOptions struct {
	SegmentBytes int64 // default 16 MiB
	// MaxBytes is when the oldest segments go. Default 0: never.
	MaxBytes int64
	// MinFree is left on the disk. Default 256 MiB. With less, frames are not taken and stay on their machines.
	MinFree int64
	// ReadOnly leaves the folder as it is, for looking.
	ReadOnly bool
	// Marks returns the owner's state after all frames appended so far; it is kept in the log.
	Marks func() []byte
}

// WithDefaults fills what was left 0.
func (o FramesOptions) WithDefaults() FramesOptions {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 16 << 20
	}
	if o.MinFree <= 0 {
		o.MinFree = 256 << 20
	}
	return o
}

// ErrFull is wrapped by the errors of Append when the disk takes no more.
var ErrFull = errors.New("store: disk full")

// Frames is the log of the frames that arrived, and of what is needed to understand them. One goroutine appends; Read and
// Sync may run at the same time.
type Frames struct {
	log         *seglog.Log
	definitions *definitions
	o           FramesOptions
	buf         []byte
}

// OpenFrames opens the log in a folder of the disk, which is made if it does not exist. Read-only, it may be open in another
// process meanwhile: what that one appends later is not seen, and what it lets go counts as trimmed.
func OpenFrames(disk env.Disk, dir string, o FramesOptions) (*Frames, error) {
	o = o.WithDefaults()
	log, err := seglog.Open(disk, dir, seglog.Options{
		SegmentSize: o.SegmentBytes,
		MaxRecord:   frame.MaxSize + recordHeader,
		MinFree:     uint64(o.MinFree),
		MaxUnsynced: 32 << 20,
		Checkpoint:  o.Marks,
		ReadOnly:    o.ReadOnly,
	})
	if err != nil {
		return nil, fmt.Errorf("store: open frames: %w", err)
	}
	// With old marks, frames that were acknowledged long ago would be stored again.
	if err := log.Report().Unreadable; err != nil && !o.ReadOnly {
		return nil, errors.Join(fmt.Errorf("store: open frames: %w", err), log.Close())
	}
	// After the frames: what explains those that were found is there, or in a frame behind them.
	d, err := openDefinitions(disk, dir+"/definitions", o.ReadOnly)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &Frames{log: log, definitions: d, o: o}, nil
}

// recordHeader precedes a frame in its record: the ground's wall clock when it arrived, ns since 1970.
const recordHeader = 8

// Append takes a frame into the log; it is durable after the next Sync.
func (f *Frames) Append(received int64, data []byte) (uint64, error) {
	f.buf = binary.LittleEndian.AppendUint64(f.buf[:0], uint64(received))
	f.buf = append(f.buf, data...)
	index, err := f.log.Append(f.buf)
	switch {
	case errors.Is(err, seglog.ErrDiskFull):
		return 0, fmt.Errorf("%w: %w", ErrFull, err)
	case err != nil:
		return 0, fmt.Errorf("store: append: %w", err)
	}
	return index, nil
}

// Sync makes what was appended durable.
func (f *Frames) Sync() error { return f.log.Sync() }

// Retain lets the oldest segments go until the log is within MaxBytes, though no frame from index before on, and returns
// the index of the oldest frame left. A frame that is not indexed may be what explains others: see Index.Retain.
func (f *Frames) Retain(before uint64) (first uint64, err error) {
	for f.o.MaxBytes > 0 && f.log.Bytes() > f.o.MaxBytes {
		end, _, ok := f.log.OldestSealed()
		if !ok || end > before {
			break
		}
		if err := f.log.TrimFront(end); err != nil {
			return f.log.First(), fmt.Errorf("store: retain: %w", err)
		}
	}
	return f.log.First(), nil
}

// Read returns a frame and when it arrived. The memory is the caller's. The error wraps seglog.ErrDamaged if the frame
// is lost, seglog.ErrTrimmed if it was let go.
func (f *Frames) Read(index uint64) (received int64, data []byte, err error) {
	b, err := f.log.ReadAt(index, nil)
	if f.o.ReadOnly && errors.Is(err, fs.ErrNotExist) {
		return 0, nil, fmt.Errorf("store: read frame %d: %w meanwhile", index, seglog.ErrTrimmed)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("store: read: %w", err)
	}
	if len(b) < recordHeader {
		return 0, nil, fmt.Errorf("store: read frame %d: %w: %d bytes", index, seglog.ErrDamaged, len(b))
	}
	return int64(binary.LittleEndian.Uint64(b)), b[recordHeader:], nil
}

// Verify reads everything and tells what is damaged: of the frames, and of the definitions that explain them.
func (f *Frames) Verify() (frames, definitions seglog.Verification, err error) {
	if frames, err = f.log.Verify(); err == nil && f.definitions.log != nil {
		definitions, err = f.definitions.log.Verify()
	}
	return frames, definitions, err
}

// Marks returns the newest state of the owner's that the log holds, and the index of the first frame after it.
func (f *Frames) Marks() (state []byte, from uint64) { return f.log.Checkpoint() }

// First and Next bound the indexes in the log; Durable is the last one that is on disk.
func (f *Frames) First() uint64 { return f.log.First() }

// Next returns the index that the next frame will get.
func (f *Frames) Next() uint64 { return f.log.Next() }

// Durable returns the index of the last frame that is on disk.
func (f *Frames) Durable() uint64 { return f.log.Durable() }

// Bytes returns the size of the log on disk, without the definitions.
func (f *Frames) Bytes() int64 { return f.log.Bytes() }

// Close closes the files.
func (f *Frames) Close() error { return errors.Join(f.log.Close(), f.definitions.close()) }
