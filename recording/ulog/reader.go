package ulog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Options of a Reader. The zero value works.
type Options struct {
	// Class is what the records' packets carry. Default packet.Normal.
	Class packet.Class
}

// Kind says what an Entry is.
type Kind uint8

// The kinds of entries.
const (
	Data      Kind = 1 // a record
	Log       Kind = 2 // a line of text
	Dropout   Kind = 3 // the logger could not write for some time
	Info      Kind = 4 // a key and a value about the log or the vehicle; a long value comes in several
	Parameter Kind = 5 // a parameter's value, at the start or when it changed
)

// An Entry is one message of the log that means something to its user.
type Entry struct {
	Kind   Kind
	Offset int64 // of the message in the file

	// Record of a Data entry. Its packet has the message's time as Mono, the class of the Options, and no number, wall time or
	// severity. The packet is valid until the next call of Next; the layout for good.
	Record telemetry.Record

	Level packet.Severity // Log
	Mono  int64           // Log: ns since the autopilot's start
	Text  string          // Log; Info whose type is a char array

	Dropout time.Duration // Dropout

	Key       string // Info, Parameter: the name without its type
	Type      string // Info, Parameter: as in the log, "char[5]", "float"
	Value     []byte // Info, Parameter: as in the log; valid until the next call of Next
	Continued bool   // Info: it belongs to the entry before, of the same key
}

// A DamageError says that the log can't be read at some place. Everything before it was delivered.
type DamageError struct {
	Offset int64  // of what can't be read
	Thing  string // what is there, and what is wrong with it
	// Resumed is where the next call of Next will go on, or -1: then it returns io.EOF.
	Resumed int64
}

// Error implements error.
func (e *DamageError) Error() string {
	next := "the rest can't be read"
	if e.Resumed >= 0 {
		next = fmt.Sprintf("resumed at %d", e.Resumed)
	}
	return fmt.Sprintf("ulog: read at %d: %s; %s", e.Offset, e.Thing, next)
}

// ErrNotULog is wrapped by the error of NewReader for a file of another kind, and of Next for a log that needs more than
// this reader can do.
var ErrNotULog = errors.New("not a ULog file that this build reads")

const (
	fileHeader    = 16
	messageHeader = 3
	maxMessage    = messageHeader + math.MaxUint16
	maxSubs       = 4096
)

var (
	fileMagic = []byte{'U', 'L', 'o', 'g', 0x01, 0x12, 0x35}
	// syncMessage is a whole Synchronization Message.
	syncMessage = []byte{8, 0, 'S', 0x2f, 0x73, 0x13, 0x20, 0x25, 0x0c, 0xbb, 0x12}
)

// A Reader reads a log from its start to its end. It is not safe for concurrent use.
type Reader struct {
	in     *bufio.Reader
	class  packet.Class
	start  int64 // ns
	offset int64 // of the next byte of in
	used   int   // bytes at the front of in: the message that was delivered last
	done   error // what Next returns from now on

	formats   map[string][]field
	text      int // bytes of formats
	shapes    map[string]*shape
	flattened int
	subs      map[uint16]*subscription
	appended  []int64 // offsets that are still ahead
	skipped   int

	w packet.Writer
}

type subscription struct {
	layout *telemetry.Layout
	shape  *shape
}

// NewReader reads the header of a log.
func NewReader(r io.Reader, o Options) (*Reader, error) {
	if o.Class == 0 {
		o.Class = packet.Normal
	}
	in := bufio.NewReaderSize(r, maxMessage+len(syncMessage))
	b, err := in.Peek(fileHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("ulog: read header: %w", err)
	}
	if len(b) < fileHeader || !bytes.Equal(b[:len(fileMagic)], fileMagic) {
		return nil, fmt.Errorf("ulog: read header: %w", ErrNotULog)
	}
	start, err := nanoseconds(binary.LittleEndian.Uint64(b[8:]))
	if err != nil {
		return nil, fmt.Errorf("ulog: read header: %w: %w", ErrNotULog, err)
	}
	return &Reader{
		in: in, class: o.Class, start: start, used: fileHeader,
		formats: make(map[string][]field), shapes: make(map[string]*shape), subs: make(map[uint16]*subscription),
	}, nil
}

