package mcap

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// MaxMessage bounds the data of one message that a Writer takes, in bytes.
const MaxMessage = 16 << 20

// WriterOptions of a Writer. The zero value works.
type WriterOptions struct {
	Profile string
	// Library is what the file says wrote it. Default "fulmar".
	Library string
	// ChunkSize is when a chunk is written, in bytes before compression: 1 KiB to 32 MiB, default 1 MiB. It is what a
	// crash costs at most, and what a reader must decompress for one message; smaller chunks compress less.
	ChunkSize int
	// Uncompressed leaves the chunks as they are. By default they are compressed with zstd.
	Uncompressed bool
	// MaxIndex bounds what the Writer keeps for the summary, in bytes. Default 64 MiB, which is enough for about 60 GiB in
	// chunks of 1 MiB with 100 channels in each.
	MaxIndex int
}

// ErrFull is wrapped by the error of a Writer whose file can take no more; Close makes it whole.
var ErrFull = errors.New("file is full")

// A Writer writes a file, from start to end, to anything that takes bytes. It holds one chunk, its index, the
// definitions and WriterOptions.MaxIndex bytes of summary. After an error of writing every call returns that error.
type Writer struct {
	out    io.Writer
	o      WriterOptions
	zstd   *zstd.Encoder // nil if chunks are not compressed
	err    error
	closed bool

	offset uint64
	crc    uint32 // of what was written since the start, or since the summary's start

	schemas  []byte // records, as they will stand in the summary
	channels []writtenChannel
	nSchemas uint16
	defined  []byte // Channel records
	stats    Statistics
	chunks   []byte // ChunkIndex records
	metadata []byte // MetadataIndex records

	chunk      []byte // records of the chunk that is being gathered
	from, to   uint64 // its log times
	used       []uint16
	compressed []byte
	buf        []byte
}

type writtenChannel struct {
	messages uint64
	// index has the MessageIndex entries of the chunk that is being gathered: log time and offset, 16 bytes each.
	index []byte
}

// NewWriter begins a file.
func NewWriter(out io.Writer, o WriterOptions) (*Writer, error) {
	if o.Library == "" {
		o.Library = "fulmar"
	}
	if o.ChunkSize <= 0 {
		o.ChunkSize = 1 << 20
	}
	o.ChunkSize = min(max(o.ChunkSize, 1<<10), 32<<20)
	if o.MaxIndex <= 0 {
		o.MaxIndex = 64 << 20
	}
	w := &Writer{out: out, o: o}
	if !o.Uncompressed {
		var err error
		// The chunk has a CRC of its own.
		w.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20))
		if err != nil {
			return nil, fmt.Errorf("mcap: write: %w", err)
		}
	}
	b := begin([]byte(magic), opHeader)
	b = appendString(appendString(b, o.Profile), o.Library)
	if err := w.write(end(b, len(magic))); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *Writer) write(b []byte) error {
	if w.err != nil {
		return w.err
	}
	if w.closed {
		return errors.New("mcap: write: file is closed")
	}
	n, err := w.out.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("mcap: write at %d: %w", w.offset, err)
		return w.err
	}
	w.crc = crc32.Update(w.crc, crc32.IEEETable, b)
	w.offset += uint64(len(b))
	return nil
}

// room reports whether the summary can grow by n bytes more.
func (w *Writer) room(n int) error {
	if len(w.schemas)+len(w.defined)+len(w.chunks)+len(w.metadata)+n > w.o.MaxIndex {
		return fmt.Errorf("mcap: write at %d: %w: the index has more than %d bytes", w.offset, ErrFull, w.o.MaxIndex)
	}
	return nil
}

// AddSchema defines a schema and returns its id. The data is copied.
func (w *Writer) AddSchema(name, encoding string, data []byte) (uint16, error) {
	if w.nSchemas == math.MaxUint16 {
		return 0, fmt.Errorf("mcap: add schema %q: %w: %d schemas", name, ErrFull, w.nSchemas)
	}
	b := begin(w.buf[:0], opSchema)
	b = le.AppendUint16(b, w.nSchemas+1)
	b = appendString(appendString(b, name), encoding)
	b = append(le.AppendUint32(b, uint32(len(data))), data...)
	w.buf = end(b, 0)
	if err := w.room(len(b)); err != nil {
		return 0, err
	}
	if err := w.write(b); err != nil {
		return 0, err
	}
	w.schemas = append(w.schemas, b...)
	w.nSchemas++
	return w.nSchemas, nil
}

