package spool

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
)

// The kinds of records in a class's log; the first byte of each.
const (
	kindFrame   = 'F' // a frame that goes on where its boot was
	kindAside   = 'A' // a frame that goes back: a declaration about earlier numbers, or a dead letter sent again
	kindBegin   = 'B' // a boot begins: boot, ceiling, then the boot before and where that ended
	kindCeiling = 'C' // numbers are reserved below it
	kindEnd     = 'E' // the boot has ended
	kindGone    = 'G' // a declaration of what yields: how many records on its kindDiscard is, without which it is void, then as 'A'
	kindDiscard = 'D' // the cursor has moved over what yielded
)

var errRecord = errors.New("spool: record without meaning")

func beginRecord(boot telemetry.Boot, ceiling uint64, before telemetry.Boot, beforeEnd uint64) []byte {
	b := append([]byte{kindBegin}, boot[:]...)
	b = binary.LittleEndian.AppendUint64(b, ceiling)
	b = append(b, before[:]...)
	return binary.LittleEndian.AppendUint64(b, beforeEnd)
}

// beforeBegin returns what a begin record says of the boot before.
func beforeBegin(record []byte) (before telemetry.Boot, end uint64, ok bool) {
	if len(record) != 49 {
		return before, 0, false
	}
	return telemetry.Boot(record[25:41]), binary.LittleEndian.Uint64(record[41:]), true
}

func ceilingRecord(ceiling uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{kindCeiling}, ceiling)
}

func goneRecord(ahead int, f []byte) []byte {
	return append(binary.LittleEndian.AppendUint16([]byte{kindGone}, uint16(ahead)), f...)
}

// goneAhead returns how many records on a declaration's kindDiscard is, and false for every other record.
func goneAhead(record []byte) (ahead uint64, ok bool) {
	if len(record) < 3 || record[0] != kindGone {
		return 0, false
	}
	return uint64(binary.LittleEndian.Uint16(record[1:])), true
}

// frameIn returns the frame in a record that has one.
func frameIn(record []byte) []byte {
	if _, ok := goneAhead(record); ok {
		return record[3:]
	}
	return record[1:]
}

// apply takes a record of the log into the state, as when it was appended.
func (s *State) apply(record []byte) error {
	if len(record) == 0 {
		return errRecord
	}
	body := record[1:]
	switch record[0] {
	case kindFrame:
		h, err := frame.Peek(body)
		if err != nil {
			return fmt.Errorf("%w: %w", errRecord, err)
		}
		if h.Stream.Boot != s.Boot { // its begin record was damaged
			s.Boot, s.Next, s.Ceiling, s.Clean = h.Stream.Boot, 0, 0, false
		}
		if h.First < s.Next {
			return fmt.Errorf("%w: frame from %d of boot %s after %d", errRecord, h.First, h.Stream.Boot, s.Next)
		}
		// What lies between was numbered and is damaged; it is counted as lost when the cursor passes it.
		s.appended.numbered += h.Next() - s.Next
		s.Next = h.Next()
		s.Ceiling = max(s.Ceiling, s.Next)
		if h.Mode == frame.Lost {
			s.appended.lost[h.Reason] += h.Count
		}
	case kindAside:
		// Records that go out once more were refused, and counted as lost for it; now they wait again. The cursor's share
		// of the account has them, so this share may be below zero: the sum is what counts, and wraps back.
		if h, err := frame.Peek(body); err == nil && h.Mode != frame.Lost {
			s.appended.lost[ledger.Refused] -= h.Count
		}
	case kindGone: // counted by the cursor
	case kindBegin:
		if len(body) != 48 {
			return errRecord
		}
		if before, end, ok := beforeBegin(record); ok && before == s.Boot && end > s.Next {
			s.appended.numbered += end - s.Next // the boot before ended with frames that are damaged: as between two frames
		}
		s.Boot, s.Next, s.Ceiling, s.Clean = telemetry.Boot(body[:16]), 0, binary.LittleEndian.Uint64(body[16:]), false
	case kindCeiling:
		if len(body) != 8 {
			return errRecord
		}
		s.Ceiling = max(s.Ceiling, binary.LittleEndian.Uint64(body))
	case kindEnd:
		s.Clean, s.Ceiling = true, s.Next
	case kindDiscard:
		var c cursor
		if err := c.parse(body); err != nil {
			return fmt.Errorf("%w: %w", errRecord, err)
		}
		if c.index > s.cursor.index {
			s.cursor = c
		}
	default:
		return errRecord
	}
	return nil
}
