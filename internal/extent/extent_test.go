package extent_test

import (
	"fmt"
	"testing"

	"github.com/fulmar-io/fulmar/internal/extent"
)

func TestAStretchIsWhatTheEnvironmentSays(t *testing.T) {
	t.Setenv(extent.Env, "")
	if first, end := extent.Of(t, 7); first != 0 || end != 7 || extent.Long() {
		t.Errorf("%d:%d without the variable, long %t", first, end, extent.Long())
	}
	t.Setenv(extent.Env, extent.String(20, 25))
	if first, end := extent.Of(t, 7); first != 20 || end != 25 || !extent.Long() {
		t.Errorf("%d:%d, long %t", first, end, extent.Long())
	}
	for _, bad := range []string{"20", "25:20", "3:3", "a:b", ":"} {
		if _, _, err := extent.Parse(bad); err == nil {
			t.Errorf("%q is a stretch", bad)
		}
	}
}

// What a test says of itself is read back, and nothing else is taken for it.
func TestOnlyATestsOwnLineCounts(t *testing.T) {
	for line, want := range map[string]uint64{
		"    crash_test.go:38: covered 6002 crash points\n": 6002,
		"    crash_test.go:38: covered 0 crash points":      0,
		"covered 12 crash points":                           0,
		"    crash_test.go:38: covered many crash points":   0,
		"    crash_test.go:38: uncovered 3 crash points":    0,
	} {
		n, what, ok := extent.Line(line)
		if n != want || ok && what != "crash points" {
			t.Errorf("%q: %d %q %t", line, n, what, ok)
		}
	}
	if n, what, ok := extent.AllLine("    damage_test.go:3: out of 12 bits"); n != 12 || what != "bits" || !ok {
		t.Errorf("%d %q %t", n, what, ok)
	}
}

func Example() {
	n, what, ok := extent.Line("    crash_test.go:38: covered 6002 crash points")
	fmt.Println(n, what, ok)
	// Output: 6002 crash points true
}
