package mcap

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// A Reader reads the messages of a file from its start to its end, in the order of the file.
type Reader struct {
	in     *bufio.Reader
	o      ReaderOptions
	header Header
	done   error // what Next returns from now on

	offset       int64 // of the next byte of in
	crc          uint32
	summaryStart int64 // 0 in the data section
	buf          []byte

	defs      definitions
	chunks    chunks
	records   []byte // of the chunk that is being read
	chunkAt   int64
	unchecked bool // it has no CRC
	metadata  []Metadata
	ended     bool // the footer was there
}

// NewReader reads the beginning of a file. The error wraps ErrNotMCAP if it is none.
func NewReader(in io.Reader, o ReaderOptions) (*Reader, error) {
	o = o.withDefaults()
	r := &Reader{in: bufio.NewReaderSize(in, 8<<10), o: o, defs: newDefinitions(o)}
	b, err := r.read(uint64(len(magic)))
	if err != nil && !errors.Is(err, ErrCut) {
		return nil, err
	}
	if string(b) != magic {
		return nil, fmt.Errorf("mcap: open: %w", ErrNotMCAP)
	}
	op, n, err := r.head()
	if err == nil && op != opHeader {
		err = corrupt("record %#02x instead of a header", byte(op))
	}
	if err == nil {
		b, err = r.content(n, o.MaxRecord)
	}
	if err != nil {
		return nil, fmt.Errorf("mcap: open: header: %w", err)
	}
	c := cursor{rest: b}
	r.header = Header{Profile: c.string(), Library: c.string()}
	if c.bad {
		return nil, fmt.Errorf("mcap: open: header: %w", corrupt("cut short"))
	}
	return r, nil
}

// Header returns what the file says of itself.
func (r *Reader) Header() Header { return r.header }

// Metadata returns what was met so far, at most 64 Ki of them.
func (r *Reader) Metadata() []Metadata { return r.metadata }

// Complete reports whether the whole file was read, to the footer behind its summary.
func (r *Reader) Complete() bool { return r.ended }

// Offset returns how far the file was read.
func (r *Reader) Offset() int64 { return r.offset }

// Next returns the next message, or io.EOF after the last. A *DamageError says that something cannot be read: after it
// Next can be called again and goes on behind the damage, or returns io.EOF if there is no going on. Messages in a chunk
// are delivered only if the chunk's CRC holds; see Message.Unchecked for others. Other errors are final, and are of reading from the file.
func (r *Reader) Next() (Message, error) {
	for r.done == nil {
		if len(r.records) > 0 {
			m, ok, err := r.nextInChunk()
			if err != nil || ok {
				return m, err
			}
			continue
		}
		m, ok, err := r.nextRecord()
		if err != nil || ok {
			return m, err
		}
	}
	return Message{}, r.done
}

// nextInChunk takes a record of the chunk that was opened last.
func (r *Reader) nextInChunk() (m Message, ok bool, err error) {
	op, content, rest, err := nextRecord(r.records)
	if err == nil {
		r.records = rest
		switch op {
		case opMessage:
			m, err = r.defs.message(content)
			m.Unchecked = r.unchecked
			ok = err == nil
		case opSchema:
			err = r.defs.schema(content)
		case opChannel:
			err = r.defs.channel(content)
		}
	}
	if err != nil {
		r.records = nil
		err = r.damage(r.chunkAt, "chunk", err, r.offset)
	}
	return m, ok, err
}

func (r *Reader) damage(offset int64, thing string, cause error, resumed int64) error {
	if resumed < 0 {
		r.finish(io.EOF)
	}
	return &DamageError{Offset: offset, Thing: thing, Cause: cause, Resumed: resumed}
}

func (r *Reader) finish(err error) {
	r.done = err
	r.records = nil
	r.chunks.close()
}

// failed sorts an error of reading: the end of the file is damage, what the operating system says is not.
func (r *Reader) failed(at int64, thing string, err error) error {
	if isDamage(err) {
		return r.damage(at, thing, err, -1)
	}
	r.finish(err)
	return err
}