// Start returns when the log was begun, in ns since the autopilot's start.
func (r *Reader) Start() int64 { return r.start }

// Skipped returns how many messages of types that this reader does not know were passed over so far, as the format wants.
func (r *Reader) Skipped() int { return r.skipped }

// Next returns the next entry, in the order of the file, or io.EOF after the last. After a *DamageError it can be called
// again; every other error is final.
func (r *Reader) Next() (Entry, error) {
	for r.done == nil {
		r.discard(r.used)
		r.used = 0
		m, err := r.message()
		if err != nil {
			return Entry{}, err
		}
		if m == nil {
			continue
		}
		r.used = len(m)
		e := Entry{Offset: r.offset}
		ok, err := r.parse(&e, m[2], m[messageHeader:])
		if errors.Is(err, ErrNotULog) {
			r.done = err
			return Entry{}, err
		}
		if err != nil {
			return Entry{}, r.recover(fmt.Sprintf("message %q: %v", m[2:3], err), len(m))
		}
		if ok {
			return e, nil
		}
	}
	return Entry{}, r.done
}

func (r *Reader) discard(n int) {
	n, _ = r.in.Discard(n) // these bytes have been peeked at
	r.offset += int64(n)
}

// peek returns n bytes, or as many as there are before the end of the file or of this part of it.
func (r *Reader) peek(n int) ([]byte, error) {
	if len(r.appended) > 0 {
		n = int(min(int64(n), max(r.appended[0]-r.offset, 0)))
	}
	b, err := r.in.Peek(n)
	if err != nil && err != io.EOF {
		r.done = fmt.Errorf("ulog: read at %d: %w", r.offset, err)
		return nil, r.done
	}
	return b, nil
}

// message returns the message at the offset, in the reader's buffer; nil, nil if there is none here.
func (r *Reader) message() ([]byte, error) {
	b, err := r.peek(messageHeader)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		if len(r.appended) > 0 { // "Appended data": messages begin anew there
			r.appended = r.appended[1:]
			return nil, nil
		}
		r.done = io.EOF
		return nil, io.EOF
	}
	if len(b) < messageHeader {
		return nil, r.cut("message header cut short", len(b))
	}
	if !plausible(b) {
		return nil, r.recover(fmt.Sprintf("no message: type %#02x, size %d", b[2], binary.LittleEndian.Uint16(b)), 0)
	}
	typ, size := b[2], messageHeader+int(binary.LittleEndian.Uint16(b))
	if b, err = r.peek(size + len(syncMessage) - 1); err != nil {
		return nil, err
	}
	if len(b) < size {
		// Either the file ends here, or the size is damaged and swallowed what follows.
		return nil, r.recover(fmt.Sprintf("message %q of %d bytes, but only %d are left", typ, size, len(b)), 0)
	}
	if bytes.Contains(b[messageHeader:], syncMessage) {
		return nil, r.recover(fmt.Sprintf("message %q of %d bytes has a sync message in it", typ, size), 0)
	}
	return b[:size], nil
}

// cut reports a part of the file that ends after n more bytes, and passes over them.
func (r *Reader) cut(thing string, n int) error {
	e := &DamageError{Offset: r.offset, Thing: thing, Resumed: -1}
	r.discard(n)
	if len(r.appended) > 0 {
		e.Resumed = r.appended[0]
	}
	return e
}

// plausible reports whether b may begin a message. A type that is a letter may come from a newer logger.
func plausible(b []byte) bool {
	return len(b) >= messageHeader && b[2] >= 'A' && b[2] <= 'Z' && (b[0] != 0 || b[1] != 0)
}

// recover reports damage at the offset and moves to where reading can go on: behind the message of this size, if that is not 0
// and another seems to follow, else to the next sync message, else to the next appended part.
func (r *Reader) recover(thing string, size int) error {
	e := &DamageError{Offset: r.offset, Thing: thing}
	r.used = 0
	if size > 0 {
		b, err := r.peek(size + messageHeader)
		if err != nil {
			return err
		}
		if len(b) == size || plausible(b[min(size, len(b)):]) {
			r.discard(size)
			e.Resumed = r.offset
			return e
		}
	}
	r.discard(1)
	for {
		b, err := r.peek(maxMessage)
		if err != nil {
			return err
		}
		if i := bytes.Index(b, syncMessage); i >= 0 {
			r.discard(i)
			e.Resumed = r.offset
			return e
		}
		if len(b) < len(syncMessage) {
			return r.give(e, len(b))
		}
		r.discard(len(b) - len(syncMessage) + 1)
	}
}

