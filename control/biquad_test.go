package control_test

import (
	"math"
	"math/cmplx"
	"testing"

	"github.com/fulmar-io/fulmar/control"
	"pgregory.net/rapid"
)

func newBiquad[T control.Float](t testing.TB, s control.Section[T]) *control.Biquad[T] {
	t.Helper()
	f, err := control.NewBiquad(s)
	if err != control.OK {
		t.Fatalf("NewBiquad(%+v): %v", s, err)
	}
	return &f
}

var shapes = map[string]control.Shape{"low-pass": control.ShapeLowPass, "high-pass": control.ShapeHighPass,
	"band-pass": control.ShapeBandPass, "notch": control.ShapeNotch}

// analogue returns the transfer function that a shape promises, at s = j·(the bilinear transform's image of the frequency)
// relative to the corner.
func analogue(shape control.Shape, q, corner, frequency, rate float64) complex128 {
	s := complex(0, math.Tan(math.Pi*frequency/rate)/math.Tan(math.Pi*corner/rate))
	den := s*s + s/complex(q, 0) + 1
	switch shape {
	case control.ShapeLowPass:
		return 1 / den
	case control.ShapeHighPass:
		return s * s / den
	case control.ShapeBandPass:
		return s / complex(q, 0) / den
	}
	return (s*s + 1) / den
}

// response measures a filter's transfer function at a frequency: the Fourier sum of its impulse response.
func response(f *control.Biquad[float64], frequency, rate float64, samples int) complex128 {
	f.Reset(0)
	sum, turn, phase := complex128(0), cmplx.Exp(complex(0, -2*math.Pi*frequency/rate)), complex128(1)
	for i := range samples {
		x := 0.0
		if i == 0 {
			x = 1
		}
		sum += complex(f.Update(x), 0) * phase
		phase *= turn
	}
	return sum
}

// Amplitude and phase at each frequency are those of the analogue filter, at the frequency that the bilinear transform
// takes there; at the corner the two are the same.
func TestBiquadAgainstItsTransferFunction(t *testing.T) {
	const rate = 1000.0
	for name, shape := range shapes {
		for _, q := range []float64{0.3, math.Sqrt2 / 2, 5, 40} {
			for _, corner := range []float64{3, 50, 250, 480} {
				f := newBiquad(t, control.Section[float64]{Shape: shape, Frequency: corner, Q: q, Rate: rate})
				for _, at := range []float64{0, 1, corner / 2, corner * 0.99, corner, (corner + 500) / 2, 499} {
					got, want := response(f, at, rate, 1000+int(30*max(q, 1)*rate/(math.Pi*min(corner, 20)))), analogue(shape, q, corner, at, rate)
					if cmplx.Abs(got-want) > 1e-9*(1+q) {
						t.Fatalf("%s at %v Hz with Q %v passes %v Hz with %v, want %v", name, corner, q, at, got, want)
					}
				}
			}
		}
	}
}

func TestBiquadAtItsFrequency(t *testing.T) {
	for name, want := range map[string]complex128{"low-pass": -7i, "high-pass": 7i, "band-pass": 1, "notch": 0} {
		f := newBiquad(t, control.Section[float64]{Shape: shapes[name], Frequency: 80, Q: 7, Rate: 1000})
		if got := response(f, 80, 1000, 10_000); cmplx.Abs(got-want) > 1e-9 {
			t.Errorf("%s at its frequency %v, want %v", name, got, want)
		}
	}
}

// The step response of a slow low-pass is that of the analogue one, in both types: with Q = ½ 1 − (1 + ω·t)·exp(−ω·t).
func TestBiquadStepAgainstClosedForm(t *testing.T) {
	t.Run("float64", func(t *testing.T) { stepResponse[float64](t, 1e-6) })
	t.Run("float32", func(t *testing.T) { stepResponse[float32](t, 2e-4) })
}

func stepResponse[T control.Float](t *testing.T, most float64) {
	const rate, corner = 10_000, 1
	f := newBiquad(t, control.Section[T]{Frequency: corner, Q: 0.5, Rate: rate})
	f.Reset(0)
	worst := 0.0
	for i := range 3 * rate {
		// The step lies half a sample before the first one that shows it: the trapezoid between 0 and 1 reaches ½ there.
		wt := 2 * math.Pi * corner * (float64(i) + 0.5) / rate
		worst = max(worst, math.Abs(float64(f.Update(1))-(1-(1+wt)*math.Exp(-wt))))
	}
	t.Logf("off the closed form by at most %.2g", worst)
	if worst > most {
		t.Errorf("off the closed form by %v, want at most %v", worst, most)
	}
}

