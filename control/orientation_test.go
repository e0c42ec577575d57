package control_test

import (
	"math"
	"testing"

	"github.com/fulmar-io/fulmar/control"
	"pgregory.net/rapid"
)

type (
	vec   = control.Vector[float64]
	quat  = control.Quaternion[float64]
	euler = control.Euler[float64]
)

// epsilon is the distance from 1 to the next T.
func epsilon[T control.Float]() float64 {
	if _, single := any(T(0)).(float32); single {
		return 0x1p-23
	}
	return 0x1p-52
}

func wideQ[T control.Float](q control.Quaternion[T]) quat {
	return quat{W: float64(q.W), X: float64(q.X), Y: float64(q.Y), Z: float64(q.Z)}
}

func wideV[T control.Float](v control.Vector[T]) vec {
	return vec{X: float64(v.X), Y: float64(v.Y), Z: float64(v.Z)}
}

func narrow[T control.Float](v vec) control.Vector[T] {
	return control.Vector[T]{X: T(v.X), Y: T(v.Y), Z: T(v.Z)}
}

func length(q quat) float64 { return math.Sqrt(q.W*q.W + q.X*q.X + q.Y*q.Y + q.Z*q.Z) }

func dot(v, w vec) float64 { return v.X*w.X + v.Y*w.Y + v.Z*w.Z }

func apart(v, w vec) float64 { return math.Hypot(math.Hypot(v.X-w.X, v.Y-w.Y), v.Z-w.Z) }

// turned is by how much two orientations differ, in radians, without the package's own arithmetic. Of two quaternions of length 1
// the chord is 2·sin of a quarter of the angle.
func turned(q, p quat) float64 {
	near := math.Hypot(math.Hypot(q.W-p.W, q.X-p.X), math.Hypot(q.Y-p.Y, q.Z-p.Z))
	far := math.Hypot(math.Hypot(q.W+p.W, q.X+p.X), math.Hypot(q.Y+p.Y, q.Z+p.Z))
	return 4 * math.Asin(min(1, min(near, far)/2))
}

// about returns the rotation by an angle about an axis of length 1.
func about(axis vec, angle float64) quat {
	sin, cos := math.Sincos(angle / 2)
	return quat{W: cos, X: sin * axis.X, Y: sin * axis.Y, Z: sin * axis.Z}
}

// rodrigues turns a vector about an axis of length 1: v·cos + (axis × v)·sin + axis·(axis·v)·(1 − cos).
func rodrigues(axis vec, angle float64, v vec) vec {
	sin, cos := math.Sincos(angle)
	k := dot(axis, v) * (1 - cos)
	return vec{
		X: v.X*cos + (axis.Y*v.Z-axis.Z*v.Y)*sin + axis.X*k,
		Y: v.Y*cos + (axis.Z*v.X-axis.X*v.Z)*sin + axis.Y*k,
		Z: v.Z*cos + (axis.X*v.Y-axis.Y*v.X)*sin + axis.Z*k,
	}
}

func drawAxis(t *rapid.T) vec {
	z, a := rapid.Float64Range(-1, 1).Draw(t, "z"), rapid.Float64Range(-math.Pi, math.Pi).Draw(t, "longitude")
	r := math.Sqrt(1 - z*z)
	return vec{X: r * math.Cos(a), Y: r * math.Sin(a), Z: z}
}

func drawQuat(t *rapid.T) quat {
	return about(drawAxis(t), rapid.Float64Range(-math.Pi, math.Pi).Draw(t, "angle"))
}

// What the conventions say, in words and numbers.
func TestEulerConventions(t *testing.T) {
	ahead, left, above := vec{X: 1}, vec{Y: 1}, vec{Z: 1}
	for name, tc := range map[string]struct {
		e    euler
		v    vec
		want vec
	}{
		"heading 0 looks east":                {euler{}, ahead, vec{X: 1}},
		"heading 90° looks north":             {euler{Yaw: math.Pi / 2}, ahead, vec{Y: 1}},
		"heading 90° has west to the left":    {euler{Yaw: math.Pi / 2}, left, vec{X: -1}},
		"pitch 90° looks down":                {euler{Pitch: math.Pi / 2}, ahead, vec{Z: -1}},
		"roll 90° has the left side up":       {euler{Roll: math.Pi / 2}, left, vec{Z: 1}},
		"yaw is about the vertical":           {euler{Yaw: 1}, above, vec{Z: 1}},
		"roll is about the axis ahead":        {euler{Yaw: math.Pi / 2, Roll: 1}, ahead, vec{Y: 1}},
		"pitch is about the axis to the left": {euler{Yaw: math.Pi / 2, Pitch: 1}, left, vec{X: -1}},
	} {
		if got := tc.e.Quaternion().Rotate(tc.v); apart(got, tc.want) > 1e-15 {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestRotateAgainstRodrigues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, angle := drawAxis(t), drawAxis(t), rapid.Float64Range(-6, 6).Draw(t, "by")
		v := drawAxis(t)
		q, p := about(a, angle), about(b, 1.3)
		if got, want := q.Rotate(v), rodrigues(a, angle, v); apart(got, want) > 2e-15 {
			t.Fatalf("turned to %+v, want %+v", got, want)
		}
		if got, want := q.Times(p).Rotate(v), rodrigues(a, angle, rodrigues(b, 1.3, v)); apart(got, want) > 4e-15 {
			t.Fatalf("the product turns to %+v, want %+v: first the right one", got, want)
		}
		if got := q.Conjugate().Rotate(q.Rotate(v)); apart(got, v) > 2e-15 {
			t.Fatalf("turned there and back it is %+v, was %+v", got, v)
		}
		want := math.Abs(math.Remainder(angle, 2*math.Pi))
		if got := p.AngleTo(p.Times(q)); math.Abs(got-want) > 1e-14 {
			t.Fatalf("is turned by %v, want %v", got, want)
		}
	})
}

