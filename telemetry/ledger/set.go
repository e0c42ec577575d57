package ledger

import (
	"iter"
	"slices"
	"sort"
)

// Range is the numbers First … First+Count-1.
type Range struct{ First, Count uint64 }

// End returns the first number after the range.
func (r Range) End() uint64 { return r.First + r.Count }

// Set is a set of numbers, held as ranges that neither touch nor overlap. The zero value is empty. It grows with the
// number of holes, not of numbers; whoever lets a peer make holes must bound Len.
type Set struct {
	r     []Range // ascending
	count uint64
}

// Len returns how many ranges the set is held as.
func (s *Set) Len() int { return len(s.r) }

// Count returns how many numbers are in the set.
func (s *Set) Count() uint64 { return s.count }

// Ranges yields the ranges in ascending order.
func (s *Set) Ranges() iter.Seq[Range] { return slices.Values(s.r) }

// End returns the highest number plus one, or 0 for an empty set.
func (s *Set) End() uint64 {
	if len(s.r) == 0 {
		return 0
	}
	return s.r[len(s.r)-1].End()
}

// Prefix returns the lowest number that is not in the set.
func (s *Set) Prefix() uint64 {
	if len(s.r) == 0 || s.r[0].First != 0 {
		return 0
	}
	return s.r[0].Count
}

// from returns the index of the first range that ends after n.
func (s *Set) from(n uint64) int {
	return sort.Search(len(s.r), func(i int) bool { return s.r[i].End() > n })
}

// Covered returns how many numbers of r are in the set.
func (s *Set) Covered(r Range) uint64 {
	n := uint64(0)
	for i := s.from(r.First); i < len(s.r) && s.r[i].First < r.End(); i++ {
		n += min(s.r[i].End(), r.End()) - max(s.r[i].First, r.First)
	}
	return n
}

// Contains reports whether all numbers of r are in the set.
func (s *Set) Contains(r Range) bool {
	if r.Count == 0 {
		return true
	}
	i := s.from(r.First)
	return i < len(s.r) && s.r[i].First <= r.First && s.r[i].End() >= r.End()
}

// Add adds the numbers of r and returns how many of them were new.
func (s *Set) Add(r Range) uint64 {
	if r.Count == 0 {
		return 0
	}
	added := r.Count - s.Covered(r)
	lo := sort.Search(len(s.r), func(i int) bool { return s.r[i].End() >= r.First }) // touching counts
	hi := lo
	for hi < len(s.r) && s.r[hi].First <= r.End() {
		end := max(r.End(), s.r[hi].End())
		r.First = min(r.First, s.r[hi].First)
		r.Count = end - r.First
		hi++
	}
	s.r = slices.Replace(s.r, lo, hi, r)
	s.count += added
	return added
}

// Remove removes the numbers of r and returns how many of them were there.
func (s *Set) Remove(r Range) uint64 {
	if r.Count == 0 {
		return 0
	}
	gone := s.Covered(r)
	if gone == 0 {
		return 0
	}
	lo := s.from(r.First)
	hi := lo
	var keep []Range
	for hi < len(s.r) && s.r[hi].First < r.End() {
		x := s.r[hi]
		if x.First < r.First {
			keep = append(keep, Range{x.First, r.First - x.First})
		}
		if x.End() > r.End() {
			keep = append(keep, Range{r.End(), x.End() - r.End()})
		}
		hi++
	}
	s.r = slices.Replace(s.r, lo, hi, keep...)
	s.count -= gone
	return gone
}

// Missing yields the ranges of r that are not in the set, in ascending order. The set must not change meanwhile.
func (s *Set) Missing(r Range) iter.Seq[Range] {
	return func(yield func(Range) bool) {
		at := r.First
		for i := s.from(r.First); i < len(s.r) && s.r[i].First < r.End(); i++ {
			if s.r[i].First > at && !yield(Range{at, s.r[i].First - at}) {
				return
			}
			at = s.r[i].End()
		}
		if at < r.End() {
			yield(Range{at, r.End() - at})
		}
	}
}

// Clone returns a copy that shares nothing with s.
func (s *Set) Clone() Set { return Set{r: slices.Clone(s.r), count: s.count} }
