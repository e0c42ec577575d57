package control_test

import (
	"math"
	"testing"

	"github.com/fulmar-io/fulmar/control"
	"pgregory.net/rapid"
)

type (
	motion = control.Motion[float64]
	limits = control.MotionLimits[float64]
)

func newMove[T control.Float](t interface {
	Helper()
	Fatalf(string, ...any)
}, l control.MotionLimits[T], from control.Motion[T], target T) control.Move[T] {
	t.Helper()
	m, err := control.NewMove(l, from, target)
	if err != control.OK {
		t.Fatalf("NewMove(%+v, %+v, %v): %v", l, from, target, err)
	}
	return m
}

func TestMoveAgainstClosedForms(t *testing.T) {
	for name, tc := range map[string]struct {
		l      limits
		from   motion
		target float64
		want   float64 // seconds
	}{
		"nowhere":                       {limits{1, 1, 0}, motion{Position: 5}, 5, 0},
		"triangle: 2·√(s/a)":            {limits{100, 2, 2}, motion{}, 8, 4},
		"just a triangle":               {limits{4, 2, 2}, motion{}, 8, 4},
		"trapezoid: s/v + v/a":          {limits{3, 2, 2}, motion{}, 30, 11.5},
		"backwards":                     {limits{3, 2, 2}, motion{Position: 40}, 10, 11.5},
		"soft braking: √(2s(a+d)/ad)":   {limits{100, 6, 3}, motion{}, 9, 3},
		"and with a cruise":             {limits{6, 6, 3}, motion{}, 21, 1 + 2 + 2},
		"deceleration as given":         {limits{3, 2, 0}, motion{}, 30, 11.5},
		"at speed":                      {limits{3, 2, 2}, motion{Velocity: 3}, 30, 27.75/3 + 1.5},
		"only brakes":                   {limits{3, 2, 2}, motion{Velocity: 2}, 1, 1},
		"only brakes, backwards":        {limits{3, 2, 2}, motion{Velocity: -2}, -1, 1},
		"too fast":                      {limits{3, 2, 4}, motion{Velocity: 7}, 20, 1 + (20-5-9.0/8)/3 + 0.75},
		"wrong way: brake and triangle": {limits{100, 2, 2}, motion{Velocity: -4}, 4, 2 + 4},
		"too late: beyond and back":     {limits{100, 2, 2}, motion{Velocity: 4}, 2, 2 + 2*math.Sqrt(2.0/2)},
		"a little too late":             {limits{100, 2, 2}, motion{Velocity: 4}, 3.99, 2 + 2*math.Sqrt(0.01/2)},
		"too fast, wrong way":           {limits{3, 2, 2}, motion{Velocity: -8}, 14, 4 + (30.0/3 + 1.5)},
	} {
		m := newMove(t, tc.l, tc.from, tc.target)
		if math.Abs(m.Duration()-tc.want) > 1e-12 {
			t.Errorf("%s: takes %v s, want %v", name, m.Duration(), tc.want)
		}
		if got := m.At(m.Duration()); got != (motion{Position: tc.target}) {
			t.Errorf("%s: ends at %+v, want rest at %v", name, got, tc.target)
		}
		if got := m.At(0); got.Position != tc.from.Position || (m.Duration() > 0 && got.Velocity != tc.from.Velocity) {
			t.Errorf("%s: starts at %+v, want %+v", name, got, tc.from)
		}
		if m.At(-1) != m.At(0) || m.At(math.NaN()) != m.At(0) || m.At(math.Inf(1)) != m.At(m.Duration()) {
			t.Errorf("%s: before the start %+v, after the end %+v", name, m.At(-1), m.At(math.Inf(1)))
		}
	}
}

func TestMoveHasTheShapeOfATrapezoid(t *testing.T) {
	m := newMove(t, limits{3, 2, 1}, motion{}, 30)
	// 1.5 s up over 2.25, 3 s down over 4.5, the rest at 3.
	for _, want := range []struct {
		t float64
		motion
	}{{1, motion{1, 2, 2}}, {2.5, motion{5.25, 3, 0}}, {m.Duration() - 2, motion{28, 2, -1}}, {m.Duration() - 1, motion{29.5, 1, -1}}} {
		got := m.At(want.t)
		if math.Abs(got.Position-want.Position) > 1e-12 || math.Abs(got.Velocity-want.Velocity) > 1e-12 || got.Acceleration != want.Acceleration {
			t.Errorf("after %v s %+v, want %+v", want.t, got, want.motion)
		}
	}
}

