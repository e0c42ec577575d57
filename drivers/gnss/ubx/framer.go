package ubx

import "bytes"

const (
	sync1, sync2 = 0xB5, 0x62
	header       = 6          // the sync bytes, class, id, length
	overhead     = header + 2 // and the checksum

	// MaxPayload bounds the payload of a frame that is taken. NAV-PVT has 92 bytes, MON-VER 40 and 30 more for each thing that it
	// tells, and lists of 80 satellites fit. A longer length is taken for noise.
	MaxPayload = 1024
	// room is what can be pushed whatever is held back.
	room = 256
)

// Frame is a message whose checksum was right.
type Frame struct {
	Class, ID byte
	Payload   []byte
}

// Is reports whether a frame is a message of a kind.
func (f Frame) Is(k Kind) bool { return f.Class == k.Class && f.ID == k.ID }

// Kind is a kind of message.
type Kind struct{ Class, ID byte }

// The kinds that are spoken of here.
var (
	NavDOP     = Kind{0x01, 0x04}
	NavSOL     = Kind{0x01, 0x06}
	NavPVT     = Kind{0x01, 0x07}
	NavTimeGPS = Kind{0x01, 0x20}
	AckNak     = Kind{0x05, 0x00}
	AckAck     = Kind{0x05, 0x01}
	CfgPort    = Kind{0x06, 0x00}
	CfgMessage = Kind{0x06, 0x01}
	CfgRate    = Kind{0x06, 0x08}
	CfgValSet  = Kind{0x06, 0x8A}
	MonVersion = Kind{0x0A, 0x04}
)

// Token is what Next found.
type Token uint8

// The tokens.
const (
	More  Token = iota // nothing: push more
	Whole              // a frame
	Rest               // bytes that are in no frame
)

// Counts is what a Framer has met since it was made.
type Counts struct {
	Frames      uint64 // that were given out
	BadChecksum uint64
	TooLong     uint64 // a length above MaxPayload
	GivenUp     uint64 // what began as a frame had not ended when GiveUp was called
}

// Framer finds frames in a stream of bytes. The zero Framer is ready.
type Framer struct {
	counts Counts
	buf    [MaxPayload + overhead + room]byte
	r, w   int // what is in buf
	quit   bool
}

// Push takes bytes of p, and returns how many: at least 256, or all. After each Push, Next is to be called until it wants
// more; else there may be room for fewer.
func (f *Framer) Push(p []byte) (n int) {
	if f.r > 0 {
		f.w = copy(f.buf[:], f.buf[f.r:f.w])
		f.r = 0
	}
	n = copy(f.buf[f.w:], p)
	f.w += n
	f.quit = f.quit && n == 0
	return n
}

// Next returns what comes next: a frame, or bytes that are in none. Both lie in the Framer's memory and are valid until the
// next Push.
func (f *Framer) Next() (t Token, frame Frame, rest []byte) {
	b := f.buf[f.r:f.w]
	if len(b) == 0 {
		f.quit = false
		return More, frame, nil
	}
	if b[0] != sync1 {
		n := bytes.IndexByte(b, sync1)
		if n < 0 {
			n = len(b)
		}
		return f.pass(n)
	}
	switch length, known := size(b); {
	case len(b) > 1 && b[1] != sync2:
		return f.pass(1)
	case known && length > MaxPayload:
		f.counts.TooLong++
		return f.pass(2)
	case !known || len(b) < length+overhead:
		if !f.quit {
			return More, frame, nil
		}
		f.counts.GivenUp++
		return f.pass(min(2, len(b)))
	default:
		end := header + length
		if a, c := Checksum(b[2:end]); b[end] != a || b[end+1] != c {
			f.counts.BadChecksum++
			return f.pass(2)
		}
		f.counts.Frames++
		f.r += length + overhead
		return Whole, Frame{Class: b[2], ID: b[3], Payload: b[header:end:end]}, nil
	}
}

// GiveUp says that nothing more will come of what has begun, because the line went quiet: it is no frame.
func (f *Framer) GiveUp() { f.quit = true }

// Counts returns what was met so far.
func (f *Framer) Counts() Counts { return f.counts }

// pass hands n bytes on.
func (f *Framer) pass(n int) (Token, Frame, []byte) {
	b := f.buf[f.r : f.r+n]
	f.r += n
	return Rest, Frame{}, b
}

// size returns the length of the payload, if it is known yet.
func size(b []byte) (n int, known bool) {
	if len(b) < header {
		return 0, false
	}
	return int(b[4]) | int(b[5])<<8, true
}

// Checksum returns the two bytes of the checksum of a frame, of the bytes from its class to the end of its payload.
func Checksum(b []byte) (a, c byte) {
	for _, x := range b {
		a += x
		c += a
	}
	return a, c
}
