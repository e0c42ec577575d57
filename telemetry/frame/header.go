package frame

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Version is the version of the format that this build writes. It reads those before it, too: 2 has decimals (codeTenths), 1 has not.
const Version = 2

const oldestVersion = 1

// Limits of a frame, checked by whoever writes one and again by whoever reads it.
const (
	MaxSize    = 256 << 10 // bytes of a whole frame
	MaxRecords = 1 << 16   // records in a frame; a lost range may be longer
	MaxLayouts = 1024      // different layouts in a frame
	// MaxRaw bounds what a frame's records take when they are spelled out: their values as packets have them, and
	// 16 bytes of times for each record.
	MaxRaw = 2 << 20
)

// recordOverhead is what a record costs beyond its values: its two times.
const recordOverhead = 16

// Mode says how a frame holds its records.
type Mode uint8

// The modes. The numbers are part of the format; 2 is reserved.
const (
	Light Mode = 1 // columns, delta and bit split, zstd
	Lost  Mode = 3 // no records: the range is declared lost
)

// String returns the mode's name.
func (m Mode) String() string {
	switch m {
	case Light:
		return "light"
	case Lost:
		return "lost"
	}
	return "invalid"
}

// Header is what a frame says without being decoded.
type Header struct {
	Version uint8
	Mode    Mode
	Reason  ledger.Reason // Lost only
	Stream  telemetry.Stream
	First   uint64 // sequence number of the first record
	Count   uint64 // at least 1; First+Count does not overflow

	// The rest is zero in a Lost frame.

	Readings         uint64 // scalars in all records
	MinMono, MaxMono int64  // ns since the boot's origin
	MinWall, MaxWall int64  // ns since 1970 UTC, of the records that know it; 0, 0 if none does
	// Layouts of the records, in the order in which they first appear.
	Layouts []telemetry.LayoutID
}

// Next returns the sequence number after the frame's last.
func (h *Header) Next() uint64 { return h.First + h.Count }

// The fixed part of the envelope:
//
//	offset  size  field
//	     0     4  "FULM"
//	     4     1  version
//	     5     1  mode
//	     6     1  class
//	     7     1  reason, 0 unless lost
//	     8     4  bytes of the whole frame
//	    12     4  CRC-32C of everything but these four bytes
//	    16    16  boot
//	    32     1  bytes of the device's name
//	    33     …  the device's name
//
// Then unsigned varints: first number, count. A lost frame ends here. Otherwise follow the least monotonic time (zigzag
// varint) and the span to the largest (varint); how wall time is told (0: no record knows it, 1: it runs along with monotonic
// time, 2: it does not), and, unless 0, the least (zigzag varint), and, if 2, the span; readings (varint); the number of layouts
// (varint), their ids (8 bytes each); the body to the end. Fixed-size numbers are little endian.
const (
	offVersion  = 4
	offMode     = 5
	offClass    = 6
	offReason   = 7
	offLength   = 8
	offCRC      = 12
	offBoot     = 16
	offDevice   = 32
	fixedHeader = 33
)

const magic = "FULM"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	wallNone   = 0
	wallAlong  = 1
	wallFreely = 2
)

func (h *Header) append(b []byte) []byte {
	b = append(b, magic...)
	b = append(b, Version, byte(h.Mode), byte(h.Stream.Class), byte(h.Reason))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, h.Stream.Boot[:]...)
	b = append(b, byte(len(h.Stream.Device)))
	b = append(b, h.Stream.Device...)
	b = binary.AppendUvarint(b, h.First)
	b = binary.AppendUvarint(b, h.Count)
	if h.Mode == Lost {
		return b
	}
	b = binary.AppendVarint(b, h.MinMono)
	b = binary.AppendUvarint(b, uint64(h.MaxMono)-uint64(h.MinMono))
	span := uint64(h.MaxWall) - uint64(h.MinWall)
	switch {
	case h.MinWall == 0 && h.MaxWall == 0:
		b = append(b, wallNone)
	case span == uint64(h.MaxMono)-uint64(h.MinMono):
		b = append(b, wallAlong)
		b = binary.AppendVarint(b, h.MinWall)
	default:
		b = append(b, wallFreely)
		b = binary.AppendVarint(b, h.MinWall)
		b = binary.AppendUvarint(b, span)
	}
	b = binary.AppendUvarint(b, h.Readings)
	b = binary.AppendUvarint(b, uint64(len(h.Layouts)))
	for _, id := range h.Layouts {
		b = binary.LittleEndian.AppendUint64(b, uint64(id))
	}
	return b
}

// seal writes the length and the checksum of the frame that b holds from start to its end.
func seal(b []byte, start int) {
	f := b[start:]
	binary.LittleEndian.PutUint32(f[offLength:], uint32(len(f)))
	binary.LittleEndian.PutUint32(f[offCRC:], checksum(f))
}

