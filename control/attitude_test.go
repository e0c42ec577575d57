package control_test

import (
	"math"
	"testing"

	"github.com/fulmar-io/fulmar/control"
	"pgregory.net/rapid"
)

// estimator is what the three filters have in common.
type estimator[T control.Float] interface {
	Update(s control.Inertial[T], dt T) control.Err
	Attitude() control.Quaternion[T]
	Bias() control.Vector[T]
	SetBias(control.Vector[T]) control.Err
	Set(control.Quaternion[T]) control.Err
	Reset()
	Status() control.AttitudeStatus
}

func newComplementary[T control.Float](t rapid.TB, time T, e control.Earth[T]) estimator[T] {
	f, err := control.NewComplementary(control.ComplementaryGains[T]{Time: time}, e)
	if err != control.OK {
		t.Fatalf("NewComplementary: %v", err)
	}
	return &f
}

func newMahony[T control.Float](t rapid.TB, g control.MahonyGains[T], e control.Earth[T]) estimator[T] {
	f, err := control.NewMahony(g, e)
	if err != control.OK {
		t.Fatalf("NewMahony(%+v): %v", g, err)
	}
	return &f
}

func newMadgwick[T control.Float](t rapid.TB, g control.MadgwickGains[T], e control.Earth[T]) estimator[T] {
	f, err := control.NewMadgwick(g, e)
	if err != control.OK {
		t.Fatalf("NewMadgwick(%+v): %v", g, err)
	}
	return &f
}

var methods = []string{"complementary", "mahony", "madgwick"}

// newEstimator returns one of the three with all it has.
func newEstimator[T control.Float](t rapid.TB, method string, e control.Earth[T]) estimator[T] {
	switch method {
	case "complementary":
		return newComplementary(t, 1, e)
	case "mahony":
		return newMahony(t, control.MahonyGains[T]{Kp: 1, Ki: 0.25}, e)
	}
	return newMadgwick(t, control.MadgwickGains[T]{Beta: 0.2, Zeta: 0.05}, e)
}

func forEach(t *testing.T, test func(t *testing.T, method string)) {
	for _, method := range methods {
		t.Run(method, func(t *testing.T) { test(t, method) })
	}
}

// place is somewhere on the earth: what a body at rest there measures.
type place struct{ declination, dip float64 }

// sense returns what sensors of a body with an orientation measure, whatever their units are.
func (p place) sense(q quat, rate vec) control.Inertial[float64] {
	field := vec{X: math.Cos(p.dip) * math.Sin(p.declination), Y: math.Cos(p.dip) * math.Cos(p.declination), Z: -math.Sin(p.dip)}
	back := quat{W: q.W, X: -q.X, Y: -q.Y, Z: -q.Z}
	a, m := turnBy(back, vec{Z: 1}), turnBy(back, field)
	return control.Inertial[float64]{Rate: rate, Accel: a, Field: vec{X: 48 * m.X, Y: 48 * m.Y, Z: 48 * m.Z}}
}

// turnBy turns a vector by a quaternion of length 1, by its axis and angle.
func turnBy(q quat, v vec) vec {
	u := vec{X: q.X, Y: q.Y, Z: q.Z}
	return rodrigues(unitOf(u), 2*math.Atan2(math.Sqrt(dot(u, u)), q.W), v)
}

func unitOf(v vec) vec {
	l := math.Sqrt(dot(v, v))
	if l == 0 {
		return vec{X: 1}
	}
	return vec{X: v.X / l, Y: v.Y / l, Z: v.Z / l}
}

func narrowSample[T control.Float](s control.Inertial[float64]) control.Inertial[T] {
	return control.Inertial[T]{Rate: narrow[T](s.Rate), Accel: narrow[T](s.Accel), Field: narrow[T](s.Field)}
}

func mustUpdate[T control.Float](t rapid.TB, f estimator[T], s control.Inertial[T], dt T) {
	t.Helper()
	if err := f.Update(s, dt); err != control.OK {
		t.Fatalf("Update(%+v, %v): %v", s, dt, err)
	}
}