// AddChannel defines a channel of a schema (0 for none) and returns its id.
func (w *Writer) AddChannel(schema uint16, topic, encoding string, metadata map[string]string) (uint16, error) {
	if len(w.channels) > math.MaxUint16 {
		return 0, fmt.Errorf("mcap: add channel %q: %w: %d channels", topic, ErrFull, len(w.channels))
	}
	if schema > w.nSchemas {
		return 0, fmt.Errorf("mcap: add channel %q: schema %d was not added", topic, schema)
	}
	id := uint16(len(w.channels))
	b := begin(w.buf[:0], opChannel)
	b = le.AppendUint16(le.AppendUint16(b, id), schema)
	b = appendStrings(appendString(appendString(b, topic), encoding), metadata)
	w.buf = end(b, 0)
	if err := w.room(len(b)); err != nil {
		return 0, err
	}
	if err := w.write(b); err != nil {
		return 0, err
	}
	w.defined = append(w.defined, b...)
	w.channels = append(w.channels, writtenChannel{})
	return id, nil
}

// WriteMetadata adds keys and values about the recording, in front of the messages that are not written yet.
func (w *Writer) WriteMetadata(m Metadata) error {
	b := begin(w.buf[:0], opMetadata)
	w.buf = end(appendStrings(appendString(b, m.Name), m.Values), 0)
	if len(w.buf) > MaxMessage {
		return fmt.Errorf("mcap: write metadata %q of %d bytes: %w: want at most %d", m.Name, len(w.buf), ErrLimit, MaxMessage)
	}
	index := begin(nil, opMetadataIndex)
	index = le.AppendUint64(le.AppendUint64(index, w.offset), uint64(len(w.buf)))
	index = end(appendString(index, m.Name), 0)
	if err := w.room(len(index)); err != nil {
		return err
	}
	if err := w.write(w.buf); err != nil {
		return err
	}
	w.metadata = append(w.metadata, index...)
	w.stats.Metadata++
	return nil
}

// Write adds a message to a channel. Times are in ns; messages keep the order in which they are written, whatever their
// times. The data is copied.
func (w *Writer) Write(channel uint16, sequence uint32, logTime, publishTime uint64, data []byte) error {
	switch {
	case w.err != nil:
		return w.err
	case w.closed:
		return errors.New("mcap: write message: file is closed")
	case int(channel) >= len(w.channels):
		return fmt.Errorf("mcap: write message: channel %d was not added", channel)
	case len(data) > MaxMessage:
		return fmt.Errorf("mcap: write message of %d bytes: %w: want at most %d", len(data), ErrLimit, MaxMessage)
	}
	ch := &w.channels[channel]
	if len(ch.index) == 0 {
		if len(w.used) == 0 {
			w.from, w.to = logTime, logTime
		}
		w.used = append(w.used, channel)
	}
	ch.index = le.AppendUint64(le.AppendUint64(ch.index, logTime), uint64(len(w.chunk)))
	start := len(w.chunk)
	b := begin(w.chunk, opMessage)
	b = le.AppendUint32(le.AppendUint16(b, channel), sequence)
	b = le.AppendUint64(le.AppendUint64(b, logTime), publishTime)
	w.chunk = end(append(b, data...), start)
	w.from, w.to = min(w.from, logTime), max(w.to, logTime)
	ch.messages++
	if len(w.chunk) >= w.o.ChunkSize {
		return w.Flush()
	}
	return nil
}

// Flush writes the messages that were gathered as a chunk, however few they are.
func (w *Writer) Flush() error {
	if len(w.used) == 0 {
		return w.err
	}
	const perChannel, perChunk = 2 + 8, 200
	if err := w.room(perChunk + perChannel*len(w.used)); err != nil {
		w.err = err // before anything is written, so that Close can still make the file whole
		return err
	}
	records, name := w.chunk, None
	if w.zstd != nil {
		w.compressed = w.zstd.EncodeAll(w.chunk, w.compressed[:0])
		records, name = w.compressed, Zstd
	}
	b := begin(w.buf[:0], opChunk)
	b = le.AppendUint64(le.AppendUint64(b, w.from), w.to)
	b = le.AppendUint32(le.AppendUint64(b, uint64(len(w.chunk))), crc(w.chunk))
	b = le.AppendUint64(appendString(b, string(name)), uint64(len(records)))
	b = append(b, records...)
	w.buf = end(b, 0)
	chunkAt, chunkLen := w.offset, uint64(len(b))
	if err := w.write(b); err != nil {
		return err
	}
	slices.Sort(w.used)
	index := begin(w.chunks, opChunkIndex)
	index = le.AppendUint64(le.AppendUint64(index, w.from), w.to)
	index = le.AppendUint64(le.AppendUint64(index, chunkAt), chunkLen)
	index = le.AppendUint32(index, uint32(perChannel*len(w.used)))
	b = w.buf[:0]
	for _, id := range w.used {
		index = le.AppendUint64(le.AppendUint16(index, id), w.offset+uint64(len(b)))
		start := len(b)
		b = le.AppendUint16(begin(b, opMessageIndex), id)
		b = append(le.AppendUint32(b, uint32(len(w.channels[id].index))), w.channels[id].index...)
		b = end(b, start)
		w.channels[id].index = w.channels[id].index[:0]
	}
	w.buf = b
	index = appendString(le.AppendUint64(index, uint64(len(b))), string(name))
	index = le.AppendUint64(le.AppendUint64(index, uint64(len(records))), uint64(len(w.chunk)))
	w.chunks = end(index, len(w.chunks))
	w.count()
	return w.write(b)
}

