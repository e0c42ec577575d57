package control_test

import (
	"math"
	"testing"

	"github.com/fulmar-io/fulmar/control"
	"pgregory.net/rapid"
)

// Whatever comes in, the attitude is one: its length is 1, and with samples that are right it comes back.
func TestAttitudeTakesAnything(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		t.Run("float64", rapid.MakeCheck(anything(method, rapid.Float64(), rapid.Float64Range)))
		t.Run("float32", rapid.MakeCheck(anything(method, rapid.Float32(), rapid.Float32Range)))
	})
}

func anything[T control.Float](method string, some *rapid.Generator[T], between func(a, b T) *rapid.Generator[T]) func(*rapid.T) {
	wild := rapid.OneOf(between(-2, 2), between(-2, 2), between(-2, 2), some,
		rapid.SampledFrom([]T{T(math.NaN()), T(math.Inf(1)), T(math.Inf(-1)), 0, math.MaxFloat32, math.SmallestNonzeroFloat32}))
	return func(t *rapid.T) {
		e := control.Earth[T]{}
		if rapid.Bool().Draw(t, "gates") {
			e = control.Earth[T]{Gravity: 1, Field: 1, Dip: 1, DipTolerance: 0.5}
		}
		f := newEstimator(t, method, e)
		vector := func() control.Vector[T] {
			return control.Vector[T]{X: wild.Draw(t, "x"), Y: wild.Draw(t, "y"), Z: wild.Draw(t, "z")}
		}
		for range 30 {
			before := f.Attitude()
			err := f.Update(control.Inertial[T]{Rate: vector(), Accel: vector(), Field: vector()}, rapid.OneOf(between(0.001, 0.1), wild).Draw(t, "dt"))
			q := f.Attitude()
			if l := length(wideQ(q)); !(math.Abs(l-1) <= 4*epsilon[T]()) {
				t.Fatalf("attitude %+v of length %v", q, l)
			}
			if b := wideV(f.Bias()); !(max(math.Abs(b.X), math.Abs(b.Y), math.Abs(b.Z)) < 0.351) {
				t.Fatalf("bias %+v", b)
			}
			if err == control.ErrRate && q != before {
				t.Fatalf("a sample that was held changed the attitude")
			}
		}
		// 60 s of a body at rest, upright. Madgwick turns by 2·0.2 rad/s: π takes 8 s, the bias by 2·0.05 rad/s²: 0.7 takes 7 s.
		for range 6000 {
			f.Update(control.Inertial[T]{Accel: control.Vector[T]{Z: 1}}, 0.01)
		}
		if up := wideQ(f.Attitude()).Conjugate().Rotate(vec{Z: 1}); apart(up, vec{Z: 1}) > 2e-3 {
			t.Fatalf("after a minute at rest the vertical is at %+v, bias %+v", up, f.Bias())
		}
	}
}

