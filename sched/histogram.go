package sched

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Histogram counts durations in buckets that are at most 1/16 of their value wide, from 1 ns to 2 minutes; what is
// longer counts as that. Add may be called concurrently with everything and allocates nothing. The zero Histogram is
// empty.
type Histogram struct {
	counts [buckets]atomic.Uint64
	max    atomic.Int64
	sum    atomic.Int64
}

const (
	subBits = 4
	sub     = 1 << subBits
	buckets = (37-subBits)*sub + sub
)

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < sub {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return min(shift*sub+int(v>>shift), buckets-1)
}

// upper returns the longest duration that falls into a bucket.
func upper(i int) time.Duration {
	if i < sub {
		return time.Duration(i)
	}
	shift := (i - sub) / sub
	return time.Duration(((uint64(i-shift*sub) + 1) << shift) - 1)
}

// Add counts a duration; a negative one counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(d)].Add(1)
	h.sum.Add(int64(d))
	for {
		m := h.max.Load()
		if int64(d) <= m || h.max.CompareAndSwap(m, int64(d)) {
			return
		}
	}
}

// Max returns the longest duration so far.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Sum returns the durations added up.
func (h *Histogram) Sum() time.Duration { return time.Duration(h.sum.Load()) }

// Quantiles returns, for each q from 0 to 1, a duration that at least the share q of those counted do not exceed; it is
// at most 1/16 above the least such. All are 0 if nothing was counted.
func (h *Histogram) Quantiles(qs ...float64) []time.Duration {
	var counts [buckets]uint64
	total := uint64(0)
	for i := range counts {
		counts[i] = h.counts[i].Load()
		total += counts[i]
	}
	out := make([]time.Duration, len(qs))
	for k, q := range qs {
		rank := uint64(q*float64(total) + 0.999999)
		seen := uint64(0)
		for i, n := range counts {
			seen += n
			if n > 0 && seen >= rank {
				out[k] = min(upper(i), h.Max())
				break
			}
		}
	}
	return out
}

// Count returns how many durations were counted.
func (h *Histogram) Count() uint64 {
	n := uint64(0)
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}
