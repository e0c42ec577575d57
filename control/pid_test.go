package control_test

import (
	"math"
	"testing"

	"github.com/fulmar-io/fulmar/control"
	"pgregory.net/rapid"
)

func newPID(t testing.TB, g control.Gains[float64]) *control.PID[float64] {
	t.Helper()
	c, err := control.NewPID(g)
	if err != control.OK {
		t.Fatalf("NewPID(%+v): %v", g, err)
	}
	return &c
}

// lag is the plant τ·dy/dt = k·u − y, integrated exactly for a u that is constant over the step.
type lag struct{ k, tau, y float64 }

func (p *lag) step(u, h float64) { p.y = p.k*u + (p.y-p.k*u)*math.Exp(-h/p.tau) }

// Under P control with b = 1 the closed loop is a lag again: from rest to a setpoint of 1,
// y(t) = g/(1+g)·(1 − exp(−(1+g)·t/τ)) with g = Kp·k.
func TestProportionalAgainstClosedForm(t *testing.T) {
	const h, kp = 1e-4, 4.0
	p := lag{k: 2, tau: 0.5}
	c := newPID(t, control.Gains[float64]{Kp: kp, ProportionalWeight: 1, Min: -100, Max: 100})
	g := kp * p.k
	for i := range 10_000 {
		at := float64(i) * h
		want := g / (1 + g) * (1 - math.Exp(-(1+g)*at/p.tau))
		if math.Abs(p.y-want) > 5e-4 {
			t.Fatalf("at %.4f s y = %.6f, closed form %.6f", at, p.y, want)
		}
		p.step(c.Update(1, p.y, 0, h), h)
	}
}

// Under PI control with b = 0 the closed loop is y/r = ω²/(s² + 2ζω·s + ω²), ω² = k·Ki/τ, 2ζω = (1 + k·Kp)/τ.
func TestIntegralAgainstClosedForm(t *testing.T) {
	const h, kp, ki = 1e-4, 1.0, 10.0
	p := lag{k: 2, tau: 0.5}
	c := newPID(t, control.Gains[float64]{Kp: kp, Ki: ki, Min: -100, Max: 100})
	w := math.Sqrt(p.k * ki / p.tau)
	zeta := (1 + p.k*kp) / p.tau / (2 * w)
	wd := w * math.Sqrt(1-zeta*zeta)
	for i := range 20_000 {
		at := float64(i) * h
		want := 1 - math.Exp(-zeta*w*at)*(math.Cos(wd*at)+zeta*w/wd*math.Sin(wd*at))
		if math.Abs(p.y-want) > 2e-3 {
			t.Fatalf("at %.4f s y = %.6f, closed form %.6f", at, p.y, want)
		}
		p.step(c.Update(1, p.y, 0, h), h)
	}
}

// A ramp's derivative is its slope; through the filter it gets there as 1 − exp(−t/Tf).
func TestDerivativeFilter(t *testing.T) {
	const h, kd, tf, slope = 1e-5, 0.3, 0.02, 5.0
	c := newPID(t, control.Gains[float64]{Kd: kd, FilterTime: tf, Min: -100, Max: 100})
	for i := range 10_000 {
		at := float64(i) * h
		u := c.Update(7, slope*at, 0, h) // the setpoint is not differentiated
		want := -kd * slope * (1 - math.Exp(-at/tf))
		if math.Abs(u-want) > 2e-3 {
			t.Fatalf("at %.5f s D = %.6f, closed form %.6f", at, u, want)
		}
	}
}

func TestDerivativeIgnoresStepOfSetpoint(t *testing.T) {
	c := newPID(t, control.Gains[float64]{Kd: 1, Min: -100, Max: 100})
	c.Update(0, 3, 0, 0.01)
	if u := c.Update(50, 3, 0, 0.01); u != 0 {
		t.Errorf("a step of the setpoint kicked the output to %v", u)
	}
	c = newPID(t, control.Gains[float64]{Kd: 1, DerivativeWeight: 1, Min: -100, Max: 100})
	c.Update(0, 3, 0, 0.5)
	if u := c.Update(50, 3, 0, 0.5); u != 100 {
		t.Errorf("with weight 1 the output is %v, want 50/0.5", u)
	}
}

// With a setpoint that the actuator cannot reach for 5 s the integral must not wind up: once the setpoint turns, the output
// leaves its limit within a few tracking times. An integral that had gone on would be at 5·Ki·(10 − 2) = 400 by then.
func TestWindup(t *testing.T) {
	const h, tt = 1e-3, 0.1
	p := lag{k: 2, tau: 0.5}
	c := newPID(t, control.Gains[float64]{Kp: 1, Ki: 10, ProportionalWeight: 1, Min: -1, Max: 1, TrackingTime: tt})
	for range 5000 {
		p.step(c.Update(10, p.y, 0, h), h)
	}
	_, i, _ := c.Terms()
	// At rest in saturation Ki·e = (v − u)/Tt and v = Kp·e + I, y = k·u: I = u + Tt·Ki·e − Kp·e.
	e := 10 - p.y
	if want := 1 + tt*10*e - 1*e; math.Abs(i-want) > 1e-6 {
		t.Errorf("integral in saturation %v, want %v", i, want)
	}
	if !c.Limited() {
		t.Error("does not know that it is at its limit")
	}
	steps := 0
	for c.Update(1, p.y, 0, h) >= 1 {
		p.step(c.Output(), h)
		if steps++; steps > 10 {
			t.Fatalf("still at the limit %d ms after the setpoint turned", steps)
		}
	}
	for range 3000 {
		p.step(c.Update(1, p.y, 0, h), h)
	}
	if math.Abs(p.y-1) > 1e-3 {
		t.Errorf("3 s later y = %v, want 1", p.y)
	}
}

