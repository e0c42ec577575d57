package packet

import (
	"encoding/binary"
	"math"
)

// Sizes of a packet, in bytes.
const (
	HeaderSize = 40
	// MaxSize bounds a whole packet, header included.
	MaxSize = 64 << 10
)

// Offsets of header fields that are written after the packet was built.
const (
	offSeq   = 8
	offMono  = 16
	offWall  = 24
	offClass = 32
	offSev   = 33
	offLen   = 36
)

// Header is a packet's fixed part.
type Header struct {
	Layout   uint64 // hash of the layout
	Seq      uint64 // number within the stream; 0 until numbered
	Mono     int64  // ns since the boot's origin
	Wall     int64  // ns since 1970 UTC; 0 if unknown
	Class    Class
	Severity Severity
	Len      uint32 // bytes of values
}

// ParseHeader reads and checks the header of p. It does not look at the values beyond checking that exactly
// Header.Len bytes follow.
func ParseHeader(p []byte) (h Header, err error) {
	if len(p) < HeaderSize {
		return h, ErrShort
	}
	if len(p) > MaxSize {
		return h, ErrTooLarge
	}
	class, severity, n := Class(p[offClass]), Severity(p[offSev]), binary.LittleEndian.Uint32(p[offLen:])
	if !class.Valid() || !severity.Valid() || p[34] != 0 || p[35] != 0 {
		return h, ErrHeader
	}
	switch have := uint32(len(p) - HeaderSize); {
	case n > have:
		return h, ErrShort
	case n < have:
		return h, ErrTrailing
	}
	h.Layout = binary.LittleEndian.Uint64(p)
	h.Seq = binary.LittleEndian.Uint64(p[offSeq:])
	h.Mono = int64(binary.LittleEndian.Uint64(p[offMono:]))
	h.Wall = int64(binary.LittleEndian.Uint64(p[offWall:]))
	h.Class, h.Severity, h.Len = class, severity, n
	return h, nil
}

// Seq returns the sequence number of a packet whose header was already checked.
func Seq(p []byte) uint64 { return binary.LittleEndian.Uint64(p[offSeq:]) }

// SetSeq numbers a built packet in place.
func SetSeq(p []byte, seq uint64) { binary.LittleEndian.PutUint64(p[offSeq:], seq) }

// A Writer builds packets in one reused buffer. The zero value is ready; a Writer that was given a buffer of
// sufficient capacity by Reset allocates nothing. After a packet outgrows MaxSize further values are dropped and
// Bytes returns ErrTooLarge.
type Writer struct {
	buf   []byte
	large bool
}

// Reset begins a packet, writing into buf's capacity if it suffices. Pass nil to keep the Writer's own buffer.
func (w *Writer) Reset(buf []byte, h Header) {
	if buf == nil {
		buf = w.buf
	}
	w.large = false
	b := buf[:0]
	b = binary.LittleEndian.AppendUint64(b, h.Layout)
	b = binary.LittleEndian.AppendUint64(b, h.Seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Mono))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Wall))
	b = append(b, byte(h.Class), byte(h.Severity), 0, 0)
	w.buf = binary.LittleEndian.AppendUint32(b, 0)
}

func (w *Writer) room(n int) bool {
	if w.large || len(w.buf)+n > MaxSize {
		w.large = true
	}
	return !w.large
}

// Float64 appends a value.
func (w *Writer) Float64(v float64) {
	if w.room(8) {
		w.buf = binary.LittleEndian.AppendUint64(w.buf, math.Float64bits(v))
	}
}

// Float32 appends a value.
func (w *Writer) Float32(v float32) {
	if w.room(4) {
		w.buf = binary.LittleEndian.AppendUint32(w.buf, math.Float32bits(v))
	}
}

// Int64 appends a value.
func (w *Writer) Int64(v int64) { w.Uint64(uint64(v)) }

// Uint64 appends a value.
func (w *Writer) Uint64(v uint64) {
	if w.room(8) {
		w.buf = binary.LittleEndian.AppendUint64(w.buf, v)
	}
}

// Bool appends a value.
func (w *Writer) Bool(v bool) {
	if !w.room(1) {
		return
	}
	b := byte(0)
	if v {
		b = 1
	}
	w.buf = append(w.buf, b)
}

// String appends a value.
func (w *Writer) String(v string) {
	if len(v) > MaxSize || !w.room(4+len(v)) {
		w.large = true
		return
	}
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(len(v)))
	w.buf = append(w.buf, v...)
}

// Bytes finishes the packet and returns it. The slice is the Writer's own and is valid until the next Reset.
func (w *Writer) Bytes() ([]byte, error) {
	if w.large {
		return nil, ErrTooLarge
	}
	binary.LittleEndian.PutUint32(w.buf[offLen:], uint32(len(w.buf)-HeaderSize))
	return w.buf, nil
}

// A Reader takes the values of a packet one after the other. The caller asks for them in the layout's order; a
// packet that ends early makes Err non-nil and every later value zero.
type Reader struct {
	rest []byte
	err  Err
}

// Reset begins reading the values of p, whose header ParseHeader has accepted.
func (r *Reader) Reset(p []byte) {
	r.rest, r.err = nil, 0
	if len(p) < HeaderSize {
		r.err = ErrShort
		return
	}
	r.rest = p[HeaderSize:]
}

func (r *Reader) take(n int) []byte {
	if r.err != 0 || len(r.rest) < n {
		if r.err == 0 {
			r.err = ErrShort
		}
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// Float64 returns the next value.
func (r *Reader) Float64() float64 { return math.Float64frombits(r.Uint64()) }

// Float32 returns the next value.
func (r *Reader) Float32() float32 {
	if b := r.take(4); b != nil {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	return 0
}

// Int64 returns the next value.
func (r *Reader) Int64() int64 { return int64(r.Uint64()) }

// Uint64 returns the next value.
func (r *Reader) Uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Bool returns the next value.
func (r *Reader) Bool() bool {
	b := r.take(1)
	if b == nil {
		return false
	}
	if b[0] > 1 {
		r.err = ErrType
	}
	return b[0] == 1
}

// Bytes returns the bytes of the next value, a string. They are a part of the packet, not a copy.
func (r *Reader) Bytes() []byte {
	b := r.take(4)
	if b == nil {
		return nil
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(len(r.rest)) {
		r.err = ErrShort
		return nil
	}
	return r.take(int(n))
}

// Skip passes over one element of type t.
func (r *Reader) Skip(t Type) {
	if t == String {
		r.Bytes()
		return
	}
	r.take(t.Size())
}

// Err returns nil if every value asked for so far was there, and, when done is true, nothing is left over.
func (r *Reader) Err(done bool) error {
	if r.err != 0 {
		return r.err
	}
	if done && len(r.rest) != 0 {
		return ErrTrailing
	}
	return nil
}