// directForm is what the filter is not: the same transfer function by its five coefficients, direct form II transposed.
type directForm struct{ b0, b1, b2, a1, a2, s1, s2 float32 }

func newDirectForm(corner, q, rate float64) directForm {
	g := math.Tan(math.Pi * corner / rate)
	n := 1 / (1 + g/q + g*g)
	return directForm{b0: float32(g * g * n), b1: float32(2 * g * g * n), b2: float32(g * g * n),
		a1: float32(2 * (g*g - 1) * n), a2: float32((1 - g/q + g*g) * n)}
}

func (f *directForm) update(x float32) float32 {
	y := f.b0*x + f.s1
	f.s1 = f.b1*x - f.a1*y + f.s2
	f.s2 = f.b2*x - f.a2*y
	return y
}

// Why it is in state-variable form: at a ten thousandth of the sample rate a direct form in float32 does not even get a constant
// right.
func TestBiquadKeepsLowFrequenciesInFloat32(t *testing.T) {
	const rate, corner, q = 8000, 0.8, 0.7071
	f := newBiquad(t, control.Section[float32]{Frequency: corner, Q: q, Rate: rate})
	f.Reset(0)
	d := newDirectForm(corner, q, rate)
	for range 10 * rate {
		f.Update(1)
		d.update(1)
	}
	t.Logf("a constant 1 comes out as %v, of a direct form as %v", f.Value(), d.update(1))
	if off := math.Abs(float64(f.Value()) - 1); off > 1e-4 {
		t.Errorf("a constant 1 comes out as %v", f.Value())
	}
	if off := math.Abs(float64(d.update(1)) - 1); off < 0.05 {
		t.Errorf("the direct form is off by only %v: then the reason given for the state-variable form does not hold", off)
	}
}

// A sine whose samples are taken early or late leaks through a notch as the documentation says: 2π·f·rms(δ).
func TestBiquadNotchUnderJitter(t *testing.T) {
	const rate, at, jitter = 1000.0, 60.0, 2e-4
	f := newBiquad(t, control.Section[float64]{Shape: control.ShapeNotch, Frequency: at, Q: 2, Rate: rate})
	sum, n, state := 0.0, 0, uint64(1)
	for i := range 200_000 {
		state = state*6364136223846793005 + 1442695040888963407
		late := jitter * (float64(state>>11)/(1<<52) - 1)
		y := f.Update(math.Sin(2 * math.Pi * at * (float64(i)/rate + late)))
		if i > 1000 {
			sum, n = sum+y*y, n+1
		}
	}
	got := math.Sqrt(2 * sum / float64(n)) // an amplitude, as of a sine
	want := 2 * math.Pi * at * jitter / math.Sqrt(3)
	t.Logf("leaks %.4f of the amplitude, predicted %.4f", got, want)
	if math.Abs(got-want) > 0.1*want {
		t.Errorf("leaks %.4f of the amplitude, predicted %.4f", got, want)
	}
}

// Whatever comes in, what comes out is a number; and once only quiet comes in, it dies away.
func TestBiquadStaysStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, err := control.NewBiquad(control.Section[float32]{
			Shape: rapid.SampledFrom([]control.Shape{0, 1, 2, 3}).Draw(t, "shape"), Q: rapid.Float32Range(0.1, 10).Draw(t, "q"),
			Frequency: rapid.Float32Range(0.01, 0.49).Draw(t, "frequency"), Rate: 1})
		if err != control.OK {
			t.Fatal(err)
		}
		wild := rapid.OneOf(rapid.Float32Range(-10, 10), rapid.Float32(), rapid.SampledFrom([]float32{float32(math.NaN()), float32(math.Inf(-1))}))
		most := 0.0
		for range 50 {
			x := wild.Draw(t, "x")
			y := f.Update(x)
			if y-y != 0 {
				t.Fatalf("Update(%v) = %v", x, y)
			}
			if x-x == 0 {
				most = max(most, math.Abs(float64(x)))
			}
			if rapid.IntRange(0, 9).Draw(t, "tune") == 0 {
				f.Tune(rapid.Float32Range(-0.1, 0.6).Draw(t, "to"))
			}
		}
		f.Tune(0.1)
		for range 2000 {
			f.Update(0)
		}
		if y := math.Abs(float64(f.Value())); y > 1e-5*most+1e-30 {
			t.Fatalf("after 2000 samples of 0 it is at %v, the input had been up to %v", y, most)
		}
	})
}

