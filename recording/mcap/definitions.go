package mcap

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// definitions are the schemas and channels that were met so far.
type definitions struct {
	schemas  map[uint16]*Schema
	channels map[uint16]*Channel
	raw      map[uint32][]byte // contents of the records, to tell whether one that comes again is the same
	left     int64             // bytes that there is room for
}

func newDefinitions(o ReaderOptions) definitions {
	return definitions{schemas: make(map[uint16]*Schema), channels: make(map[uint16]*Channel), raw: make(map[uint32][]byte), left: o.MaxDefinitions}
}

// keep copies the content of a definition. It returns nil if the same definition is there already.
func (d *definitions) keep(op opcode, id uint16, content []byte) ([]byte, error) {
	key := uint32(op)<<16 | uint32(id)
	if old, have := d.raw[key]; have {
		if !bytes.Equal(old, content) {
			return nil, corrupt("definition %d differs from an earlier one", id)
		}
		return nil, nil
	}
	const overhead = 256 // of what is made of it, about
	if d.left -= int64(2*len(content) + overhead); d.left < 0 {
		return nil, fmt.Errorf("%w: definitions are larger together", ErrLimit)
	}
	d.raw[key] = bytes.Clone(content)
	return d.raw[key], nil
}

func (d *definitions) schema(content []byte) error {
	c := cursor{rest: content}
	id := c.uint16()
	if c.bad {
		return corrupt("schema cut short")
	}
	if id == 0 {
		return nil // "invalid and should be ignored by readers"
	}
	kept, err := d.keep(opSchema, id, content)
	if kept == nil {
		return err
	}
	c = cursor{rest: kept[2:]}
	s := &Schema{ID: id, Name: c.string(), Encoding: c.string(), Data: c.bytes()}
	if c.bad {
		return corrupt("schema %d cut short", id)
	}
	d.schemas[id] = s
	return nil
}

func (d *definitions) channel(content []byte) error {
	c := cursor{rest: content}
	id, schema := c.uint16(), c.uint16()
	if c.bad {
		return corrupt("channel cut short")
	}
	kept, err := d.keep(opChannel, id, content)
	if kept == nil {
		return err
	}
	ch := &Channel{ID: id, Schema: d.schemas[schema], Topic: c.string(), MessageEncoding: c.string(), Metadata: c.strings()}
	if c.bad {
		return corrupt("channel %d cut short", id)
	}
	if schema != 0 && ch.Schema == nil {
		return corrupt("channel %d of schema %d, which was not defined", id, schema)
	}
	d.channels[id] = ch
	return nil
}

// message reads a Message. Its data is a part of the content.
func (d *definitions) message(content []byte) (Message, error) {
	c := cursor{rest: content}
	id := c.uint16()
	m := Message{Sequence: c.uint32(), LogTime: c.uint64(), PublishTime: c.uint64()}
	if c.bad {
		return Message{}, corrupt("message cut short")
	}
	m.Data = c.rest
	if m.Channel = d.channels[id]; m.Channel == nil {
		return Message{}, corrupt("message on channel %d, which was not defined", id)
	}
	return m, nil
}

// A chunkRecord is a Chunk as it is in the file.
type chunkRecord struct {
	from, to    uint64
	size        uint64 // decompressed
	crc         uint32 // 0 for none
	compression Compression
	records     []byte
}

func parseChunk(content []byte) (chunkRecord, error) {
	c := cursor{rest: content}
	k := chunkRecord{from: c.uint64(), to: c.uint64(), size: c.uint64(), crc: c.uint32()}
	k.compression = Compression(c.string())
	k.records = c.take(c.uint64())
	if c.bad {
		return k, corrupt("chunk cut short")
	}
	return k, nil
}

// chunks decompresses one chunk after the other into the same memory.
type chunks struct {
	zstd *zstd.Decoder
	buf  []byte
}

// open returns the records of a chunk, checked against its CRC. They are valid until the next call, or as long as the
// chunk's content.
func (cs *chunks) open(k chunkRecord, limit int64) ([]byte, error) {
	if k.size > uint64(limit) {
		return nil, fmt.Errorf("%w: chunk of %d bytes, want at most %d", ErrLimit, k.size, limit)
	}
	records := k.records
	switch k.compression {
	case None:
	case Zstd:
		var err error
		if records, err = cs.decompress(k.records, int(k.size)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w %q", ErrCompression, k.compression)
	}
	if uint64(len(records)) != k.size {
		return nil, corrupt("chunk has %d bytes, and says %d", len(records), k.size)
	}
	if k.crc != 0 && crc(records) != k.crc {
		return nil, corrupt("checksum mismatch")
	}
	return records, nil
}

func (cs *chunks) decompress(in []byte, size int) ([]byte, error) {
	if cs.zstd == nil {
		// The room that is given to DecodeAll is the limit.
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, err
		}
		cs.zstd = z
	}
	if cap(cs.buf) < size {
		cs.buf = make([]byte, size)
	}
	out, err := cs.zstd.DecodeAll(in, cs.buf[:0:size])
	if err != nil {
		return nil, corrupt("decompress: %v", err)
	}
	return out, nil
}

func (cs *chunks) close() {
	if cs.zstd != nil {
		cs.zstd.Close()
		cs.zstd = nil
	}
}
