package control_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/fulmar-io/fulmar/control"
	"pgregory.net/rapid"
)

// ulps returns how far got is from want, in units of the last place that a T has at want, or at least where it is least.
// The reference must know more digits than got: for float64 it is a big.Float.
func ulps[T control.Float](got T, want *big.Float, least float64) float64 {
	w, _ := want.Float64()
	w = max(math.Abs(w), least)
	unit := math.Nextafter(w, math.Inf(1)) - w
	if _, single := any(got).(float32); single {
		unit = float64(math.Nextafter32(float32(w), float32(math.Inf(1)))) - float64(float32(w))
	}
	diff := new(big.Float).SetPrec(200).Sub(new(big.Float).SetFloat64(float64(got)), want)
	d, _ := diff.Float64()
	return math.Abs(d) / unit
}

// bigPi has 210 digits of its binary form right, by Machin's formula.
var bigPi = func() *big.Float {
	part := func(factor, inverse int64) *big.Float {
		return exact(0).Mul(exact(float64(factor)), bigAtan(exact(0).Quo(exact(1), exact(float64(inverse)))))
	}
	return part(16, 5).Sub(part(16, 5), part(4, 239))
}()

func exact(x float64) *big.Float { return new(big.Float).SetPrec(240).SetFloat64(x) }

// bigAtan sums the Taylor series, for |x| well below 1.
func bigAtan(x *big.Float) *big.Float {
	sum, power := exact(0), exact(0).Set(x)
	square := exact(0).Mul(x, x)
	for n := int64(1); n < 1000; n += 2 {
		term := exact(0).Quo(power, exact(float64(n)))
		if term.Sign() == 0 || term.MantExp(nil) < -240 {
			break
		}
		if n%4 == 1 {
			sum.Add(sum, term)
		} else {
			sum.Sub(sum, term)
		}
		power.Mul(power, square)
	}
	return sum
}

// bigSincos brings x near 0 by multiples of 2π that has 240 digits, and sums the Taylor series.
func bigSincos(x float64) (sin, cos *big.Float) {
	turn := exact(0).Mul(exact(2), bigPi)
	r := exact(x)
	k := math.Round(x / (2 * math.Pi))
	r.Sub(r, exact(0).Mul(exact(k), turn))
	sin, cos = exact(0), exact(0)
	term := exact(1)
	for n := 0; n < 80; n++ {
		switch n % 4 {
		case 0:
			cos.Add(cos, term)
		case 1:
			sin.Add(sin, term)
		case 2:
			cos.Sub(cos, term)
		case 3:
			sin.Sub(sin, term)
		}
		term = exact(0).Quo(exact(0).Mul(term, r), exact(float64(n+1)))
	}
	return sin, cos
}

// worst is the greatest error seen, and where.
type worst struct{ off, at float64 }

func (w *worst) add(off, at float64) {
	if off > w.off {
		w.off, w.at = off, at
	}
}

func (w *worst) check(t *testing.T, what string, most float64) {
	t.Helper()
	t.Logf("%s: off by at most %.2f ulp, at %v", what, w.off, w.at)
	if w.off == 0 || w.off > most {
		t.Errorf("%s: off by %.2f ulp at %v, want at most %v and not 0", what, w.off, w.at, most)
	}
}

func TestSincosToTheLastPlaces(t *testing.T) {
	t.Run("float64", sincos[float64])
	t.Run("float32", sincos[float32])
}

func sincos[T control.Float](t *testing.T) {
	var near, zeros, far worst
	check := func(w *worst, x T, least float64) {
		sin, cos := control.Sincos(x)
		wantSin, wantCos := bigSincos(float64(x))
		w.add(max(ulps(sin, wantSin, least), ulps(cos, wantCos, least)), float64(x))
	}
	const n = 512
	for i := -n; i <= n; i++ {
		check(&near, T(i)*(math.Pi/n), 1e-5)
		check(&far, T(i)*(32768/n), 1e-5)
	}
	// Next to a multiple of π/2 almost everything cancels: there the digits of π decide.
	for k := -16; k <= 16; k++ {
		check(&zeros, T(float64(k)*(math.Pi/2)), 1e-30)
	}
	near.check(t, "sine and cosine within a half turn", 1.5)
	far.check(t, "sine and cosine up to 2¹⁵ rad", 2)
	zeros.check(t, "sine and cosine next to their zeros", 1)
	for _, x := range []T{T(math.NaN()), T(math.Inf(1)), T(math.Inf(-1)), 32769, -1e30} {
		if sin, cos := control.Sincos(x); sin != 0 || cos != 1 {
			t.Errorf("Sincos(%v) = %v, %v, want 0, 1", x, sin, cos)
		}
	}
}