// What is not to be used is refused with a reason or rejected with a count, and the rest of the sample is used.
func TestAttitudeCountsWhatItDoesNotUse(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		nan, inf := math.NaN(), math.Inf(1)
		// The place's strength is 48.
		earth := control.Earth[float64]{Gravity: 9.81, Field: 48, FieldTolerance: 0.05, Dip: 1.1, DipTolerance: 0.1}
		q := euler{Yaw: 0.3, Pitch: 0.2}.Quaternion()
		good := place{0, 1.1}.sense(q, vec{X: 0.3})
		good.Accel = vec{X: 9.81 * good.Accel.X, Y: 9.81 * good.Accel.Y, Z: 9.81 * good.Accel.Z}
		times := func(v vec, k float64) vec { return vec{X: k * v.X, Y: k * v.Y, Z: k * v.Z} }
		flat := place{0, 0.9}.sense(q, vec{}).Field
		for name, tc := range map[string]struct {
			change func(s *control.Inertial[float64])
			dt     float64
			err    control.Err
			want   control.AttitudeStatus
		}{
			"all good":         {func(*control.Inertial[float64]) {}, 0.01, control.OK, control.AttitudeStatus{AccelUsed: true, FieldUsed: true}},
			"no field":         {func(s *control.Inertial[float64]) { s.Field = vec{} }, 0.01, control.OK, control.AttitudeStatus{AccelUsed: true}},
			"just heavy":       {func(s *control.Inertial[float64]) { s.Accel = times(s.Accel, 1.09) }, 0.01, control.OK, control.AttitudeStatus{AccelUsed: true, FieldUsed: true}},
			"too heavy":        {func(s *control.Inertial[float64]) { s.Accel = times(s.Accel, 1.11) }, 0.01, control.OK, control.AttitudeStatus{FieldUsed: true, AccelRejected: 1}},
			"too light":        {func(s *control.Inertial[float64]) { s.Accel = times(s.Accel, 0.89) }, 0.01, control.OK, control.AttitudeStatus{FieldUsed: true, AccelRejected: 1}},
			"in free fall":     {func(s *control.Inertial[float64]) { s.Accel = vec{} }, 0.01, control.ErrDirection, control.AttitudeStatus{FieldUsed: true, Refused: 1}},
			"accel no number":  {func(s *control.Inertial[float64]) { s.Accel.Y = nan }, 0.01, control.ErrDirection, control.AttitudeStatus{FieldUsed: true, Refused: 1}},
			"just strong":      {func(s *control.Inertial[float64]) { s.Field = times(s.Field, 1.04) }, 0.01, control.OK, control.AttitudeStatus{AccelUsed: true, FieldUsed: true}},
			"too strong":       {func(s *control.Inertial[float64]) { s.Field = times(s.Field, 1.06) }, 0.01, control.OK, control.AttitudeStatus{AccelUsed: true, FieldRejected: 1}},
			"too weak":         {func(s *control.Inertial[float64]) { s.Field = times(s.Field, 0.94) }, 0.01, control.OK, control.AttitudeStatus{AccelUsed: true, FieldRejected: 1}},
			"dips otherwise":   {func(s *control.Inertial[float64]) { s.Field = flat }, 0.01, control.OK, control.AttitudeStatus{AccelUsed: true, FieldRejected: 1}},
			"field no number":  {func(s *control.Inertial[float64]) { s.Field.X = inf }, 0.01, control.ErrDirection, control.AttitudeStatus{AccelUsed: true, Refused: 1}},
			"neither a number": {func(s *control.Inertial[float64]) { s.Field.X, s.Accel.X = nan, nan }, 0.01, control.ErrDirection, control.AttitudeStatus{Refused: 2}},
			"rate no number":   {func(s *control.Inertial[float64]) { s.Rate.Z = nan }, 0.01, control.ErrRate, control.AttitudeStatus{AccelUsed: true, FieldUsed: true, Held: 1}},
			"rate of no body":  {func(s *control.Inertial[float64]) { s.Rate.Z = 1e7 }, 1e-6, control.ErrRate, control.AttitudeStatus{AccelUsed: true, FieldUsed: true, Held: 1}},
			"too far a turn":   {func(s *control.Inertial[float64]) { s.Rate.Z = 1e5 }, 1, control.ErrRate, control.AttitudeStatus{AccelUsed: true, FieldUsed: true, Held: 1}},
			"no time":          {func(*control.Inertial[float64]) {}, 0, control.ErrRate, control.AttitudeStatus{AccelUsed: true, FieldUsed: true, Held: 1}},
			"time no number":   {func(*control.Inertial[float64]) {}, nan, control.ErrRate, control.AttitudeStatus{AccelUsed: true, FieldUsed: true, Held: 1}},
			"endless time":     {func(s *control.Inertial[float64]) { s.Rate = vec{} }, inf, control.ErrRate, control.AttitudeStatus{AccelUsed: true, FieldUsed: true, Held: 1}},
		} {
			f := newEstimator(t, method, earth)
			mustUpdate(t, f, good, 0.01)
			before, s := f.Attitude(), good
			tc.change(&s)
			err := f.Update(s, tc.dt)
			tc.want.Ready, tc.want.Heading = true, true
			if got := f.Status(); err != tc.err || got != tc.want {
				t.Errorf("%s: %v, status %+v; want %v, %+v", name, err, got, tc.err, tc.want)
			}
			// With the field alone, or with nothing, the rest is the gyro: 0.003 rad.
			moved := turned(before, f.Attitude())
			if held := err == control.ErrRate; held != (moved == 0) {
				t.Errorf("%s: %v, and it turned by %v rad", name, err, moved)
			}
			if !tc.want.AccelUsed && !tc.want.FieldUsed && math.Abs(moved-0.003) > 1e-12 {
				t.Errorf("%s: turned by %v rad, the gyro by 0.003", name, moved)
			}
		}
	})
}