// give passes over the last n bytes of this part, in which nothing can be found.
func (r *Reader) give(e *DamageError, n int) error {
	r.discard(n)
	if e.Resumed = -1; len(r.appended) > 0 {
		e.Resumed = r.appended[0]
	}
	return e
}

// parse takes in a message and reports whether it is an entry.
func (r *Reader) parse(e *Entry, typ byte, body []byte) (bool, error) {
	switch typ {
	case 'B':
		return false, r.flagBits(body)
	case 'F':
		return false, r.format(string(body))
	case 'A':
		return false, r.subscribe(body)
	case 'R':
		return false, r.unsubscribe(body)
	case 'D':
		e.Kind = Data
		return true, r.data(e, body)
	case 'L':
		return true, parseLog(e, body, 1)
	case 'C':
		return true, parseLog(e, body, 3)
	case 'O':
		if len(body) != 2 {
			return false, errSize
		}
		e.Kind, e.Dropout = Dropout, time.Duration(binary.LittleEndian.Uint16(body))*time.Millisecond
		return true, nil
	case 'I':
		e.Kind = Info
		return true, parseKey(e, body)
	case 'M':
		if len(body) == 0 {
			return false, errSize
		}
		e.Kind, e.Continued = Info, body[0] != 0
		return true, parseKey(e, body[1:])
	case 'P':
		e.Kind = Parameter
		return true, parseKey(e, body)
	case 'S':
		if !bytes.Equal(body, syncMessage[messageHeader:]) {
			return false, errors.New("sync bytes differ")
		}
		return false, nil
	case 'Q':
		return false, nil // default parameters: of no use without the firmware
	}
	r.skipped++
	return false, nil
}

var errSize = errors.New("wrong size")

// flagBits reads the Flag Bits Message.
func (r *Reader) flagBits(body []byte) error {
	const size = 8 + 8 + 3*8
	if len(body) < size {
		return errSize
	}
	incompatible := body[8:16]
	const appendedBit = 1
	for i, b := range incompatible {
		if i == 0 {
			b &^= appendedBit
		}
		if b != 0 {
			return fmt.Errorf("ulog: read flag bits: %w: incompatible flags % x", ErrNotULog, incompatible)
		}
	}
	if incompatible[0]&appendedBit == 0 {
		return nil
	}
	last := r.offset
	for b := body[16:size]; len(b) > 0; b = b[8:] {
		v := binary.LittleEndian.Uint64(b)
		if v == 0 {
			break
		}
		if v > math.MaxInt64 || int64(v) <= last {
			return fmt.Errorf("appended data at %d, which is not ahead", v)
		}
		last = int64(v)
		r.appended = append(r.appended, last)
	}
	return nil
}

func (r *Reader) format(text string) error {
	if r.text += len(text); r.text > maxFormatText || len(r.formats) >= maxFormats {
		return errors.New("too many formats")
	}
	name, fields, err := parseFormat(text)
	if err != nil {
		return err
	}
	if _, have := r.formats[name]; have {
		return nil // the same, repeated in appended data
	}
	r.formats[name] = fields
	return nil
}

// subscribe reads a Subscription Message.
func (r *Reader) subscribe(body []byte) error {
	if len(body) < 4 || len(body) > 3+telemetry.MaxName {
		return errSize
	}
	multi, id, name := body[0], binary.LittleEndian.Uint16(body[1:]), string(body[3:])
	if _, have := r.subs[id]; !have && len(r.subs) >= maxSubs {
		return errors.New("too many subscriptions")
	}
	s := r.shapes[name]
	if s == nil {
		var err error
		if s, err = flatten(r.formats, name, maxFlattened-r.flattened); err != nil {
			return err
		}
		r.flattened += len(s.fields)
		r.shapes[name] = s
	}
	l := &telemetry.Layout{Name: name, Kind: telemetry.Reading, Fields: s.fields}
	if multi > 0 {
		l.Name = fmt.Sprintf("%s/%d", name, multi)
	}
	if err := l.Validate(); err != nil {
		return err
	}
	r.subs[id] = &subscription{layout: l, shape: s}
	return nil
}

