package control_test

import (
	"math"
	"testing"

	"github.com/fulmar-io/fulmar/control"
	"pgregory.net/rapid"
)

func newCascade[T control.Float](t testing.TB, outer, inner control.Gains[T]) *control.Cascade[T] {
	t.Helper()
	c, err := control.NewCascade(outer, inner)
	if err != control.OK {
		t.Fatalf("NewCascade: %v", err)
	}
	return &c
}

// carriage is a drive whose speed is a lag of the output, and its position.
type carriage struct {
	speed    lag
	position float64
}

func (p *carriage) step(u, h float64) {
	p.speed.step(u, h)
	p.position += p.speed.y * h
}

var (
	positionGains = control.Gains[float64]{Kp: 3, Ki: 2, ProportionalWeight: 1, Min: -100, Max: 100}
	speedGains    = control.Gains[float64]{Kp: 2, Ki: 10, ProportionalWeight: 1, Min: -1, Max: 1}
)

// overshoot drives the carriage 20 units far, which takes the drive many seconds at its limit, and returns by how much
// it goes too far and where it is after a minute.
func overshoot(inner func(measured float64) float64, outer func(measured float64) float64) (beyond, end float64) {
	const h, target = 1e-3, 20.0
	p := carriage{speed: lag{k: 2, tau: 0.2}}
	for i := range 60_000 {
		if i%10 == 0 {
			outer(p.position)
		}
		p.step(inner(p.speed.y), h)
		beyond = max(beyond, p.position-target)
	}
	return beyond, p.position
}

func TestCascadeDoesNotWindUp(t *testing.T) {
	c := newCascade(t, positionGains, speedGains)
	got, end := overshoot(func(y float64) float64 { return c.UpdateInner(y, 0, 1e-3) },
		func(y float64) float64 { return c.UpdateOuter(20, y, 0, 1e-2) })

	o, i := newPID(t, positionGains), newPID(t, speedGains)
	apart, _ := overshoot(func(y float64) float64 { return i.Update(o.Output(), y, 0, 1e-3) },
		func(y float64) float64 { return o.Update(20, y, 0, 1e-2) })
	t.Logf("beyond the target by %.3f; two controllers that do not know of each other by %.3f", got, apart)
	if math.Abs(end-20) > 1e-3 {
		t.Errorf("ends at %v, want 20", end)
	}
	if got > 1 || apart < 5 {
		t.Errorf("goes %.3f too far, two controllers apart %.3f: want at most 1 and, or it shows nothing, at least 5", got, apart)
	}
}

// With both measurements held, and the inner a P controller at its limit, it could follow r* = y + u/Kp. The outer's integral
// rests where what it gains per second is what it lets go of: Ki·e = (r − r*)/Tt.
func TestCascadeIntegralInSaturation(t *testing.T) {
	const tt, y, e = 0.5, 3.0, 4.0
	for name, tc := range map[string]struct {
		inner control.Gains[float64]
		could float64
	}{
		"proportional":       {control.Gains[float64]{Kp: 2, ProportionalWeight: 1, Min: -5, Max: 5}, y + 5.0/2},
		"half the setpoint":  {control.Gains[float64]{Kp: 2, ProportionalWeight: 0.5, Min: -5, Max: 5}, (5.0/2 + y) / 0.5},
		"none of it":         {control.Gains[float64]{Kp: 2, Ki: 100, Min: -5, Max: 5}, y},
		"beyond measurement": {control.Gains[float64]{Kp: 0.1, Ki: 100, ProportionalWeight: 1, TrackingTime: 10, Min: -0.05, Max: 0.05}, y},
	} {
		c := newCascade(t, control.Gains[float64]{Kp: 10, Ki: 6, ProportionalWeight: 1, Min: -1000, Max: 1000, TrackingTime: tt}, tc.inner)
		r := 0.0
		for range 20_000 {
			r = c.UpdateOuter(e, 0, 0, 1e-3)
			c.UpdateInner(y, 0, 1e-3)
		}
		if want := tc.could + tt*6*e; math.Abs(r-want) > 1e-6 {
			t.Errorf("%s: the inner's setpoint rests at %v, want %v", name, r, want)
		}
		if !c.Inner.Limited() || c.Outer.Limited() {
			t.Errorf("%s: limited inner %v, outer %v", name, c.Inner.Limited(), c.Outer.Limited())
		}
	}
}

