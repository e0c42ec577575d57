package ulog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Limits on what a log's definitions may take, beyond those of telemetry.Layout.
const (
	maxFormats    = 4096
	maxFormatText = 16 << 20 // bytes of all definitions together
	maxNesting    = 16
	maxFlattened  = 1 << 18 // fields of all formats that are subscribed to, together
)

// scalar is one of the format's own types ("Data Types").
type scalar struct {
	size int
	typ  packet.Type
}

var scalars = map[string]scalar{
	"int8_t": {1, packet.Int64}, "int16_t": {2, packet.Int64}, "int32_t": {4, packet.Int64}, "int64_t": {8, packet.Int64},
	"uint8_t": {1, packet.Uint64}, "uint16_t": {2, packet.Uint64}, "uint32_t": {4, packet.Uint64}, "uint64_t": {8, packet.Uint64},
	"float": {4, packet.Float32}, "double": {8, packet.Float64}, "bool": {1, packet.Bool}, "char": {1, packet.String},
}

// field is one field of a format as it is written: "uint8_t[5] name".
type field struct {
	typ   string
	count int // -1 if not an array
	name  string
}

// parseFormat reads "name:type field;type field;".
func parseFormat(text string) (name string, fields []field, err error) {
	name, rest, ok := strings.Cut(text, ":")
	if !ok || name == "" || len(name) > telemetry.MaxName {
		return "", nil, errors.New("format without a name")
	}
	for part := range strings.SplitSeq(rest, ";") {
		if part == "" {
			continue
		}
		f, err := parseField(part)
		if err != nil {
			return "", nil, fmt.Errorf("format %q: %w", name, err)
		}
		if len(fields) == telemetry.MaxFields {
			return "", nil, fmt.Errorf("format %q: more than %d fields", name, telemetry.MaxFields)
		}
		fields = append(fields, f)
	}
	if len(fields) == 0 {
		return "", nil, fmt.Errorf("format %q: no fields", name)
	}
	return name, fields, nil
}

func parseField(text string) (field, error) {
	typ, name, ok := strings.Cut(strings.TrimLeft(text, " "), " ")
	name = strings.TrimSpace(name)
	if !ok || name == "" || typ == "" || len(name) > telemetry.MaxName || len(typ) > telemetry.MaxName {
		return field{}, fmt.Errorf("field %.40q: want a type and a name", text)
	}
	f := field{typ: typ, count: -1, name: name}
	if base, size, ok := strings.Cut(typ, "["); ok {
		n, err := strconv.Atoi(strings.TrimSuffix(size, "]"))
		if err != nil || n < 1 || n > 1<<16 || !strings.HasSuffix(size, "]") {
			return field{}, fmt.Errorf("field %q: array %.40q", name, typ)
		}
		f.typ, f.count = base, n
	}
	return f, nil
}

// column is a run of equal scalars in a message: what one field of the layout is made of.
type column struct {
	offset int
	count  int
	scalar scalar
}

// shape is a format with its nested formats put in their places.
type shape struct {
	fields    []telemetry.Field // shared by the layouts of all its subscriptions
	columns   []column
	timestamp int // offset
	size      int // bytes of a message, with padding at the end
	least     int // without
}

type flattener struct {
	formats map[string][]field
	budget  int // fields that may still be made
	out     *shape
}

var errTooManyFields = fmt.Errorf("more than %d fields", telemetry.MaxFields)

// flatten makes the shape of a format.
func flatten(formats map[string][]field, name string, budget int) (*shape, error) {
	s := &shape{timestamp: -1}
	f := flattener{formats: formats, budget: min(budget, telemetry.MaxFields), out: s}
	size, err := f.message(name, "", 0, 0)
	if err != nil {
		return nil, fmt.Errorf("format %q: %w", name, err)
	}
	s.size, s.least = size, size
	// "Nested Messages & Padding": the padding at the end of a message is not logged.
	if fields := formats[name]; strings.HasPrefix(fields[len(fields)-1].name, "_padding") {
		last := fields[len(fields)-1]
		if sc, ok := scalars[last.typ]; ok {
			s.least -= sc.size * max(last.count, 1)
		}
	}
	switch {
	case s.timestamp < 0:
		return nil, fmt.Errorf("format %q: no uint64_t timestamp", name)
	case len(s.fields) == 0:
		return nil, fmt.Errorf("format %q: no fields but the timestamp", name)
	}
	return s, nil
}

// message adds the fields of a format that begins at offset, and returns where it ends.
func (f *flattener) message(name, prefix string, offset, depth int) (int, error) {
	fields, ok := f.formats[name]
	if !ok {
		return 0, fmt.Errorf("type %.40q is not defined", name)
	}
	if depth > maxNesting {
		return 0, fmt.Errorf("nested deeper than %d", maxNesting)
	}
	for _, fd := range fields {
		sc, ok := scalars[fd.typ]
		if !ok {
			var err error
			if offset, err = f.nested(fd, prefix, offset, depth); err != nil {
				return 0, err
			}
			continue
		}
		size := sc.size * max(fd.count, 1)
		switch {
		case strings.HasPrefix(fd.name, "_padding"):
		case depth == 0 && fd.name == "timestamp" && fd.typ == "uint64_t" && fd.count < 0:
			f.out.timestamp = offset
		default:
			if err := f.add(prefix+fd.name, sc, max(fd.count, 1), offset); err != nil {
				return 0, err
			}
		}
		if offset += size; offset > 1<<16 {
			return 0, errors.New("larger than a message can be")
		}
	}
	return offset, nil
}

// nested adds a field that is a message, or an array of messages.
func (f *flattener) nested(fd field, prefix string, offset, depth int) (int, error) {
	var err error
	if fd.count < 0 {
		return f.message(fd.typ, prefix+fd.name+".", offset, depth+1)
	}
	for i := range fd.count {
		if offset, err = f.message(fd.typ, prefix+fd.name+"["+strconv.Itoa(i)+"].", offset, depth+1); err != nil {
			return 0, err
		}
	}
	return offset, nil
}

func (f *flattener) add(name string, sc scalar, count, offset int) error {
	if len(name) > telemetry.MaxName {
		return fmt.Errorf("field name of %d bytes", len(name))
	}
	if len(f.out.fields) >= f.budget {
		return errTooManyFields
	}
	tf := telemetry.Field{Name: name, Type: sc.typ}
	if sc.typ != packet.String && count > 1 {
		tf.Len = count
	}
	f.out.fields = append(f.out.fields, tf)
	f.out.columns = append(f.out.columns, column{offset: offset, count: count, scalar: sc})
	return nil
}
