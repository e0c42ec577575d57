package seglog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"sync"

	"github.com/fulmar-io/fulmar/env"
)

const (
	windowSize = 64 << 10
	// blockSize is the grain in which an area that cannot be read is passed over, in bytes.
	blockSize = 4096
)

// A window reads a file in large pieces. What cannot be read is zeros: the checksums find out, and the bytes around it
// are not lost with it.
type window struct {
	file       env.File
	limit      int64 // nothing beyond is looked at
	buf        []byte
	off        int64 // of buf in the file
	unreadable int64 // bytes that came out as zeros so far
	cause      error // why, the last time
	blanks     bool  // some of buf is such zeros
}

// reset turns the window to another file; the buffer is kept.
func (w *window) reset(f env.File, limit int64) {
	*w = window{file: f, limit: limit, buf: w.buf[:0]}
}

// at returns n bytes at off, nil if they reach beyond the limit. They are valid until the next call.
func (w *window) at(off int64, n int) []byte {
	if off < 0 || off+int64(n) > w.limit {
		return nil
	}
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		w.fill(off, n)
	}
	return w.buf[off-w.off:][:n]
}

func (w *window) fill(off int64, n int) {
	n = int(min(int64(max(n, windowSize)), w.limit-off))
	if cap(w.buf) < n {
		w.buf = make([]byte, n, max(n, windowSize))
	}
	w.buf, w.off, w.blanks = w.buf[:n], off, false
	if got, err := w.file.ReadAt(w.buf, off); got == n {
		return
	} else if err == nil || errors.Is(err, io.EOF) {
		w.blank(w.buf[got:], io.ErrUnexpectedEOF)
		return
	}
	for i := 0; i < n; i += blockSize {
		block := w.buf[i:min(i+blockSize, n)]
		if got, err := w.file.ReadAt(block, off+int64(i)); got < len(block) {
			w.blank(block, err)
		}
	}
}

func (w *window) blank(b []byte, cause error) {
	clear(b)
	w.blanks = true
	w.unreadable += int64(len(b))
	w.cause = cause
}

// A scanner goes through the items of one segment and past what is damaged.
type scanner struct {
	window
	itemCodec
	owner *segment
	pos   int64 // where the next item should begin
}

// scanners spares the windows of those that are done.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

// reset sets the scanner to a segment, of which it looks at the first limit bytes; start or pos says where.
func (s *scanner) reset(owner *segment, f env.File, limit int64) {
	s.window.reset(f, limit)
	s.owner, s.pos = owner, headerSize
}

// next returns the next item whose header is whole and the offset of that header. If there is no item where one should
// be, it looks for the next that says that it lies where it does.
func (s *scanner) next() (it item, off int64, ok bool) {
	for {
		b := s.at(s.pos, itemSize)
		if b == nil {
			return item{}, 0, false
		}
		if it, ok = s.get(b, s.owner.id, s.pos); ok {
			off = s.pos
			s.pos += int64(itemBytes(it.size))
			return it, off, true
		}
		s.skip()
	}
}

// skip moves on to the next place where there might be a header.
func (s *scanner) skip() {
	s.pos += 8
	ahead := s.buf[min(s.pos-s.off, int64(len(s.buf))):]
	for len(ahead) >= 8 {
		if m := binary.LittleEndian.Uint32(ahead); m == recordMagic || m == markMagic {
			return
		}
		ahead = ahead[8:]
		s.pos += 8
	}
}

// payload returns the payload of the record whose header lies at off, and false if it is damaged. It is valid until the
// scanner is used again.
func (s *scanner) payload(it item, off int64) ([]byte, bool) {
	b := s.at(off+itemSize, it.size)
	if b == nil && it.size > 0 {
		return nil, false
	}
	return b, crc32.Checksum(b, castagnoli) == it.sum
}

// start reads the header and checkpoint of the segment and sets the scanner to the first item. ok is false if the header
// is damaged and checkpoint is nil if that is: the items do not depend on either. The checkpoint is a copy.
func (s *scanner) start() (h header, ok bool, checkpoint []byte, err error) {
	s.pos = headerSize
	b := s.at(0, headerSize)
	if b == nil {
		return header{}, false, nil, nil
	}
	h, ok, err = getHeader(b, s.owner)
	if err != nil || !ok {
		return header{}, false, nil, err
	}
	// The size is as the header's sum says, so the items begin behind it even if the checkpoint is damaged.
	s.pos += int64(pad(h.size))
	b = s.at(headerSize, h.size)
	if b != nil && crc32.Checksum(b, castagnoli) == h.sum {
		checkpoint = append([]byte{}, b...)
	}
	return h, true, checkpoint, nil
}