func isDamage(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrCut) || errors.Is(err, ErrLimit) || errors.Is(err, ErrCompression)
}

// nextRecord takes a record of the file.
func (r *Reader) nextRecord() (m Message, ok bool, err error) {
	at, before := r.offset, r.crc
	op, n, err := r.head()
	if err != nil {
		return m, false, r.failed(at, "record", err)
	}
	thing, limit := name(op), r.o.MaxRecord
	if !r.belongs(op) {
		return m, false, r.damage(at, thing, corrupt("it does not belong here"), -1)
	}
	switch op {
	case opAttachment:
		return m, false, r.attachment(at, n)
	case opChunk:
		limit = r.o.MaxChunk + chunkHeader
	case opSchema, opChannel, opMessage, opMetadata, opDataEnd, opFooter:
	default:
		if _, err := r.skip(n); err != nil {
			return m, false, r.failed(at, thing, err)
		}
		return m, false, nil
	}
	content, err := r.content(n, limit)
	if err != nil {
		return m, false, r.failed(at, thing, err)
	}
	switch op {
	case opSchema:
		err = r.defs.schema(content)
	case opChannel:
		err = r.defs.channel(content)
	case opMessage:
		m, err = r.defs.message(content)
		m.Unchecked = true
		ok = err == nil
	case opMetadata:
		err = r.meta(content)
	case opChunk:
		err = r.chunk(at, content)
	case opDataEnd:
		err = r.dataEnd(content, before)
	case opFooter:
		return m, false, r.footer(at, content, before)
	}
	if err != nil {
		return m, false, r.damage(at, thing, err, r.offset)
	}
	return m, ok, nil
}

// belongs reports whether a record may be in the section that is being read.
func (r *Reader) belongs(op opcode) bool {
	switch op {
	case opHeader, 0:
		return false
	case opMessage, opChunk, opMessageIndex, opAttachment, opMetadata, opDataEnd:
		return r.summaryStart == 0
	case opChunkIndex, opStatistics, opMetadataIndex, opAttachmentIndex, opSummaryOffset:
		return r.summaryStart != 0
	}
	return true
}

func (r *Reader) meta(content []byte) error {
	c := cursor{rest: content}
	m := Metadata{Name: c.string(), Values: c.strings()}
	if c.bad {
		return corrupt("cut short")
	}
	const most = 1 << 16
	if r.defs.left -= 2 * int64(len(content)); r.defs.left < 0 || len(r.metadata) >= most {
		return fmt.Errorf("%w: too much of it", ErrLimit)
	}
	r.metadata = append(r.metadata, m)
	return nil
}

func (r *Reader) chunk(at int64, content []byte) error {
	k, err := parseChunk(content)
	if err != nil {
		return err
	}
	if r.records, err = r.chunks.open(k, r.o.MaxChunk); err != nil {
		r.records = nil
		return err
	}
	r.chunkAt, r.unchecked = at, k.crc == 0
	return nil
}

// dataEnd checks the CRC of the data section, which is that of everything before this record.
func (r *Reader) dataEnd(content []byte, sum uint32) error {
	c := cursor{rest: content}
	want := c.uint32()
	r.crc, r.summaryStart = 0, r.offset
	if c.bad {
		return corrupt("cut short")
	}
	if want != 0 && want != sum {
		return corrupt("checksum mismatch of the data section")
	}
	return nil
}

// footer checks the CRC of the summary section, and that nothing but the magic follows.
func (r *Reader) footer(at int64, content []byte, sum uint32) error {
	c := cursor{rest: content}
	start, _, want := c.uint64(), c.uint64(), c.uint32()
	if c.bad || len(content) != footerContent {
		return r.damage(at, "footer", corrupt("of %d bytes", len(content)), -1)
	}
	if r.summaryStart == 0 && start == 0 {
		want = 0 // no data end, which some writers of small files leave out, and so no summary
	}
	if want != 0 {
		head := le.AppendUint64([]byte{byte(opFooter)}, footerContent)
		sum = crc32.Update(crc32.Update(sum, crc32.IEEETable, head), crc32.IEEETable, content[:footerContent-4])
		if want != sum {
			return r.damage(at, "footer", corrupt("checksum mismatch of the summary"), -1)
		}
	}
	if start != 0 && start != uint64(r.summaryStart) {
		return r.damage(at, "footer", corrupt("summary at %d, it says %d", r.summaryStart, start), -1)
	}
	at = r.offset
	b, err := r.read(uint64(len(magic)))
	if err == nil && string(b) != magic {
		err = corrupt("it differs")
	}
	if err != nil {
		return r.failed(at, "magic", err)
	}
	if _, err := r.in.Peek(1); err == nil {
		return r.damage(r.offset, "end", corrupt("bytes after it"), -1)
	}
	r.ended = true
	r.finish(io.EOF)
	return nil
}