func (r *Reader) unsubscribe(body []byte) error {
	if len(body) != 2 {
		return errSize
	}
	delete(r.subs, binary.LittleEndian.Uint16(body))
	return nil
}

// data reads a Logged Data Message.
func (r *Reader) data(e *Entry, body []byte) error {
	if len(body) < 2 {
		return errSize
	}
	id := binary.LittleEndian.Uint16(body)
	sub := r.subs[id]
	if sub == nil {
		return fmt.Errorf("data of %d, which is not subscribed to", id)
	}
	body = body[2:]
	s := sub.shape
	if len(body) < s.least || len(body) > s.size {
		return fmt.Errorf("data of %q: %d bytes, want %d", sub.layout.Name, len(body), s.least)
	}
	mono, err := nanoseconds(binary.LittleEndian.Uint64(body[s.timestamp:]))
	if err != nil {
		return fmt.Errorf("data of %q: %w", sub.layout.Name, err)
	}
	r.w.Reset(nil, packet.Header{Layout: uint64(sub.layout.ID()), Mono: mono, Class: r.class})
	for _, c := range s.columns {
		writeColumn(&r.w, c, body[c.offset:])
	}
	p, err := r.w.Bytes()
	if err != nil {
		return fmt.Errorf("data of %q: %w", sub.layout.Name, err)
	}
	e.Record = telemetry.Record{Layout: sub.layout, Packet: p}
	return nil
}

// writeColumn writes the values of a column that begins at b.
func writeColumn(w *packet.Writer, c column, b []byte) {
	if c.scalar.typ == packet.String {
		b = b[:c.count]
		if i := bytes.IndexByte(b, 0); i >= 0 {
			b = b[:i]
		}
		w.String(string(b))
		return
	}
	for range c.count {
		switch c.scalar.typ {
		case packet.Float32:
			w.Float32(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		case packet.Float64:
			w.Float64(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		case packet.Bool:
			w.Bool(b[0] != 0)
		case packet.Uint64:
			w.Uint64(integer(b, c.scalar.size))
		case packet.Int64:
			shift := 64 - 8*c.scalar.size
			w.Int64(int64(integer(b, c.scalar.size)<<shift) >> shift)
		}
		b = b[c.scalar.size:]
	}
}

func integer(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// parseLog reads a Logged String Message; what comes after its time is text. before is the bytes before the time.
func parseLog(e *Entry, body []byte, before int) error {
	if len(body) < before+8 {
		return errSize
	}
	mono, err := nanoseconds(binary.LittleEndian.Uint64(body[before:]))
	if err != nil {
		return err
	}
	e.Kind, e.Mono, e.Text = Log, mono, string(body[before+8:])
	// The levels are the kernel's, as characters: '0' emergency, '3' error, '4' warning, '5' notice, '6' info, '7' debug.
	switch level := body[0]; {
	case level <= '2':
		e.Level = packet.Critical
	case level == '3':
		e.Level = packet.Error
	case level == '4':
		e.Level = packet.Warning
	case level <= '6':
		e.Level = packet.Info
	default:
		e.Level = packet.Debug
	}
	return nil
}

// parseKey reads a length, "type name" of that length, and the value.
func parseKey(e *Entry, body []byte) error {
	if len(body) == 0 || len(body) < 1+int(body[0]) {
		return errSize
	}
	key := string(body[1 : 1+int(body[0])])
	var ok bool
	if e.Type, e.Key, ok = strings.Cut(key, " "); !ok {
		return fmt.Errorf("key %q without a type", key)
	}
	e.Value = body[1+int(body[0]):]
	if strings.HasPrefix(e.Type, "char[") {
		e.Text = string(e.Value)
	}
	return nil
}

// nanoseconds converts a log's microseconds.
func nanoseconds(us uint64) (int64, error) {
	if us > math.MaxInt64/1000 {
		return 0, fmt.Errorf("time of %d µs is out of range", us)
	}
	return int64(us) * 1000, nil
}
