package control

// Shape is what a Biquad lets through.
type Shape uint8

// The shapes. At the frequency of a Section the first two have the gain Q, the band-pass has 1 and the notch 0.
const (
	ShapeLowPass  Shape = iota // 1 at 0 Hz, falls by 40 dB per decade above the frequency
	ShapeHighPass              // 1 at half the sample rate, falls by 40 dB per decade below the frequency
	ShapeBandPass              // 1 at the frequency, with its phase; falls by 20 dB per decade on both sides
	ShapeNotch                 // 0 at the frequency, 1 far from it on both sides
)

// Section describes a filter of second order. All fields are needed.
type Section[T Float] struct {
	Shape Shape
	// Frequency is the corner of a low-pass or high-pass, the centre of a band-pass or notch, in Hz: above 0 and below half
	// of Rate.
	Frequency T
	// Q is the quality, above 0. For a low-pass or high-pass 1/√2 is the flattest passband (Butterworth), more gives a peak
	// of about Q. For a band-pass or notch it is Frequency over the width between its −3 dB points.
	Q T
	// Rate is the sample rate in Hz.
	Rate T
}

// Validate returns OK, or what is wrong first.
func (s Section[T]) Validate() Err {
	if s.Shape > ShapeNotch {
		return ErrLimits
	}
	if !(s.Q > 0) || !finite(s.Q) || !finite(1/s.Q) {
		return ErrPositive
	}
	if _, ok := s.tangent(); !ok {
		return ErrFrequency
	}
	return OK
}

// tangent returns tan(π·Frequency/Rate), and whether a filter can be made of it.
func (s Section[T]) tangent() (g T, ok bool) {
	ratio := s.Frequency / s.Rate
	if !(s.Frequency > 0 && s.Rate > 0 && ratio < 0.5) {
		return 0, false
	}
	sin, cos := Sincos(pi * ratio)
	g = sin / cos
	return g, g > 0 && finite(g*(g+1/s.Q))
}

// Biquad is a filter of second order for a fixed sample rate. It is the bilinear transform of the analogue filter in
// state-variable form, where the low-pass l and the band b are the states and the high-pass h the rest. With k = 1/Q:
//
//	h = u − k·b − l      db/dt = ω·h      dl/dt = ω·b
//
// so that l/u = ω²/(s² + k·ω·s + ω²), k·b/u is the band-pass, h/u the high-pass and u − k·b the notch. The bilinear transform,
// s ← 2/T·(z − 1)/(z + 1), is the trapezoidal rule: each state grows by T/2 times the sum of its old and its new slope. With
// g = tan(π·Frequency/Rate) in place of ω·T/2, which puts the frequency where it was asked for, and with the old half of each
// sum kept as the memories m₁ = b + g·h and m₂ = l + g·b, the loop without delay is solved for b:
//
//	b = (m₁ + g·(u − m₂))/(1 + g·(g + k))      l = m₂ + g·b
//	m₁ ← 2·b − m₁                              m₂ ← 2·l − m₂
//
// The transfer function is that of a direct form with the five coefficients of the same transform, and the cost is alike.
// But a direct form keeps its poles in a₁ ≈ −2 and a₂ ≈ 1: what makes them differ, (2π·Frequency/Rate)², drowns in the last
// place of a float32 once the frequency is a thousandth of the rate. Here g has all its digits at every frequency. And the
// memories are signals, so the frequency may be changed while it runs.
//
// The sample rate is part of the coefficients, and no dt is passed. Where the loop runs at another rate than Rate the frequency
// moves with it. Where single samples come early or late by δ the filter takes them as if on time: a sine of f Hz gets a noise
// of 2π·f times the rms of δ, relative to its amplitude, and no notch is deeper than that.
//
// The zero Biquad holds 0; make one with NewBiquad. The first sample counts as if it had always been there.
type Biquad[T Float] struct {
	s      Section[T]
	g, k   T
	scale  T // 1/(1 + g·(g + k))
	m1, m2 T
	out    T
	primed bool
	held   uint32
}

// NewBiquad returns a filter that has seen nothing yet. A section that is not valid gives a filter that always returns 0,
// and the reason.
func NewBiquad[T Float](s Section[T]) (Biquad[T], Err) {
	if err := s.Validate(); err != OK {
		return Biquad[T]{}, err
	}
	f := Biquad[T]{s: s, k: 1 / s.Q}
	f.tune()
	return f, OK
}

func (f *Biquad[T]) tune() {
	f.g, _ = f.s.tangent()
	f.scale = 1 / (1 + f.g*(f.g+f.k))
}

// Tune moves the filter to another frequency, in Hz, and keeps its state: a notch that follows a rotor. A frequency that
// is not between 0 and half the sample rate changes nothing.
func (f *Biquad[T]) Tune(frequency T) Err {
	s := f.s
	s.Frequency = frequency
	if err := s.Validate(); err != OK {
		return err
	}
	f.s = s
	f.tune()
	return OK
}

// Update takes the next sample and returns the filtered value. A sample that is not finite changes nothing; one that would
// overflow the memories starts the filter again, as if it were the first. Both are counted.
func (f *Biquad[T]) Update(x T) T {
	if !finite(x) {
		f.held++
		return f.out
	}
	if !f.primed {
		f.Reset(x)
		return f.out
	}
	band := f.scale * (f.m1 + f.g*(x-f.m2))
	low := f.m2 + f.g*band
	m1, m2, out := 2*band-f.m1, 2*low-f.m2, f.output(x, band, low)
	if !finite(m1) || !finite(m2) || !finite(out) {
		// The sample was finite, what it leads to is not. Holding would not end: the memories alone may be too large by now.
		f.held++
		f.Reset(x)
		return f.out
	}
	f.m1, f.m2, f.out = m1, m2, out
	return out
}

func (f *Biquad[T]) output(x, band, low T) T {
	switch f.s.Shape {
	case ShapeLowPass:
		return low
	case ShapeHighPass:
		return x - f.k*band - low
	case ShapeBandPass:
		return f.k * band
	}
	return x - f.k*band
}

// Value returns what Update returned last.
func (f *Biquad[T]) Value() T { return f.out }

// Reset puts the filter where a constant x has always come in: a low-pass or notch is at x, a high-pass or band-pass at 0.
// An x that is not finite changes nothing.
func (f *Biquad[T]) Reset(x T) {
	if !finite(x) || f.scale == 0 {
		return
	}
	f.m1, f.m2, f.primed = 0, x, true
	f.out = f.output(x, 0, x)
}

// Held counts the samples that were not finite, or too large to be filtered.
func (f *Biquad[T]) Held() uint32 { return f.held }