// The first sample is the attitude: tilt from gravity, heading from the field, whatever declination and dip are.
func TestFirstSampleIsTheAttitude(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		t.Run("float64", rapid.MakeCheck(firstSample[float64](method)))
		t.Run("float32", rapid.MakeCheck(firstSample[float32](method)))
	})
}

func firstSample[T control.Float](method string) func(*rapid.T) {
	return func(t *rapid.T) {
		q := rapid.OneOf(rapid.Custom(drawQuat), rapid.SampledFrom([]quat{{X: 1}, {Y: 1}, {Z: 1}, about(vec{Y: 1}, math.Pi/2)})).Draw(t, "q")
		p := place{rapid.Float64Range(-3, 3).Draw(t, "declination"), rapid.Float64Range(-1.4, 1.4).Draw(t, "dip")}
		f := newEstimator(t, method, control.Earth[T]{Declination: T(p.declination)})
		s := narrowSample[T](p.sense(q, vec{}))
		mustUpdate(t, f, s, 0.01)
		if off := turned(wideQ(f.Attitude()), q); off > 20*epsilon[T]()/math.Cos(p.dip) {
			t.Fatalf("at %+v the first sample gives %+v, off by %v rad", q, f.Attitude(), off)
		}
		// Without a field it is roll and pitch as the arc tangents have them, and looks east.
		f.Reset()
		s.Field = control.Vector[T]{}
		mustUpdate(t, f, s, 0.01)
		a := wideV(s.Accel)
		want := about(vec{Y: 1}, math.Atan2(-a.X, math.Hypot(a.Y, a.Z))).Times(about(vec{X: 1}, math.Atan2(a.Y, a.Z)))
		if off := turned(wideQ(f.Attitude()), want); off > 20*epsilon[T]() {
			t.Fatalf("without a field %+v, want %+v, off by %v rad", f.Attitude(), want, off)
		}
		if s := f.Status(); !s.Ready || s.Heading || !s.AccelUsed || s.FieldUsed {
			t.Fatalf("status %+v", s)
		}
	}
}

// decay starts a filter off by an angle about an axis of the earth, lets it see a body at rest, and calls check with the seconds
// and how far it is off.
func decay(t *testing.T, f estimator[float64], axis vec, off, seconds float64, check func(at, off float64)) {
	t.Helper()
	const dt = 1e-3
	q := euler{Yaw: 0.4, Pitch: -0.7, Roll: 2}.Quaternion()
	if err := f.Set(about(axis, off).Times(q)); err != control.OK {
		t.Fatal(err)
	}
	s := place{0.2, 1.1}.sense(q, vec{})
	if axis.Z == 0 {
		// A tilted estimate has the dip of the field for a heading. What that does is TestTiltDrawsTheHeading's.
		s.Field = vec{}
	}
	for i := 1; float64(i)*dt <= seconds; i++ {
		mustUpdate(t, f, s, dt)
		check(float64(i)*dt, turned(f.Attitude(), q))
	}
}

var (
	here = control.Earth[float64]{Declination: 0.2}
	// tiltOrTurn are the axes about which an estimate is off: horizontal ones show in gravity, the vertical one in the field.
	tiltOrTurn = map[string]vec{"tilt": {X: 0.6, Y: 0.8}, "heading": {Z: 1}}
)

// A measured time constant: from e⁻¹ of the start to e⁻² of it.
func timeConstant(t *testing.T, f estimator[float64], axis vec, off float64) float64 {
	first, second := 0.0, 0.0
	decay(t, f, axis, off, 20, func(at, now float64) {
		if first == 0 && now <= off/math.E {
			first = at
		}
		if second == 0 && now <= off/(math.E*math.E) {
			second = at
		}
	})
	return second - first
}

// An error of any size decays as exp(−t/τ).
func TestComplementaryAgainstClosedForm(t *testing.T) {
	for name, axis := range tiltOrTurn {
		for _, off := range []float64{0.01, 1, 3} {
			const tau = 0.8
			worst := 0.0
			decay(t, newComplementary(t, tau, here), axis, off, 8, func(at, now float64) {
				worst = max(worst, math.Abs(now-off*math.Exp(-at/tau))/off)
			})
			t.Logf("%s off by %v rad: time constant %.4f s, formula %v s; off the closed form by at most %.2g of the start", name, off,
				timeConstant(t, newComplementary(t, tau, here), axis, off), tau, worst)
			if worst > 1e-3 {
				t.Errorf("%s off by %v rad: off the closed form by %v of the start", name, off, worst)
			}
		}
	}
}

