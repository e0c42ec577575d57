package frame

import (
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestTimeScales(t *testing.T) {
	for scale, unit := range timeScales {
		for _, n := range []uint64{0, 1, 999, 1_000_003, math.MaxUint64 / unit} {
			if got := scaled(n*unit, scale); got != n {
				t.Errorf("%d units of %d ns are %d", n, unit, got)
			}
		}
	}
}

// Where a layout is regular its last two candidates are the same, and where it is not they are not.
func TestRegularLayouts(t *testing.T) {
	e, seen := NewEncoder(), map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		encodeAll(t, e, testStream, r.records)
		rows := map[string]int{}
		var order []string
		for _, rec := range r.records {
			if rows[rec.Layout.Name]++; rows[rec.Layout.Name] == 1 {
				order = append(order, rec.Layout.Name)
			}
		}
		for i, name := range order {
			from, to := e.times.from[i], e.times.from[i]+rows[name]
			same := reflect.DeepEqual(e.times.words[timePrevious][from:to], e.times.words[timeLayout][from:to])
			if e.times.regular[i] != same {
				t.Fatalf("layout %d of %d is regular: %v", i, len(order), e.times.regular[i])
			}
			seen[same]++
		}
	})
	if seen[true] == 0 || seen[false] == 0 {
		t.Errorf("layouts that were regular and were not: %v", seen)
	}
}