func TestAtan2ToTheLastPlaces(t *testing.T) {
	t.Run("float64", atan2[float64])
	t.Run("float32", atan2[float32])
}

func atan2[T control.Float](t *testing.T) {
	var w worst
	for i := range 720 {
		for _, length := range []float64{1, 1e-30, 3e37} {
			at := 2*math.Pi*(float64(i)+0.5)/720 - math.Pi
			x, y := T(length*math.Cos(at)), T(length*math.Sin(at))
			w.add(ulps(control.Atan2(y, x), bigAtan2(float64(y), float64(x)), 1e-30), at)
		}
	}
	w.check(t, "arc tangent", 2.5)
	for _, tc := range []struct{ y, x, want T }{
		{0, 0, 0}, {0, 1, 0}, {0, -1, math.Pi}, {1, 0, math.Pi / 2}, {-1, 0, -math.Pi / 2}, {2, 2, math.Pi / 4}, {-2, -2, -3 * math.Pi / 4},
		{T(math.NaN()), 1, 0}, {1, T(math.NaN()), 0}, {T(math.Inf(1)), 1, 0}, {1, T(math.Inf(-1)), 0},
	} {
		if got := control.Atan2(tc.y, tc.x); math.Abs(float64(got-tc.want)) > 1e-6*math.Abs(float64(tc.want)) {
			t.Errorf("Atan2(%v, %v) = %v, want %v", tc.y, tc.x, got, tc.want)
		}
	}
}

// bigAtan2 corrects what float64 says by the angle that is left when the point is turned back by it.
func bigAtan2(y, x float64) *big.Float {
	guess := math.Atan2(y, x)
	sin, cos := bigSincos(guess)
	across := exact(0).Sub(exact(0).Mul(exact(y), cos), exact(0).Mul(exact(x), sin))
	along := exact(0).Add(exact(0).Mul(exact(x), cos), exact(0).Mul(exact(y), sin))
	return exact(0).Add(exact(guess), bigAtan(exact(0).Quo(across, along)))
}

func TestSqrtToTheLastPlace(t *testing.T) {
	t.Run("float64", rapid.MakeCheck(sqrt(rapid.Float64Min(0))))
	t.Run("float32", rapid.MakeCheck(sqrt(rapid.Float32Min(0))))
	for _, x := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if got := control.Sqrt(x); got != 0 {
			t.Errorf("Sqrt(%v) = %v, want 0", x, got)
		}
	}
	for _, x := range []float32{0x1p-149, math.MaxFloat32, 1, 4, 0.25} {
		want := exact(0).Sqrt(exact(float64(x)))
		if off := ulps(control.Sqrt(x), want, 0); off > 1 {
			t.Errorf("Sqrt(%v) is off by %.2f ulp", x, off)
		}
	}
}

func sqrt[T control.Float](numbers *rapid.Generator[T]) func(*rapid.T) {
	return func(t *rapid.T) {
		x := numbers.Draw(t, "x")
		if x-x != 0 {
			t.Skip("not finite")
		}
		if off := ulps(control.Sqrt(x), exact(0).Sqrt(exact(float64(x))), 0); off > 1 {
			t.Fatalf("Sqrt(%v) = %v is off by %.2f ulp", x, control.Sqrt(x), off)
		}
	}
}

func BenchmarkSincos(b *testing.B) {
	x := float32(0)
	for b.Loop() {
		s, c := control.Sincos(x)
		x += 0.01 + s*c*1e-3
	}
}
