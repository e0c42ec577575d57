package haltest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fulmar-io/fulmar/hal"
)

const (
	header = "hal recording 1"
	// maxLine and maxRecording bound what is read, in bytes.
	maxLine      = 1 << 20
	maxRecording = 64 << 20
)

// transaction is one line of a recording.
type transaction struct {
	line   int
	at     int64
	call   string
	out    []byte
	in     []byte
	asked  int   // bytes that a tx wanted to read
	taken  int   // bytes of out that a uart took
	level  bool  // of input and output
	n      int64 // count; period
	high   int64
	volts  float64
	edges  []hal.Edge
	frames []hal.Frame
	opened hal.Resource // what an open was made with
	err    error
}

// errorWords are the errors that have a name in a recording.
var errorWords = []struct {
	word string
	err  hal.Err
}{
	{"no-answer", hal.ErrNoAnswer}, {"gone", hal.ErrGone}, {"revoked", hal.ErrRevoked}, {"range", hal.ErrRange},
	{"unsupported", hal.ErrUnsupported},
}

// playedError is an error out of a recording.
type playedError struct {
	text string
	is   error
}

func (e *playedError) Error() string { return e.text }
func (e *playedError) Unwrap() error { return e.is }

func appendError(b []byte, err error) []byte {
	if err == nil {
		return b
	}
	b = append(b, " ! "...)
	for _, w := range errorWords {
		if !errors.Is(err, w.err) {
			continue
		}
		b = append(b, w.word...)
		if text := err.Error(); text != string(w.err) {
			b = strconv.AppendQuote(append(b, ' '), text)
		}
		return b
	}
	return strconv.AppendQuote(append(b, "other "...), err.Error())
}

func parseError(s string) (error, error) {
	word, quoted, more := strings.Cut(s, " ")
	var is error
	for _, w := range errorWords {
		if w.word == word {
			is = w.err
		}
	}
	if is == nil && (word != "other" || !more) {
		return nil, fmt.Errorf("%q is no error", s)
	}
	if !more {
		return is, nil
	}
	text, err := strconv.Unquote(quoted)
	if err != nil {
		return nil, fmt.Errorf("the text of an error is not quoted: %s", quoted)
	}
	return &playedError{text, is}, nil
}

func appendBytes(b, data []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range data {
		b = append(b, ' ', digits[c>>4], digits[c&15])
	}
	return b
}

func parseBytes(words []string) ([]byte, error) {
	data := make([]byte, 0, len(words))
	for _, w := range words {
		c, err := strconv.ParseUint(w, 16, 8)
		if err != nil || len(w) != 2 {
			return nil, fmt.Errorf("%q is no byte", w)
		}
		data = append(data, byte(c))
	}
	return data, nil
}

func levelWord(high bool) string {
	if high {
		return "high"
	}
	return "low"
}

func parseLevel(s string) (bool, error) {
	if s != "high" && s != "low" {
		return false, fmt.Errorf("%q is neither high nor low", s)
	}
	return s == "high", nil
}

func appendEdge(b []byte, e hal.Edge, start int64) []byte {
	b = strconv.AppendInt(append(b, ' '), e.At-start, 10)
	b = append(append(b, ':'), levelWord(e.High)...)
	if e.Missed > 0 {
		b = strconv.AppendUint(append(b, '+'), uint64(e.Missed), 10)
	}
	return b
}

func parseEdge(s string) (hal.Edge, error) {
	at, level, _ := strings.Cut(s, ":")
	level, missed, more := strings.Cut(level, "+")
	var e hal.Edge
	var err error
	if e.At, err = strconv.ParseInt(at, 10, 64); err != nil {
		return e, fmt.Errorf("%q is no edge", s)
	}
	if e.High, err = parseLevel(level); err != nil {
		return e, err
	}
	if more {
		n, err := strconv.ParseUint(missed, 10, 32)
		if err != nil {
			return e, fmt.Errorf("%q is no edge", s)
		}
		e.Missed = uint32(n)
	}
	return e, nil
}

func appendFrame(b []byte, f hal.Frame) []byte {
	const digits = "0123456789ABCDEF"
	n := 3
	if f.Extended {
		n = 8
	}
	b = append(b, ' ')
	for i := n - 1; i >= 0; i-- {
		b = append(b, digits[f.ID>>(4*i)&15])
	}
	b = append(b, '#')
	if f.Remote {
		return append(b, 'R', '0'+f.Len)
	}
	for _, c := range f.Data[:min(f.Len, 8)] {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

func parseFrame(s string) (hal.Frame, error) {
	var f hal.Frame
	bad := fmt.Errorf("%q is no frame", s)
	id, data, ok := strings.Cut(s, "#")
	n, err := strconv.ParseUint(id, 16, 32)
	if !ok || err != nil || len(id) != 3 && len(id) != 8 {
		return f, bad
	}
	f.ID, f.Extended = uint32(n), len(id) == 8
	if strings.HasPrefix(data, "R") {
		n, err := strconv.ParseUint(data[1:], 10, 4)
		f.Remote, f.Len = true, uint8(n)
		if err != nil || !f.Valid() || len(data) != 2 {
			return f, bad
		}
		return f, nil
	}
	if len(data)%2 != 0 || len(data) > 16 {
		return f, bad
	}
	for i := 0; i < len(data); i += 2 {
		c, err := strconv.ParseUint(data[i:i+2], 16, 8)
		if err != nil {
			return f, bad
		}
		f.Data[i/2] = byte(c)
		f.Len++
	}
	if !f.Valid() {
		return f, bad
	}
	return f, nil
}

func appendOpen(b []byte, r hal.Resource) []byte {
	if r.RateHz != 0 {
		b = strconv.AppendUint(append(b, " rate="...), uint64(r.RateHz), 10)
	}
	if r.Mode != 0 {
		b = strconv.AppendUint(append(b, " mode="...), uint64(r.Mode), 10)
	}
	if r.PullUp {
		b = append(b, " pull-up"...)
	}
	return b
}
