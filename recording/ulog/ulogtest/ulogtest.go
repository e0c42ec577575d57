package ulogtest

import (
	"encoding/binary"
	"fmt"
	"math"
)

// AppendHeader appends the header of a log that began at a time, in µs since the autopilot's start.
func AppendHeader(b []byte, startUS uint64) []byte {
	b = append(b, 'U', 'L', 'o', 'g', 0x01, 0x12, 0x35, 1)
	return binary.LittleEndian.AppendUint64(b, startUS)
}

// AppendMessage appends a message of a type. Its body is strings as they are, and values of fixed size. A body that does
// not fit into the size field is a bug of the test's.
func AppendMessage(b []byte, typ byte, body ...any) []byte {
	start := len(b)
	b = append(b, 0, 0, typ)
	for _, v := range body {
		if s, ok := v.(string); ok {
			b = append(b, s...)
			continue
		}
		var err error
		if b, err = binary.Append(b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	size := len(b) - start - 3
	if size > math.MaxUint16 {
		panic(fmt.Sprintf("ulogtest: message %q of %d bytes", typ, size))
	}
	binary.LittleEndian.PutUint16(b[start:], uint16(size))
	return b
}

// AppendSync appends a synchronization message.
func AppendSync(b []byte) []byte {
	return AppendMessage(b, 'S', []byte{0x2f, 0x73, 0x13, 0x20, 0x25, 0x0c, 0xbb, 0x12})
}
