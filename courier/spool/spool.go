package spool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Options bound a spool. The zero value of each field means its default.
type Options struct {
	MaxBytes     int64 // of all classes together. Default 1 GiB
	SegmentBytes int64 // of a log. Default 4 MiB; what yields at a time
	MinFree      int64 // bytes that are left on the disk for others. Default 64 MiB
	// ReadOnly leaves the folder as it is, for looking: only State, Bytes, Cursor, Account, Load and Verify may be called.
	ReadOnly bool
	// Random is what a new folder's identity is made of. Default: the operating system's.
	Random io.Reader
}

// WithDefaults fills what was left 0.
func (o Options) WithDefaults() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 30
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 4 << 20
	}
	o.SegmentBytes = max(min(o.SegmentBytes, o.MaxBytes/8), 16<<10)
	if o.MinFree <= 0 {
		o.MinFree = 64 << 20
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return o
}

// ErrFull is wrapped by the errors of Append when the disk, or the quota after everything that may yield has, takes no
// more. What was to be appended is the caller's to keep.
var ErrFull = errors.New("spool: full")

// Spool is the three logs. See the package's comment for what may be called when.
type Spool struct {
	o       Options
	disk    env.Disk
	device  string
	classes [packet.Classes]*class

	identity string
	renewed  bool
}

// Open opens the spool in a folder of a disk, which is made if it does not exist. It fails only if the disk does not
// let it read or write there, or what is there was written by a later version.
func Open(disk env.Disk, dir, device string, o Options) (*Spool, error) {
	s := &Spool{o: o.WithDefaults(), disk: disk, device: device}
	for i := range s.classes {
		c, err := openClass(disk, dir, device, packet.ClassAt(i), s.o)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("spool: open %s: %w", packet.ClassAt(i), err), s.Close())
		}
		s.classes[i] = c
	}
	if s.o.ReadOnly {
		return s, nil
	}
	var err error
	if s.identity, s.renewed, err = identify(disk, dir, s.o.Random); err != nil {
		return nil, errors.Join(fmt.Errorf("spool: open identity: %w", err), s.Close())
	}
	used := false
	for _, c := range s.classes {
		used = used || c.state.Boot != (telemetry.Boot{})
	}
	s.renewed = s.renewed && used
	return s, nil
}

// Identity returns what tells this spool from every other: random, made with the folder, and kept in it wherever that is
// moved. What a boot leaves outside of the folder is found again by it. A copy of the folder has the same. Renewed says that this
// opening had to make a new one though the folder has seen boots: the one before is missing or damaged.
func (s *Spool) Identity() (id string, renewed bool) { return s.identity, s.renewed }

// Close closes the files. What was appended and not synced is left to the operating system.
func (s *Spool) Close() error {
	var err error
	for _, c := range s.classes {
		if c != nil {
			err = errors.Join(err, c.log.Close())
		}
	}
	return err
}

// State returns what a class's log says.
func (s *Spool) State(c packet.Class) State { return s.classes[c.Index()].state }

// Bytes returns the size of the logs on disk, and the quota.
func (s *Spool) Bytes() (used, quota int64) {
	for _, c := range s.classes {
		used += c.log.Bytes()
	}
	return used, s.o.MaxBytes
}

// Begin begins a boot: its streams start at 0 and its numbers are reserved below the ceilings. The boot before must have
// been brought to its end: whatever was numbered in it is appended or declared. A class that is at this boot already stays
// as it is.
func (s *Spool) Begin(boot telemetry.Boot, ceilings [packet.Classes]uint64) error {
	for i, c := range s.classes {
		if c.state.Boot == boot {
			continue
		}
		if err := c.append(beginRecord(boot, ceilings[i], c.state.Boot, c.state.Next)); err != nil {
			return err
		}
	}
	return s.Sync()
}

// End says that the boot has ended and that all its numbers are appended. It is durable on return.
func (s *Spool) End() error {
	for _, c := range s.classes {
		if err := c.append([]byte{kindEnd}); err != nil {
			return err
		}
	}
	return errors.Join(s.Sync(), s.Save())
}

