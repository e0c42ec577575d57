package web

import (
	"encoding/json"
	"math"
	"testing"
)

// Milliseconds are exact to the nanosecond, before 1970 too.
func TestMillis(t *testing.T) {
	for ns, want := range map[int64]string{
		0: "0", 1: "0.000001", 1_000_000: "1", 1_500_000: "1.5", 1_767_225_600_000_250_000: "1767225600000.25",
		math.MaxInt64: "9223372036854.775807",
		-1:            "-0.000001", -1_000_000: "-1", -1_500_000: "-1.5", -999_999: "-0.999999", -12_345_678_900: "-12345.6789",
		math.MinInt64: "-9223372036854.775808",
	} {
		b, err := json.Marshal(times{ns})
		if err != nil || string(b) != "["+want+"]" {
			t.Errorf("%d ns: %s, %v, want %s", ns, b, err, want)
		}
	}
}
