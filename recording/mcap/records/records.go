package records

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/fulmar-io/fulmar/recording/mcap"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Keys of a channel's metadata, and the name of the Metadata records about boots.
const (
	keyDevice   = "fulmar.device"
	keyLayout   = "fulmar.layout"
	keyLayoutID = "fulmar.layout_id"
	bootName    = "fulmar.boot"
	encoding    = "protobuf"
)

// A Writer writes entries as an MCAP file. It holds what an mcap.Writer does, and a little for each layout and boot.
type Writer struct {
	file     *mcap.Writer
	schemas  map[telemetry.LayoutID]writtenSchema
	channels map[channelKey]uint16
	boots    map[bootKey]string // as text
	buf      []byte
}

type writtenSchema struct {
	id   uint16
	plan *plan
}

type channelKey struct {
	device string
	layout telemetry.LayoutID
}

type bootKey struct {
	device string
	boot   telemetry.Boot
}

// NewWriter begins a file.
func NewWriter(out io.Writer, o mcap.WriterOptions) (*Writer, error) {
	file, err := mcap.NewWriter(out, o)
	if err != nil {
		return nil, err
	}
	return &Writer{file: file, schemas: make(map[telemetry.LayoutID]writtenSchema), channels: make(map[channelKey]uint16),
		boots: make(map[bootKey]string)}, nil
}

// Write adds a record. Its packet is copied. The error wraps ErrInvalid if the packet is not one of the layout or of the
// stream; the file can be gone on with after it, but not after others.
func (w *Writer) Write(e Entry) error {
	l := e.Record.Layout
	h, err := packet.ParseHeader(e.Record.Packet)
	switch {
	case err != nil:
		return fmt.Errorf("records: write %q: %w: %w", l.Name, ErrInvalid, err)
	case telemetry.LayoutID(h.Layout) != l.ID():
		return fmt.Errorf("records: write %q: %w: packet of layout %016x", l.Name, ErrInvalid, h.Layout)
	case h.Class != e.Stream.Class:
		return fmt.Errorf("records: write %q: %w: class %s in a stream of class %s", l.Name, ErrInvalid, h.Class, e.Stream.Class)
	}
	s, err := w.schema(l)
	if err != nil {
		return fmt.Errorf("records: write %q: %w", l.Name, err)
	}
	channel, err := w.channel(e.Stream.Device, l, s.id)
	if err != nil {
		return fmt.Errorf("records: write %q: %w", l.Name, err)
	}
	boot, err := w.boot(e.Stream)
	if err != nil {
		return fmt.Errorf("records: write %q: %w", l.Name, err)
	}
	if w.buf, err = s.plan.append(w.buf[:0], h, boot, e.Time, e.Record.Packet); err != nil {
		return fmt.Errorf("records: write %q: %w", l.Name, err)
	}
	t := uint64(max(e.Time, 0))
	return w.file.Write(channel, uint32(h.Seq), t, t, w.buf)
}

func (w *Writer) schema(l *telemetry.Layout) (writtenSchema, error) {
	if s, have := w.schemas[l.ID()]; have {
		return s, nil
	}
	if err := l.Validate(); err != nil {
		return writtenSchema{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	id, err := w.file.AddSchema(schemaName(l), encoding, schemaData(l))
	if err != nil {
		return writtenSchema{}, err
	}
	s := writtenSchema{id: id, plan: newPlan(l)}
	w.schemas[l.ID()] = s
	return s, nil
}

func (w *Writer) channel(device string, l *telemetry.Layout, schema uint16) (uint16, error) {
	key := channelKey{device: device, layout: l.ID()}
	if id, have := w.channels[key]; have {
		return id, nil
	}
	if err := telemetry.ValidateDevice(device); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	text, err := shapeOf(l).text()
	if err != nil {
		return 0, err
	}
	id, err := w.file.AddChannel(schema, "/"+device+"/"+l.Name, encoding,
		map[string]string{keyDevice: device, keyLayout: text, keyLayoutID: l.ID().String()})
	if err != nil {
		return 0, err
	}
	w.channels[key] = id
	return id, nil
}

func (w *Writer) boot(s telemetry.Stream) (string, error) {
	key := bootKey{device: s.Device, boot: s.Boot}
	if text, have := w.boots[key]; have {
		return text, nil
	}
	text := s.Boot.String()
	err := w.file.WriteMetadata(mcap.Metadata{Name: bootName, Values: map[string]string{"device": s.Device, "boot": text}})
	if err != nil {
		return "", err
	}
	w.boots[key] = text
	return text, nil
}

// WriteMetadata adds keys and values about the recording. Names that begin with "fulmar." are this project's.
func (w *Writer) WriteMetadata(m mcap.Metadata) error { return w.file.WriteMetadata(m) }

// Flush writes what was gathered, so that a crash can not cost it.
func (w *Writer) Flush() error { return w.file.Flush() }

// Close makes the file whole. It does not close what is written to.
func (w *Writer) Close() error { return w.file.Close() }

// shape is a layout in JSON.
type shape struct {
	Name   string       `json:"name"`
	Kind   string       `json:"kind"`
	Fields []shapeField `json:"fields"`
}

// maxShape is twice what the binary form may have, for what JSON escapes, and the names of the keys.
const maxShape = 2*telemetry.MaxLayoutBinary + 80*(telemetry.MaxFields+1)

type shapeField struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Len  int    `json:"len,omitempty"` // of a vector
	Unit string `json:"unit,omitempty"`
}

func shapeOf(l *telemetry.Layout) shape {
	s := shape{Name: l.Name, Kind: l.Kind.String(), Fields: make([]shapeField, len(l.Fields))}
	for i, f := range l.Fields {
		s.Fields[i] = shapeField{Name: f.Name, Type: f.Type.String(), Unit: f.Unit}
		if f.Elements() > 1 {
			s.Fields[i].Len = f.Len
		}
	}
	return s
}

func (s shape) text() (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // names and units stay readable, and as short as maxShape expects
	err := enc.Encode(s)
	return strings.TrimSpace(b.String()), err
}

func parseShape(text string) (*telemetry.Layout, error) {
	var s shape
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, err
	}
	l := &telemetry.Layout{Name: s.Name, Fields: make([]telemetry.Field, len(s.Fields))}
	for k := telemetry.Reading; k.Valid(); k++ {
		if k.String() == s.Kind {
			l.Kind = k
		}
	}
	for i, f := range s.Fields {
		l.Fields[i] = telemetry.Field{Name: f.Name, Len: f.Len, Unit: f.Unit}
		for t := packet.Float64; t.Valid(); t++ {
			if t.String() == f.Type {
				l.Fields[i].Type = t
			}
		}
	}
	return l, l.Validate()
}

