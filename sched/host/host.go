package host

import (
	"fmt"
	"strings"
	"time"
)

// A Grade says how much a finding matters.
type Grade uint8

// The grades, best first.
const (
	Good   Grade = iota
	Better       // it works, and could work better
	Bad          // loops will be late
)

// String returns the grade in a word.
func (g Grade) String() string {
	switch g {
	case Good:
		return "good"
	case Better:
		return "could be better"
	case Bad:
		return "bad"
	}
	return "invalid"
}

// MarshalText implements encoding.TextMarshaler.
func (g Grade) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// A Finding is one thing about a machine that decides how late its loops may be.
type Finding struct {
	What   string `json:"what"` // "clock source"
	Grade  Grade  `json:"grade"`
	Detail string `json:"detail"`         // what there is, and what follows from it
	Cure   string `json:"cure,omitempty"` // a command that mends it, as root; empty if there is nothing to mend or no command does
}

// Taken is what a process has of its machine until Close.
type Taken struct {
	// Findings are what was asked for, one each: Good if it was had.
	Findings []Finding
	close    []func() error
}

// Close gives back what can be given back.
func (t *Taken) Close() error {
	var first error
	for _, f := range t.close {
		if err := f(); err != nil && first == nil {
			first = err
		}
	}
	t.close = nil
	return first
}

// Stolen returns what the first line of /proc/stat says was stolen from all processors by the host of a virtual machine, and
// their time in all.
func Stolen(stat string) (steal, total time.Duration) {
	const hertz = 100 // USER_HZ, of what /proc tells, is 100 on every architecture that Go has
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0
	}
	for i, s := range fields[1:9] {
		var ticks int64
		if _, err := fmt.Sscan(s, &ticks); err != nil {
			return 0, 0
		}
		d := time.Duration(ticks) * time.Second / hertz
		total += d
		if i == 7 {
			steal = d
		}
	}
	return steal, total
}
