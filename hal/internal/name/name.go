package name

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fulmar-io/fulmar/hal"
)

// Of returns the word for the hardware that a resource names; how it is set up is not part of it. Blanks, controls and
// percent signs in a path are escaped as %XX.
func Of(r hal.Resource) string {
	s := r.Kind.String() + ":" + escape(r.Path)
	if r.Kind == hal.KindI2C {
		s += fmt.Sprintf(":0x%02x", r.Address)
	}
	return s
}

// Parse returns the resource that Of wrote.
func Parse(s string) (hal.Resource, error) {
	var r hal.Resource
	kind, path, ok := strings.Cut(s, ":")
	if !ok {
		return r, fmt.Errorf("%q is not kind:path", s)
	}
	for k := hal.KindInput; k <= hal.KindCAN; k++ {
		if k.String() == kind {
			r.Kind = k
		}
	}
	if r.Kind == 0 {
		return r, fmt.Errorf("there is no kind %q", kind)
	}
	if r.Kind == hal.KindI2C {
		i := strings.LastIndexByte(path, ':')
		if i < 0 {
			return r, fmt.Errorf("%q has no address", s)
		}
		address, err := strconv.ParseUint(path[i+1:], 0, 16)
		if err != nil {
			return r, fmt.Errorf("%q has no address: %w", s, err)
		}
		r.Address, path = uint16(address), path[:i]
	}
	var err error
	if r.Path, err = unescape(path); err != nil {
		return r, fmt.Errorf("%q: %w", s, err)
	}
	if r.Path == "" {
		return r, fmt.Errorf("%q has no path", s)
	}
	return r, nil
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '%' || c == 0x7F {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("an escape is cut off")
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("an escape is not hexadecimal: %w", err)
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String(), nil
}

// Listed returns a hint about the names that exist, sorted: the one that was probably meant, and a list of at most 12.
func Listed(wanted string, have []string) string {
	if len(have) == 0 {
		return "there is none"
	}
	have = slices.Clone(have)
	slices.Sort(have)
	have = slices.Compact(have)
	hint := ""
	if near := Nearest(wanted, have); near != "" {
		hint = "did you mean " + near + "? "
	}
	rest := ""
	if n := len(have) - 12; n > 0 {
		have, rest = have[:12], fmt.Sprintf(" and %d more", n)
	}
	return hint + "there is " + strings.Join(have, ", ") + rest
}

// Nearest returns the one of the names that differs from wanted by the fewest edits, if those are at most a third of it
// (but one is always allowed), or nothing.
func Nearest(wanted string, have []string) string {
	best, near := max(1, len(wanted)/3)+1, ""
	for _, h := range have {
		if d := distance(wanted, h); d < best {
			best, near = d, h
		}
	}
	return near
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