// tan(θ/2) decays as exp(−Kp·t) from a right angle on; before, θ shrinks by Kp each second.
func TestMahonyAgainstClosedForm(t *testing.T) {
	const kp = 1.5
	for name, axis := range tiltOrTurn {
		for _, off := range []float64{0.01, 1, 3} {
			worst := 0.0
			decay(t, newMahony(t, control.MahonyGains[float64]{Kp: kp}, here), axis, off, 8, func(at, now float64) {
				want, from := off, math.Max(0, (off-math.Pi/2)/kp)
				if want -= kp * math.Min(at, from); at > from {
					want = 2 * math.Atan(math.Tan(want/2)*math.Exp(-kp*(at-from)))
				}
				worst = max(worst, math.Abs(now-want)/off)
			})
			t.Logf("%s off by %v rad: off the closed form by at most %.2g of the start", name, off, worst)
			if worst > 1e-3 {
				t.Errorf("%s off by %v rad: off the closed form by %v of the start", name, off, worst)
			}
		}
		got := timeConstant(t, newMahony(t, control.MahonyGains[float64]{Kp: kp}, here), axis, 0.01)
		t.Logf("%s: time constant %.4f s, formula %.4f s", name, got, 1/kp)
		if math.Abs(got*kp-1) > 5e-3 {
			t.Errorf("%s: time constant %v s, formula %v s", name, got, 1/kp)
		}
	}
}

// θ shrinks by 2β each second and stays at 0. Past a right angle too: the gradient's length does not matter.
func TestMadgwickAgainstClosedForm(t *testing.T) {
	const beta = 0.3
	for name, axis := range tiltOrTurn {
		for _, off := range []float64{0.01, 1, 3} {
			worst, there := 0.0, 0.0
			decay(t, newMadgwick(t, control.MadgwickGains[float64]{Beta: beta}, here), axis, off, 6, func(at, now float64) {
				worst = max(worst, math.Abs(now-max(0, off-2*beta*at)))
				if there == 0 && now < 1e-6 {
					there = at
				}
			})
			t.Logf("%s off by %v rad: there after %.3f s, formula %.3f s; off the closed form by at most %.2g rad", name, off, there, off/(2*beta), worst)
			// One step, 2β·dt, is how finely it can be there.
			if worst > 2*beta*1e-3 {
				t.Errorf("%s off by %v rad: off the closed form by %v rad", name, off, worst)
			}
		}
	}
}

// To the bit upside down, where a × d is 0, it turns all the same.
func TestUpsideDownIsNoRest(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		for name, q := range map[string]quat{"level": {W: 1}, "nose down": {W: math.Sqrt2 / 2, Y: math.Sqrt2 / 2}, "on its side": {W: math.Sqrt2 / 2, X: math.Sqrt2 / 2},
			"nose up, to the bit": {W: 0.5, X: 0.5, Y: -0.5, Z: 0.5}} {
			f := newEstimator(t, method, control.Earth[float64]{})
			if err := f.Set(q); err != control.OK {
				t.Fatal(err)
			}
			up := q.Conjugate().Rotate(vec{Z: 1})
			s := control.Inertial[float64]{Accel: vec{X: -up.X, Y: -up.Y, Z: -up.Z}}
			for range 1500 {
				mustUpdate(t, f, s, 0.01)
			}
			if got := f.Attitude().Rotate(unitOf(s.Accel)); got.Z < 0.9999 {
				t.Errorf("%s: after 15 s upside down the measured vertical is at %+v", name, got)
			}
		}
	})
}

