package spool

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
)

// State is what a class's log says.
type State struct {
	// Boot that was spooled last, the number that comes next in it, and the number below which numbers may be in use.
	Boot          telemetry.Boot
	Next, Ceiling uint64
	// Clean: the boot has ended and Next is where it ended. Also before the first boot.
	Clean bool

	appended appended
	cursor   cursor
}

// appended is what follows from what was appended.
type appended struct {
	numbered uint64
	lost     [ledger.Reasons]uint64
}

// cursor is where delivery is: everything before index is done with.
type cursor struct {
	index     uint64
	boot      telemetry.Boot // of the last frame before index
	seq       uint64         // that comes next in boot
	delivered uint64
	lost      [ledger.Reasons]uint64
}

// endAtCursor brings a state that is behind its cursor up to it: nothing waits, and the log goes on at the index next.
func (s *State) endAtCursor(next uint64) {
	k := &s.cursor
	if s.Boot != k.boot {
		s.Boot, s.Next, s.Ceiling, s.Clean = k.boot, k.seq, k.seq, false
	}
	s.Next = max(s.Next, k.seq)
	s.Ceiling = max(s.Ceiling, s.Next)
	s.appended.numbered = k.delivered
	for i := range k.lost {
		s.appended.numbered += k.lost[i] + s.appended.lost[i]
	}
	k.index = next
}

const stateVersion = 1

const cursorSize = 8 + 16 + 8 + 8 + 8*ledger.Reasons

func (c *cursor) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, c.index)
	b = append(b, c.boot[:]...)
	b = binary.LittleEndian.AppendUint64(b, c.seq)
	b = binary.LittleEndian.AppendUint64(b, c.delivered)
	return appendCounts(b, &c.lost)
}

func (c *cursor) parse(b []byte) error {
	if len(b) != cursorSize {
		return errState
	}
	c.index = binary.LittleEndian.Uint64(b)
	c.boot = telemetry.Boot(b[8:24])
	c.seq = binary.LittleEndian.Uint64(b[24:])
	c.delivered = binary.LittleEndian.Uint64(b[32:])
	parseCounts(b[40:], &c.lost)
	return nil
}

var errState = errors.New("state of another size")

func appendCounts(b []byte, n *[ledger.Reasons]uint64) []byte {
	for _, v := range n {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func parseCounts(b []byte, n *[ledger.Reasons]uint64) {
	for i := range n {
		n[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
}

const stateSize = 1 + 1 + 16 + 8 + 8 + 8 + 8*ledger.Reasons + cursorSize

// append writes the state for a checkpoint.
func (s *State) append(b []byte) []byte {
	clean := byte(0)
	if s.Clean {
		clean = 1
	}
	b = append(b, stateVersion, clean)
	b = append(b, s.Boot[:]...)
	b = binary.LittleEndian.AppendUint64(b, s.Next)
	b = binary.LittleEndian.AppendUint64(b, s.Ceiling)
	b = binary.LittleEndian.AppendUint64(b, s.appended.numbered)
	b = appendCounts(b, &s.appended.lost)
	return s.cursor.append(b)
}

func (s *State) parse(b []byte) error {
	if len(b) != stateSize || b[0] != stateVersion {
		return fmt.Errorf("%w: %d bytes, version %d", errState, len(b), b[:1])
	}
	s.Clean = b[1] == 1
	s.Boot = telemetry.Boot(b[2:18])
	s.Next = binary.LittleEndian.Uint64(b[18:])
	s.Ceiling = binary.LittleEndian.Uint64(b[26:])
	s.appended.numbered = binary.LittleEndian.Uint64(b[34:])
	parseCounts(b[42:], &s.appended.lost)
	return s.cursor.parse(b[42+8*ledger.Reasons:])
}
