package wire

// MaxFrame is how many bytes a frame with a payload of n bytes takes at most on the line.
func MaxFrame(n int) int { return MaxCOBS(n+crcSize) + 1 }

// An Encoder writes one frame after another, each into a buffer of the caller's. The payload may come in pieces.
type Encoder struct {
	s    stuffer
	crc  uint32
	some bool
}

// Begin begins a frame in buf, which is the Encoder's until End. With MaxFrame of the payload's length it is long enough.
func (e *Encoder) Begin(buf []byte) {
	e.s.reset(buf)
	e.crc, e.some = 0, false
}

// Write adds a piece of the payload. It must not overlap with the buffer.
func (e *Encoder) Write(piece []byte) {
	e.crc, e.some = UpdateCRC(e.crc, piece), e.some || len(piece) > 0
	e.s.write(piece)
}

// End completes the frame and returns how many bytes of the buffer it takes. It fails with ErrShort or ErrEmpty.
func (e *Encoder) End() (int, Err) {
	if !e.some {
		return 0, ErrEmpty
	}
	for shift := 0; shift < 32; shift += 8 {
		e.s.writeByte(byte(e.crc >> shift))
	}
	n, err := e.s.end()
	if err != OK || n >= len(e.s.buf) {
		return 0, ErrShort
	}
	e.s.buf[n] = 0
	return n + 1, OK
}

// Encode writes a frame with the payload to buf and returns how many bytes it takes.
func Encode(buf, payload []byte) (int, Err) {
	var e Encoder
	e.Begin(buf)
	e.Write(payload)
	return e.End()
}

// Counts are what a Decoder has seen.
type Counts struct {
	Frames  uint64 // whole ones
	Damaged uint64 // between two delimiters, and no frame: the checksum, the coding or the length does not fit
	TooLong uint64 // of these, those longer than the buffer
}

// A Decoder finds frames in bytes as they come from a line. It holds nothing but the buffer it is given.
type Decoder struct {
	Counts
	buf   []byte
	n     int  // decoded bytes in buf
	left  int  // bytes of the open block that are still to come
	zero  bool // the open block stands for a zero at its end, if anything follows
	begun bool // something has come since the last delimiter
	long  bool // it exceeds the buffer
}

// Reset begins anew, with a buffer that is the Decoder's from here on. Its length less 4 bounds a payload; what is longer is
// damaged. The counts stay.
func (d *Decoder) Reset(buf []byte) { *d = Decoder{Counts: d.Counts, buf: buf} }

// Feed takes bytes from p until a frame is complete. It returns how many it took, and the payload of the frame if ok: a part
// of the buffer, valid until the next call. Call it again with the rest of p, until nothing is left.
func (d *Decoder) Feed(p []byte) (n int, payload []byte, ok bool) {
	for n < len(p) {
		c := p[n]
		n++
		if c != 0 {
			d.put(c)
			continue
		}
		if payload, ok = d.end(); ok {
			return n, payload, true
		}
	}
	return n, nil, false
}

// put takes a byte other than a delimiter.
func (d *Decoder) put(c byte) {
	if d.left > 0 {
		d.left--
		d.add(c)
		return
	}
	if d.zero {
		d.add(0)
	}
	d.begun = true
	d.left, d.zero = int(c)-1, c <= block
}

func (d *Decoder) add(c byte) {
	if d.n >= len(d.buf) {
		d.long = true
		return
	}
	d.buf[d.n] = c
	d.n++
}

// end is called at a delimiter.
func (d *Decoder) end() (payload []byte, ok bool) {
	n, begun, whole, long := d.n, d.begun, d.left == 0 && d.n > crcSize, d.long
	d.n, d.left, d.zero, d.begun, d.long = 0, 0, false, false, false
	if !begun {
		return nil, false
	}
	if whole && !long {
		payload, sum := d.buf[:n-crcSize], d.buf[n-crcSize:n]
		if CRC(payload) == uint32(sum[0])|uint32(sum[1])<<8|uint32(sum[2])<<16|uint32(sum[3])<<24 {
			d.Frames++
			return payload, true
		}
	}
	d.Damaged++
	if long {
		d.TooLong++
	}
	return nil, false
}
