package control_test

import (
	"math"
	"testing"

	"github.com/fulmar-io/fulmar/control"
	"pgregory.net/rapid"
)

func TestLowPassAgainstClosedForm(t *testing.T) {
	const h, tau = 1e-4, 0.05
	f := control.LowPass[float64]{Time: tau}
	f.Update(0, h)
	for i := 1; i < 5000; i++ {
		got, want := f.Update(1, h), 1-math.Exp(-float64(i)*h/tau)
		if math.Abs(got-want) > 1e-3 {
			t.Fatalf("step response after %d steps %v, closed form %v", i, got, want)
		}
	}
}

func TestLowPassStaysBetweenItsInputs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := control.LowPass[float32]{Time: rapid.Float32Range(0, 10).Draw(t, "tau")}
		low, high := float32(math.Inf(1)), float32(math.Inf(-1))
		for range 20 {
			x := rapid.OneOf(rapid.Float32(), rapid.Just(float32(math.NaN()))).Draw(t, "x")
			held := f.Held()
			y := f.Update(x, rapid.Float32Range(1e-6, 10).Draw(t, "dt"))
			if f.Held() == held {
				low, high = min(low, x), max(high, x)
			}
			slack := float32(1e-6) * max(-low, high, 0)
			if low <= high && !(y >= low-slack && y <= high+slack) {
				t.Fatalf("filtered %v, inputs were %v to %v", y, low, high)
			}
		}
	})
}

func TestSlewKeepsItsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := control.Slew[float64]{Up: rapid.Float64Range(0, 10).Draw(t, "up"), Down: rapid.Float64Range(0, 10).Draw(t, "down")}
		for range 20 {
			before := s.Value()
			target := rapid.OneOf(rapid.Float64Range(-100, 100), rapid.Just(math.NaN())).Draw(t, "target")
			dt := rapid.Float64Range(-0.1, 1).Draw(t, "dt")
			after := s.Update(target, dt)
			if d := after - before; d > s.Up*max(dt, 0)+1e-9 || d < -s.Down*max(dt, 0)-1e-9 {
				t.Fatalf("moved by %v in %v s, limits +%v −%v", d, dt, s.Up, s.Down)
			}
			if math.Abs(after-target) > math.Abs(before-target) {
				t.Fatalf("moved away from %v: %v, then %v", target, before, after)
			}
		}
	})
}

func TestResetHoldsWhatIsFinite(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		f, s := control.LowPass[float64]{Time: 1}, control.Slew[float64]{Up: 1, Down: 1}
		f.Reset(3)
		s.Reset(3)
		f.Reset(x)
		s.Reset(x)
		if f.Value() != 3 || s.Value() != 3 {
			t.Errorf("reset to %v, the low-pass is at %v and the slew at %v, want 3", x, f.Value(), s.Value())
		}
		if y, z := f.Update(4, 1), s.Update(4, 0.5); y != 3.5 || z != 3.5 {
			t.Errorf("reset to %v, the low-pass goes on to %v and the slew to %v, want 3.5", x, y, z)
		}
	}
}

func TestWrapAgainstRemainder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-1e5, 1e5).Draw(t, "angle")
		got, want := control.Wrap(x), math.Remainder(x, 2*math.Pi)
		if off := math.Abs(math.Remainder(got-want, 2*math.Pi)); off > 1e-9 || math.Abs(got) > math.Pi {
			t.Fatalf("Wrap(%v) = %v, want %v", x, got, want)
		}
	})
}

func TestWrapTakesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.OneOf(rapid.Float32(), rapid.SampledFrom([]float32{float32(math.NaN()), float32(math.Inf(1))})).Draw(t, "angle")
		if got := control.Wrap(x); !(got >= -math.Pi && got <= math.Pi+1e-6) {
			t.Fatalf("Wrap(%v) = %v", x, got)
		}
	})
	for _, x := range []float64{0, math.Pi, -math.Pi, 1, -1} {
		if got := control.Wrap(x); got != x {
			t.Errorf("Wrap(%v) = %v, must stay", x, got)
		}
	}
	if got := control.Difference(-3.0, 3.0); math.Abs(got-(2*math.Pi-6)) > 1e-12 {
		t.Errorf("from 3 to −3 rad is %v, want the short way", got)
	}
}