func TestTrackIsBumpless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.Float64Range(-10, 10)
		c, _ := control.NewPID(control.Gains[float64]{Kp: 2, Ki: 3, Kd: 0.5, FilterTime: 0.1, ProportionalWeight: 0.7,
			DerivativeWeight: 0.2, Min: -5, Max: 5, RateLimit: rapid.SampledFrom([]float64{0, 1}).Draw(t, "rate")})
		for range 5 {
			c.Update(in.Draw(t, "r"), in.Draw(t, "y"), 0, 0.01)
		}
		u, r, y, f := rapid.Float64Range(-5, 5).Draw(t, "u"), in.Draw(t, "r"), in.Draw(t, "y"), in.Draw(t, "f")
		c.Track(u, r, y, f)
		if got := c.Update(r, y, f, 0.01); math.Abs(got-u) > 1e-9 {
			t.Fatalf("after Track(%v) the output is %v", u, got)
		}
	})
}

func TestResetForgets(t *testing.T) {
	g := control.Gains[float64]{Kp: 2, Ki: 3, Kd: 0.5, Min: 1, Max: 5, ProportionalWeight: 1}
	used, fresh := newPID(t, g), newPID(t, g)
	for i := range 100 {
		used.Update(9, float64(i), 0, 0.01)
	}
	used.Reset()
	for i := range 10 {
		if a, b := used.Update(2, float64(i)/10, 0, 0.01), fresh.Update(2, float64(i)/10, 0, 0.01); a != b {
			t.Fatalf("step %d: %v after Reset, %v when new", i, a, b)
		}
	}
}

// Whatever comes in, also what is no number: the output is a number within the limits, and no faster than allowed.
func TestAlwaysWithinLimits(t *testing.T) {
	t.Run("float64", rapid.MakeCheck(withinLimits[float64](rapid.Float64(), rapid.Float64Range)))
	t.Run("float32", rapid.MakeCheck(withinLimits[float32](rapid.Float32(), rapid.Float32Range)))
}

func withinLimits[T control.Float](some *rapid.Generator[T], between func(a, b T) *rapid.Generator[T]) func(*rapid.T) {
	wild := rapid.OneOf(some, rapid.SampledFrom([]T{T(math.NaN()), T(math.Inf(1)), T(math.Inf(-1)), 0}))
	gain := rapid.OneOf(between(0, 100), between(0, T(math.MaxFloat32)))
	return func(t *rapid.T) {
		g := control.Gains[T]{
			Kp: gain.Draw(t, "kp"), Ki: gain.Draw(t, "ki"), Kd: gain.Draw(t, "kd"), FilterTime: gain.Draw(t, "tf"),
			ProportionalWeight: between(0, 1).Draw(t, "b"), DerivativeWeight: between(0, 1).Draw(t, "c"),
			Min: between(-100, 0).Draw(t, "min"), Max: between(1, 100).Draw(t, "max"),
			RateLimit: gain.Draw(t, "rate"), TrackingTime: gain.Draw(t, "tt"),
		}
		c, err := control.NewPID(g)
		if err != control.OK {
			t.Fatalf("%+v: %v", g, err)
		}
		last := c.Output()
		for range 20 {
			dt := rapid.OneOf(between(0.0001, 0.1), wild).Draw(t, "dt")
			u := c.Update(wild.Draw(t, "r"), wild.Draw(t, "y"), wild.Draw(t, "f"), dt)
			if !(u >= g.Min && u <= g.Max) {
				t.Fatalf("output %v, limits %v to %v", u, g.Min, g.Max)
			}
			if d, most := math.Abs(float64(u)-float64(last)), float64(g.RateLimit)*float64(dt); g.RateLimit > 0 && dt > 0 &&
				d > most*(1+1e-6)+math.Abs(float64(last))*1e-6+1e-37 { // where float32 has no digits left
				t.Fatalf("output moved by %v in %v s, limit %v/s", d, dt, g.RateLimit)
			}
			if p, i, d := c.Terms(); p-p != 0 || i-i != 0 || d-d != 0 {
				t.Fatalf("terms %v, %v, %v", p, i, d)
			}
			last = u
		}
	}
}

