package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// shape is what a producer sends: its own series, some of them sampled together, some samples to a request.
type shape struct {
	Producers int // of them, at once
	Series    int // of each
	Together  int // that are sampled together: a reading each, and one stamp
	Request   int // readings in a request, which is answered when all of them are durable
}

// compared is the load of the comparison: 1,000 series of four producers, requests of 100 readings.
func compared(together int) shape {
	return shape{Producers: 4, Series: 250, Together: together, Request: 100}
}

// valid reports whether requests and series are whole samples.
func (s shape) valid() error {
	if s.Producers < 1 || s.Together < 1 || s.Series < s.Together || s.Series%s.Together != 0 || s.Request < s.Together || s.Request%s.Together != 0 {
		return fmt.Errorf("series of a producer (%d) and readings of a request (%d) must be multiples of those sampled together (%d)", s.Series, s.Request, s.Together)
	}
	return nil
}

// A sample is some series of a producer at one time.
type sample struct {
	group  int   // which of the producer's
	stamp  int64 // ns since 1970
	values []float64
}

// walk is a producer's series: each walks randomly, in hundredths.
type walk struct {
	shape   shape
	rng     *rand.Rand
	cents   []int64
	next    int // group
	samples []sample
}

// stride is how far a value goes at most from one sample to the next, in hundredths.
const stride = 100

func newWalk(s shape, producer int) *walk {
	w := &walk{shape: s, rng: rand.New(rand.NewPCG(uint64(producer), 1)), cents: make([]int64, s.Series)}
	for i := range w.cents {
		w.cents[i] = w.rng.Int64N(100_000)
	}
	w.samples = make([]sample, s.Request/s.Together)
	for i := range w.samples {
		w.samples[i].values = make([]float64, s.Together)
	}
	return w
}

// request returns the next samples; they are valid until the next call.
func (w *walk) request() []sample {
	for i := range w.samples {
		s := &w.samples[i]
		s.group, s.stamp = w.next, time.Now().UnixNano()
		for j := range s.values {
			c := &w.cents[s.group*w.shape.Together+j]
			*c += w.rng.Int64N(2*stride+1) - stride
			s.values[j] = float64(*c) / 100
		}
		w.next = (w.next + 1) % (w.shape.Series / w.shape.Together)
	}
	return w.samples
}

// seriesName is how all of the compared call a series: the producer's, the group's, and the value's.
func seriesName(producer, group, value int) string {
	return fmt.Sprintf("%s.%s", layoutName(producer, group), fieldName(value))
}

// layoutName and fieldName are the two parts of it, of a length as such names have.
func layoutName(producer, group int) string {
	return fmt.Sprintf("propulsion%d/unit%d", producer, group)
}
func fieldName(value int) string { return fmt.Sprintf("channel%02d", value) }