// A gyro that is right is followed to roundings, however fast the body tumbles: the correction is measured against where the body
// is now. With the correction first, each step would be off by the way of one step.
func TestFollowsATumblingBody(t *testing.T) {
	t.Run("float64", func(t *testing.T) { forEach(t, tumble[float64](1e-12)) })
	t.Run("float32", func(t *testing.T) { forEach(t, tumble[float32](1e-5)) })
}

func tumble[T control.Float](most float64) func(t *testing.T, method string) {
	return func(t *testing.T, method string) {
		const dt = 0x1p-7
		p := place{0.2, 1.1}
		rate := vec{X: 7, Y: -3, Z: 5}
		speed := math.Sqrt(dot(rate, rate))
		start := euler{Yaw: 1, Pitch: 0.2, Roll: -2}.Quaternion()
		f := newEstimator(t, method, control.Earth[T]{Declination: T(p.declination)})
		worst := 0.0
		for i := range 5000 {
			q := start.Times(about(unitOf(rate), speed*dt*float64(i)))
			mustUpdate(t, f, narrowSample[T](p.sense(q, rate)), dt)
			worst = max(worst, turned(wideQ(f.Attitude()), q))
		}
		t.Logf("off by at most %.2g rad", worst)
		if worst > most {
			t.Errorf("off by %v rad", worst)
		}
	}
}

// A field that dips shows a tilted estimate a wrong heading, by the tilt times the tangent of the dip. So the heading is drawn there
// as long as the tilt is off, and comes back. The other way there is nothing: no field, however wrong, tilts the estimate.
func TestTiltDrawsTheHeadingAndNotTheOtherWay(t *testing.T) {
	const tau, off, dip = 1.0, 1e-3, 1.0
	f := newComplementary(t, tau, control.Earth[float64]{})
	q := euler{Yaw: 0.8}.Quaternion()
	f.Set(about(vec{Y: 1}, off).Times(q)) // about north: a field that points down seems to point west
	s := place{0, dip}.sense(q, vec{})
	worst := 0.0
	for i := 1; i <= 8000; i++ {
		mustUpdate(t, f, s, 1e-3)
		// ψ′ = −(tan(dip)·θ + ψ)/τ with θ = off·exp(−t/τ): a double pole.
		at := float64(i) * 1e-3
		worst = max(worst, math.Abs(f.Attitude().Euler().Yaw-0.8+off*math.Tan(dip)*at/tau*math.Exp(-at/tau)))
	}
	t.Logf("heading is off the closed form by at most %.2g rad", worst)
	if worst > 5e-3*off {
		t.Errorf("heading is off the closed form by %v rad", worst)
	}
	forEach(t, func(t *testing.T, method string) {
		rapid.Check(t, func(t *rapid.T) {
			f := newEstimator(t, method, control.Earth[float64]{})
			q := drawQuat(t)
			f.Set(q)
			s := place{}.sense(q, vec{})
			for range 50 {
				s.Field = drawAxis(t)
				mustUpdate(t, f, s, 0.02)
				if up := f.Attitude().Rotate(s.Accel); apart(up, vec{Z: 1}) > 1e-13 {
					t.Fatalf("a field of %+v tilted the estimate: the vertical is at %+v", s.Field, up)
				}
			}
		})
	})
}

// Where the field dips, the bias is found all the same.
func TestFindsTheBiasWhereTheFieldDips(t *testing.T) {
	bias := vec{X: 0.01, Y: -0.02, Z: 0.02}
	for _, method := range []string{"mahony", "madgwick"} {
		f := newEstimator(t, method, here)
		end := 0.0
		still(t, f, bias, 1.2, 60, func(_, off float64) { end = off })
		t.Logf("%s: after a minute the bias is off by %.2g rad/s, the attitude by %.2g rad", method, apart(f.Bias(), bias), end)
		if apart(f.Bias(), bias) > 1e-6 || end > 1e-6 {
			t.Errorf("%s: after a minute the bias is %+v, want %+v; the attitude is off by %v rad", method, f.Bias(), bias, end)
		}
	}
}

// restQuat is how the body of still lies.
var restQuat = euler{Yaw: -2, Pitch: 0.5, Roll: 0.3}.Quaternion()

