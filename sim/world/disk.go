package world

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/seglog"
)

// disk is a disk that has trouble from time to time: calls that fail, or no space. One trouble at a time, and some time
// between two, so that a record that is asked for again and again is not taken for lost.
type disk struct {
	*simdisk.Disk
	w     *World
	fault *simdisk.Fault // calls that fail now, until it is over
	full  bool
	quiet time.Duration // no trouble before
	fails uint64        // troubles so far
}

func newDisk(w *World) *disk { return &disk{Disk: simdisk.New(), w: w} }

const (
	// maxTrouble is how long calls fail at most. A record that cannot be read for ten seconds is declared corrupted, and
	// that is not for these worlds.
	maxTrouble = 6 * time.Second
	maxFull    = 20 * time.Second
	// betweenTroubles is at least this long.
	betweenTroubles = 3 * time.Second
)

// breakDown begins a trouble of calls that fail.
func (d *disk) breakDown() {
	if d.fault != nil || d.full || d.w.now < d.quiet {
		return
	}
	f := trouble(d.w.rng)
	d.fault = &f
	d.fails++
	d.Inject(f)
	d.w.after(d.w.upTo(maxTrouble), func() {
		if d.fault == &f {
			d.heal()
		}
	})
}

// trouble draws what fails: one call or a few, or all of a kind until the trouble is over.
func trouble(rng *rand.Rand) simdisk.Fault {
	f := [...]simdisk.Fault{
		{Ops: simdisk.OpAny, Err: syscall.EIO},
		{Ops: simdisk.OpChange, Err: syscall.EIO},
		{Ops: simdisk.OpSync | simdisk.OpSyncDir, Err: syscall.EIO},
		{Ops: simdisk.OpSync, Err: syscall.EIO},
		{Ops: simdisk.OpSyncDir, Err: syscall.EIO},
		{Ops: simdisk.OpWrite, Err: syscall.EIO, Short: true},
		{Ops: simdisk.OpWrite, Err: syscall.ENOSPC, Short: true},
		{Ops: simdisk.OpRead | simdisk.OpOpen, Err: syscall.EIO},
		{Ops: simdisk.OpCreate | simdisk.OpRename | simdisk.OpRemove, Err: syscall.EIO},
	}[rng.IntN(9)]
	f.After = rng.IntN(40)
	if rng.IntN(2) == 0 {
		f.Times = 1 + rng.IntN(4)
	}
	return f
}

// fill lets somebody else take the space that is left, for a while.
func (d *disk) fill() {
	if d.fault != nil || d.full || d.w.now < d.quiet {
		return
	}
	d.full = true
	d.fails++
	d.SetQuota(d.Used() + 1 + d.w.rng.Int64N(200<<10))
	n := d.fails
	d.w.after(d.w.upTo(maxFull), func() {
		if d.fails == n {
			d.heal()
		}
	})
}

// heal ends the trouble.
func (d *disk) heal() {
	if d.fault == nil && !d.full {
		return
	}
	d.Heal()
	d.SetQuota(0)
	d.fault, d.full = nil, false
	d.quiet = d.w.now + betweenTroubles
}

// Kill and Crash end who uses the disk; what is wrong with it stays.
func (d *disk) Kill() {
	d.Disk.Kill()
	d.relapse()
}

// Crash is a power cut.
func (d *disk) Crash(rng *rand.Rand, mode simdisk.Mode) {
	d.Disk.Crash(rng, mode)
	d.relapse()
}

func (d *disk) relapse() {
	if d.fault != nil {
		d.Inject(*d.fault)
	}
}

// excuses reports whether err is what the disk's trouble does: it has trouble now, and err is made of it.
func (d *disk) excuses(err error) bool {
	switch {
	case d.fault != nil:
		return errors.Is(err, d.fault.Err)
	case d.full:
		return errors.Is(err, syscall.ENOSPC) || errors.Is(err, seglog.ErrDiskFull) || errors.Is(err, spool.ErrFull)
	}
	return false
}