func drawMove(t *rapid.T) (limits, motion, float64) {
	l := limits{rapid.Float64Range(0.1, 10).Draw(t, "velocity"), rapid.Float64Range(0.1, 10).Draw(t, "acceleration"),
		rapid.Float64Range(0.1, 10).Draw(t, "deceleration")}
	return l, motion{Position: rapid.Float64Range(-50, 50).Draw(t, "position"), Velocity: rapid.Float64Range(-20, 20).Draw(t, "velocity at first")},
		rapid.Float64Range(-50, 50).Draw(t, "target")
}

// The three quantities belong together, no limit is exceeded, and the end is the target.
func TestMoveKeepsItsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, from, target := drawMove(t)
		m := newMove(t, l, from, target)
		const n = 500
		h := m.Duration() / n
		last := m.At(0)
		for i := 1; i <= n; i++ {
			now := m.At(float64(i) * h)
			if v := math.Abs(now.Velocity); v > max(l.Velocity, math.Abs(last.Velocity)) {
				t.Fatalf("velocity %v, limit %v, before %v", now.Velocity, l.Velocity, last.Velocity)
			}
			rate := (math.Abs(now.Velocity) - math.Abs(last.Velocity)) / h
			turns := now.Velocity*last.Velocity < 0
			if !turns && (rate > l.Acceleration*(1+1e-9)+1e-9 || -rate > l.Deceleration*(1+1e-9)+1e-9) {
				t.Fatalf("speed grows by %v per second, limits %+v", rate, l)
			}
			// The way is between what the slower and the faster of the two velocities make of the time.
			lo, hi := min(now.Velocity, last.Velocity)*h, max(now.Velocity, last.Velocity)*h
			if turns || math.Abs(now.Velocity) < math.Abs(last.Velocity)+l.Acceleration*h && now.Acceleration != last.Acceleration {
				lo, hi = lo-10*h*h, hi+10*h*h
			}
			if d := now.Position - last.Position; d < lo-1e-9 || d > hi+1e-9 {
				t.Fatalf("moves %v in %v s at %v to %v", d, h, last.Velocity, now.Velocity)
			}
			last = now
		}
		if end := m.At(m.Duration()); end != (motion{Position: target}) {
			t.Fatalf("ends at %+v, target %v", end, target)
		}
		if near := m.At(m.Duration() * (1 - 1e-9)); math.Abs(near.Position-target) > 1e-5 || math.Abs(near.Velocity) > 1e-5 {
			t.Fatalf("just before the end at %+v, target %v", near, target)
		}
	})
}

// The last moment of a stretch is where a rounding would exceed the limit.
func TestMoveDoesNotExceedItsLimitByARounding(t *testing.T) {
	for i := range 20_000 {
		l := control.MotionLimits[float32]{Velocity: 0.1 + float32(i)*1e-3, Acceleration: 0.3 + float32(i%97)*0.1}
		v := l.Velocity * float32(i%13) / 13
		m := newMove(t, l, control.Motion[float32]{Velocity: v}, 1000)
		if at := m.At(math.Nextafter32((l.Velocity-v)/l.Acceleration, 0)); at.Velocity > l.Velocity {
			t.Fatalf("%+v: velocity %v", l, at.Velocity)
		}
	}
}

// Without a limit of the velocity and with the same limit u on both sides this is the double integrator, whose least time is
// known: with x the way and v the velocity towards the target, w = v·|v|/(2u):
// x ≥ w: −v/u + 2·√(x/u + v²/(2u²)); else v/u + 2·√(v²/(2u²) − x/u).
func TestMoveTakesTheLeastTimeOfADoubleIntegrator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u, v, x := rapid.Float64Range(0.1, 10).Draw(t, "u"), rapid.Float64Range(-20, 20).Draw(t, "v"), rapid.Float64Range(-50, 50).Draw(t, "x")
		m := newMove(t, limits{1e6, u, u}, motion{Velocity: v}, x)
		want := v/u + 2*math.Sqrt(v*v/(2*u*u)-x/u)
		if x >= v*math.Abs(v)/(2*u) {
			want = -v/u + 2*math.Sqrt(v*v/(2*u*u)+x/u)
		}
		if math.Abs(m.Duration()-want) > 1e-6*(1+want) {
			t.Fatalf("takes %v s, the least is %v", m.Duration(), want)
		}
	})
}

