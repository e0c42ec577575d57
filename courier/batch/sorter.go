package batch

import (
	"container/heap"
	"time"

	"github.com/fulmar-io/fulmar/ring"
)

// Sorter puts the entries of one class back into the order of their numbers: each producer's ring is in order, but the
// numbers are shared by all of them. It is for one goroutine. The zero Sorter expects number 0.
type Sorter struct {
	next    uint64
	waiting entries
	since   time.Duration // when the number that is next began to be missing
	missing bool
}

// Start makes the Sorter expect next. Entries below are dropped: they are in the spool.
func (s *Sorter) Start(next uint64) { *s = Sorter{next: next} }

// Next returns the number that is expected next.
func (s *Sorter) Next() uint64 { return s.next }

// Len returns how many entries wait for a number before theirs.
func (s *Sorter) Len() int { return len(s.waiting) }

// Put takes an entry. Its packet stays where it is.
func (s *Sorter) Put(e ring.Entry) {
	if e.Range.End() > s.next {
		heap.Push(&s.waiting, e)
	}
}

// Peek returns the entry whose number is next, or false while that one is missing.
func (s *Sorter) Peek() (ring.Entry, bool) {
	if len(s.waiting) == 0 || s.waiting[0].Range.First != s.next {
		return ring.Entry{}, false
	}
	return s.waiting[0], true
}

// Pop takes out what Peek returned.
func (s *Sorter) Pop() {
	s.next = s.waiting[0].Range.End()
	heap.Pop(&s.waiting)
	s.missing = false
}

// Gap returns the numbers that are missing before the first entry that waits, once they have been missing for patience.
// It is how a number that its producer never committed (it died, or its slot was damaged) is found. Skip passes over them.
func (s *Sorter) Gap(now, patience time.Duration) (first, count uint64, ok bool) {
	if len(s.waiting) == 0 || s.waiting[0].Range.First == s.next {
		return 0, 0, false
	}
	if !s.missing {
		s.missing, s.since = true, now
	}
	if now-s.since < patience {
		return 0, 0, false
	}
	return s.next, s.waiting[0].Range.First - s.next, true
}

// Skip passes over the numbers below to: they are not coming, or are not wanted. Entries that waited with them are
// dropped.
func (s *Sorter) Skip(to uint64) {
	s.next, s.missing = max(s.next, to), false
	for len(s.waiting) > 0 && s.waiting[0].Range.End() <= s.next {
		heap.Pop(&s.waiting)
	}
}

type entries []ring.Entry

func (e entries) Len() int           { return len(e) }
func (e entries) Less(i, j int) bool { return e[i].Range.First < e[j].Range.First }
func (e entries) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *entries) Push(x any)        { *e = append(*e, x.(ring.Entry)) }
func (e *entries) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = ring.Entry{}
	*e = (*e)[:last]
	return x
}
