package web

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestCursorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,8}\.[a-z]{1,8}`), 0, MaxSeries, rapid.ID[string]).Draw(t, "names")
		keys := []cursorKey{eventsKey}
		at := []int64{rapid.Int64Range(0, math.MaxInt64).Draw(t, "at")}
		for _, n := range names {
			keys = append(keys, keyOf(n))
			at = append(at, rapid.Int64Range(0, math.MaxInt64).Draw(t, "at"))
		}
		id := appendID(nil, keys, at)
		if len(id) > maxCursor {
			t.Fatalf("%d bytes", len(id))
		}
		c, err := parseID(string(id))
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range keys {
			if c[k] != at[i] {
				t.Fatalf("place %d is %d, want %d", i, c[k], at[i])
			}
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add(string(appendID(nil, []cursorKey{eventsKey, keyOf("imu.accel[0]")}, []int64{5, 1_767_225_600_000_000_000})))
	f.Add("AQ")
	f.Add("")
	f.Fuzz(func(t *testing.T, id string) {
		c, err := parseID(id)
		if err == nil && len(c) > MaxSeries+1 {
			t.Fatalf("%d places", len(c))
		}
		for _, at := range c {
			if at < 0 {
				t.Fatalf("a place at %d", at)
			}
		}
	})
}

func TestMillisAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64Range(0, math.MaxInt64).Draw(t, "ns")
		text := string(appendMillis(nil, ns))
		if got, ok := parseMillis(text); !ok || got != ns {
			t.Fatalf("%d became %q became %d %v", ns, text, got, ok)
		}
	})
}
