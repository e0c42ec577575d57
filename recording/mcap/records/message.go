package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// An Entry is a record and where it belongs.
type Entry struct {
	Stream telemetry.Stream
	// Time is when the record was, in ns since 1970 UTC, by which it is found in the file. Where the machine did not know
	// the time it is a guess of whoever wrote the file; what the machine knew is in the packet.
	Time int64
	// Record's packet is as the machine published it. It belongs to whoever made the Entry.
	Record telemetry.Record
}

// ErrInvalid is wrapped by errors about a record or a message that is not what its layout says.
var ErrInvalid = errors.New("not a record of its layout")

// A plan is how the rows of a layout become messages. Values have the same bytes in a packet and in protobuf's
// fixed-size types, so they are copied.
type plan struct {
	layout  *telemetry.Layout
	columns []planColumn
}

type planColumn struct {
	tag  []byte // with the length behind it, for a vector
	raw  []byte // tag for a string that is not UTF-8
	typ  packet.Type
	size int // bytes of all elements; 0 for a string
}

func newPlan(l *telemetry.Layout) *plan {
	p := &plan{layout: l, columns: make([]planColumn, len(l.Fields))}
	for i, f := range l.Fields {
		c := planColumn{typ: f.Type}
		_, wire := protoType(f.Type)
		if f.Type == packet.String {
			c.raw = appendTag(nil, rawField+firstField+i, wireBytes)
		} else {
			c.size = f.Elements() * f.Type.Size()
		}
		if f.Elements() > 1 {
			c.tag = binary.AppendUvarint(appendTag(nil, firstField+i, wireBytes), uint64(c.size))
		} else {
			c.tag = appendTag(nil, firstField+i, wire)
		}
		p.columns[i] = c
	}
	return p
}

var le = binary.LittleEndian

func append64(b []byte, number int, v uint64) []byte {
	return le.AppendUint64(appendTag(b, number, wire64), v)
}

// append appends the message of a packet whose header is h.
func (p *plan) append(b []byte, h packet.Header, boot string, time int64, pkt []byte) ([]byte, error) {
	b = append64(b, fieldSeq, h.Seq)
	b = append64(b, fieldMono, uint64(h.Mono))
	b = append64(b, fieldWall, uint64(h.Wall))
	b = appendNumber(b, fieldSeverity, int(h.Severity))
	b = appendNumber(b, fieldClass, int(h.Class))
	b = appendText(b, fieldBoot, boot)
	if time < 0 {
		b = append64(b, fieldTime, uint64(time))
	}
	rest := pkt[packet.HeaderSize:]
	for i := range p.columns {
		c := &p.columns[i]
		size := c.size
		if c.typ == packet.String {
			if len(rest) < 4 || uint64(le.Uint32(rest)) > uint64(len(rest)-4) {
				return b, fmt.Errorf("%w: too short", ErrInvalid)
			}
			size = 4 + int(le.Uint32(rest))
		}
		if len(rest) < size {
			return b, fmt.Errorf("%w: too short", ErrInvalid)
		}
		value := rest[:size]
		rest = rest[size:]
		switch c.typ {
		case packet.String:
			b = c.text(b, value[4:])
			continue
		case packet.Bool:
			for _, v := range value {
				if v > 1 {
					return b, fmt.Errorf("%w: bool of %d", ErrInvalid, v)
				}
			}
		}
		b = append(append(b, c.tag...), value...)
	}
	if len(rest) > 0 {
		return b, fmt.Errorf("%w: %d bytes too many", ErrInvalid, len(rest))
	}
	return b, nil
}

// text appends a string, and what it really is if it is not UTF-8.
func (c *planColumn) text(b, s []byte) []byte {
	if utf8.Valid(s) {
		return append(binary.AppendUvarint(append(b, c.tag...), uint64(len(s))), s...)
	}
	shown := []byte(string([]rune(string(s)))) // U+FFFD for each byte of what is no character
	b = append(binary.AppendUvarint(append(b, c.tag...), uint64(len(shown))), shown...)
	return append(binary.AppendUvarint(append(b, c.raw...), uint64(len(s))), s...)
}

// A wireReader takes fields off a message.
type wireReader struct {
	rest []byte
	bad  bool
}