// Reserve raises the ceiling of a class. It is durable after the next Sync.
func (s *Spool) Reserve(c packet.Class, ceiling uint64) error {
	return s.classes[c.Index()].append(ceilingRecord(ceiling))
}

// Append appends frames of a class, in order. It makes room first, by letting the oldest of the least urgent class
// that has any yield; what yielded is declared and durable before it is removed. After an error that wraps ErrFull none
// or some of the frames are appended: State tells.
func (s *Spool) Append(c packet.Class, frames ...[]byte) (Yielded, error) {
	size := int64(0)
	for _, f := range frames {
		size += int64(len(f)) + 64
	}
	yielded, err := s.makeRoom(c, size)
	if err != nil {
		return yielded, err
	}
	k := s.classes[c.Index()]
	for _, f := range frames {
		if err := k.appendFrame(kindFrame, f); err != nil {
			return yielded, err
		}
	}
	return yielded, nil
}

// Forgo appends, in place of a frame that Append had no room for, the declaration that its records are lost to the quota.
// Like every declaration it may exceed the quota. It is durable after the next Sync.
func (s *Spool) Forgo(c packet.Class, f []byte) error {
	h, err := frame.Peek(f)
	if err != nil {
		return fmt.Errorf("spool: forgo: %w", err)
	}
	k := s.classes[c.Index()]
	if h.Mode == frame.Lost {
		return k.appendFrame(kindFrame, f)
	}
	return k.appendFrame(kindFrame, k.lostFrame(h.Stream.Boot, ledger.Range{First: h.First, Count: h.Count}, ledger.Quota))
}

// Declare appends what has been found lost since it was last called, and reports whether there was anything: what reading
// found damaged, and what the ground refused.
func (s *Spool) Declare(c packet.Class) (bool, error) {
	k := s.classes[c.Index()]
	if len(k.declare) == 0 {
		return false, nil
	}
	return true, k.appendDeclarations()
}

// Sync makes what was appended durable.
func (s *Spool) Sync() error {
	var err error
	for _, c := range s.classes {
		if c.log.Durable()+1 < c.log.Next() {
			err = errors.Join(err, c.log.Sync())
		}
	}
	return err
}

// Committed returns the index below which everything of a class is durable.
func (s *Spool) Committed(c packet.Class) uint64 { return s.classes[c.Index()].log.Durable() + 1 }

// Cursor returns the index from which frames of a class are to be loaded first.
func (s *Spool) Cursor(c packet.Class) uint64 { return s.classes[c.Index()].state.cursor.index }

// Load reads frames of a class from where the last Load ended: at most max frames, and no more after they have bytes
// together, and only what is durable. It returns the index to go on from. Damage is passed over and will be declared.
func (s *Spool) Load(c packet.Class, most, bytes int) ([]delivery.Frame, uint64) {
	return s.classes[c.Index()].read(most, bytes)
}

// Done says that a loaded frame has come to its end: the ground has it, or has refused it for good.
func (s *Spool) Done(key delivery.Key, refused bool) {
	s.classes[key.Class.Index()].done(key.Index, refused)
}

// Save persists the cursors and removes what is before them.
func (s *Spool) Save() error {
	var err error
	for _, c := range s.classes {
		err = errors.Join(err, c.save())
	}
	return err
}

// Again appends a frame of an earlier boot, or an earlier one of this boot, to be sent: a dead letter that the ground may
// take now. It is durable after the next Sync.
func (s *Spool) Again(c packet.Class, data []byte) error {
	return s.classes[c.Index()].appendFrame(kindAside, data)
}

// Verify reads everything and returns what it found, per class.
func (s *Spool) Verify() ([packet.Classes]seglog.Verification, error) {
	var found [packet.Classes]seglog.Verification
	for i, c := range s.classes {
		v, err := c.log.Verify()
		if err != nil {
			return found, fmt.Errorf("spool: verify %s: %w", c.class, err)
		}
		found[i] = v
	}
	return found, nil
}

// Account returns the ledger of a class, over all boots that this spool has seen.
func (s *Spool) Account(c packet.Class) ledger.Account { return s.classes[c.Index()].account() }