// still lets a filter see a body at rest with a gyro that is off, and calls check with the seconds.
func still(t *testing.T, f estimator[float64], bias vec, dip, seconds float64, check func(at, off float64)) {
	t.Helper()
	const dt = 1e-3
	q := restQuat
	if err := f.Set(q); err != control.OK {
		t.Fatal(err)
	}
	s := place{0.2, dip}.sense(q, bias)
	for i := 1; float64(i)*dt <= seconds; i++ {
		mustUpdate(t, f, s, dt)
		check(float64(i)*dt, turned(f.Attitude(), q))
	}
}

// What a bias leaves of a Complementary's attitude is b·τ, approached with τ.
func TestComplementaryWithABias(t *testing.T) {
	const tau = 0.8
	bias := vec{X: 0.01, Y: -0.02, Z: 0.02}
	size := math.Sqrt(dot(bias, bias))
	worst := 0.0
	still(t, newComplementary(t, tau, here), bias, 0, 6, func(at, off float64) {
		worst = max(worst, math.Abs(off-size*tau*(1-math.Exp(-at/tau))))
	})
	t.Logf("off the closed form by at most %.2g of %.2g rad", worst, size*tau)
	if worst > 2e-3*size*tau {
		t.Errorf("off the closed form by %v of %v rad", worst, size*tau)
	}
}

// b̂″ + Kp·b̂′ + Ki·b̂ = Ki·b, on all three axes, overdamped, critical and with an overshoot.
func TestMahonyFindsTheBias(t *testing.T) {
	const kp = 1.0
	bias := vec{X: 0.01, Y: -0.02, Z: 0.02}
	size := math.Sqrt(dot(bias, bias))
	for _, ki := range []float64{0.1, 0.25, 0.9} {
		f := newMahony(t, control.MahonyGains[float64]{Kp: kp, Ki: ki}, here)
		worst, within := 0.0, 0.0
		still(t, f, bias, 0, 40, func(at, _ float64) {
			left := biasLeft(kp, ki, at)
			b := f.Bias()
			off := apart(b, vec{X: bias.X * (1 - left), Y: bias.Y * (1 - left), Z: bias.Z * (1 - left)})
			worst = max(worst, off/size)
			if apart(b, bias) > 0.05*size {
				within = at
			}
		})
		t.Logf("Kp %v, Ki %v: within 5 %% of the bias after %.2f s; off the closed form by at most %.2g of it", kp, ki, within, worst)
		if worst > 3e-3 {
			t.Errorf("Kp %v, Ki %v: off the closed form by %v of the bias", kp, ki, worst)
		}
	}
}

// biasLeft is the share of a bias that is not found yet: x″ + Kp·x′ + Ki·x = 0 with x = 1 and x′ = 0 at first.
func biasLeft(kp, ki, t float64) float64 {
	d := kp*kp/4 - ki
	decay := math.Exp(-kp / 2 * t)
	switch {
	case d > 0:
		w := math.Sqrt(d)
		return decay * (math.Cosh(w*t) + kp/2/w*math.Sinh(w*t))
	case d < 0:
		w := math.Sqrt(-d)
		return decay * (math.Cos(w*t) + kp/2/w*math.Sin(w*t))
	}
	return decay * (1 + kp/2*t)
}

// Below 2β what is left of a bias decays with β/ζ, and the attitude is held meanwhile; above, the bias comes nearer by 2ζ each
// second and the attitude leaves until it has.
func TestMadgwickFindsTheBias(t *testing.T) {
	const beta, zeta = 0.05, 0.02
	up := place{}.sense(restQuat, vec{}).Accel
	for name, tc := range map[string]struct {
		bias vec
		left func(at float64) float64
	}{
		"below 2β": {vec{X: 0.02, Y: -0.04, Z: 0.04}, func(at float64) float64 { return 0.06 * math.Exp(-at*zeta/beta) }},
		"above 2β": {vec{X: 0.3 * up.X, Y: 0.3 * up.Y, Z: 0.3 * up.Z}, func(at float64) float64 { return 0.3 - 2*zeta*at }},
	} {
		f := newMadgwick(t, control.MadgwickGains[float64]{Beta: beta, Zeta: zeta}, here)
		worst, most := 0.0, 0.0
		still(t, f, tc.bias, 0, 5, func(at, off float64) {
			worst, most = max(worst, math.Abs(apart(f.Bias(), tc.bias)-tc.left(at))), max(most, off)
		})
		t.Logf("%s: what is left of the bias is off the closed form by at most %.2g rad/s; attitude off by at most %.2g rad", name, worst, most)
		if worst > 1e-4 || (name == "below 2β" && most > 1e-8) {
			t.Errorf("%s: what is left is off the closed form by %v rad/s, attitude by %v rad", name, worst, most)
		}
	}
}