func TestHoldsOnWhatIsNoNumber(t *testing.T) {
	c := newPID(t, control.Gains[float64]{Kp: 1, Ki: 1, ProportionalWeight: 1, Min: -10, Max: 10})
	u := c.Update(3, 1, 0, 0.1)
	for _, in := range [][4]float64{{math.NaN(), 1, 0, 0.1}, {3, math.NaN(), 0, 0.1}, {3, math.Inf(1), 0, 0.1}, {3, 1, math.NaN(), 0.1},
		{3, 1, 0, math.NaN()}, {3, 1, 0, 0}, {3, 1, 0, -1}} {
		if got := c.Update(in[0], in[1], in[2], in[3]); got != u {
			t.Errorf("Update(%v) = %v, want %v held", in, got, u)
		}
	}
	if c.Held() != 7 {
		t.Errorf("held %d times, want 7", c.Held())
	}
	if got, want := c.Update(3, 1, 0, 0.1), u+0.1*2; math.Abs(got-want) > 1e-12 {
		t.Errorf("afterwards %v, want %v: as if nothing had been", got, want)
	}
}

// Finite numbers whose product or difference is not finite are held as well, also where the term they belong to is off: as the
// memory of a step they would make every later one none.
func TestHoldsOnWhatOverflows(t *testing.T) {
	c, err := control.NewPID(control.Gains[float32]{Kp: 1e12, Kd: 1, DerivativeWeight: 1, ProportionalWeight: 1, Min: -1, Max: 1})
	if err != control.OK {
		t.Fatal(err)
	}
	c.Track(0, 1, 6e26, 0)
	if p, _, _ := c.Terms(); p != 0 || c.Held() != 1 {
		t.Errorf("Track with a product too large: P = %v, held %d", p, c.Held())
	}
	d, err := control.NewPID(control.Gains[float32]{Kd: 1, DerivativeWeight: 1, Min: -1, Max: 1})
	if err != control.OK {
		t.Fatal(err)
	}
	d.Update(3e38, -3e38, 0, 0.1)
	d.Track(0, 3e38, -3e38, 0)
	if d.Held() != 2 {
		t.Errorf("a difference too large: held %d, want 2", d.Held())
	}
	d.Update(0, 0, 0, 0.1)
	if u := d.Update(0.01, 0, 0, 0.1); d.Held() != 2 || u == 0 {
		t.Errorf("afterwards it returns %v and held %d, want a derivative", u, d.Held())
	}
}

func TestGainsAreChecked(t *testing.T) {
	ok := control.Gains[float64]{Kp: 1, Min: -1, Max: 1}
	for name, tc := range map[string]struct {
		change func(*control.Gains[float64])
		want   control.Err
	}{
		"fine":          {func(*control.Gains[float64]) {}, control.OK},
		"negative":      {func(g *control.Gains[float64]) { g.Ki = -1 }, control.ErrGain},
		"not a number":  {func(g *control.Gains[float64]) { g.Kd = math.NaN() }, control.ErrGain},
		"endless":       {func(g *control.Gains[float64]) { g.ProportionalWeight = math.Inf(1) }, control.ErrGain},
		"no range":      {func(g *control.Gains[float64]) { g.Max = -1 }, control.ErrLimits},
		"endless range": {func(g *control.Gains[float64]) { g.Max = math.Inf(1) }, control.ErrLimits},
	} {
		g := ok
		tc.change(&g)
		if _, err := control.NewPID(g); err != tc.want {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	c := newPID(t, control.Gains[float64]{Kp: 1, Ki: 1, Kd: 1, FilterTime: 0.1, Min: -1, Max: 1, RateLimit: 3})
	f := control.LowPass[float64]{Time: 0.1}
	s := control.Slew[float64]{Up: 1, Down: 1}
	x := 0.0
	if n := testing.AllocsPerRun(1000, func() {
		x = control.Wrap(x + s.Update(1, 0.01) + f.Update(c.Update(1, x, 0, 0.01), 0.01))
		c.Track(0.5, 1, x, 0)
	}); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
}

func BenchmarkPID(b *testing.B) {
	c := newPID(b, control.Gains[float64]{Kp: 1, Ki: 1, Kd: 1, FilterTime: 0.1, Min: -1, Max: 1, RateLimit: 3})
	y := 0.0
	for b.Loop() {
		y += 0.01 * c.Update(1, y, 0, 0.01)
	}
}

// A measurement that is missing for some steps, while it moves on, is no jump of it.
func TestDerivativeAcrossAGap(t *testing.T) {
	const h = 0.01
	for _, tf := range []float64{0, 0.05} {
		c, err := control.NewPID(control.Gains[float64]{Kd: 1, FilterTime: tf, Min: -1000, Max: 1000})
		if err != control.OK {
			t.Fatal(err)
		}
		for i := range 300 {
			y := -float64(i) * h // falls by 1 in a second: D is 1
			if i%50 >= 30 && i%50 < 40 {
				c.Update(0, math.NaN(), 0, h)
				continue
			}
			c.Update(0, y, 0, h)
			if _, _, d := c.Terms(); d > 1.000001 || i > 200 && d < 0.999 {
				t.Fatalf("filter of %v s: D is %v after %d steps, want 1", tf, d, i)
			}
		}
	}
}
