package haltest

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// parse reads a recording: the transactions of each resource, in order.
func parse(r io.Reader) (map[string][]transaction, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxRecording+1))
	if err != nil {
		return nil, fmt.Errorf("haltest: read a recording: %w", err)
	}
	if len(data) > maxRecording {
		return nil, fmt.Errorf("haltest: read a recording: it is longer than %d bytes", maxRecording)
	}
	lines := strings.Split(string(data), "\n")
	if strings.TrimSuffix(lines[0], "\r") != header {
		return nil, fmt.Errorf("haltest: read a recording: the first line is not %q", header)
	}
	all := make(map[string][]transaction)
	for i, line := range lines[1:] {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		resource, t, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("haltest: read a recording: line %d: %w", i+2, err)
		}
		t.line = i + 2
		all[resource] = append(all[resource], t)
	}
	return all, nil
}

func parseLine(line string) (string, transaction, error) {
	var t transaction
	if len(line) > maxLine {
		return "", t, fmt.Errorf("it is longer than %d bytes", maxLine)
	}
	line, text, failed := strings.Cut(line, " ! ")
	words := strings.Split(line, " ")
	if len(words) < 3 {
		return "", t, errors.New("want a time, a resource and a call")
	}
	var err error
	if t.at, err = strconv.ParseInt(words[0], 10, 64); err != nil {
		return "", t, fmt.Errorf("%q is no time", words[0])
	}
	r, err := name.Parse(words[1])
	if err != nil {
		return "", t, err
	}
	t.call = words[2]
	if failed {
		if t.err, err = parseError(text); err != nil {
			return "", t, err
		}
	}
	if err := t.arguments(r, words[3:]); err != nil {
		return "", t, fmt.Errorf("%s: %w", t.call, err)
	}
	return name.Of(r), t, nil
}

// arguments takes what follows the call, for the kind of a resource.
func (t *transaction) arguments(r hal.Resource, words []string) error {
	if t.call == "open" {
		return t.parseOpen(r, words)
	}
	out, in, n, err := sections(words)
	if err != nil {
		return err
	}
	if n != nil && (r.Kind != hal.KindUART || t.call != "write") {
		return errors.New("n is of a uart's write alone")
	}
	if t.call == "close" {
		return want(len(out)+len(in), 0)
	}
	switch {
	case r.Kind == hal.KindInput && t.call == "read":
		return t.one(in, func(s string) (err error) { t.level, err = parseLevel(s); return err })
	case r.Kind == hal.KindInput && t.call == "edges":
		return each(in, func(s string) error {
			e, err := parseEdge(s)
			t.edges = append(t.edges, e)
			return err
		})
	case r.Kind == hal.KindOutput && t.call == "write":
		if err := want(len(out), 1); err != nil {
			return err
		}
		t.level, err = parseLevel(out[0])
		return err
	case r.Kind == hal.KindPWM && t.call == "set":
		if err := want(len(out), 2); err != nil {
			return err
		}
		if t.n, err = strconv.ParseInt(out[0], 10, 64); err != nil {
			return err
		}
		t.high, err = strconv.ParseInt(out[1], 10, 64)
		return err
	case r.Kind == hal.KindADC && t.call == "volts":
		return t.one(in, func(s string) (err error) { t.volts, err = strconv.ParseFloat(s, 64); return err })
	case r.Kind == hal.KindCounter && t.call == "count":
		return t.one(in, func(s string) (err error) { t.n, err = strconv.ParseInt(s, 10, 64); return err })
	case r.Kind == hal.KindI2C && t.call == "tx", r.Kind == hal.KindSPI && t.call == "tx", r.Kind == hal.KindUART:
		return t.parseBytes(r.Kind, out, in, n)
	case r.Kind == hal.KindCAN && t.call == "send":
		if err := want(len(out), 1); err != nil {
			return err
		}
		f, err := parseFrame(out[0])
		t.frames = []hal.Frame{f}
		return err
	case r.Kind == hal.KindCAN && t.call == "receive":
		return each(in, func(s string) error {
			f, err := parseFrame(s)
			t.frames = append(t.frames, f)
			return err
		})
	}
	return fmt.Errorf("a %s has no such call", r.Kind)
}

func (t *transaction) parseOpen(r hal.Resource, words []string) error {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		bits := 32
		if key == "mode" {
			bits = 8
		}
		n, err := strconv.ParseUint(value, 10, bits)
		switch {
		case w == "pull-up":
			r.PullUp = true
		case key == "rate" && err == nil:
			r.RateHz = uint32(n)
		case key == "mode" && err == nil:
			r.Mode = uint8(n)
		default:
			return fmt.Errorf("%q says nothing", w)
		}
	}
	t.opened = r
	return nil
}

func (t *transaction) parseBytes(k hal.Kind, out, in, n []string) (err error) {
	if k == hal.KindUART && t.call != "read" && t.call != "write" {
		return fmt.Errorf("a %s has no such call", k)
	}
	if t.out, err = parseBytes(out); err != nil {
		return err
	}
	t.taken = len(t.out)
	if n != nil {
		if err := want(len(n), 1); err != nil {
			return err
		}
		if t.taken, err = strconv.Atoi(n[0]); err != nil || t.taken < 0 || t.taken > len(t.out) {
			return fmt.Errorf("%q is not how many were taken", n[0])
		}
	}
	if len(in) == 1 && in[0][0] == '*' {
		t.asked, err = strconv.Atoi(in[0][1:])
		if err != nil || t.asked < 0 || t.err == nil {
			return fmt.Errorf("%q is not how many were asked for in vain", in[0])
		}
		return nil
	}
	t.in, err = parseBytes(in)
	t.asked = len(t.in)
	return err
}

// one takes the one word that came in, which an error need not have.
func (t *transaction) one(in []string, take func(string) error) error {
	if t.err != nil && len(in) == 0 {
		return nil
	}
	if err := want(len(in), 1); err != nil {
		return err
	}
	return take(in[0])
}

func each(words []string, take func(string) error) error {
	for _, w := range words {
		if err := take(w); err != nil {
			return err
		}
	}
	return nil
}

func want(got, want int) error {
	if got != want {
		return fmt.Errorf("want %d words, got %d", want, got)
	}
	return nil
}

// sections splits words at w, r and n, each of which comes once at most.
func sections(words []string) (out, in, n []string, err error) {
	var into *[]string
	for _, w := range words {
		switch {
		case w == "w" && out == nil:
			into = &out
			out = []string{}
		case w == "r" && in == nil:
			into = &in
			in = []string{}
		case w == "n" && n == nil:
			into = &n
			n = []string{}
		case into == nil || w == "":
			return nil, nil, nil, fmt.Errorf("%q is out of place", w)
		default:
			*into = append(*into, w)
		}
	}
	return out, in, n, nil
}