// Without a magnetometer a bias about the vertical is not seen: it turns the heading, and nothing else goes wrong.
func TestABiasAboutTheVerticalNeedsAField(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		f := newEstimator(t, method, control.Earth[float64]{})
		for range 1001 {
			mustUpdate(t, f, control.Inertial[float64]{Rate: vec{Z: 0.01}, Accel: vec{Z: 1}}, 0.01)
		}
		if e := f.Attitude().Euler(); math.Abs(e.Yaw-0.1) > 1e-9 || math.Abs(e.Roll)+math.Abs(e.Pitch) > 1e-9 {
			t.Errorf("after 10 s with a bias of 0.01 rad/s: %+v", e)
		}
		if b := f.Bias(); b != (vec{}) {
			t.Errorf("found a bias of %+v", b)
		}
	})
}

// walk is a random run of a body's samples, with the seconds to each, some of them wrong on purpose.
type walk struct {
	samples []control.Inertial[float64]
	dts     []float64
}

func drawWalk(t *rapid.T, p place, n int) (w walk) {
	q := drawQuat(t)
	noise := func(v vec, size float64) vec {
		return vec{X: v.X + rapid.Float64Range(-size, size).Draw(t, "nx"), Y: v.Y + rapid.Float64Range(-size, size).Draw(t, "ny"), Z: v.Z + rapid.Float64Range(-size, size).Draw(t, "nz")}
	}
	for range n {
		rate := noise(vec{}, 3)
		dt := rapid.Float64Range(0.001, 0.1).Draw(t, "dt")
		speed := math.Sqrt(dot(rate, rate))
		q = q.Times(about(unitOf(rate), speed*dt))
		s := p.sense(q, rate)
		s.Rate, s.Accel, s.Field = noise(s.Rate, 0.1), noise(s.Accel, 0.1), noise(s.Field, 2)
		w.samples, w.dts = append(w.samples, s), append(w.dts, dt)
	}
	return w
}

// Which way the axes of the earth are is a name: with the declination and the start turned by an angle, all that comes out is turned
// by it. Which way a sensor is mounted is one as well.
func TestAttitudeIsInvariant(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		rapid.Check(t, func(t *rapid.T) {
			p := place{rapid.Float64Range(-1, 1).Draw(t, "declination"), rapid.Float64Range(-0.8, 0.8).Draw(t, "dip")}
			w := drawWalk(t, p, 20)
			alpha := rapid.Float64Range(-2, 2).Draw(t, "by")
			mount := drawQuat(t)
			mounted := func(v vec) vec { return turnBy(mount, v) }
			plain := newEstimator(t, method, control.Earth[float64]{Declination: p.declination})
			earth := newEstimator(t, method, control.Earth[float64]{Declination: p.declination - alpha})
			body := newEstimator(t, method, control.Earth[float64]{Declination: p.declination})
			// Off a little. Where the estimate is upside down, or has the field on its vertical, the way back may lie on either side,
			// and roundings decide.
			off := about(drawAxis(t), rapid.Float64Range(-0.4, 0.4).Draw(t, "off"))
			for i, s := range w.samples {
				if i == 1 {
					start := plain.Attitude().Times(off)
					plain.Set(start)
					earth.Set(about(vec{Z: 1}, alpha).Times(start))
					body.Set(start.Times(mount.Conjugate()))
				}
				mustUpdate(t, plain, s, w.dts[i])
				mustUpdate(t, earth, s, w.dts[i])
				mustUpdate(t, body, control.Inertial[float64]{Rate: mounted(s.Rate), Accel: mounted(s.Accel), Field: mounted(s.Field)}, w.dts[i])
				q := plain.Attitude()
				if off := turned(earth.Attitude(), about(vec{Z: 1}, alpha).Times(q)); off > 1e-9 {
					t.Fatalf("step %d: with the earth turned by %v the attitude is off by %v rad", i, alpha, off)
				}
				if off := turned(body.Attitude(), q.Times(mount.Conjugate())); off > 1e-9 {
					t.Fatalf("step %d: mounted otherwise it is off by %v rad", i, off)
				}
			}
		})
	})
}