func (r *wireReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *wireReader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// field returns the next field: its number and, whatever its wire type, the bytes of its value. For a varint they are the
// varint's.
func (r *wireReader) field() (number, wire uint64, value []byte) {
	tag := r.uvarint()
	number, wire = tag>>3, tag&7
	switch wire {
	case wireVarint:
		before := r.rest
		r.uvarint()
		value = before[:len(before)-len(r.rest)]
	case wire64:
		value = r.take(8)
	case wireBytes:
		value = r.take(r.uvarint())
	case wire32:
		value = r.take(4)
	default:
		r.bad, r.rest = true, nil
	}
	return number, wire, value
}

// A message is one taken apart: values[i] has the bytes of field i of the layout, nil if it is not there.
type message struct {
	header packet.Header
	boot   telemetry.Boot
	text   string // of the last boot that was parsed
	last   telemetry.Boot
	time   int64 // 0 if the log time has it
	values [][]byte
}

// parse takes a message apart. Fields that this build does not know are passed over.
func (p *plan) parse(m *message, data []byte) error {
	m.header, m.boot, m.time = packet.Header{Layout: uint64(p.layout.ID())}, telemetry.Boot{}, 0
	if m.values = m.values[:0]; cap(m.values) < len(p.columns) {
		m.values = make([][]byte, len(p.columns))
	}
	m.values = m.values[:len(p.columns)]
	clear(m.values)
	r := wireReader{rest: data}
	for len(r.rest) > 0 {
		number, wire, value := r.field()
		if r.bad {
			return fmt.Errorf("%w: cut short", ErrInvalid)
		}
		if number < firstField {
			if err := m.take(number, wire, value); err != nil {
				return err
			}
			continue
		}
		i, raw := number-firstField, number >= rawField+firstField
		if raw {
			i -= rawField
		}
		if i >= uint64(len(p.columns)) {
			continue
		}
		if err := p.columns[i].check(wire, value, raw); err != nil {
			return fmt.Errorf("%w: field %q: %w", ErrInvalid, p.layout.Fields[i].Name, err)
		}
		m.values[i] = value
	}
	for i, v := range m.values {
		if v == nil {
			return fmt.Errorf("%w: field %q is missing", ErrInvalid, p.layout.Fields[i].Name)
		}
	}
	return nil
}

var errWire = errors.New("of another type or length")

// check reports whether a value is one of the column's. How long strings may be together, packet checks.
func (c *planColumn) check(wire uint64, value []byte, raw bool) error {
	if c.typ == packet.String {
		if wire != wireBytes {
			return errWire
		}
		return nil
	}
	tag := wireReader{rest: c.tag}
	if raw || wire != tag.uvarint()&7 || len(value) != c.size {
		return errWire
	}
	if c.typ == packet.Bool {
		for _, v := range value {
			if v > 1 {
				return errWire
			}
		}
	}
	return nil
}

// take takes in what every message has.
func (m *message) take(number, wire uint64, value []byte) error {
	want := uint64(wire64)
	switch number {
	case fieldSeverity, fieldClass:
		want = wireVarint
	case fieldBoot:
		want = wireBytes
	}
	if number > fieldTime {
		return nil
	}
	if wire != want || want == wireVarint && len(value) != 1 || want == wireBytes && len(value) != 2*len(m.boot) {
		return fmt.Errorf("%w: field %d: %w", ErrInvalid, number, errWire)
	}
	switch number {
	case fieldSeq:
		m.header.Seq = le.Uint64(value)
	case fieldMono:
		m.header.Mono = int64(le.Uint64(value))
	case fieldWall:
		m.header.Wall = int64(le.Uint64(value))
	case fieldTime:
		m.time = int64(le.Uint64(value))
	case fieldSeverity:
		m.header.Severity = packet.Severity(value[0])
	case fieldClass:
		m.header.Class = packet.Class(value[0])
	case fieldBoot:
		if m.text != string(value) { // which it seldom is
			boot, err := telemetry.ParseBoot(string(value))
			if err != nil {
				return fmt.Errorf("%w: %w", ErrInvalid, err)
			}
			m.text, m.last = string(value), boot
		}
		m.boot = m.last
	}
	return nil
}

// packet appends the packet.
func (m *message) packet(p *plan, b []byte) ([]byte, error) {
	size := 0
	for i, v := range m.values {
		if size += len(v); p.columns[i].typ == packet.String {
			size += 4
		}
	}
	if size > packet.MaxSize-packet.HeaderSize {
		return b, fmt.Errorf("%w: %d bytes", ErrInvalid, size)
	}
	var w packet.Writer
	w.Reset(b, m.header)
	b, err := w.Bytes()
	if err != nil {
		return b, err
	}
	start := len(b)
	for i, v := range m.values {
		if p.columns[i].typ == packet.String {
			b = le.AppendUint32(b, uint32(len(v)))
		}
		b = append(b, v...)
	}
	const lengthAt = packet.HeaderSize - 4
	le.PutUint32(b[lengthAt:], uint32(len(b)-start))
	_, err = packet.ParseHeader(b)
	return b, err
}