// count takes the chunk that was written into the statistics, and begins the next.
func (w *Writer) count() {
	s := &w.stats
	if s.Chunks == 0 {
		s.From, s.To = w.from, w.to
	}
	s.From, s.To = min(s.From, w.from), max(s.To, w.to)
	s.Chunks++
	w.chunk, w.used = w.chunk[:0], w.used[:0]
}

// Close writes what was gathered, the summary and the footer. It does not close what is written to. Where the file was
// full, it is whole up to the chunk that did not fit, and Close returns the error.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	err := w.Flush()
	if errors.Is(err, ErrFull) {
		w.drop()
		w.err = nil
	} else if err != nil {
		return err
	}
	dataEnd := le.AppendUint32(begin(nil, opDataEnd), w.crc)
	if err := w.write(end(dataEnd, 0)); err != nil {
		return err
	}
	if err := w.summary(); err != nil {
		return err
	}
	w.closed = true
	if w.zstd != nil {
		return errors.Join(err, w.zstd.Close())
	}
	return err
}

// drop forgets the messages of a chunk that has no room in the index.
func (w *Writer) drop() {
	for _, id := range w.used {
		ch := &w.channels[id]
		ch.messages -= uint64(len(ch.index) / 16)
		ch.index = ch.index[:0]
	}
	w.chunk, w.used = w.chunk[:0], w.used[:0]
}

// summary writes the summary section, the summary offset section and the footer.
func (w *Writer) summary() error {
	w.crc = 0
	summaryStart := w.offset
	var offsets []byte
	for _, g := range []struct {
		op      opcode
		records []byte
	}{{opSchema, w.schemas}, {opChannel, w.defined}, {opStatistics, w.statistics()}, {opChunkIndex, w.chunks}, {opMetadataIndex, w.metadata}} {
		if len(g.records) == 0 {
			continue
		}
		start := len(offsets)
		offsets = append(begin(offsets, opSummaryOffset), byte(g.op))
		offsets = end(le.AppendUint64(le.AppendUint64(offsets, w.offset), uint64(len(g.records))), start)
		if err := w.write(g.records); err != nil {
			return err
		}
	}
	offsetStart := w.offset
	if err := w.write(offsets); err != nil {
		return err
	}
	// The summary's CRC includes the footer up to itself.
	footer := end(append(begin(nil, opFooter), make([]byte, footerContent)...), 0)
	le.PutUint64(footer[recordHeader:], summaryStart)
	le.PutUint64(footer[recordHeader+8:], offsetStart)
	const crcAt = recordHeader + 16
	le.PutUint32(footer[crcAt:], crc32.Update(w.crc, crc32.IEEETable, footer[:crcAt]))
	return w.write(append(footer, magic...))
}

func (w *Writer) statistics() []byte {
	s := &w.stats
	counts := 0
	for _, ch := range w.channels {
		s.Messages += ch.messages
		if ch.messages > 0 {
			counts++
		}
	}
	b := begin(nil, opStatistics)
	b = le.AppendUint64(b, s.Messages)
	b = le.AppendUint16(b, w.nSchemas)
	b = le.AppendUint32(b, uint32(len(w.channels)))
	b = le.AppendUint32(b, 0) // attachments
	b = le.AppendUint32(le.AppendUint32(b, s.Metadata), s.Chunks)
	b = le.AppendUint64(le.AppendUint64(b, s.From), s.To)
	b = le.AppendUint32(b, uint32(10*counts))
	for id, ch := range w.channels {
		if ch.messages > 0 {
			b = le.AppendUint64(le.AppendUint16(b, uint16(id)), ch.messages)
		}
	}
	return end(b, 0)
}
