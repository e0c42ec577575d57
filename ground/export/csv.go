package export

import (
	"bufio"
	"encoding/hex"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

const (
	csvHeader = "device,boot,class,seq,time_ns,wall_ns,mono_ns,severity,layout,layout_id,kind,field,element,type,unit,value"
	missing   = "missing" // in place of a type
)

// csvWriter is the sink of a CSV file.
type csvWriter struct {
	out    *bufio.Writer
	wanted map[string]bool // series; nil for all
	plans  map[telemetry.LayoutID]*csvPlan
	stream telemetry.Stream
	prefix []byte // the columns of stream
	head   []byte // those of a record
	line   []byte
}

// csvPlan is how a layout's rows are written.
type csvPlan struct{ columns []csvColumn }

type csvColumn struct {
	typ    packet.Type
	wanted bool
	text   string // the columns of layout and field
}

func newCSVWriter(w io.Writer, wanted map[string]bool) (*csvWriter, error) {
	c := &csvWriter{out: bufio.NewWriterSize(w, 64<<10), wanted: wanted, plans: make(map[telemetry.LayoutID]*csvPlan)}
	_, err := c.out.WriteString(csvHeader + "\n")
	return c, err
}

func (c *csvWriter) end() error { return c.out.Flush() }

func (c *csvWriter) plan(l *telemetry.Layout) *csvPlan {
	if p, have := c.plans[l.ID()]; have {
		return p
	}
	p := &csvPlan{columns: make([]csvColumn, 0, l.Series())}
	record := l.Name + "," + l.ID().String() + "," + l.Kind.String()
	for i, f := range l.Fields {
		for e := range f.Elements() {
			element := ""
			if f.Elements() > 1 {
				element = strconv.Itoa(e)
			}
			p.columns = append(p.columns, csvColumn{
				typ: f.Type, wanted: c.wanted == nil || c.wanted[l.SeriesName(i, e)],
				text: record + "," + f.Name + "," + element + "," + f.Type.String() + "," + string(appendQuoted(nil, f.Unit)) + ",",
			})
		}
	}
	c.plans[l.ID()] = p
	return p
}

// begin sets prefix.
func (c *csvWriter) begin(s telemetry.Stream) {
	if s != c.stream {
		c.stream = s
		c.prefix = append(c.prefix[:0], s.Device+","+s.Boot.String()+","+s.Class.String()+","...)
	}
}

func (c *csvWriter) record(r store.Stored) error {
	h, err := packet.ParseHeader(r.Record.Packet)
	if err != nil {
		return err
	}
	c.begin(r.Stream)
	b := strconv.AppendUint(append(c.head[:0], c.prefix...), h.Seq, 10)
	for _, t := range []int64{r.Time, h.Wall, h.Mono} {
		b = strconv.AppendInt(append(b, ','), t, 10)
	}
	b = append(append(append(b, ','), h.Severity.String()...), ',')
	c.head = b
	var rd packet.Reader
	rd.Reset(r.Record.Packet)
	p := c.plan(r.Record.Layout)
	for i := range p.columns {
		col := &p.columns[i]
		if !col.wanted {
			rd.Skip(col.typ)
			continue
		}
		line := append(append(c.line[:0], c.head...), col.text...)
		c.line = append(appendValue(line, col.typ, &rd), '\n')
		if _, err := c.out.Write(c.line); err != nil {
			return err
		}
	}
	return rd.Err(true)
}

func (c *csvWriter) missing(e *store.UnreadError) error {
	c.begin(e.Stream)
	b := strconv.AppendUint(append(c.line[:0], c.prefix...), e.First, 10)
	b = append(b, ",,,,,,,,,,"+missing+",,"...)
	c.line = append(strconv.AppendUint(b, e.Count, 10), '\n')
	_, err := c.out.Write(c.line)
	return err
}

// The NaN that arithmetic makes on most processors.
const (
	quietNaN64 = 0x7ff8_0000_0000_0000
	quietNaN32 = 0x7fc0_0000
	nanPrefix  = "nan:0x"
	hexPrefix  = "hex:"
)

// appendValue appends the next value of a packet.
func appendValue(b []byte, typ packet.Type, rd *packet.Reader) []byte {
	switch typ {
	case packet.Float64:
		v := rd.Float64()
		return appendFloat(b, v, math.Float64bits(v), quietNaN64, 64)
	case packet.Float32:
		v := rd.Float32()
		return appendFloat(b, float64(v), uint64(math.Float32bits(v)), quietNaN32, 32)
	case packet.Int64:
		return strconv.AppendInt(b, rd.Int64(), 10)
	case packet.Uint64:
		return strconv.AppendUint(b, rd.Uint64(), 10)
	case packet.Bool:
		return strconv.AppendBool(b, rd.Bool())
	}
	s := rd.Bytes()
	if !plain(s) {
		return hex.AppendEncode(append(b, hexPrefix...), s)
	}
	return appendQuoted(b, string(s))
}

// appendFloat appends a float of that size, whose bits are given beside it: a NaN does not survive every conversion.
func appendFloat(b []byte, v float64, bits, quiet uint64, size int) []byte {
	switch {
	case math.IsNaN(v) && bits == quiet:
		return append(b, "nan"...)
	case math.IsNaN(v):
		digits := strconv.FormatUint(bits, 16)
		b = append(b, nanPrefix...)
		b = append(b, strings.Repeat("0", size/4-len(digits))...)
		return append(b, digits...)
	case math.IsInf(v, 1):
		return append(b, "inf"...)
	case math.IsInf(v, -1):
		return append(b, "-inf"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, size)
}

// plain reports whether a string can stand in a line as it is.
func plain(s []byte) bool {
	if len(s) == 0 {
		return true
	}
	if strings.IndexByte("=+-@", s[0]) >= 0 || strings.HasPrefix(string(s[:min(len(s), len(hexPrefix))]), hexPrefix) {
		return false
	}
	for _, c := range s {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(s)
}

// appendQuoted appends a cell, quoted if it must be.
func appendQuoted(b []byte, s string) []byte {
	if !strings.ContainsAny(s, "\",") && strings.TrimSpace(s) == s {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
