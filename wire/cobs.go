package wire

// Err is why something was refused. It is a number, not a pointer, so that it needs no heap.
type Err uint8

// The errors. OK is none.
const (
	OK        Err = iota
	ErrShort      // the buffer is too small for what is to go into it
	ErrCoding     // the bytes are no COBS: a zero within, or a block that reaches beyond the end
	ErrEmpty      // a frame has at least one byte of payload
)

// Error returns the error in words. OK returns "ok".
func (e Err) Error() string {
	switch e {
	case OK:
		return "ok"
	case ErrShort:
		return "wire: the buffer is too small"
	case ErrCoding:
		return "wire: not in COBS"
	case ErrEmpty:
		return "wire: a frame without a payload"
	}
	return "wire: unknown error"
}

// block is how many bytes other than zero a block of COBS holds at most.
const block = 254

// MaxCOBS is how many bytes n bytes take at most in COBS, without a delimiter.
func MaxCOBS(n int) int { return n + n/block + 1 }

// EncodeCOBS writes src in COBS to dst, without a delimiter, and returns how many bytes that are. With MaxCOBS of src's
// length dst is long enough. The two must not overlap.
func EncodeCOBS(dst, src []byte) (int, Err) {
	var s stuffer
	s.reset(dst)
	s.write(src)
	return s.end()
}

// DecodeCOBS writes to dst what src, without a delimiter, is the COBS of, and returns how many bytes that are. dst may be
// src, which is always long enough.
func DecodeCOBS(dst, src []byte) (int, Err) {
	n := 0
	for at := 0; at < len(src); {
		code := int(src[at])
		if code == 0 || at+code > len(src) {
			return 0, ErrCoding
		}
		zero := code <= block && at+code < len(src)
		if n+code-1 > len(dst) || zero && n+code > len(dst) {
			return 0, ErrShort
		}
		for _, c := range src[at+1 : at+code] {
			if c == 0 {
				return 0, ErrCoding
			}
			dst[n] = c
			n++
		}
		if zero {
			dst[n] = 0
			n++
		}
		at += code
	}
	return n, OK
}

// stuffer writes COBS: each block's length, plus one, goes before the block when its end is known.
type stuffer struct {
	buf   []byte
	n     int // bytes written, the open block's length byte included
	code  int // where the open block's length byte is
	short bool
}

func (s *stuffer) reset(buf []byte) {
	*s = stuffer{buf: buf, n: 1, short: len(buf) < 1}
}

func (s *stuffer) write(b []byte) {
	for _, c := range b {
		s.writeByte(c)
	}
}

func (s *stuffer) writeByte(c byte) {
	if s.n-s.code > block {
		// A full block stands for no zero. It is closed only when more comes, so that the last one needs no other after it.
		s.close()
	}
	switch {
	case c == 0:
		s.close()
	case s.short || s.n >= len(s.buf):
		s.short = true
	default:
		s.buf[s.n] = c
		s.n++
	}
}

func (s *stuffer) close() {
	if s.short || s.n >= len(s.buf) {
		s.short = true
		return
	}
	s.buf[s.code] = byte(s.n - s.code)
	s.code = s.n
	s.n++
}

func (s *stuffer) end() (int, Err) {
	if s.short {
		return 0, ErrShort
	}
	s.buf[s.code] = byte(s.n - s.code)
	return s.n, OK
}