// In float32 the same comes out, to its roundings.
func TestAttitudeInBothTypes(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		worst := 0.0
		rapid.Check(t, func(t *rapid.T) {
			p := place{rapid.Float64Range(-1, 1).Draw(t, "declination"), rapid.Float64Range(-0.8, 0.8).Draw(t, "dip")}
			w := drawWalk(t, p, 50)
			wide := newEstimator(t, method, control.Earth[float64]{Declination: float64(float32(p.declination))})
			single := newEstimator(t, method, control.Earth[float32]{Declination: float32(p.declination)})
			for i, s := range w.samples {
				rounded := narrowSample[float32](s)
				mustUpdate(t, single, rounded, float32(w.dts[i]))
				mustUpdate(t, wide, control.Inertial[float64]{Rate: wideV(rounded.Rate), Accel: wideV(rounded.Accel), Field: wideV(rounded.Field)}, float64(float32(w.dts[i])))
				off := turned(wideQ(single.Attitude()), wide.Attitude())
				worst = max(worst, off)
				if off > 2e-5 {
					t.Fatalf("step %d: float32 is off by %v rad", i, off)
				}
			}
		})
		t.Logf("float32 is off by at most %.2g rad", worst)
	})
}

func TestAttitudeAllocatesNothing(t *testing.T) {
	t.Run("float64", allocates[float64])
	t.Run("float32", allocates[float32])
}

func allocates[T control.Float](t *testing.T) {
	// As a caller has them: values, not behind an interface.
	a, _ := control.NewComplementary(control.ComplementaryGains[T]{}, control.Earth[T]{Gravity: 1, Field: 48, DipTolerance: 1})
	b, _ := control.NewMahony(control.MahonyGains[T]{Ki: 0.01}, control.Earth[T]{Gravity: 1, Field: 48, DipTolerance: 1})
	c, _ := control.NewMadgwick(control.MadgwickGains[T]{Zeta: 0.01}, control.Earth[T]{Gravity: 1, Field: 48, DipTolerance: 1})
	s := narrowSample[T](place{0, 0.5}.sense(restQuat, vec{X: 0.1}))
	yaw := T(0)
	if n := testing.AllocsPerRun(1000, func() {
		if a.Update(s, 0.01) != control.OK || b.Update(s, 0.01) != control.OK || c.Update(s, 0.01) != control.OK {
			panic("refused")
		}
		yaw += a.Attitude().Euler().Yaw + b.Attitude().AngleTo(c.Attitude())
	}); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
}

func BenchmarkAttitude(b *testing.B) {
	for _, method := range methods {
		b.Run(method+"/float64", func(b *testing.B) { benchmark[float64](b, method) })
		b.Run(method+"/float32", func(b *testing.B) { benchmark[float32](b, method) })
	}
}

func benchmark[T control.Float](b *testing.B, method string) {
	// Sixteen attitudes on a circle, so that no branch is always the same.
	var samples [16]control.Inertial[T]
	rate := vec{X: 1, Y: -2, Z: 0.5}
	speed := math.Sqrt(dot(rate, rate))
	dt := 2 * math.Pi / speed / float64(len(samples))
	for i := range samples {
		samples[i] = narrowSample[T](place{0, 1}.sense(about(unitOf(rate), speed*dt*float64(i)), rate))
	}
	f := newEstimator(b, method, control.Earth[T]{Gravity: 1, Field: 48, Dip: 1, DipTolerance: 0.2})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		f.Update(samples[i%len(samples)], T(dt))
		i++
	}
}
