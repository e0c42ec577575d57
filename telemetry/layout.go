package telemetry

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Limits of a layout. They are checked before memory is taken.
const (
	MaxName         = 200      // bytes of a layout's or a field's name
	MaxUnit         = 32       // bytes of a unit
	MaxFields       = 2048     // fields of a layout
	MaxSeries       = 4096     // scalars of a row, vectors flattened
	MaxLayoutBinary = 60 << 10 // bytes of a layout's binary form: it must fit a record
)

// ErrInvalid is what every validation error of this package wraps.
var ErrInvalid = errors.New("invalid")

// LayoutID names a layout by its content: the first eight bytes, big endian, of the SHA-256 of its binary form.
// A ground keeps layouts per device, so no device can stand in for another's.
type LayoutID uint64

// String returns the id as 16 hexadecimal digits.
func (id LayoutID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// Field is one named column of a layout.
type Field struct {
	Name string
	Type packet.Type
	// Len is the number of elements: 0 or 1 for a scalar, more for a vector. Strings are scalars.
	Len int
	// Unit is a UCUM code ("m/s2", "Cel", "%"), or empty for a number without one.
	Unit string
}

// Elements returns how many scalars the field holds in a row.
func (f Field) Elements() int { return max(f.Len, 1) }

// Layout is the shape of a record: a component's named fields that are sampled together. A Layout is immutable
// once it was validated; its pointers may be shared between goroutines.
type Layout struct {
	// Name is a slash-separated path whose first element is the component: "imu", "drive/left".
	Name   string
	Kind   Kind
	Fields []Field

	once sync.Once
	id   LayoutID
}

// ID returns the hash of the layout's content.
func (l *Layout) ID() LayoutID {
	l.once.Do(func() {
		sum := sha256.Sum256(l.AppendBinary(nil))
		l.id = LayoutID(binary.BigEndian.Uint64(sum[:]))
	})
	return l.id
}

// Component returns the first element of the layout's name.
func (l *Layout) Component() string {
	c, _, _ := strings.Cut(l.Name, "/")
	return c
}

// Series returns the number of scalars in a row.
func (l *Layout) Series() int {
	n := 0
	for _, f := range l.Fields {
		n += f.Elements()
	}
	return n
}

// SeriesName returns the full name of one scalar: "layout.field", or "layout.field[3]" for an element of a vector.
func (l *Layout) SeriesName(field, element int) string {
	f := l.Fields[field]
	name := l.Name + "." + f.Name
	if f.Len > 1 {
		name += "[" + strconv.Itoa(element) + "]"
	}
	return name
}

// Validate reports the first thing that makes the layout unusable.
func (l *Layout) Validate() error {
	if err := checkName("layout", l.Name, true); err != nil {
		return err
	}
	if !l.Kind.Valid() {
		return fmt.Errorf("telemetry: layout %q: %w: kind %d", l.Name, ErrInvalid, l.Kind)
	}
	if len(l.Fields) == 0 || len(l.Fields) > MaxFields {
		return fmt.Errorf("telemetry: layout %q: %w: %d fields, want 1 to %d", l.Name, ErrInvalid, len(l.Fields), MaxFields)
	}
	seen := make(map[string]struct{}, len(l.Fields))
	series, size := 0, 0
	for _, f := range l.Fields {
		if err := checkField(f); err != nil {
			return fmt.Errorf("telemetry: layout %q: %w", l.Name, err)
		}
		if _, dup := seen[f.Name]; dup {
			return fmt.Errorf("telemetry: layout %q: %w: field %q twice", l.Name, ErrInvalid, f.Name)
		}
		seen[f.Name] = struct{}{}
		series += f.Elements()
		size += len(f.Name) + len(f.Unit) + 8
		if series > MaxSeries || size > MaxLayoutBinary-MaxName {
			return fmt.Errorf("telemetry: layout %q: %w: more than %d series, or names too long together", l.Name, ErrInvalid, MaxSeries)
		}
	}
	return nil
}

func checkField(f Field) error {
	if err := checkName("field", f.Name, false); err != nil {
		return err
	}
	switch {
	case !f.Type.Valid():
		return fmt.Errorf("field %q: %w: type %d", f.Name, ErrInvalid, f.Type)
	case f.Len < 0 || f.Len > MaxSeries:
		return fmt.Errorf("field %q: %w: %d elements, want at most %d", f.Name, ErrInvalid, f.Len, MaxSeries)
	case f.Type == packet.String && f.Len > 1:
		return fmt.Errorf("field %q: %w: a vector of strings", f.Name, ErrInvalid)
	}
	return checkUnit(f)
}

func checkName(what, s string, path bool) error {
	if s == "" || len(s) > MaxName {
		return fmt.Errorf("%s name of %d bytes: %w: want 1 to %d", what, len(s), ErrInvalid, MaxName)
	}
	for i, r := range s {
		ok := r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' ||
			!path && (r == '.' || r == '[' || r == ']') || path && r == '/' && i > 0
		if !ok {
			return fmt.Errorf("%s name %q: %w: character %q", what, s, ErrInvalid, r)
		}
	}
	return nil
}

func checkUnit(f Field) error {
	if len(f.Unit) > MaxUnit || !utf8.ValidString(f.Unit) {
		return fmt.Errorf("field %q: %w: unit of %d bytes, want at most %d of UTF-8", f.Name, ErrInvalid, len(f.Unit), MaxUnit)
	}
	for _, r := range f.Unit {
		// UCUM's case-sensitive codes are printable ASCII without blanks (UCUM 2.1, §1).
		if r <= ' ' || r > '~' {
			return fmt.Errorf("field %q: %w: unit %q is not a UCUM code: character %q", f.Name, ErrInvalid, f.Unit, r)
		}
	}
	return nil
}

const layoutVersion = 1

// AppendBinary appends the layout's binary form, which is also what its ID is the hash of: a version byte, the kind,
// the name, the number of fields, and per field its type, elements, name and unit. Lengths and counts are unsigned
// varints.
func (l *Layout) AppendBinary(b []byte) []byte {
	b = append(b, layoutVersion, byte(l.Kind))
	b = appendString(b, l.Name)
	b = binary.AppendUvarint(b, uint64(len(l.Fields)))
	for _, f := range l.Fields {
		b = append(b, byte(f.Type))
		b = binary.AppendUvarint(b, uint64(f.Elements()))
		b = appendString(b, f.Name)
		b = appendString(b, f.Unit)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// ParseLayout reads and validates a layout's binary form. It takes memory in proportion to len(b) only.
func ParseLayout(b []byte) (*Layout, error) {
	if len(b) > MaxLayoutBinary {
		return nil, fmt.Errorf("telemetry: layout: %w: %d bytes, want at most %d", ErrInvalid, len(b), MaxLayoutBinary)
	}
	p := parser{rest: b}
	if v := p.byte(); v != layoutVersion {
		return nil, fmt.Errorf("telemetry: layout: %w: version %d, this build reads %d", ErrInvalid, v, layoutVersion)
	}
	l := &Layout{Kind: Kind(p.byte()), Name: p.string()}
	n := p.uvarint()
	const leastField = 4
	if n > uint64(len(p.rest)/leastField) {
		return nil, fmt.Errorf("telemetry: layout %q: %w: cut short", l.Name, ErrInvalid)
	}
	l.Fields = make([]Field, n)
	for i := range l.Fields {
		f := Field{Type: packet.Type(p.byte())}
		f.Len = int(min(p.uvarint(), MaxSeries+1))
		f.Name, f.Unit = p.string(), p.string()
		l.Fields[i] = f
	}
	if p.bad || len(p.rest) != 0 {
		return nil, fmt.Errorf("telemetry: layout %q: %w: cut short or bytes left over", l.Name, ErrInvalid)
	}
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return l, nil
}

type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) byte() byte {
	if len(p.rest) == 0 {
		p.bad = true
		return 0
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	return c
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	if n <= 0 {
		p.bad, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *parser) string() string {
	n := p.uvarint()
	if n > uint64(len(p.rest)) {
		p.bad, p.rest = true, nil
		return ""
	}
	s := string(p.rest[:n])
	p.rest = p.rest[n:]
	return s
}