// In any number of steps a constant rate leads where one turn about its axis does: each step is off by a rounding or two,
// and they add up no faster than their count.
func TestIntegrateAgainstClosedForm(t *testing.T) {
	t.Run("float64", func(t *testing.T) { integrate[float64](t) })
	t.Run("float32", func(t *testing.T) { integrate[float32](t) })
}

func integrate[T control.Float](t *testing.T) {
	worst := 0.0 // in roundings per step
	rapid.Check(t, func(t *rapid.T) {
		axis, q := drawAxis(t), drawQuat(t)
		angle := rapid.OneOf(rapid.Float64Range(-0.01, 0.01), rapid.Float64Range(-20, 20)).Draw(t, "per step")
		start := control.Quaternion[T]{W: T(q.W), X: T(q.X), Y: T(q.Y), Z: T(q.Z)}
		start, _ = start.Normalize()
		const dt = 0x1p-7
		rate := narrow[T](vec{X: axis.X * angle / dt, Y: axis.Y * angle / dt, Z: axis.Z * angle / dt})
		// The rate as a T has it is the one that is integrated.
		w := wideV(rate)
		speed := math.Sqrt(dot(w, w))
		n := rapid.IntRange(1, 300).Draw(t, "steps")
		got := start
		for range n {
			got = got.Integrate(rate, dt)
		}
		want := wideQ(start)
		if speed > 0 {
			want = want.Times(about(vec{X: w.X / speed, Y: w.Y / speed, Z: w.Z / speed}, speed*dt*float64(n)))
		}
		off := turned(wideQ(got), want) / ((float64(n) + 2) * (1 + math.Abs(angle)) * epsilon[T]())
		worst = max(worst, off)
		if off > 2 { // the reference is of float64 too, and rounds
			t.Fatalf("after %d steps of %v rad it is off by %.3g rad, %.2f roundings a step", n, angle, turned(wideQ(got), want), off)
		}
		if l := length(wideQ(got)); math.Abs(l-1) > 4*epsilon[T]() {
			t.Fatalf("its length is %v", l)
		}
	})
	t.Logf("off by at most %.2f roundings (%.2g) per step, for turns up to a radian; more in proportion beyond", worst, epsilon[T]())
	if worst == 0 {
		t.Error("never off: nothing was measured")
	}
}

// A million steps: nothing drifts off the unit sphere, and what the attitude has lost is told.
func TestIntegrateForAMillionSteps(t *testing.T) {
	t.Run("float64", func(t *testing.T) { million[float64](t, 1e-11) })
	t.Run("float32", func(t *testing.T) { million[float32](t, 0.02) })
}

func million[T control.Float](t *testing.T, most float64) {
	const n, dt = 1_000_000, 0x1p-10
	rate := control.Vector[T]{X: 0.5, Y: -1.25, Z: 2}
	w := wideV(rate)
	speed := math.Sqrt(dot(w, w))
	q, offUnit := control.Identity[T](), 0.0
	for range n {
		q = q.Integrate(rate, dt)
		offUnit = max(offUnit, math.Abs(length(wideQ(q))-1))
	}
	off := turned(wideQ(q), about(vec{X: w.X / speed, Y: w.Y / speed, Z: w.Z / speed}, speed*n*dt))
	t.Logf("after %d steps and %.0f turns: off by %.2g rad, its length by at most %.2g", n, speed*n*dt/(2*math.Pi), off, offUnit)
	if off > most || offUnit > 4*epsilon[T]() {
		t.Errorf("off by %v rad, want at most %v; its length by %v", off, most, offUnit)
	}
}

func TestIntegrateRefuses(t *testing.T) {
	q := about(vec{Z: 1}, 0.3)
	for _, in := range []struct {
		rate vec
		dt   float64
	}{
		{vec{X: math.NaN()}, 1}, {vec{Y: math.Inf(1)}, 1}, {vec{Z: 1}, math.NaN()}, {vec{Z: 1}, math.Inf(-1)}, {vec{Z: 1e5}, 1},
	} {
		if got := q.Integrate(in.rate, in.dt); got != q {
			t.Errorf("Integrate(%+v, %v) = %+v, want it unchanged", in.rate, in.dt, got)
		}
	}
	if got := q.Integrate(vec{X: 1e-200}, 1e-200); got != q {
		t.Errorf("next to no turn: %+v", got)
	}
	if got, want := q.Integrate(vec{Z: 2}, -0.25), about(vec{Z: 1}, -0.2); turned(got, want) > 1e-15 {
		t.Errorf("backwards in time %+v, want %+v", got, want)
	}
}

