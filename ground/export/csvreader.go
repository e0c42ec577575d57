package export

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/fulmar-io/fulmar/recording/mcap/records"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Errors that a CSVReader's wrap.
var (
	// ErrFormat: the file is not a CSV export, or a line of it was changed.
	ErrFormat = errors.New("not a CSV export")
	// ErrPartial: the lines of a record are not all of its layout's, as in an export of some series.
	ErrPartial = errors.New("record without all of its values")
)

const (
	// maxLine holds the longest string, whatever is in it, and the other columns.
	maxLine    = 4*packet.MaxSize + 4096
	maxLayouts = 1 << 16
)

// Columns of a line.
const (
	colDevice = iota
	colBoot
	colClass
	colSeq
	colTime
	colWall
	colMono
	colSeverity
	colLayout
	colLayoutID
	colKind
	colField
	colElement
	colType
	colUnit
	colValue
	columns
)

// keys are how many columns are the same in all lines of a record.
const keys = colField

// A CSVReader reads a CSV export back into records, bit for bit. It holds one record and what layouts there are.
type CSVReader struct {
	in      *bufio.Scanner
	line    int
	rows    [][columns]string // of one record
	next    [columns]string   // the line after them, if pending
	pending bool
	layouts map[string]*telemetry.Layout // by the columns layout, layout_id and kind
	missing uint64
	w       packet.Writer
	err     error // final
}

// NewCSVReader reads the head of a file. The error wraps ErrFormat if it is not one of Export's.
func NewCSVReader(in io.Reader) (*CSVReader, error) {
	r := &CSVReader{in: bufio.NewScanner(in), layouts: make(map[string]*telemetry.Layout)}
	r.in.Buffer(nil, maxLine)
	if !r.in.Scan() || r.in.Text() != csvHeader {
		if err := r.in.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("export: read: %w", err)
		}
		return nil, fmt.Errorf("export: read: %w: the first line is another", ErrFormat)
	}
	r.line = 1
	return r, nil
}

// Missing returns how many records the lines read so far say could not be read in the store.
func (r *CSVReader) Missing() uint64 { return r.missing }

// Next returns the next record, or io.EOF. Its packet is the reader's and valid until the next call. The error wraps
// ErrPartial, after which Next can be called again; others are final.
func (r *CSVReader) Next() (records.Entry, error) {
	if r.err != nil {
		return records.Entry{}, r.err
	}
	r.rows = r.rows[:0]
	for r.pending || r.in.Scan() {
		if !r.pending {
			r.line++
			if err := split(r.in.Bytes(), &r.next); err != nil {
				return records.Entry{}, r.fail(err)
			}
		}
		r.pending = true
		if len(r.rows) > 0 && !sameRecord(&r.rows[0], &r.next) {
			return r.record()
		}
		r.pending = false
		if r.next[colType] == missing {
			n, err := strconv.ParseUint(r.next[colValue], 10, 64)
			if err != nil {
				return records.Entry{}, r.fail(err)
			}
			r.missing += n
			continue
		}
		if len(r.rows) >= telemetry.MaxSeries {
			return records.Entry{}, r.fail(errors.New("too many lines for a record"))
		}
		r.rows = append(r.rows, r.next)
	}
	if err := r.in.Err(); err != nil {
		return records.Entry{}, r.fail(err)
	}
	if len(r.rows) == 0 {
		return records.Entry{}, io.EOF
	}
	return r.record()
}

func (r *CSVReader) fail(err error) error {
	r.err = fmt.Errorf("export: read line %d: %w: %w", r.line, ErrFormat, err)
	return r.err
}

func sameRecord(a, b *[columns]string) bool {
	for i := range keys {
		if a[i] != b[i] {
			return false
		}
	}
	return b[colType] != missing
}

// split takes a line apart. It takes memory for the cells only.
func split(line []byte, cells *[columns]string) error {
	for i := range cells {
		if i > 0 {
			if len(line) == 0 || line[0] != ',' {
				return fmt.Errorf("%d columns, want %d", i, len(cells))
			}
			line = line[1:]
		}
		cell, rest := line, []byte(nil)
		if len(line) > 0 && line[0] == '"' {
			var quoted []byte
			for line = line[1:]; ; line = line[1:] {
				at := bytes.IndexByte(line, '"')
				if at < 0 {
					return errors.New("a quote is not closed")
				}
				quoted = append(quoted, line[:at]...)
				if line = line[at+1:]; len(line) == 0 || line[0] != '"' {
					break
				}
				quoted = append(quoted, '"')
			}
			cell, rest = quoted, line
		} else if at := bytes.IndexByte(line, ','); at >= 0 {
			cell, rest = line[:at], line[at:]
		}
		if cells[i] != string(cell) { // mostly the same as in the line before
			cells[i] = string(cell)
		}
		line = rest
	}
	if len(line) > 0 {
		return errors.New("more columns than there should be")
	}
	return nil
}

