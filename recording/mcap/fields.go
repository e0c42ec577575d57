package mcap

import (
	"encoding/binary"
	"maps"
	"slices"
)

// Serialization: integers are little endian; strings, maps and arrays have their length in bytes, as a uint32, in front.

var le = binary.LittleEndian

func appendString(b []byte, s string) []byte {
	return append(le.AppendUint32(b, uint32(len(s))), s...)
}

// appendStrings appends a map in the order of its keys, so that the same file comes out again.
func appendStrings(b []byte, m map[string]string) []byte {
	size := 0
	for k, v := range m {
		size += 4 + len(k) + 4 + len(v)
	}
	b = le.AppendUint32(b, uint32(size))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = appendString(appendString(b, k), m[k])
	}
	return b
}

// begin appends the head of a record whose length end fills in.
func begin(b []byte, op opcode) []byte {
	return append(b, byte(op), 0, 0, 0, 0, 0, 0, 0, 0)
}

// end fills in the length of the record that began at start and reaches to the end of b.
func end(b []byte, start int) []byte {
	le.PutUint64(b[start+1:], uint64(len(b)-start-recordHeader))
	return b
}

// A cursor takes fields off the content of a record. After one that is not there everything is zero and bad is set.
// Bytes after the last field are left alone: a later version of the format may have added some.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.rest)) {
		c.bad, c.rest = true, nil
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) uint8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if b := c.take(2); b != nil {
		return le.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return le.Uint32(b)
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if b := c.take(8); b != nil {
		return le.Uint64(b)
	}
	return 0
}

// bytes returns what is behind a uint32 length; it is a part of the content.
func (c *cursor) bytes() []byte { return c.take(uint64(c.uint32())) }

func (c *cursor) string() string { return string(c.bytes()) }

func (c *cursor) strings() map[string]string {
	in := cursor{rest: c.bytes()}
	if len(in.rest) == 0 {
		return nil
	}
	m := make(map[string]string)
	for len(in.rest) > 0 {
		k := in.string()
		m[k] = in.string()
	}
	c.bad = c.bad || in.bad
	return m
}

// counts reads a Map<uint16, uint64>.
func (c *cursor) counts() map[uint16]uint64 {
	in := cursor{rest: c.bytes()}
	m := make(map[uint16]uint64, len(in.rest)/10)
	for len(in.rest) > 0 {
		k := in.uint16()
		m[k] = in.uint64()
	}
	c.bad = c.bad || in.bad
	return m
}

// nextRecord splits the first record off b, which has been read whole.
func nextRecord(b []byte) (op opcode, content, rest []byte, err error) {
	c := cursor{rest: b}
	op = opcode(c.uint8())
	n := c.uint64()
	content = c.take(n)
	if c.bad {
		return 0, nil, nil, corrupt("a record of %d bytes in %d", n, max(len(b)-recordHeader, 0))
	}
	return op, content, c.rest, nil
}