// Once not believed, a sensor stays so for as long as it takes to settle, by the time that passes and not by the samples; each on
// its own, a new start forgets it, and free fall counts.
func TestAttitudeSettles(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		f := newEstimator(t, method, control.Earth[float64]{Gravity: 1, Field: 48, Settle: 0.5})
		good := place{0, 1}.sense(restQuat, vec{})
		fast, falls, magnet, lost := good, good, good, good
		fast.Accel = vec{X: 1.5}
		falls.Accel = vec{}
		magnet.Field = vec{X: 90}
		lost.Field = vec{X: math.NaN()}
		mustUpdate(t, f, good, 0.1)
		for name, tc := range map[string]struct {
			bad          control.Inertial[float64]
			accel, field bool // which is not believed
		}{"fast": {fast, true, false}, "falls": {falls, true, false}, "magnet": {magnet, false, true}, "lost": {lost, false, true}} {
			f.Update(tc.bad, 0.125)
			for i := range 5 {
				mustUpdate(t, f, good, 0.125)
				want := i >= 3 // the fourth ends the half second
				if s := f.Status(); s.AccelUsed != (want || !tc.accel) || s.FieldUsed != (want || !tc.field) {
					t.Errorf("%s, %d ms later: %+v", name, 125*(i+1), s)
				}
			}
			f.Update(tc.bad, 0.125)
			f.Reset()
			mustUpdate(t, f, good, 0.125)
			if s := f.Status(); !s.AccelUsed || !s.FieldUsed {
				t.Errorf("%s, then a new start: %+v", name, s)
			}
		}
	})
}

// A field that shows no north is not believed: next to a pole the horizontal part is noise.
func TestAFieldThatIsVerticalShowsNoHeading(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		f := newEstimator(t, method, control.Earth[float64]{})
		for range 10 {
			mustUpdate(t, f, control.Inertial[float64]{Accel: vec{Z: 1}, Field: vec{X: 0.019, Z: -1}}, 0.01)
		}
		if s := f.Status(); s.Heading || s.FieldRejected != 10 || f.Attitude() != control.Identity[float64]() {
			t.Errorf("status %+v, attitude %+v", s, f.Attitude())
		}
		mustUpdate(t, f, control.Inertial[float64]{Accel: vec{Z: 1}, Field: vec{X: 0.021, Z: -1}}, 0.01)
		if yaw := f.Attitude().Euler().Yaw; !f.Status().Heading || math.Abs(yaw-math.Pi/2) > 1e-12 {
			t.Errorf("with north ahead the heading is %v", yaw)
		}
	})
}

// It starts with what it can believe: not while it is thrown, and a heading is set at once when the field first shows one.
func TestAttitudeStartsWithWhatItBelieves(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		f := newEstimator(t, method, control.Earth[float64]{Gravity: 1, Field: 48})
		q := euler{Yaw: 2, Pitch: 0.4, Roll: -3}.Quaternion()
		s := place{0, 1.1}.sense(q, vec{})
		thrown, magnet := s, s
		thrown.Accel = vec{X: 2}
		magnet.Field = vec{X: 90}
		mustUpdate(t, f, thrown, 0.01)
		if st := f.Status(); st.Ready || st.Heading || st.AccelRejected != 1 || f.Attitude() != control.Identity[float64]() {
			t.Fatalf("thrown: %+v, %+v", st, f.Attitude())
		}
		if err := f.Update(control.Inertial[float64]{}, 0.01); err != control.ErrDirection || f.Status().Ready {
			t.Fatalf("in free fall: %v, %+v", err, f.Status())
		}
		mustUpdate(t, f, magnet, 0.01)
		if st := f.Status(); !st.Ready || st.Heading || turned(f.Attitude(), euler{Pitch: 0.4, Roll: -3}.Quaternion()) > 1e-12 {
			t.Fatalf("beside a magnet: %+v, %+v", st, f.Attitude().Euler())
		}
		mustUpdate(t, f, s, 0.01)
		if st := f.Status(); !st.Heading || turned(f.Attitude(), q) > 1e-12 {
			t.Fatalf("with a field: %+v, %+v", st, f.Attitude().Euler())
		}
		f.SetBias(vec{X: 0.1})
		f.Reset()
		if st := f.Status(); st.Ready || st.Heading || st.AccelUsed || st.FieldUsed || st.AccelRejected != 1 || st.FieldRejected != 1 || st.Refused != 1 || f.Bias() != (vec{}) {
			t.Fatalf("after Reset: %+v, bias %+v", st, f.Bias())
		}
		mustUpdate(t, f, s, 0.01)
		if off := turned(f.Attitude(), q); off > 1e-12 {
			t.Fatalf("after Reset the first sample is off by %v rad", off)
		}
	})
}

