package plant_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/sim/plant"
	"pgregory.net/rapid"
)

func newRover(t testing.TB, p plant.Params, seed uint64) *plant.Rover {
	t.Helper()
	r, err := plant.NewRover(p, seed)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type reading struct {
	truth       plant.Truth
	imu         plant.IMU
	gnss        plant.GNSS
	left, right int64
	volt, amp   float64
	warm        [2]float64
}

func read(r *plant.Rover) reading {
	v := reading{truth: r.Truth(), imu: r.IMU(), gnss: r.GNSS()}
	v.left, v.right = r.Encoders()
	v.volt, v.amp = r.Battery()
	v.warm[0], v.warm[1] = r.MotorTemps()
	return v
}

func TestSameSeedSameBits(t *testing.T) {
	a, b, other := newRover(t, plant.Default(), 7), newRover(t, plant.Default(), 7), newRover(t, plant.Default(), 8)
	differs := false
	for i := range 2000 {
		for _, r := range []*plant.Rover{a, b, other} {
			r.SetDuty(0.5+0.4*math.Sin(float64(i)/100), 0.6)
			r.Advance(5 * time.Millisecond)
		}
		x, y, z := read(a), read(b), read(other)
		if x != y {
			t.Fatalf("step %d: %+v and %+v", i, x, y)
		}
		if x.truth != z.truth {
			t.Fatalf("step %d: the seed changed the trajectory", i)
		}
		differs = differs || x.imu != z.imu
	}
	if !differs {
		t.Error("another seed has the same errors")
	}
}

// However the time is cut, it is the same time; and who reads a sensor does not change the others.
func TestHowTimeIsCutDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, _ := plant.NewRover(plant.Default(), 3)
		b, _ := plant.NewRover(plant.Default(), 3)
		a.SetDuty(0.7, 0.5)
		b.SetDuty(0.7, 0.5)
		var sum time.Duration
		for range 50 {
			d := time.Duration(rapid.IntRange(-1000, 20_000_000).Draw(t, "ns"))
			a.Advance(d)
			a.IMU()
			sum += max(d, 0)
		}
		b.Advance(sum)
		if a.Truth() != b.Truth() || a.GNSS() != b.GNSS() {
			t.Fatalf("%+v and %+v", a.Truth(), b.Truth())
		}
	})
}

func TestAdvanceIsBounded(t *testing.T) {
	r := newRover(t, plant.Default(), 1)
	if n := r.Advance(time.Hour); n != 1000 {
		t.Errorf("an hour took %d steps, want %v's", n, plant.MaxAdvance)
	}
}

// Any duty, also one that is no number: speeds and temperatures stay numbers of this world.
func TestStaysPhysical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, _ := plant.NewRover(plant.Default(), 1)
		duty := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-1, 1), rapid.Just(math.NaN()))
		for range 30 {
			r.SetDuty(duty.Draw(t, "left"), duty.Draw(t, "right"))
			r.Advance(time.Duration(rapid.IntRange(1, 300).Draw(t, "ms")) * time.Millisecond)
			v := r.Truth()
			if !(math.Abs(v.SpeedMps) < 2.3 && math.Abs(v.YawRateRadS) < 10 && v.TempLeftC > 19 && v.TempLeftC < 200 &&
				v.BatteryV > 8 && v.BatteryV < 18 && v.StateOfCharge >= 0 && v.StateOfCharge <= 1) {
				t.Fatalf("%+v", v)
			}
		}
	})
}

func TestInertialErrors(t *testing.T) {
	p := plant.Default()
	r := newRover(t, p, 5)
	const n = 20_000
	var sum, squares, up float64
	for range n {
		r.Advance(5 * time.Millisecond)
		m := r.IMU()
		sum += m.GyroZRadS
		squares += m.GyroZRadS * m.GyroZRadS
		up += m.AccelMps2[2]
	}
	bias := sum / n
	deviation := math.Sqrt(squares/n - bias*bias)
	// The bias walks by 2e-5·√100 s meanwhile, which is a tenth of the noise.
	if math.Abs(deviation-p.Sensors.GyroNoiseRadS) > 0.05*p.Sensors.GyroNoiseRadS {
		t.Errorf("gyro's noise is %v, want %v", deviation, p.Sensors.GyroNoiseRadS)
	}
	if bias == 0 || math.Abs(bias) > 5*p.Sensors.GyroBiasRadS {
		t.Errorf("gyro's bias is %v, standard deviation %v", bias, p.Sensors.GyroBiasRadS)
	}
	if g := up / n; math.Abs(g-plant.Gravity) > 5*p.Sensors.AccelBias {
		t.Errorf("at rest it weighs %v m/s² upwards", g)
	}
}

func TestEncodersCountTurns(t *testing.T) {
	r := newRover(t, plant.Default(), 1)
	r.SetDuty(0.5, -0.5)
	var angle [2]float64
	for range 3000 {
		r.Advance(time.Millisecond)
		v := r.Truth()
		angle[0] += v.WheelLeftRadS * 0.001
		angle[1] += v.WheelRightRadS * 0.001
	}
	left, right := r.Encoders()
	for i, ticks := range []int64{left, right} {
		if want := angle[i] / (2 * math.Pi) * 4096; math.Abs(float64(ticks)-want) > 1 {
			t.Errorf("%d ticks, turned by %v", ticks, want)
		}
	}
	if left <= 0 || right >= 0 {
		t.Errorf("ticks %d and %d, one wheel turns forwards, one backwards", left, right)
	}
}

