package extent

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Env is the variable that holds a stretch other than the short form, as FIRST:END.
const Env = "FULMAR_EXTENT"

// Of returns the stretch of cases to do, from first up to end: 0 up to short, or what the environment says.
func Of(t testing.TB, short uint64) (first, end uint64) {
	t.Helper()
	s := os.Getenv(Env)
	if s == "" {
		return 0, short
	}
	first, end, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return first, end
}

// Long reports whether the environment asks for a stretch: then this is no short form, and may take its time.
func Long() bool { return os.Getenv(Env) != "" }

// Parse reads a stretch.
func Parse(s string) (first, end uint64, err error) {
	if n, err := fmt.Sscanf(s, "%d:%d", &first, &end); n != 2 || err != nil || first >= end {
		return 0, 0, fmt.Errorf("extent: %s is %q: want FIRST:END", Env, s)
	}
	return first, end, nil
}

// String is the stretch as Parse reads it.
func String(first, end uint64) string { return fmt.Sprintf("%d:%d", first, end) }

// Covered says in the test's log how many of a thing were covered. The torture adds up what it finds there.
func Covered(t testing.TB, n uint64, what string) {
	t.Helper()
	t.Logf("%s%d %s", coveredPrefix, n, what)
}

// All says in the test's log how many of a thing there are: beyond them there is no case.
func All(t testing.TB, n uint64, what string) {
	t.Helper()
	t.Logf("%s%d %s", allPrefix, n, what)
}

const (
	coveredPrefix = "covered "
	allPrefix     = "out of "
)

// Line reads what Covered wrote from a line of a test's output.
func Line(line string) (n uint64, what string, ok bool) { return read(line, coveredPrefix) }

// AllLine reads what All wrote.
func AllLine(line string) (n uint64, what string, ok bool) { return read(line, allPrefix) }

func read(line, prefix string) (n uint64, what string, ok bool) {
	_, rest, ok := strings.Cut(line, ".go:")
	if !ok {
		return 0, "", false
	}
	_, rest, ok = strings.Cut(rest, ": "+prefix)
	if !ok {
		return 0, "", false
	}
	number, what, ok := strings.Cut(strings.TrimRight(rest, "\n"), " ")
	if !ok {
		return 0, "", false
	}
	_, err := fmt.Sscanf(number, "%d", &n)
	return n, what, err == nil
}