func TestEulerAndBack(t *testing.T) {
	t.Run("float64", rapid.MakeCheck(eulerAndBack[float64]))
	t.Run("float32", rapid.MakeCheck(eulerAndBack[float32]))
}

func eulerAndBack[T control.Float](t *rapid.T) {
	turn := rapid.OneOf(rapid.Float64Range(-math.Pi, math.Pi), rapid.SampledFrom([]float64{0, math.Pi, -math.Pi, math.Pi / 2}))
	// The last are next to gimbal lock, where an arc sine of the pitch has lost half of its digits.
	pitch := rapid.OneOf(rapid.Float64Range(-math.Pi/2, math.Pi/2), rapid.SampledFrom([]float64{math.Pi / 2, -math.Pi / 2}),
		rapid.Float64Range(math.Pi/2-1e-3, math.Pi/2), rapid.Float64Range(-math.Pi/2, 1e-7-math.Pi/2)).Draw(t, "pitch")
	e := control.Euler[T]{Yaw: T(turn.Draw(t, "yaw")), Pitch: T(pitch), Roll: T(turn.Draw(t, "roll"))}
	q := e.Quaternion()
	// Each turn on its own, about the axis it is said to be about.
	want := about(vec{Z: 1}, float64(e.Yaw)).Times(about(vec{Y: 1}, float64(e.Pitch))).Times(about(vec{X: 1}, float64(e.Roll)))
	if off := turned(wideQ(q), want); off > 8*epsilon[T]() {
		t.Fatalf("%+v is %+v, off by %v", e, q, off)
	}
	back := q.Euler()
	if !(math.Abs(float64(back.Yaw)) <= math.Pi+1e-6 && math.Abs(float64(back.Pitch)) <= math.Pi/2+1e-6 && math.Abs(float64(back.Roll)) <= math.Pi+1e-6) {
		t.Fatalf("%+v comes back as %+v", e, back)
	}
	if off := turned(wideQ(back.Quaternion()), want); off > 20*epsilon[T]() {
		t.Fatalf("%+v comes back as %+v, a rotation that is off by %v", e, back, off)
	}
	if off := math.Abs(float64(back.Pitch - e.Pitch)); off > 10*epsilon[T]() {
		t.Fatalf("pitch %v comes back as %v", e.Pitch, back.Pitch)
	}
	free := math.Cos(float64(e.Pitch)) // how much of yaw and roll is told apart
	for _, d := range []T{back.Yaw - e.Yaw, back.Roll - e.Roll} {
		if off := math.Abs(math.Remainder(float64(d), 2*math.Pi)); off*free > 20*epsilon[T]() {
			t.Fatalf("%+v comes back as %+v", e, back)
		}
	}
}

// In gimbal lock, to the bit, yaw takes all of the turn about the vertical.
func TestEulerInGimbalLock(t *testing.T) {
	for _, q := range []quat{{W: 0.5, X: 0.5, Y: 0.5, Z: -0.5}, {W: 0.5, X: -0.5, Y: 0.5, Z: 0.5}, {W: 0.5, X: 0.5, Y: -0.5, Z: 0.5},
		{W: 0.5, X: -0.5, Y: -0.5, Z: -0.5}, {W: 0.5, Y: 0.5, X: 0.5, Z: -0.5}} {
		e := q.Euler()
		if e.Roll != 0 || math.Abs(math.Abs(e.Pitch)-math.Pi/2) > 1e-15 || turned(e.Quaternion(), q) > 1e-15 {
			t.Errorf("%+v is %+v, which is %+v", q, e, e.Quaternion())
		}
	}
}

func TestNormalize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuat(t)
		k := rapid.SampledFrom([]float64{1e-36, 1e-10, 0.5, 1, 7, 1e10, 1e37}).Draw(t, "length")
		got, err := control.Quaternion[float32]{W: float32(k * q.W), X: float32(k * q.X), Y: float32(k * q.Y), Z: float32(k * q.Z)}.Normalize()
		if err != control.OK || turned(wideQ(got), q) > 8*epsilon[float32]() || math.Abs(length(wideQ(got))-1) > 2*epsilon[float32]() {
			t.Fatalf("%+v of length %v becomes %+v, %v", q, k, got, err)
		}
	})
	for _, q := range []quat{{}, {W: math.NaN(), X: 1}, {Y: math.Inf(-1)}} {
		if got, err := q.Normalize(); got != control.Identity[float64]() || err != control.ErrDirection {
			t.Errorf("%+v becomes %+v, %v", q, got, err)
		}
	}
}
