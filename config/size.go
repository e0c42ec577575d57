package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. It is written as an integer or with a unit: 64MiB, 1.5GB, 512KiB.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(b []byte) error {
	digits, unit := strings.TrimSpace(string(b)), 1.0
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil && unit == 1 {
		*s = Size(n)
	} else {
		f, err := strconv.ParseFloat(digits, 64)
		if err != nil || math.IsNaN(f) || math.Abs(f*unit) >= 1<<63 {
			return fmt.Errorf("%q is no size; write 67108864, 64MiB or 64MB", b)
		}
		*s = Size(f * unit)
	}
	if *s < 0 {
		return fmt.Errorf("%q is less than nothing", b)
	}
	return nil
}

// MarshalText writes the size with the largest unit of 2¹⁰, 2²⁰, … that leaves an integer.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String is the size as MarshalText writes it.
func (s Size) String() string {
	for _, u := range sizeUnits[:4] {
		if n := int64(u.bytes); s != 0 && int64(s)%n == 0 {
			return strconv.FormatInt(int64(s)/n, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
