package simdisk

import (
	"slices"
	"strings"
)

// Op is a kind of operation, or several ORed.
type Op uint16

// The kinds of operations.
const (
	OpOpen Op = 1 << iota
	OpCreate
	OpRemove
	OpRename
	OpMkdir
	OpReadDir
	OpSyncDir
	OpFree
	OpRead
	OpWrite
	OpTruncate
	OpSync
	OpSize

	// OpAny is all of them.
	OpAny = OpSize<<1 - 1
	// OpChange is those that change something.
	OpChange = OpCreate | OpRemove | OpRename | OpMkdir | OpSyncDir | OpWrite | OpTruncate | OpSync
)

var opNames = [...]string{"open", "create", "remove", "rename", "mkdir", "readdir", "syncdir", "free", "read", "write",
	"truncate", "sync", "size"}

// String returns the names of the kinds, joined by "|".
func (op Op) String() string {
	var names []string
	for i, name := range opNames {
		if op&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// A Fault makes operations fail. A failed operation has no effect, but for two: a failed Sync or SyncDir forgets what it
// should have made durable, and a short write writes its first half.
type Fault struct {
	Ops   Op     // of these kinds
	Name  string // only on names that contain this
	After int    // after this many that succeed
	Times int    // this many in a row, 0 for good
	Err   error  // what they return; syscall.EIO, syscall.ENOSPC
	Short bool   // writes are short: half is written, and Err returned

	seen int
}

// before reports whether the fault strikes before op has any effect.
func (f *Fault) before(op Op) bool {
	switch op {
	case OpSync, OpSyncDir:
		return false
	case OpWrite:
		return !f.Short
	}
	return true
}

func (f *Fault) err() error {
	if f == nil {
		return nil
	}
	return f.Err
}

// Inject adds a fault. Where several match an operation, all count it and the first that strikes decides.
func (d *Disk) Inject(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, &f)
}

// Heal removes all faults.
func (d *Disk) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = nil
}

// Struck returns how many operations faults have struck so far.
func (d *Disk) Struck() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.struck
}

// fault returns the fault that strikes this operation, if any. Called under the lock.
func (d *Disk) fault(op Op, name string) (strikes *Fault) {
	for _, f := range d.faults {
		if f.Ops&op == 0 || !strings.Contains(name, f.Name) {
			continue
		}
		f.seen++
		if f.seen > f.After && strikes == nil {
			strikes = f
		}
	}
	if strikes != nil {
		d.struck++
	}
	d.faults = slices.DeleteFunc(d.faults, func(f *Fault) bool { return f.Times > 0 && f.seen >= f.After+f.Times })
	return strikes
}
