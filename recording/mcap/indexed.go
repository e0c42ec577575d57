package mcap

import (
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"maps"
	"slices"
)

// An Indexed reads a complete file by time and channel, with the index in its summary. Its methods may be called
// concurrently if those of the io.ReaderAt may.
type Indexed struct {
	in       io.ReaderAt
	o        ReaderOptions
	defs     definitions
	stats    Statistics
	index    []chunkIndex
	metadata []metadataIndex
}

type chunkIndex struct {
	from, to       uint64
	offset, length uint64
	channels       []uint16 // empty if the writer did not tell
}

type metadataIndex struct{ offset, length uint64 }

// NewIndexed reads the summary of a file of that size. The error wraps ErrNotMCAP, ErrCut, ErrCorrupt, ErrLimit, or ErrNoIndex:
// in the latter cases a Reader can read what there is.
func NewIndexed(in io.ReaderAt, size int64, o ReaderOptions) (*Indexed, error) {
	o = o.withDefaults()
	head, err := NewReader(io.NewSectionReader(in, 0, size), o)
	if err != nil {
		return nil, err
	}
	x := &Indexed{in: in, o: o, defs: newDefinitions(o)}
	summary, end, err := x.readSummary(head.offset, size)
	if err != nil {
		return nil, fmt.Errorf("mcap: open index: %w", err)
	}
	for len(summary) > 0 {
		op, content, rest, err := nextRecord(summary)
		if err == nil {
			err = x.take(op, content, end)
		}
		if err != nil {
			return nil, fmt.Errorf("mcap: open index: %s: %w", name(op), err)
		}
		summary = rest
	}
	if len(x.index) == 0 && (x.stats.Messages > 0 || x.stats.Chunks > 0) {
		return nil, fmt.Errorf("mcap: open index: %w of its %d messages", ErrNoIndex, x.stats.Messages)
	}
	slices.SortStableFunc(x.index, func(a, b chunkIndex) int {
		if a.offset < b.offset {
			return -1
		}
		return 1
	})
	return x, nil
}

// readSummary returns the summary section and where it begins, which is where the data section ends.
func (x *Indexed) readSummary(first, size int64) (summary []byte, at int64, err error) {
	const tail = recordHeader + footerContent + int64(len(magic))
	if size < first+tail {
		return nil, 0, ErrCut
	}
	var b [tail]byte
	if err := x.readAt(b[:], size-tail); err != nil {
		return nil, 0, err
	}
	if string(b[recordHeader+footerContent:]) != magic || opcode(b[0]) != opFooter || le.Uint64(b[1:]) != footerContent {
		return nil, 0, fmt.Errorf("%w: no footer at the end", ErrCut)
	}
	c := cursor{rest: b[recordHeader:]}
	start, offsets, want := c.uint64(), c.uint64(), c.uint32()
	end := uint64(size - tail)
	switch {
	case start == 0:
		return nil, 0, ErrNoIndex
	case offsets == 0:
		offsets = end
	}
	if start < uint64(first) || start > offsets || offsets > end {
		return nil, 0, corrupt("footer: summary from %d to %d", start, offsets)
	}
	if end-start > uint64(x.o.MaxSummary) {
		return nil, 0, fmt.Errorf("%w: summary of %d bytes, want at most %d", ErrLimit, end-start, x.o.MaxSummary)
	}
	summary = make([]byte, end-start)
	if err := x.readAt(summary, int64(start)); err != nil {
		return nil, 0, err
	}
	const crcAt = recordHeader + 16
	if want != 0 && want != crc32.Update(crc(summary), crc32.IEEETable, b[:crcAt]) {
		return nil, 0, corrupt("checksum mismatch of the summary")
	}
	return summary[:offsets-start], int64(start), nil
}

func (x *Indexed) readAt(b []byte, at int64) error {
	if n, err := x.in.ReadAt(b, at); n < len(b) {
		if err == io.EOF {
			return ErrCut
		}
		return fmt.Errorf("read at %d: %w", at, err)
	}
	return nil
}

// take takes in a record of the summary. What it points at must lie before end.
func (x *Indexed) take(op opcode, content []byte, end int64) error {
	c := cursor{rest: content}
	switch op {
	case opSchema:
		return x.defs.schema(content)
	case opChannel:
		return x.defs.channel(content)
	case opStatistics:
		x.stats = Statistics{Messages: c.uint64(), Schemas: c.uint16(), Channels: c.uint32(), Attachments: c.uint32(),
			Metadata: c.uint32(), Chunks: c.uint32(), From: c.uint64(), To: c.uint64(), ByChannel: c.counts()}
	case opChunkIndex:
		k := chunkIndex{from: c.uint64(), to: c.uint64(), offset: c.uint64(), length: c.uint64()}
		k.channels = slices.Sorted(maps.Keys(c.counts()))
		c.uint64() // bytes of the message indexes
		c.string() // compression, which is in the chunk too
		c.uint64()
		c.uint64()
		if k.length > uint64(end) || k.offset > uint64(end)-k.length {
			return corrupt("chunk of %d bytes at %d", k.length, k.offset)
		}
		x.index = append(x.index, k)
	case opMetadataIndex:
		m := metadataIndex{offset: c.uint64(), length: c.uint64()}
		if m.length > uint64(end) || m.offset > uint64(end)-m.length {
			return corrupt("metadata of %d bytes at %d", m.length, m.offset)
		}
		x.metadata = append(x.metadata, m)
	}
	if c.bad {
		return corrupt("cut short")
	}
	return nil
}

