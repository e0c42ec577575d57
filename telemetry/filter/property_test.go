package filter_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/filter"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Whoever draws the last value that passed is never off by more than the band, for longer than MaxSilence without a
// record; and what passed had a reason to.
func TestADeadbandBoundsTheError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := filter.Deadband{
			Absolute:   rapid.SampledFrom([]float64{0, 0.25, 3}).Draw(t, "absolute"),
			Relative:   rapid.SampledFrom([]float64{0, 0.125, 0.5}).Draw(t, "relative"),
			MaxSilence: time.Duration(rapid.IntRange(0, 3).Draw(t, "silence")) * time.Second,
		}
		l := layout("a/b", telemetry.Reading, "f:float64", "g:float32", "i:int64", "u:uint64", "s:string", "on:bool")
		rules := []filter.Rule{{Deadband: &d}}
		limited := rapid.Bool().Draw(t, "a rate as well")
		if limited {
			rules = append(rules, filter.Rule{Rate: &filter.Rate{PerSecond: 0.5, Burst: 2}})
		}
		f := newFilter(t0(t), rules...)
		// Sums of quarters: everything is exact, in float32 as well.
		step := rapid.SampledFrom([]float64{-4, -0.25, 0, 0, 0, 0.25, 1})
		type row struct {
			n    [4]float64 // in the order of the layout
			text string
			on   bool
			at   time.Duration
		}
		now, last, began := row{n: [4]float64{0, 0, 0, 100}}, row{}, false
		off := func() bool {
			for i, x := range now.n {
				if math.Abs(x-last.n[i]) > max(d.Absolute, d.Relative*math.Abs(last.n[i])) {
					return true
				}
			}
			return now.text != last.text || now.on != last.on
		}
		for range rapid.IntRange(1, 60).Draw(t, "records") {
			now.at += time.Duration(rapid.IntRange(0, 2000).Draw(t, "dt")) * time.Millisecond
			for i := range now.n {
				s := step.Draw(t, "step")
				if i >= 2 {
					s = math.Trunc(s)
				}
				now.n[i] += s
			}
			now.n[3] = math.Abs(now.n[3])
			if rapid.IntRange(0, 15).Draw(t, "other") == 0 {
				now.text, now.on = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "text"), rapid.Bool().Draw(t, "on")
			}
			r := record(l, now.at, packet.Normal, packet.None, now.n[0], float32(now.n[1]), int64(now.n[2]), uint64(now.n[3]), now.text, now.on)
			silent := d.MaxSilence > 0 && now.at-last.at >= d.MaxSilence
			reason := !began || off() || silent
			switch passed := f.Pass(r); {
			case passed && !reason:
				t.Fatalf("%+v passes after %+v for no reason", now, last)
			case !passed && reason && !limited:
				t.Fatalf("%+v is held back after %+v", now, last)
			case passed:
				last, began = now, true
			}
		}
	})
}

// t0 makes a rapid.T serve where a testing.TB is wanted for its failures only.
func t0(t *rapid.T) testing.TB { return rapidTB{t: t} }

type rapidTB struct {
	testing.TB
	t *rapid.T
}

func (r rapidTB) Helper()           { r.t.Helper() }
func (r rapidTB) Fatal(args ...any) { r.t.Fatal(args...) }

// In any window of time at most burst + rate × length pass, and nothing is held back that would have kept to that.
func TestARateHoldsOverAnyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := filter.Rate{
			PerSecond: rapid.SampledFrom([]float64{0.125, 1, 3, 10, 7000}).Draw(t, "rate"),
			Burst:     rapid.IntRange(1, 6).Draw(t, "burst"),
		}
		l := layout("a/b", telemetry.Reading, x)
		f := newFilter(t0(t), filter.Rule{Rate: &rate})
		allowed := func(from, to int64) float64 { return float64(rate.Burst) + rate.PerSecond*float64(to-from)/1e9 }
		now := rapid.Int64Range(-1e18, 1e18).Draw(t, "origin")
		var passed []int64
		for range rapid.IntRange(1, 80).Draw(t, "records") {
			now += rapid.Int64Range(0, int64(2e9/rate.PerSecond)).Draw(t, "dt") * rapid.Int64Range(0, 2).Draw(t, "pace")
			pass := f.Pass(record(l, time.Duration(now), packet.Normal, packet.None, 1.0))
			fits := true
			for i, from := range passed {
				// From this one to now, both included. The interval is rounded up to a nanosecond, which may make the filter
				// stricter by one part in its length.
				n := float64(len(passed) - i + 1)
				if n > allowed(from, now)*(1+1e-12) {
					fits = false
					if pass {
						t.Fatalf("%v records in %d ns, at %+v", n, now-from, rate)
					}
				}
				if n > allowed(from, now)*(1-1e-4)-1e-4 {
					fits = false
				}
			}
			if fits && !pass {
				t.Fatalf("held back at %d after %v, at %+v", now, passed, rate)
			}
			if pass {
				passed = append(passed, now)
			}
		}
	})
}

// Whatever the packet holds, a filter neither panics nor holds back what it cannot read.
func FuzzPass(f *testing.F) {
	l := layout("a/b", telemetry.Reading, "f:float64", "s:string", "g:float32:3", "i:int64", "u:uint64", "on:bool", "t:string")
	good := record(l, 5, packet.Normal, packet.None, 1.0, "x", float32(1), float32(2), float32(3), int64(4), uint64(5), true, "yz").Packet
	f.Add(good, good)
	f.Add(good, good[:packet.HeaderSize])
	f.Fuzz(func(t *testing.T, one, two []byte) {
		filter := newFilter(t, filter.Rule{Deadband: &filter.Deadband{Absolute: 1, Relative: 0.1}}, filter.Rule{Rate: &filter.Rate{PerSecond: 1, Burst: 100}})
		for _, b := range [][]byte{one, two, one} {
			r := telemetry.Record{Layout: l, Packet: b}
			if !filter.Pass(r) {
				if _, err := packet.ParseHeader(b); err != nil {
					t.Fatalf("held back: %v", err)
				}
			}
		}
	})
}