// Nothing is faster: at each place the velocity can be no more than the limit, than what the start allows, and than what can still be
// braked. The integral of 1/v over the way is the least time. (s − s·cos θ)/2 in place of the way keeps it finite at both ends.
func TestMoveIsAsFastAsItsLimitsAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, from, target := drawMove(t)
		v0 := min(math.Abs(from.Velocity), l.Velocity)
		way := math.Abs(target - from.Position)
		if way < v0*v0/(2*l.Deceleration)+1e-3 {
			t.Skip("too short to stop")
		}
		from.Velocity = math.Copysign(v0, target-from.Position)
		const n = 20_000
		least := 0.0
		for i := range n {
			theta := (float64(i) + 0.5) * math.Pi / n
			x := way * (1 - math.Cos(theta)) / 2
			v := min(l.Velocity, math.Sqrt(v0*v0+2*l.Acceleration*x), math.Sqrt(2*l.Deceleration*(way-x)))
			least += way / 2 * math.Sin(theta) / v * math.Pi / n
		}
		m := newMove(t, l, from, target)
		if math.Abs(m.Duration()-least) > 1e-3*least {
			t.Fatalf("takes %v s, the least is %v", m.Duration(), least)
		}
	})
}

// Step by step, with any dt, it goes where the plan goes and arrives when the plan does, to the bit.
func TestTrapezoidFollowsItsPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, from, target := drawMove(t)
		m := newMove(t, l, from, target)
		p, err := control.NewTrapezoid(l, 0)
		if err != control.OK {
			t.Fatal(err)
		}
		p.Reset(from.Position, from.Velocity)
		at := 0.0
		for p.Value() != (motion{Position: target}) {
			dt := rapid.Float64Range(0.01, 0.5).Draw(t, "dt")
			got := p.Update(target, dt)
			at += dt
			if want := m.At(at); math.Abs(got.Position-want.Position) > 1e-6 || math.Abs(got.Velocity-want.Velocity) > 1e-5 {
				t.Fatalf("after %v s at %+v, the plan at %+v", at, got, want)
			}
			if at > m.Duration()+1e-5 && got != (motion{Position: target}) {
				t.Fatalf("has not arrived after %v s, the plan says %v", at, m.Duration())
			}
		}
	})
}

// In float32, at a place where a step of the slowest kind is a fraction of the last digit, it still moves, keeps its limits, and
// arrives.
func TestTrapezoidArrivesInFloat32(t *testing.T) {
	const h = 1e-3
	l := control.MotionLimits[float32]{Velocity: 0.1, Acceleration: 1}
	p, err := control.NewTrapezoid(l, float32(10_000))
	if err != control.OK {
		t.Fatal(err)
	}
	const target = float32(10_001)
	steps := 0
	for last := p.Value(); p.Value() != (control.Motion[float32]{Position: target}); last = p.Value() {
		if steps++; steps > 11_000 {
			t.Fatalf("after %d ms still at %+v", steps, p.Value())
		}
		now := p.Update(target, h)
		if now.Velocity > l.Velocity || math.Abs(float64(now.Velocity-last.Velocity)) > 1.001*h {
			t.Fatalf("from %+v to %+v", last, now)
		}
		if now.Position > target {
			t.Fatalf("beyond the target: %+v", now)
		}
	}
	// 1 m at 0.1 m/s, and a tenth of a second for speeding up and braking.
	t.Logf("arrives after %d ms", steps)
	if steps < 10_099 || steps > 10_110 {
		t.Errorf("arrives after %d ms, want 10100", steps)
	}
}

// Whatever is asked, and however the target jumps, the limits hold and what comes out is a number.
func TestTrapezoidTakesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := control.MotionLimits[float32]{Velocity: rapid.Float32Range(0.1, 10).Draw(t, "velocity"),
			Acceleration: rapid.Float32Range(0.1, 10).Draw(t, "acceleration"), Deceleration: rapid.Float32Range(0, 10).Draw(t, "deceleration")}
		if l.Deceleration > 0 && l.Deceleration < 0.01 {
			l.Deceleration = 0.01
		}
		p, err := control.NewTrapezoid(l, 0)
		if err != control.OK {
			t.Fatal(err)
		}
		most := max(l.Acceleration, l.Deceleration)
		wild := rapid.OneOf(rapid.Float32(), rapid.SampledFrom([]float32{float32(math.NaN()), float32(math.Inf(1)), 0, -1}))
		for range 50 {
			before := p.Value()
			dt := rapid.OneOf(rapid.Float32Range(0.001, 0.1), wild).Draw(t, "dt")
			now := p.Update(rapid.OneOf(rapid.Float32Range(-10, 10), wild).Draw(t, "target"), dt)
			if !(now.Velocity >= -l.Velocity && now.Velocity <= l.Velocity) || now.Position-now.Position != 0 {
				t.Fatalf("from %+v to %+v, limits %+v", before, now, l)
			}
			if change := math.Abs(float64(now.Velocity - before.Velocity)); dt > 0 && change > float64(most)*float64(dt)*1.00001+1e-5 {
				t.Fatalf("from %+v to %+v in %v s, limits %+v", before, now, dt, l)
			}
		}
	})
}

