package seglog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// The format, as doc.go has it.
const (
	version    = 1
	headerSize = 64
	itemSize   = 32

	headerMagic = "FULMARSL"
	recordMagic = 0x31525346 // "FSR1"
	markMagic   = 0x314d5346 // "FSM1"
	metaMagic   = "FULMARSM"
	metaSize    = 40

	segmentSuffix = ".seg"
	tempSuffix    = ".tmp"
	metaSuffix    = ".meta"

	// maxRecord is the largest Options.MaxRecord, and maxCheckpoint the largest checkpoint.
	maxRecord     = 64 << 20
	maxCheckpoint = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// pad rounds up to the alignment of items.
func pad(n int) int { return (n + 7) &^ 7 }

// itemBytes is what a record with a payload of n bytes takes.
func itemBytes(n int) int { return itemSize + pad(n) }

// An item is a record or a mark.
type item struct {
	mark    bool
	size    int    // of the payload
	index   uint64 // of a mark: the index that the next record will get
	durable uint64 // every record up to this one was durable when the item was written
	sum     uint32 // of the payload
}

// itemCodec writes and checks the headers of items. It exists for its scratch space: what a CRC is computed over must not
// be allocated for each.
type itemCodec struct {
	scratch [16 + itemSize - 4]byte
}

func (c *itemCodec) sum(segment uint64, off int64, header []byte) uint32 {
	binary.LittleEndian.PutUint64(c.scratch[0:], segment)
	binary.LittleEndian.PutUint64(c.scratch[8:], uint64(off))
	copy(c.scratch[16:], header[:itemSize-4])
	return crc32.Checksum(c.scratch[:], castagnoli)
}

// put writes the header of an item that is to lie at off in a segment.
func (c *itemCodec) put(b []byte, segment uint64, off int64, it item) {
	magic := uint32(recordMagic)
	if it.mark {
		magic = markMagic
	}
	binary.LittleEndian.PutUint32(b[0:], magic)
	binary.LittleEndian.PutUint32(b[4:], uint32(it.size))
	binary.LittleEndian.PutUint64(b[8:], it.index)
	binary.LittleEndian.PutUint64(b[16:], it.durable)
	binary.LittleEndian.PutUint32(b[24:], it.sum)
	binary.LittleEndian.PutUint32(b[28:], c.sum(segment, off, b))
}

// get returns the item whose header lies at off in a segment, and false if there is none.
func (c *itemCodec) get(b []byte, segment uint64, off int64) (item, bool) {
	magic := binary.LittleEndian.Uint32(b)
	if magic != recordMagic && magic != markMagic {
		return item{}, false
	}
	if binary.LittleEndian.Uint32(b[28:]) != c.sum(segment, off, b) {
		return item{}, false
	}
	it := item{
		mark:    magic == markMagic,
		size:    int(binary.LittleEndian.Uint32(b[4:])),
		index:   binary.LittleEndian.Uint64(b[8:]),
		durable: binary.LittleEndian.Uint64(b[16:]),
		sum:     binary.LittleEndian.Uint32(b[24:]),
	}
	return it, it.size <= maxRecord && it.index > 0 && it.index > it.durable && (!it.mark || it.size == 0)
}

// A header begins a segment.
type header struct {
	first   uint64
	segment uint64
	durable uint64 // every record up to this one was durable when the segment began
	cursor  uint64 // everything below was not needed any more when the segment began
	state   uint64 // the checkpoint is the owner's state after the records below this index
	size    int    // of the checkpoint
	sum     uint32 // of the checkpoint
}

func putHeader(b []byte, h header) {
	copy(b, headerMagic)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint32(b[12:], uint32(h.size))
	binary.LittleEndian.PutUint64(b[16:], h.first)
	binary.LittleEndian.PutUint64(b[24:], h.segment)
	binary.LittleEndian.PutUint64(b[32:], h.durable)
	binary.LittleEndian.PutUint64(b[40:], h.cursor)
	binary.LittleEndian.PutUint64(b[48:], h.state)
	binary.LittleEndian.PutUint32(b[56:], h.sum)
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

// getHeader returns false for a header that is damaged or belongs elsewhere, and an error that wraps ErrVersion for one
// that is whole and newer.
func getHeader(b []byte, s *segment) (header, bool, error) {
	if string(b[:8]) != headerMagic || binary.LittleEndian.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli) {
		return header{}, false, nil
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return header{}, false, versionError(s.name, v)
	}
	h := header{
		size:    int(binary.LittleEndian.Uint32(b[12:])),
		first:   binary.LittleEndian.Uint64(b[16:]),
		segment: binary.LittleEndian.Uint64(b[24:]),
		durable: binary.LittleEndian.Uint64(b[32:]),
		cursor:  binary.LittleEndian.Uint64(b[40:]),
		state:   binary.LittleEndian.Uint64(b[48:]),
		sum:     binary.LittleEndian.Uint32(b[56:]),
	}
	ok := h.first == s.first && h.segment == s.id && h.size <= maxCheckpoint
	return h, ok, nil
}

func versionError(name string, v uint32) error {
	return fmt.Errorf("seglog: open %s: %w: it has format %d, this build reads format %d: use the build that wrote it, or a newer one",
		name, ErrVersion, v, version)
}

// segmentName is the name of a segment's file: its first index and its identity.
func segmentName(first, id uint64) string {
	return fmt.Sprintf("%016x-%016x%s", first, id, segmentSuffix)
}

func parseSegmentName(name string) (first, id uint64, ok bool) {
	base, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(base) != 33 || base[16] != '-' {
		return 0, 0, false
	}
	first, ok1 := parseHex(base[:16])
	id, ok2 := parseHex(base[17:])
	return first, id, ok1 && ok2 && first > 0
}

// parseHex takes lower case only, so that there is one name for each segment.
func parseHex(s string) (v uint64, ok bool) {
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// epoch orders the segments of a log by when they began; the low half of an identity is luck, so that a block that was
// part of another log on the same disk is not taken for one of this.
func epoch(id uint64) uint32 { return uint32(id >> 32) }

// putUnplaced writes what a header says apart from the place, getUnplaced reads it.
func putUnplaced(b []byte, it item) {
	binary.LittleEndian.PutUint32(b[4:], uint32(it.size))
	binary.LittleEndian.PutUint64(b[8:], it.index)
	binary.LittleEndian.PutUint32(b[24:], it.sum)
}

func getUnplaced(b []byte) item {
	return item{
		size:  int(binary.LittleEndian.Uint32(b[4:])),
		index: binary.LittleEndian.Uint64(b[8:]),
		sum:   binary.LittleEndian.Uint32(b[24:]),
	}
}