// attachment passes over an Attachment and checks its CRC, which is that of the fields before it.
func (r *Reader) attachment(at int64, n uint64) error {
	const crcSize = 4
	if n < crcSize {
		return r.damage(at, "attachment", corrupt("of %d bytes", n), -1)
	}
	sum, err := r.skip(n - crcSize)
	if err != nil {
		return r.failed(at, "attachment", err)
	}
	b, err := r.read(crcSize)
	if err != nil {
		return r.failed(at, "attachment", err)
	}
	if want := le.Uint32(b); want != 0 && want != sum {
		return r.damage(at, "attachment", corrupt("checksum mismatch"), r.offset)
	}
	return nil
}

// head reads the head of a record.
func (r *Reader) head() (opcode, uint64, error) {
	b, err := r.read(recordHeader)
	if err != nil {
		return 0, 0, err
	}
	return opcode(b[0]), le.Uint64(b[1:]), nil
}

func (r *Reader) content(n uint64, limit int64) ([]byte, error) {
	if n > uint64(limit) {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrLimit, n, limit)
	}
	return r.read(n)
}

// read reads n bytes, into memory that grows as they come. They are valid until the next call.
func (r *Reader) read(n uint64) ([]byte, error) {
	const step = 1 << 20
	r.buf = r.buf[:0]
	for uint64(len(r.buf)) < n {
		have := len(r.buf)
		more := int(min(n-uint64(have), uint64(max(have, step))))
		r.buf = append(r.buf, make([]byte, more)...)
		k, err := io.ReadFull(r.in, r.buf[have:])
		r.offset += int64(k)
		r.buf = r.buf[:have+k]
		r.crc = crc32.Update(r.crc, crc32.IEEETable, r.buf[have:])
		if err != nil {
			return r.buf, r.short(err)
		}
	}
	return r.buf, nil
}

func (r *Reader) short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCut
	}
	return fmt.Errorf("mcap: read at %d: %w", r.offset, err)
}

// skip passes over n bytes and returns their CRC.
func (r *Reader) skip(n uint64) (sum uint32, err error) {
	if n > math.MaxInt64-uint64(r.offset) {
		return 0, corrupt("record of %d bytes", n)
	}
	for n > 0 {
		b, err := r.in.Peek(int(min(n, uint64(r.in.Size()))))
		r.crc = crc32.Update(r.crc, crc32.IEEETable, b)
		sum = crc32.Update(sum, crc32.IEEETable, b)
		k, _ := r.in.Discard(len(b)) // these bytes have been peeked at
		r.offset += int64(k)
		n -= uint64(k)
		if err != nil && n > 0 {
			return 0, r.short(err)
		}
	}
	return sum, nil
}

var names = map[opcode]string{opHeader: "header", opFooter: "footer", opSchema: "schema", opChannel: "channel", opMessage: "message",
	opChunk: "chunk", opMessageIndex: "message index", opChunkIndex: "chunk index", opAttachment: "attachment", opAttachmentIndex: "attachment index",
	opStatistics: "statistics", opMetadata: "metadata", opMetadataIndex: "metadata index", opSummaryOffset: "summary offset", opDataEnd: "data end"}

// name returns a record's name as the specification has it.
func name(op opcode) string {
	if s, ok := names[op]; ok {
		return s
	}
	return fmt.Sprintf("record %#02x", byte(op))
}