func checksum(f []byte) uint32 {
	crc := crc32.Update(0, castagnoli, f[:offCRC])
	return crc32.Update(crc, castagnoli, f[offCRC+4:])
}

// Peek checks a frame's envelope and returns what it says. It does not decompress, needs no layouts, and takes memory
// for the device's name and the layouts' ids only. b must be exactly one frame; the Header does not refer to it.
//
// The error wraps ErrCorrupt or ErrVersion.
func Peek(b []byte) (Header, error) {
	var h Header
	err := h.Parse(b)
	return h, err
}

// Parse is Peek into a Header that is used again: its Layouts are overwritten in place, and the device's name is taken
// over when it is the same. So nothing is allocated for one frame after the other of a machine. After an error the Header has
// no meaning.
func (h *Header) Parse(b []byte) error {
	_, err := h.parse(b)
	return err
}

// parse returns the body.
func (h *Header) parse(b []byte) ([]byte, error) {
	if len(b) < fixedHeader || len(b) > MaxSize || string(b[:len(magic)]) != magic {
		return nil, corrupt("peek: not a frame, or cut short")
	}
	if n := binary.LittleEndian.Uint32(b[offLength:]); uint64(n) != uint64(len(b)) {
		return nil, fmt.Errorf("frame: peek: %d bytes of %d: %w", len(b), n, ErrCorrupt)
	}
	if binary.LittleEndian.Uint32(b[offCRC:]) != checksum(b) {
		return nil, corrupt("peek: checksum mismatch")
	}
	// From here on the frame is as it was written, by this build or another, or by someone who can count a CRC.
	if b[offVersion] < oldestVersion || b[offVersion] > Version || b[offMode] != byte(Light) && b[offMode] != byte(Lost) {
		return nil, fmt.Errorf("frame: peek: version %d, mode %d: %w", b[offVersion], b[offMode], ErrVersion)
	}
	h.Version, h.Mode = b[offVersion], Mode(b[offMode])
	h.Reason = ledger.Reason(b[offReason])
	h.Stream.Class = packet.Class(b[offClass])
	copy(h.Stream.Boot[:], b[offBoot:])
	if !h.Stream.Class.Valid() || (h.Mode == Lost) != h.Reason.Valid() || h.Mode != Lost && h.Reason != 0 {
		return nil, corrupt("peek: class or reason without meaning")
	}
	r := cursor{rest: b[offDevice:]}
	device := r.take(int(r.byte()))
	if h.Stream.Device != string(device) {
		h.Stream.Device = string(device)
	}
	if err := telemetry.ValidateDevice(h.Stream.Device); err != nil {
		return nil, fmt.Errorf("frame: peek: %w: %w", ErrCorrupt, err)
	}
	h.First, h.Count = r.uvarint(), r.uvarint()
	if r.bad || h.Count == 0 || h.First > math.MaxUint64-h.Count {
		return nil, corrupt("peek: impossible range")
	}
	if err := h.parseRecords(&r); err != nil {
		return nil, err
	}
	return r.rest, nil
}

// parseRecords reads the part of the header that a lost frame does not have.
func (h *Header) parseRecords(r *cursor) error {
	h.Readings, h.MinMono, h.MaxMono, h.MinWall, h.MaxWall = 0, 0, 0, 0, 0
	h.Layouts = h.Layouts[:0]
	if h.Mode == Lost {
		if len(r.rest) != 0 {
			return corrupt("peek: bytes left over")
		}
		return nil
	}
	h.MinMono = r.varint()
	span := r.uvarint()
	h.MaxMono = h.MinMono + int64(span)
	ok := h.MaxMono >= h.MinMono
	switch r.byte() {
	case wallNone:
	case wallAlong:
		h.MinWall = r.varint()
		h.MaxWall = h.MinWall + int64(span)
	case wallFreely:
		h.MinWall = r.varint()
		h.MaxWall = h.MinWall + int64(r.uvarint())
	default:
		ok = false
	}
	h.Readings = r.uvarint()
	n := r.uvarint()
	if r.bad || !ok || h.MaxWall < h.MinWall || h.Readings > MaxRaw || h.Count > MaxRecords ||
		n == 0 || n > MaxLayouts || n > h.Count || n*8 > uint64(len(r.rest)) {
		return corrupt("peek: times or counts out of range")
	}
	for range n {
		h.Layouts = append(h.Layouts, telemetry.LayoutID(binary.LittleEndian.Uint64(r.take(8))))
	}
	return nil
}

// AppendLost appends to dst the frame that declares count records of a stream, from first on, lost for a reason. The
// stream and the reason must be valid, count at least 1, and first+count must not overflow.
func AppendLost(dst []byte, stream telemetry.Stream, first, count uint64, reason ledger.Reason) []byte {
	h := Header{Mode: Lost, Stream: stream, First: first, Count: count, Reason: reason}
	start := len(dst)
	dst = h.append(dst)
	seal(dst, start)
	return dst
}