// record makes a record of the rows.
func (r *CSVReader) record() (records.Entry, error) {
	row := &r.rows[0]
	l, err := r.layout()
	if err != nil {
		return records.Entry{}, err
	}
	e := records.Entry{Stream: telemetry.Stream{Device: row[colDevice]}, Record: telemetry.Record{Layout: l}}
	h := packet.Header{Layout: uint64(l.ID())}
	if err := parseHead(row, &e, &h); err != nil {
		return records.Entry{}, r.fail(err)
	}
	r.w.Reset(nil, h)
	i := 0
	for _, f := range l.Fields {
		for element := range f.Elements() {
			if i == len(r.rows) || r.rows[i][colField] != f.Name || r.rows[i][colElement] != elementText(f, element) || r.rows[i][colType] != f.Type.String() {
				return records.Entry{}, r.partial(row)
			}
			if err := writeValue(&r.w, f.Type, r.rows[i][colValue]); err != nil {
				return records.Entry{}, r.fail(fmt.Errorf("%s of record %s: %w", f.Name, row[colSeq], err))
			}
			i++
		}
	}
	if i != len(r.rows) {
		return records.Entry{}, r.partial(row)
	}
	if e.Record.Packet, err = r.w.Bytes(); err != nil {
		return records.Entry{}, r.fail(err)
	}
	return e, nil
}

func (r *CSVReader) partial(row *[columns]string) error {
	return fmt.Errorf("export: read %s of %s before line %d: %w", row[colSeq], row[colLayout], r.line, ErrPartial)
}

func elementText(f telemetry.Field, element int) string {
	if f.Elements() == 1 {
		return ""
	}
	return strconv.Itoa(element)
}

// layout returns the layout of the rows. It is put together from the rows of the first record that is whole.
func (r *CSVReader) layout() (*telemetry.Layout, error) {
	row := &r.rows[0]
	key := row[colLayout] + "," + row[colLayoutID] + "," + row[colKind]
	if l := r.layouts[key]; l != nil {
		return l, nil
	}
	l := &telemetry.Layout{Name: row[colLayout]}
	if err := l.Kind.UnmarshalText([]byte(row[colKind])); err != nil {
		return nil, r.fail(err)
	}
	for i := range r.rows {
		f := telemetry.Field{Name: r.rows[i][colField], Unit: r.rows[i][colUnit], Type: typeNamed(r.rows[i][colType])}
		if r.rows[i][colElement] == "" {
			l.Fields = append(l.Fields, f)
			continue
		}
		if n := len(l.Fields); n == 0 || l.Fields[n-1].Name != f.Name {
			l.Fields = append(l.Fields, f)
		}
		l.Fields[len(l.Fields)-1].Len++
	}
	if err := l.Validate(); err != nil {
		return nil, r.fail(err)
	}
	if l.ID().String() != row[colLayoutID] {
		return nil, r.partial(row)
	}
	if len(r.layouts) >= maxLayouts {
		return nil, r.fail(errors.New("too many layouts"))
	}
	r.layouts[key] = l
	return l, nil
}

// typeNamed returns the type of that name; 0 if none has it.
func typeNamed(name string) packet.Type {
	for t := packet.Float64; t.Valid(); t++ {
		if t.String() == name {
			return t
		}
	}
	return 0
}

// parseHead reads what all rows of a record share.
func parseHead(row *[columns]string, e *records.Entry, h *packet.Header) error {
	if err := telemetry.ValidateDevice(row[colDevice]); err != nil {
		return err
	}
	if len(row[colBoot]) != 2*len(e.Stream.Boot) {
		return fmt.Errorf("boot %q", row[colBoot])
	}
	var err error
	if e.Stream.Boot, err = telemetry.ParseBoot(row[colBoot]); err != nil {
		return err
	}
	if err := h.Class.UnmarshalText([]byte(row[colClass])); err != nil {
		return fmt.Errorf("%w %q", err, row[colClass])
	}
	e.Stream.Class = h.Class
	if err := h.Severity.UnmarshalText([]byte(row[colSeverity])); err != nil {
		return fmt.Errorf("%w %q", err, row[colSeverity])
	}
	if h.Seq, err = strconv.ParseUint(row[colSeq], 10, 64); err != nil {
		return err
	}
	for _, t := range []struct {
		v    *int64
		text string
	}{{&e.Time, row[colTime]}, {&h.Wall, row[colWall]}, {&h.Mono, row[colMono]}} {
		if *t.v, err = strconv.ParseInt(t.text, 10, 64); err != nil {
			return err
		}
	}
	return nil
}

// writeValue is the inverse of appendValue.
func writeValue(w *packet.Writer, typ packet.Type, s string) error {
	switch typ {
	case packet.Float64:
		bits, err := parseFloat(s, quietNaN64, 64)
		w.Float64(math.Float64frombits(bits))
		return err
	case packet.Float32:
		bits, err := parseFloat(s, quietNaN32, 32)
		w.Float32(math.Float32frombits(uint32(bits)))
		return err
	case packet.Int64:
		v, err := strconv.ParseInt(s, 10, 64)
		w.Int64(v)
		return err
	case packet.Uint64:
		v, err := strconv.ParseUint(s, 10, 64)
		w.Uint64(v)
		return err
	case packet.Bool:
		if s != "true" && s != "false" {
			return fmt.Errorf("bool %q", s)
		}
		w.Bool(s == "true")
		return nil
	}
	if digits, ok := strings.CutPrefix(s, hexPrefix); ok {
		b, err := hex.DecodeString(digits)
		w.String(string(b))
		return err
	}
	w.String(s)
	return nil
}

// parseFloat returns the bits of a float of that size.
func parseFloat(s string, quiet uint64, size int) (uint64, error) {
	if s == "nan" {
		return quiet, nil
	}
	if digits, ok := strings.CutPrefix(s, nanPrefix); ok {
		return strconv.ParseUint(digits, 16, size)
	}
	v, err := strconv.ParseFloat(s, size)
	if size == 32 {
		return uint64(math.Float32bits(float32(v))), err
	}
	return math.Float64bits(v), err
}