// Statistics returns what the summary tells of the file; all zero if it does not.
func (x *Indexed) Statistics() Statistics { return x.stats }

// Channels returns the channels in the order of their ids.
func (x *Indexed) Channels() []*Channel {
	list := make([]*Channel, 0, len(x.defs.channels))
	for _, id := range slices.Sorted(maps.Keys(x.defs.channels)) {
		list = append(list, x.defs.channels[id])
	}
	return list
}

// Metadata reads all metadata, in the order of the file.
func (x *Indexed) Metadata() ([]Metadata, error) {
	var list []Metadata
	left := x.o.MaxDefinitions
	for _, m := range x.metadata {
		content, err := x.record(opMetadata, m.offset, m.length, min(left, x.o.MaxRecord))
		if err != nil {
			return list, fmt.Errorf("mcap: read metadata at %d: %w", m.offset, err)
		}
		left -= int64(len(content))
		c := cursor{rest: content}
		v := Metadata{Name: c.string(), Values: c.strings()}
		if c.bad {
			return list, fmt.Errorf("mcap: read metadata at %d: %w", m.offset, corrupt("cut short"))
		}
		list = append(list, v)
	}
	return list, nil
}

// record reads the content of a record that the summary points at.
func (x *Indexed) record(op opcode, offset, length uint64, limit int64) ([]byte, error) {
	if length < recordHeader || length-recordHeader > uint64(max(limit, 0)) {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrLimit, length, limit)
	}
	b := make([]byte, length)
	if err := x.readAt(b, int64(offset)); err != nil {
		return nil, err
	}
	if opcode(b[0]) != op || le.Uint64(b[1:]) != length-recordHeader {
		return nil, corrupt("it is not there")
	}
	return b[recordHeader:], nil
}

// A Query chooses messages.
type Query struct {
	From, To uint64 // log time in ns; From inclusive, To exclusive, 0 for no end
	// Channel, unless nil, says which channels are wanted.
	Channel func(*Channel) bool
}

// Messages returns the messages that a Query chooses, in the order of the file. Chunks without such messages are not
// read. A chunk that cannot be read is one *DamageError, after which the sequence goes on if the caller does; any other
// error, of reading the file, is the last.
func (x *Indexed) Messages(q Query) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		wanted := make(map[uint16]bool, len(x.defs.channels))
		for id, ch := range x.defs.channels {
			wanted[id] = q.Channel == nil || q.Channel(ch)
		}
		var cs chunks
		defer cs.close()
		for _, k := range x.index {
			if k.to < q.From || q.To != 0 && k.from >= q.To {
				continue
			}
			if len(k.channels) > 0 && !slices.ContainsFunc(k.channels, func(id uint16) bool { return wanted[id] }) {
				continue
			}
			if !x.chunk(&cs, k, q, wanted, yield) {
				return
			}
		}
	}
}

// chunk yields the messages of one chunk and reports whether to go on.
func (x *Indexed) chunk(cs *chunks, k chunkIndex, q Query, wanted map[uint16]bool, yield func(Message, error) bool) bool {
	content, err := x.record(opChunk, k.offset, k.length, x.o.MaxChunk+chunkHeader)
	var c chunkRecord
	if err == nil {
		c, err = parseChunk(content)
	}
	var records []byte
	if err == nil {
		records, err = cs.open(c, x.o.MaxChunk)
	}
	for err == nil && len(records) > 0 {
		var op opcode
		if op, content, records, err = nextRecord(records); err != nil || op != opMessage {
			continue
		}
		var m Message
		if m, err = x.defs.message(content); err != nil {
			break
		}
		m.Unchecked = c.crc == 0
		if wanted[m.Channel.ID] && m.LogTime >= q.From && (q.To == 0 || m.LogTime < q.To) && !yield(m, nil) {
			return false
		}
	}
	if err != nil && !isDamage(err) {
		yield(Message{}, fmt.Errorf("mcap: read chunk: %w", err))
		return false
	}
	if err != nil {
		return yield(Message{}, &DamageError{Offset: int64(k.offset), Thing: "chunk", Cause: err, Resumed: int64(k.offset + k.length)})
	}
	return true
}
