package filter

import (
	"fmt"
	"strings"

	"github.com/fulmar-io/fulmar/telemetry"
)

// Limits of a pattern.
const (
	MaxPattern      = 1024 // bytes
	MaxAlternatives = 64   // plain patterns that the braces of one stand for
)

// Pattern matches names of layouts, "component/port", as a whole:
//
//	a-z A-Z 0-9 _ - /   themselves
//	?                   one character that is not '/'
//	*                   any characters, or none, but no '/'
//	**                  any characters, or none, '/' among them
//	{a,b}               a or b, which may hold everything above, but no braces
//
// So "imu/*" matches "imu/accel" and neither "imu/accel/raw" nor "imu"; "imu/**" matches the first two, "imu**" also
// "imu2/accel", and "{imu,imu/**}" all that belongs to imu. The empty pattern is none; where a pattern may be left out
// it says what is meant.
type Pattern string

// UnmarshalText implements encoding.TextUnmarshaler. An error names the position.
func (p *Pattern) UnmarshalText(b []byte) error {
	if _, err := Pattern(b).compile(); err != nil {
		return err
	}
	*p = Pattern(b)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p), nil }

// Match reports whether the pattern matches a name. It compiles the pattern each time; a Set does so once.
func (p Pattern) Match(name string) (bool, error) {
	m, err := p.compile()
	if err != nil {
		return false, err
	}
	return m.match(name), nil
}

// What a pattern is made of. A literal is its character; the others are characters that no name has.
const (
	anyOne  = '?'
	anyRun  = '*'
	anyPath = '+'
)

// matcher is a compiled pattern: its alternatives, each without braces.
type matcher [][]byte

func (p Pattern) compile() (matcher, error) {
	if p == "" {
		return nil, fmt.Errorf("filter: pattern %w: it is empty", telemetry.ErrInvalid)
	}
	if len(p) > MaxPattern {
		return nil, fmt.Errorf("filter: pattern of %d bytes: %w: want at most %d", len(p), telemetry.ErrInvalid, MaxPattern)
	}
	c := compiler{pattern: string(p), prefixes: matcher{nil}}
	if err := c.run(); err != nil {
		return nil, err
	}
	return c.prefixes, nil
}

// compiler reads a pattern from left to right. What was read so far is every prefix followed by what of the braces,
// if they are open, has been read.
type compiler struct {
	pattern  string
	prefixes matcher
	open     int      // where the braces were opened, from 1; 0 if they are not
	choices  [][]byte // what the open braces hold, the last one unfinished
}

// bad returns an error about the character at byte i. Before it are only characters of one byte.
func (c *compiler) bad(i int, why string, args ...any) error {
	return fmt.Errorf("filter: pattern %q: character %d: %w: %s", c.pattern, i+1, telemetry.ErrInvalid, fmt.Sprintf(why, args...))
}

func (c *compiler) run() error {
	for i, r := range c.pattern {
		if err := c.next(i, r); err != nil {
			return err
		}
	}
	if c.open != 0 {
		return c.bad(c.open-1, "'{' is not closed")
	}
	for _, p := range c.prefixes {
		if len(p) == 0 {
			return c.bad(0, "an alternative is empty, and no name is")
		}
		if p[0] == '/' {
			return c.bad(0, "a name does not begin with '/'")
		}
	}
	return nil
}

func (c *compiler) next(i int, r rune) error {
	switch {
	case r == '*':
		switch {
		case strings.HasSuffix(c.pattern[:i], "**"):
			return c.bad(i, "three '*' in a row")
		case strings.HasSuffix(c.pattern[:i], "*"):
			c.widen()
		default:
			c.add(anyRun)
		}
	case r == '{':
		if c.open != 0 {
			return c.bad(i, "'{' within braces")
		}
		c.open, c.choices = i+1, [][]byte{nil}
	case r == ',' && c.open != 0:
		c.choices = append(c.choices, nil)
	case r == '}':
		return c.close(i)
	case r == '?' || r == '/' || r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
		c.add(byte(r))
	default:
		return c.bad(i, "%q is in no name", r)
	}
	return nil
}

func (c *compiler) add(b byte) {
	if c.open != 0 {
		last := len(c.choices) - 1
		c.choices[last] = append(c.choices[last], b)
		return
	}
	for i := range c.prefixes {
		c.prefixes[i] = append(c.prefixes[i], b)
	}
}

// widen makes the '*' that was just added a "**".
func (c *compiler) widen() {
	if c.open != 0 {
		last := c.choices[len(c.choices)-1]
		last[len(last)-1] = anyPath
		return
	}
	for _, p := range c.prefixes {
		p[len(p)-1] = anyPath
	}
}

// close puts each choice behind each prefix.
func (c *compiler) close(i int) error {
	if c.open == 0 {
		return c.bad(i, "'}' without '{'")
	}
	if len(c.prefixes)*len(c.choices) > MaxAlternatives {
		return c.bad(i, "more than %d alternatives", MaxAlternatives)
	}
	var all matcher
	for _, prefix := range c.prefixes {
		for _, choice := range c.choices {
			all = append(all, append(append([]byte(nil), prefix...), choice...))
		}
	}
	c.prefixes, c.open, c.choices = all, 0, nil
	return nil
}

func (m matcher) match(name string) bool {
	for _, p := range m {
		if matches(p, name) {
			return true
		}
	}
	return false
}

// matches walks all ways through the pattern at once: after each character of the name, at holds the places that can be
// reached. Its time is the product of both lengths, whatever the pattern.
func matches(pattern []byte, name string) bool {
	at := make([]bool, len(pattern)+1)
	next := make([]bool, len(pattern)+1)
	at[0] = true
	skipRuns(pattern, at)
	for _, c := range []byte(name) {
		clear(next)
		for i, p := range pattern {
			if !at[i] {
				continue
			}
			switch {
			case p == anyPath || p == anyRun && c != '/':
				next[i] = true
			case p == c || p == anyOne && c != '/':
				next[i+1] = true
			}
		}
		at, next = next, at
		skipRuns(pattern, at)
	}
	return at[len(pattern)]
}

// skipRuns adds the places that are reached when runs match nothing.
func skipRuns(pattern []byte, at []bool) {
	for i, p := range pattern {
		if at[i] && (p == anyRun || p == anyPath) {
			at[i+1] = true
		}
	}
}