// ErrForeign is wrapped by the error of Decode for a message on a channel that no Writer of this package made.
var ErrForeign = errors.New("not a channel of Fulmar's")

// A Decoder makes entries of messages. The zero value is ready. It is for the messages of one file, and keeps a little
// for each channel.
type Decoder struct {
	sources map[*mcap.Channel]*source
	last    *mcap.Channel
	source  *source // of last
	message message
	packet  []byte
}

type source struct {
	device string
	plan   *plan
	err    error
}

// Decode returns the entry that a message holds. Its packet is the Decoder's and valid until the next call; the layout is
// for good, and the same for all messages of a channel. The error wraps ErrForeign or ErrInvalid.
func (d *Decoder) Decode(m mcap.Message) (Entry, error) {
	s := d.find(m.Channel)
	if s.err != nil {
		return Entry{}, fmt.Errorf("records: read %q: %w", m.Channel.Topic, s.err)
	}
	err := s.plan.parse(&d.message, m.Data)
	if err == nil {
		d.packet, err = d.message.packet(s.plan, d.packet)
	}
	if err == nil && (d.message.time > 0 || m.LogTime > 1<<63-1 || uint32(d.message.header.Seq) != m.Sequence) {
		err = errors.New("time or sequence differ inside and outside")
	}
	if err != nil {
		return Entry{}, fmt.Errorf("records: read %q: message %d: %w: %w", m.Channel.Topic, m.Sequence, ErrInvalid, err)
	}
	e := Entry{Time: int64(m.LogTime), Record: telemetry.Record{Layout: s.plan.layout, Packet: d.packet},
		Stream: telemetry.Stream{Device: s.device, Boot: d.message.boot, Class: d.message.header.Class}}
	if d.message.time < 0 {
		e.Time = d.message.time
	}
	return e, nil
}

func (d *Decoder) find(c *mcap.Channel) *source {
	if c == d.last {
		return d.source
	}
	s, have := d.sources[c]
	if !have {
		s = &source{device: c.Metadata[keyDevice]}
		if l, err := layoutOf(c); err != nil {
			s.err = err
		} else {
			s.plan = newPlan(l)
		}
		if d.sources == nil {
			d.sources = make(map[*mcap.Channel]*source)
		}
		d.sources[c] = s
	}
	d.last, d.source = c, s
	return s
}

// layoutOf returns the layout of a channel.
func layoutOf(c *mcap.Channel) (*telemetry.Layout, error) {
	text, ok := c.Metadata[keyLayout]
	if !ok || c.MessageEncoding != encoding {
		return nil, ErrForeign
	}
	if err := telemetry.ValidateDevice(c.Metadata[keyDevice]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(text) > maxShape {
		return nil, fmt.Errorf("%w: layout of %d bytes", ErrInvalid, len(text))
	}
	l, err := parseShape(text)
	if err != nil {
		return nil, fmt.Errorf("%w: layout: %w", ErrInvalid, err)
	}
	if id := c.Metadata[keyLayoutID]; id != l.ID().String() {
		return nil, fmt.Errorf("%w: layout %s hashes to %s", ErrInvalid, id, l.ID())
	}
	return l, nil
}