func TestTrapezoidHolds(t *testing.T) {
	p, err := control.NewTrapezoid(limits{1, 1, 1}, 3)
	if err != control.OK {
		t.Fatal(err)
	}
	p.Update(10, 0.5)
	before := p
	for i, in := range [][2]float64{{math.NaN(), 0.1}, {math.Inf(1), 0.1}, {10, 0}, {10, -1}, {10, math.NaN()}, {10, math.Inf(1)}} {
		if got := p.Update(in[0], in[1]); got != before.Value() || p.Held() != uint32(i+1) {
			t.Errorf("Update(%v) = %+v, held %d", in, got, p.Held())
		}
	}
	p.Reset(math.NaN(), 0)
	p.Reset(0, math.Inf(-1))
	if p.Held() != 8 || p.Update(10, 0.5) != before.Update(10, 0.5) {
		t.Errorf("held %d, and %+v, want %+v: as if nothing had been", p.Held(), p.Value(), before.Value())
	}
	if _, err := control.NewTrapezoid(limits{1, 0, 0}, 0); err != control.ErrPositive {
		t.Errorf("without acceleration: %v", err)
	}
	refused, err := control.NewTrapezoid(limits{1, 1, 0}, math.NaN())
	if got := refused.Update(1, 1); err != control.ErrMotion || got != (motion{}) {
		t.Errorf("from nowhere: %v, moves to %+v", err, got)
	}
}

func TestMovesAreChecked(t *testing.T) {
	type motion32 = control.Motion[float32]
	inf := float32(math.Inf(1))
	for name, tc := range map[string]struct {
		l      control.MotionLimits[float32]
		from   motion32
		target float32
		want   control.Err
	}{
		"no velocity":         {control.MotionLimits[float32]{0, 1, 1}, motion32{}, 1, control.ErrPositive},
		"negative":            {control.MotionLimits[float32]{1, 1, -1}, motion32{}, 1, control.ErrPositive},
		"endless":             {control.MotionLimits[float32]{1, inf, 1}, motion32{}, 1, control.ErrPositive},
		"target":              {control.MotionLimits[float32]{1, 1, 1}, motion32{}, inf, control.ErrMotion},
		"position":            {control.MotionLimits[float32]{1, 1, 1}, motion32{Position: -inf}, 1, control.ErrMotion},
		"velocity":            {control.MotionLimits[float32]{1, 1, 1}, motion32{Velocity: float32(math.NaN())}, 1, control.ErrMotion},
		"too fast to brake":   {control.MotionLimits[float32]{1, 1, 1}, motion32{Velocity: 1e30}, 1, control.ErrMotion},
		"too far":             {control.MotionLimits[float32]{1, 1, 1}, motion32{Position: -3e38}, 3e38, control.ErrMotion},
		"too far to square":   {control.MotionLimits[float32]{1, 10, 10}, motion32{}, 3e38, control.ErrMotion},
		"too slow to get far": {control.MotionLimits[float32]{1e-10, 1, 1}, motion32{}, 1e37, control.ErrMotion},
	} {
		if m, err := control.NewMove(tc.l, tc.from, tc.target); err != tc.want || m.Duration() != 0 {
			t.Errorf("%s: %v, takes %v s; want %v", name, err, m.Duration(), tc.want)
		}
	}
}

func BenchmarkTrapezoid(b *testing.B) {
	p, err := control.NewTrapezoid(control.MotionLimits[float32]{Velocity: 1, Acceleration: 1}, 0)
	if err != control.OK {
		b.Fatal(err)
	}
	b.ReportAllocs()
	target := float32(100)
	for b.Loop() {
		if p.Update(target, 0.001).Position == target {
			target = -target
		}
	}
}
