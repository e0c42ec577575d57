package ledger_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/telemetry/ledger"
)

// The model is a plain map; every operation of the Set must agree with it.
func TestSetAgreesWithAMap(t *testing.T) {
	const top = 60
	rapid.Check(t, func(t *rapid.T) {
		var s ledger.Set
		model := map[uint64]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "operations") {
			r := ledger.Range{
				First: rapid.Uint64Range(0, top).Draw(t, "first"),
				Count: rapid.Uint64Range(0, 12).Draw(t, "count"),
			}
			have := uint64(0)
			for n := r.First; n < r.End(); n++ {
				if model[n] {
					have++
				}
			}
			if got := s.Covered(r); got != have {
				t.Fatalf("Covered(%v) = %d, want %d", r, got, have)
			}
			if got := s.Contains(r); got != (have == r.Count) {
				t.Fatalf("Contains(%v) = %t with %d of %d there", r, got, have, r.Count)
			}
			missing := uint64(0)
			for m := range s.Missing(r) {
				missing += m.Count
				for n := m.First; n < m.End(); n++ {
					if model[n] || n < r.First || n >= r.End() {
						t.Fatalf("Missing(%v) yields %d", r, n)
					}
				}
			}
			if missing != r.Count-have {
				t.Fatalf("Missing(%v) yields %d numbers, want %d", r, missing, r.Count-have)
			}
			if rapid.Bool().Draw(t, "add") {
				if got := s.Add(r); got != r.Count-have {
					t.Fatalf("Add(%v) = %d, want %d", r, got, r.Count-have)
				}
				for n := r.First; n < r.End(); n++ {
					model[n] = true
				}
			} else {
				if got := s.Remove(r); got != have {
					t.Fatalf("Remove(%v) = %d, want %d", r, got, have)
				}
				for n := r.First; n < r.End(); n++ {
					delete(model, n)
				}
			}
			checkAgainst(t, &s, model)
		}
	})
}

func checkAgainst(t *rapid.T, s *ledger.Set, model map[uint64]bool) {
	got := map[uint64]bool{}
	last := ledger.Range{}
	for i, r := range slices.Collect(s.Ranges()) {
		if r.Count == 0 || i > 0 && r.First <= last.End() {
			t.Fatalf("ranges touch or are empty: %v after %v", r, last)
		}
		last = r
		for n := r.First; n < r.End(); n++ {
			got[n] = true
		}
	}
	if len(got) != len(model) || s.Count() != uint64(len(model)) {
		t.Fatalf("%d numbers held, %d counted, want %d", len(got), s.Count(), len(model))
	}
	prefix, end := uint64(0), uint64(0)
	for model[prefix] {
		prefix++
	}
	for n := range model {
		if !got[n] {
			t.Fatalf("%d is missing", n)
		}
		end = max(end, n+1)
	}
	if s.Prefix() != prefix || s.End() != end {
		t.Fatalf("Prefix, End = %d, %d, want %d, %d", s.Prefix(), s.End(), prefix, end)
	}
}

func TestAccountBalances(t *testing.T) {
	a := ledger.Account{Numbered: 10, Delivered: 6, Waiting: 3}
	if a.Check() == nil {
		t.Fatal("an account that misses one record balances")
	}
	a.LostBy[ledger.Quota] = 1
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
}

func ExampleSet() {
	var have ledger.Set
	have.Add(ledger.Range{First: 0, Count: 10})
	have.Add(ledger.Range{First: 20, Count: 5})
	fmt.Println("contiguous up to", have.Prefix())
	for gap := range have.Missing(ledger.Range{First: 0, Count: have.End()}) {
		fmt.Println("missing", gap.First, "to", gap.End()-1)
	}
	// Output:
	// contiguous up to 10
	// missing 10 to 19
}