func TestAttitudeIsSet(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		f := newEstimator(t, method, control.Earth[float64]{})
		want := euler{Yaw: 2}.Quaternion()
		if err := f.Set(quat{W: 5 * want.W, Z: 5 * want.Z}); err != control.OK || turned(f.Attitude(), want) > 1e-15 {
			t.Fatalf("set to %+v, %v", f.Attitude(), err)
		}
		for _, q := range []quat{{}, {W: math.NaN()}} {
			if err := f.Set(q); err != control.ErrDirection || turned(f.Attitude(), want) > 1e-15 {
				t.Errorf("set to %+v: %v, is at %+v", q, err, f.Attitude())
			}
		}
		if err := f.SetBias(vec{Z: 0.5}); err != control.OK {
			t.Error(err)
		}
		for _, b := range []vec{{X: math.NaN()}, {Y: math.Inf(-1)}, {Z: 1e7}} {
			if err := f.SetBias(b); err != control.ErrRate || f.Bias() != (vec{Z: 0.5}) {
				t.Errorf("bias %+v: %v, is %+v", b, err, f.Bias())
			}
		}
		// What was set is kept: the first sample is not the attitude any more, and the bias is taken off.
		f.SetBias(vec{Z: 0.3})
		mustUpdate(t, f, control.Inertial[float64]{Rate: vec{Z: 0.4}, Accel: vec{Z: 1}}, 0.5)
		if yaw := f.Attitude().Euler().Yaw; math.Abs(yaw-2.05) > 1e-12 {
			t.Errorf("heading %v, want 2.05", yaw)
		}
	})
}

// After a pause the correction is no more than what explains the error: neither attitude nor bias jump beyond it.
func TestAttitudeAfterAPause(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		f := newEstimator(t, method, control.Earth[float64]{})
		mustUpdate(t, f, control.Inertial[float64]{Accel: vec{Z: 1}}, 0.01)
		leaning := control.Inertial[float64]{Accel: vec{Y: math.Sin(0.2), Z: math.Cos(0.2)}}
		mustUpdate(t, f, leaning, 1000)
		if roll := f.Attitude().Euler().Roll; !(roll > 0.19 && roll <= 0.2+1e-12) {
			t.Errorf("after 1000 s without a sample the roll is %v, measured 0.2", roll)
		}
		// Mahony's integral takes the error for a time constant, 1 s; for Madgwick's a bias of 0.2 rad in 1000 s explains it.
		most := map[string]float64{"mahony": 0.25 * math.Sin(0.2), "madgwick": 0.2 / 1000}[method]
		if b := f.Bias(); !(math.Abs(b.X) <= most+1e-12) || (most > 0) != (b.X < 0) {
			t.Errorf("after 1000 s without a sample the bias is %+v", b)
		}
	})
}