func TestBiquadTuneKeepsAConstant(t *testing.T) {
	f := newBiquad(t, control.Section[float64]{Shape: control.ShapeNotch, Frequency: 100, Q: 3, Rate: 1000})
	for i := range 400 {
		if err := f.Tune(100 + float64(i)/2); err != control.OK {
			t.Fatal(err)
		}
		if y := f.Update(5); math.Abs(y-5) > 1e-12 {
			t.Fatalf("tuned to %v Hz, a constant 5 became %v", 100+float64(i)/2, y)
		}
	}
	if got := cmplx.Abs(response(f, 299.5, 1000, 5000)); got > 1e-9 {
		t.Errorf("passes %v at the frequency it was tuned to", got)
	}
	if err := f.Tune(500); err != control.ErrFrequency {
		t.Errorf("tuned to half the rate: %v", err)
	}
}

func TestBiquadHolds(t *testing.T) {
	f := newBiquad(t, control.Section[float64]{Frequency: 10, Q: 1, Rate: 100})
	if y := f.Update(3); y != 3 {
		t.Errorf("the first sample comes out as %v, want 3", y)
	}
	f.Update(4)
	before, again := *f, *f
	for i, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if y := f.Update(x); y != before.Value() || f.Held() != uint32(i+1) {
			t.Errorf("Update(%v) = %v, held %d", x, y, f.Held())
		}
	}
	f.Reset(math.NaN())
	if a, b := f.Update(5), again.Update(5); a != b {
		t.Errorf("afterwards %v, want %v: as if nothing had been", a, b)
	}
	g := newBiquad(t, control.Section[float32]{Shape: control.ShapeHighPass, Frequency: 10, Q: 1, Rate: 100})
	g.Update(-math.MaxFloat32)
	if y := g.Update(math.MaxFloat32); y != 0 || g.Held() != 1 {
		t.Errorf("from one end of the numbers to the other: %v, held %d", y, g.Held())
	}
}

func TestSectionsAreChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		s    control.Section[float32]
		want control.Err
	}{
		"fine":        {control.Section[float32]{Frequency: 1, Q: 1, Rate: 10}, control.OK},
		"no shape":    {control.Section[float32]{Shape: 9, Frequency: 1, Q: 1, Rate: 10}, control.ErrLimits},
		"no quality":  {control.Section[float32]{Frequency: 1, Rate: 10}, control.ErrPositive},
		"endless":     {control.Section[float32]{Frequency: 1, Q: float32(math.Inf(1)), Rate: 10}, control.ErrPositive},
		"tiny":        {control.Section[float32]{Frequency: 1, Q: 1e-44, Rate: 10}, control.ErrPositive},
		"constant":    {control.Section[float32]{Q: 1, Rate: 10}, control.ErrFrequency},
		"no rate":     {control.Section[float32]{Frequency: 1, Q: 1}, control.ErrFrequency},
		"too fast":    {control.Section[float32]{Frequency: 5, Q: 1, Rate: 10}, control.ErrFrequency},
		"both ends":   {control.Section[float32]{Frequency: 0.49999994, Q: 1e-37, Rate: 1}, control.ErrFrequency},
		"no number":   {control.Section[float32]{Frequency: float32(math.NaN()), Q: 1, Rate: 10}, control.ErrFrequency},
		"not to tell": {control.Section[float32]{Frequency: 1e-30, Q: 1, Rate: 1e30}, control.ErrFrequency},
	} {
		f, err := control.NewBiquad(tc.s)
		if err != tc.want {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if err != control.OK && (f.Update(3) != 0 || f.Update(4) != 0) {
			t.Errorf("%s: a filter that was refused returns %v, want 0", name, f.Value())
		}
	}
}

func BenchmarkBiquad(b *testing.B) {
	f := newBiquad(b, control.Section[float32]{Shape: control.ShapeNotch, Frequency: 80, Q: 3, Rate: 1000})
	b.ReportAllocs()
	x := float32(1)
	for b.Loop() {
		x = 1 - f.Update(x)
	}
}