// An ensemble of receivers: positions scatter by the drift and the white noise, the drift fades as exp(−t/τ).
func TestGNSSErrors(t *testing.T) {
	p := plant.Default()
	p.StepS, p.Sensors.GNSSDriftS = 0.002, 6
	const n, lagS = 400, 3
	var square, product, square2 float64
	for seed := range uint64(n) {
		r := newRover(t, p, seed)
		r.Advance(200 * time.Millisecond)
		x := north(p, r)
		for range lagS {
			r.Advance(time.Second)
		}
		y := north(p, r)
		square += x * x
		square2 += y * y
		product += x * y
	}
	want := p.Sensors.GNSSDriftM*p.Sensors.GNSSDriftM + p.Sensors.GNSSWhiteM*p.Sensors.GNSSWhiteM
	for _, got := range []float64{square / n, square2 / n} { // 4 standard errors of a variance: 4·√(2/400)
		if math.Abs(got/want-1) > 0.28 {
			t.Errorf("variance %v m², want %v", got, want)
		}
	}
	fade := p.Sensors.GNSSDriftM * p.Sensors.GNSSDriftM * math.Exp(-lagS/p.Sensors.GNSSDriftS)
	if got := product / n; math.Abs(got-fade) > 4*want/math.Sqrt(n) {
		t.Errorf("covariance after %d s is %v m², want %v", lagS, got, fade)
	}
}

// north is how far north of the origin a receiver thinks it is; a degree of latitude is taken from TestGeodetic.
func north(p plant.Params, r *plant.Rover) float64 {
	lat, _ := p.Site.Geodetic(0, 1)
	return (r.GNSS().LatitudeDeg - p.Site.LatitudeDeg) / (lat - p.Site.LatitudeDeg)
}

func TestGNSSHasItsOwnClockAndShadow(t *testing.T) {
	p := plant.Default()
	p.Site.ShadowEastM, p.Site.ShadowM = 3, 1
	r := newRover(t, p, 2)
	r.SetDuty(0.6, 0.6)
	for i := range 1000 {
		before := r.GNSS().Epoch
		r.Advance(10 * time.Millisecond)
		g, v := r.GNSS(), r.Truth()
		if want := uint64((i + 1) / 20); g.Epoch != want {
			t.Fatalf("after %d ms: %d solutions, want %d", 10*(i+1), g.Epoch, want)
		}
		if g.Epoch == before {
			continue
		}
		if inside := math.Abs(v.EastM-3) < 1; g.Fix == inside {
			t.Fatalf("at %.2f m east: fix %v", v.EastM, g.Fix)
		}
		if g.Fix && v.SpeedMps > 0.5 && (math.Abs(g.SpeedMps-v.SpeedMps) > 0.2 || math.Abs(g.CourseDeg-90) > 15) {
			t.Fatalf("drives east at %.2f m/s: %+v", v.SpeedMps, g)
		}
	}
}

// Lengths of a degree of latitude and longitude on WGS 84, as tables give them.
func TestGeodetic(t *testing.T) {
	for _, tc := range []struct{ lat, perLat, perLon float64 }{{0, 110574, 111320}, {45, 111132, 78847}, {60, 111412, 55800}} {
		s := plant.Site{LatitudeDeg: tc.lat, LongitudeDeg: 179.9999}
		lat, lon := s.Geodetic(100, 100)
		if got := 100 / (lat - tc.lat); math.Abs(got-tc.perLat) > 1 {
			t.Errorf("at %v°: %.1f m per degree of latitude, tables say %v", tc.lat, got, tc.perLat)
		}
		dLon := math.Remainder(lon-s.LongitudeDeg, 360)
		if got := 100 / dLon; math.Abs(got-tc.perLon) > 1 {
			t.Errorf("at %v°: %.1f m per degree of longitude, tables say %v", tc.lat, got, tc.perLon)
		}
		if lon < -180 || lon >= 180 {
			t.Errorf("longitude %v across the date line", lon)
		}
	}
}

func TestParamsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*plant.Params){
		"no mass":      func(p *plant.Params) { p.Body.MassKg = 0 },
		"endless step": func(p *plant.Params) { p.StepS = math.Inf(1) },
		"long step":    func(p *plant.Params) { p.StepS = 0.01 },
		"tiny step":    func(p *plant.Params) { p.StepS = 1e-12 },
		"overfull":     func(p *plant.Params) { p.Battery.StateOfCharge = 1.1 },
		"no number":    func(p *plant.Params) { p.Motor.ResistanceOhm = math.NaN() },
		"at the pole":  func(p *plant.Params) { p.Site.LatitudeDeg = 90 },
	} {
		p := plant.Default()
		change(&p)
		if _, err := plant.NewRover(p, 1); !errors.Is(err, plant.ErrParams) {
			t.Errorf("%s: %v, want ErrParams", name, err)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	r := newRover(t, plant.Default(), 1)
	if n := testing.AllocsPerRun(500, func() {
		r.SetDuty(0.5, 0.4)
		r.Advance(5 * time.Millisecond)
		read(r)
	}); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
}

func BenchmarkAdvance(b *testing.B) {
	r := newRover(b, plant.Default(), 1)
	r.SetDuty(0.5, 0.4)
	for b.Loop() {
		r.Advance(time.Millisecond)
	}
}