func TestAttitudeGainsAreChecked(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	type earth = control.Earth[float32]
	for name, tc := range map[string]struct {
		e    earth
		want control.Err
	}{
		"nothing":               {earth{}, control.OK},
		"everything":            {earth{-3, 9.81, 0.2, 48, 0.3, -1.5, 0.1, 2}, control.OK},
		"declination":           {earth{Declination: 4}, control.ErrReference},
		"declination no number": {earth{Declination: nan}, control.ErrReference},
		"gravity":               {earth{Gravity: -1}, control.ErrReference},
		"gravity's tolerance":   {earth{GravityTolerance: inf}, control.ErrReference},
		"field":                 {earth{Field: nan}, control.ErrReference},
		"field's tolerance":     {earth{FieldTolerance: -0.1}, control.ErrReference},
		"dip":                   {earth{Dip: 1.6}, control.ErrReference},
		"dip's tolerance":       {earth{DipTolerance: -1}, control.ErrReference},
		"settle":                {earth{Settle: nan}, control.ErrReference},
	} {
		_, a := control.NewComplementary(control.ComplementaryGains[float32]{}, tc.e)
		_, b := control.NewMahony(control.MahonyGains[float32]{}, tc.e)
		_, c := control.NewMadgwick(control.MadgwickGains[float32]{}, tc.e)
		if a != tc.want || b != tc.want || c != tc.want {
			t.Errorf("%s: %v, %v, %v; want %v", name, a, b, c, tc.want)
		}
	}
	for _, tau := range []float32{-1, nan, inf} {
		if _, err := control.NewComplementary(control.ComplementaryGains[float32]{Time: tau}, earth{}); err != control.ErrGain {
			t.Errorf("time constant %v: %v", tau, err)
		}
	}
	for _, g := range []control.MahonyGains[float32]{{Kp: -1}, {Kp: nan}, {Kp: 1e-42}, {Kp: 1e30}, {Ki: -1}, {Kp: 1, Ki: 1.1}, {Kp: 1, Ki: nan}, {BiasLimit: -1}, {BiasLimit: inf}} {
		if _, err := control.NewMahony(g, earth{}); err != control.ErrGain {
			t.Errorf("%+v: %v", g, err)
		}
	}
	for _, g := range []control.MadgwickGains[float32]{{Beta: -1}, {Beta: nan}, {Zeta: -1}, {Zeta: inf}, {Beta: 1e-30, Zeta: 1e30}, {BiasLimit: nan}} {
		if _, err := control.NewMadgwick(g, earth{}); err != control.ErrGain {
			t.Errorf("%+v: %v", g, err)
		}
	}
}

// One that was refused, or never made, takes nothing and turns nothing.
func TestRefusedAttitude(t *testing.T) {
	a, _ := control.NewComplementary(control.ComplementaryGains[float64]{Time: -1}, control.Earth[float64]{})
	b, _ := control.NewMahony(control.MahonyGains[float64]{Kp: -1}, control.Earth[float64]{})
	var c control.Madgwick[float64]
	for _, f := range []estimator[float64]{&a, &b, &c} {
		if err := f.Update(control.Inertial[float64]{Accel: vec{X: 1}}, 0.01); err != control.ErrReference {
			t.Errorf("%T: %v", f, err)
		}
		if f.Attitude() != control.Identity[float64]() || f.Status() != (control.AttitudeStatus{}) {
			t.Errorf("%T: %+v, %+v", f, f.Attitude(), f.Status())
		}
	}
}

func TestErrorsHaveWords(t *testing.T) {
	seen := make(map[string]control.Err)
	for e := control.OK; e <= control.ErrReference; e++ {
		if other, twice := seen[e.Error()]; twice || e.Error() == control.Err(255).Error() {
			t.Errorf("%d says %q, as %d does", e, e.Error(), other)
		}
		seen[e.Error()] = e
	}
}

// A million steps of a tumbling body with noise, in float32: the length stays, the attitude is that of the body.
func TestAttitudeForAMillionSteps(t *testing.T) {
	forEach(t, func(t *testing.T, method string) {
		const dt = 0x1p-8
		f := newEstimator(t, method, control.Earth[float32]{})
		rate := vec{X: 1, Y: -2, Z: 0.5}
		speed := math.Sqrt(dot(rate, rate))
		axis, p, state := unitOf(rate), place{0, 1}, uint64(1)
		random := func() float64 {
			state = state*6364136223846793005 + 1442695040888963407
			return float64(state>>11)/(1<<52) - 1
		}
		offUnit, worst := 0.0, 0.0
		for i := range 1_000_000 {
			truth := about(axis, speed*dt*float64(i))
			s := narrowSample[float32](p.sense(truth, rate))
			if i > 0 { // the first sample is the attitude, its noise too
				s.Accel.X += float32(0.02 * random())
				s.Accel.Y += float32(0.02 * random())
				s.Rate.Z += float32(0.02 * random())
			}
			mustUpdate(t, f, s, dt)
			offUnit = max(offUnit, math.Abs(length(wideQ(f.Attitude()))-1))
			worst = max(worst, turned(wideQ(f.Attitude()), truth))
		}
		t.Logf("length off by at most %.2g, attitude by at most %.2g rad", offUnit, worst)
		if offUnit > 4*epsilon[float32]() || worst > 0.05 {
			t.Errorf("length off by %v, attitude by %v rad", offUnit, worst)
		}
	})
}
