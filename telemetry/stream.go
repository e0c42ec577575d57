package telemetry

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Kind says what a layout's records are about.
type Kind uint8

// The kinds of records. The numbers are part of the format.
const (
	Reading     Kind = 1 // what the machine senses, decides and does
	Health      Kind = 2 // how a component is
	Diagnostics Kind = 3 // how the software runs: timing, queues, accounts
	Event       Kind = 4 // something that happened, with a severity
	Definition  Kind = 5 // a layout, published before the first record that uses it
)

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool { return k >= Reading && k <= Definition }

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case Reading:
		return "reading"
	case Health:
		return "health"
	case Diagnostics:
		return "diagnostics"
	case Event:
		return "event"
	case Definition:
		return "definition"
	}
	return "invalid"
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) {
	if !k.Valid() {
		return nil, fmt.Errorf("telemetry: kind %d: %w", uint8(k), ErrInvalid)
	}
	return []byte(k.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Kind) UnmarshalText(b []byte) error {
	for known := Reading; known <= Definition; known++ {
		if string(b) == known.String() {
			*k = known
			return nil
		}
	}
	return fmt.Errorf("telemetry: kind %q: %w: want reading, health, diagnostics, event or definition", b, ErrInvalid)
}

// Boot names one start of a machine's control half: 48 bits of milliseconds, then 80 random bits. The milliseconds are
// those since 1970 where the machine's clock can be believed, and where it cannot they follow on those of the boot before: the
// boots of a machine sort in the order in which they began, as far as its spool remembers. The random bits keep two boots apart
// when it does not. The zero Boot is none.
type Boot [16]byte

// bootMillis is what the milliseconds of a boot's name are below: they end in the year 10889.
const bootMillis = 1 << 48

// NewBoot makes a boot's name that sorts behind another's, from the wall time and a source of randomness. A wall time that
// a name cannot hold, before 1970 say, is none. Only behind a boot in the very last millisecond there is nothing: names made there
// share it.
func NewBoot(after Boot, wall time.Time, random io.Reader) (Boot, error) {
	var b Boot
	if _, err := io.ReadFull(random, b[6:]); err != nil {
		return b, fmt.Errorf("telemetry: name a boot: %w", err)
	}
	ms := wall.UnixMilli()
	if ms < 0 || ms >= bootMillis {
		ms = 0
	}
	if after != (Boot{}) {
		ms = min(max(ms, after.millis()+1), bootMillis-1)
	}
	var name [8]byte
	binary.BigEndian.PutUint64(name[:], uint64(ms))
	copy(b[:6], name[2:])
	return b, nil
}

func (b Boot) millis() int64 {
	var name [8]byte
	copy(name[2:], b[:6])
	return int64(binary.BigEndian.Uint64(name[:]))
}

// Compare returns -1, 0 or +1, as b sorts before, at or behind another boot.
func (b Boot) Compare(other Boot) int { return bytes.Compare(b[:], other[:]) }

// ParseBoot reads what Boot.String wrote.
func ParseBoot(s string) (Boot, error) {
	var b Boot
	if len(s) != 2*len(b) {
		return Boot{}, fmt.Errorf("telemetry: boot of %d characters: %w: want 32 hexadecimal digits", len(s), ErrInvalid)
	}
	if _, err := hex.Decode(b[:], []byte(s)); err != nil {
		return Boot{}, fmt.Errorf("telemetry: boot %q: %w: want 32 hexadecimal digits", s, ErrInvalid)
	}
	return b, nil
}

// String returns 32 hexadecimal digits.
func (b Boot) String() string { return hex.EncodeToString(b[:]) }

// Stream is what records are numbered within. Numbers start at 0 and have no gaps: a number that no record carries
// any more was declared lost.
type Stream struct {
	Device string
	Boot   Boot
	Class  packet.Class
}

// String returns "device/boot/class".
func (s Stream) String() string { return s.Device + "/" + s.Boot.String() + "/" + s.Class.String() }

// MaxDevice bounds a device's name, in bytes.
const MaxDevice = 64

// ValidateDevice reports why a name can't name a device. It becomes an element of topics, subjects and paths, so only
// lower-case letters, digits, '-' and '_' are allowed.
func ValidateDevice(name string) error {
	if name == "" || len(name) > MaxDevice {
		return fmt.Errorf("telemetry: device name of %d bytes: %w: want 1 to %d", len(name), ErrInvalid, MaxDevice)
	}
	for _, c := range []byte(name) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return fmt.Errorf("telemetry: device name %q: %w: want a-z, 0-9, '-' and '_'", name, ErrInvalid)
		}
	}
	return nil
}