// The setpoint that the inner could have followed is the one that leads to the output it had. An outer that only integrates, with
// a tracking time of nothing and no error, returns it.
func TestCascadeFindsTheRealizableSetpoint(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		c, err := control.NewCascade(control.Gains[float64]{Ki: 1, Min: -1e6, Max: 1e6}, control.Gains[float64]{Kp: 2, Ki: 1, Kd: 0.1,
			FilterTime: 0.02, ProportionalWeight: 0.8, DerivativeWeight: rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(t, "c"),
			Min: -1, Max: 1, RateLimit: rapid.SampledFrom([]float64{0, 20}).Draw(t, "rate")})
		if err != control.OK {
			t.Fatal(err)
		}
		in := rapid.Float64Range(-3, 3)
		c.UpdateInner(in.Draw(t, "before"), 0, 0.01)
		r, y := in.Draw(t, "r"), in.Draw(t, "y")
		c.SetLocal(r)
		c.UpdateOuter(0, 0, 0, 0.01)
		c.SetRemote()
		twin := c.Inner
		u := c.UpdateInner(y, 0, 0.01)
		could := c.UpdateOuter(0, 0, 0, 0.01)
		if could < min(r, y)-1e-9 || could > max(r, y)+1e-9 {
			t.Fatalf("could follow %v, which is not between the setpoint %v and the measurement %v", could, r, y)
		}
		if math.Abs(could-y) < 1e-6 || math.Abs(could-r) < 1e-6 {
			return // at an end: the limit of r* decides, or none did
		}
		found++
		if got := twin.Update(could, y, 0, 0.01); math.Abs(got-u) > 1e-9 {
			t.Fatalf("with %v it returns %v, with the setpoint %v it was %v", could, got, r, u)
		}
	})
	if found == 0 {
		t.Error("never was between the two: nothing was tested")
	}
}

// While nothing is limited it is two controllers, to the bit.
func TestCascadeIsTwoControllers(t *testing.T) {
	wide := speedGains
	wide.Min, wide.Max = -1e6, 1e6
	c := newCascade(t, positionGains, wide)
	o, i := newPID(t, positionGains), newPID(t, wide)
	for n := range 1000 {
		at, y := math.Sin(float64(n)/100), math.Cos(float64(n)/30)
		r := o.Update(2, at, 0.5, 0.01)
		if got, want := c.UpdateOuter(2, at, 0.5, 0.01), r; got != want {
			t.Fatalf("step %d: inner's setpoint %v, want %v", n, got, want)
		}
		if got, want := c.UpdateInner(y, 0.1, 0.01), i.Update(r, y, 0.1, 0.01); got != want {
			t.Fatalf("step %d: %v, want %v", n, got, want)
		}
	}
}

func TestCascadeSwitchesWithoutBump(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.Float64Range(-2, 2)
		c, err := control.NewCascade(positionGains, speedGains)
		if err != control.OK {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			c.UpdateOuter(in.Draw(t, "r"), in.Draw(t, "y"), 0, 0.01)
			c.UpdateInner(in.Draw(t, "speed"), 0, 0.01)
		}
		stays, y := c, in.Draw(t, "speed")
		c.SetLocal(c.Setpoint())
		if got, want := c.UpdateInner(y, 0, 0.01), stays.UpdateInner(y, 0, 0.01); got != want || !c.Local() {
			t.Fatalf("the switch to local took the output from %v to %v", want, got)
		}
		own := in.Draw(t, "own")
		c.SetLocal(own)
		r, at, f := in.Draw(t, "r"), in.Draw(t, "y"), in.Draw(t, "f")
		if got := c.UpdateOuter(r, at, f, 0.01); got != own {
			t.Fatalf("in local the inner's setpoint is %v, want %v", got, own)
		}
		c.SetRemote()
		if got := c.UpdateOuter(r, at, f, 0.01); math.Abs(got-own) > 1e-9 {
			t.Fatalf("the switch back took the setpoint from %v to %v", own, got)
		}
	})
}

func TestCascadeWithinLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wild := rapid.OneOf(rapid.Float32Range(-10, 10), rapid.Float32(), rapid.SampledFrom([]float32{float32(math.NaN()), float32(math.Inf(1)), 0}))
		gain := rapid.OneOf(rapid.Float32Range(0, 10), rapid.Float32Min(0))
		g := control.Gains[float32]{Kp: gain.Draw(t, "kp"), Ki: gain.Draw(t, "ki"), Kd: gain.Draw(t, "kd"), ProportionalWeight: 1,
			DerivativeWeight: 0.5, Min: -3, Max: 4, RateLimit: gain.Draw(t, "rate")}
		c, err := control.NewCascade(g, g)
		if err != control.OK {
			t.Skip("gains are endless")
		}
		for range 20 {
			switch rapid.IntRange(0, 5).Draw(t, "do") {
			case 0:
				c.SetLocal(wild.Draw(t, "own"))
			case 1:
				c.SetRemote()
			}
			r := c.UpdateOuter(wild.Draw(t, "r"), wild.Draw(t, "y"), wild.Draw(t, "f"), wild.Draw(t, "dt"))
			u := c.UpdateInner(wild.Draw(t, "speed"), wild.Draw(t, "f"), wild.Draw(t, "dt"))
			if !(r >= -3 && r <= 4 && u >= -3 && u <= 4) {
				t.Fatalf("setpoint %v, output %v, limits −3 and 4", r, u)
			}
			if p, i, d := c.Outer.Terms(); p-p != 0 || i-i != 0 || d-d != 0 {
				t.Fatalf("terms %v, %v, %v", p, i, d)
			}
		}
	})
}

func TestCascadeCountsAndResets(t *testing.T) {
	c, fresh := newCascade(t, positionGains, speedGains), newCascade(t, positionGains, speedGains)
	c.UpdateOuter(9, 0, 0, 0.01)
	c.UpdateInner(0, 0, 0.01)
	c.SetLocal(math.NaN())
	if c.Local() {
		t.Error("took a setpoint that is no number")
	}
	c.UpdateOuter(math.NaN(), 0, 0, 0.01)
	c.UpdateOuter(1, 0, 0, 0)
	c.UpdateInner(math.NaN(), 0, 0.01)
	if c.Held() != 4 {
		t.Errorf("held %d times, want 4", c.Held())
	}
	c.SetLocal(1000)
	if c.Setpoint() != positionGains.Max {
		t.Errorf("local setpoint %v, the outer's limit is %v", c.Setpoint(), positionGains.Max)
	}
	c.Reset()
	for i := range 50 {
		y := float64(i) / 50
		a, b := c.UpdateOuter(9, y, 0, 0.01), fresh.UpdateOuter(9, y, 0, 0.01)
		if u, v := c.UpdateInner(y, 0, 0.01), fresh.UpdateInner(y, 0, 0.01); a != b || u != v {
			t.Fatalf("step %d after Reset: %v, %v; when new %v, %v", i, a, u, b, v)
		}
	}
	bad := speedGains
	bad.Kp = -1
	if _, err := control.NewCascade(bad, speedGains); err != control.ErrGain {
		t.Errorf("outer gains: %v", err)
	}
	if _, err := control.NewCascade(speedGains, bad); err != control.ErrGain {
		t.Errorf("inner gains: %v", err)
	}
}

// A valve that sticks at 2: the integral rests where what it gains is what it lets go of, and ignores what is no number.
func TestAppliedTakesTheIntegralBack(t *testing.T) {
	const tt, h, e = 0.5, 1e-3, 3.0
	c := newPID(t, control.Gains[float64]{Kp: 1, Ki: 4, ProportionalWeight: 1, Min: -100, Max: 100, TrackingTime: tt})
	for range 20_000 {
		c.Update(e, 0, 0, h)
		c.Applied(2, h)
	}
	if want := 2 + tt*4*e; math.Abs(c.Output()-want) > 1e-6 {
		t.Errorf("rests at %v, want %v", c.Output(), want)
	}
	before := *c
	for _, in := range [][2]float64{{math.NaN(), h}, {math.Inf(1), h}, {2, 0}, {2, -1}, {2, math.NaN()}} {
		c.Applied(in[0], in[1])
	}
	_, i, _ := c.Terms()
	if _, want, _ := before.Terms(); i != want || c.Held() != 5 {
		t.Errorf("integral %v, want %v; held %d, want 5", i, want, c.Held())
	}
	p := newPID(t, control.Gains[float64]{Kp: 1, ProportionalWeight: 1, Min: -100, Max: 100, TrackingTime: tt})
	p.Applied(7, h)
	if u := p.Update(2, 0, 0, h); u != 2 {
		t.Errorf("without an integral it returns %v, want 2", u)
	}
}

func BenchmarkCascade(b *testing.B) {
	c := newCascade(b, positionGains, speedGains)
	b.ReportAllocs()
	y := 0.0
	for b.Loop() {
		c.UpdateOuter(1, y, 0, 0.01)
		y += 0.01 * c.UpdateInner(y, 0, 0.01)
	}
}
