package control

// ComplementaryGains say how a Complementary weighs its sensors.
type ComplementaryGains[T Float] struct {
	// Time is the time constant τ in seconds, above 0: what is faster comes from the gyro, what is slower from accelerometer and
	// magnetometer. 0: 2 s.
	Time T
}

// Complementary is the complementary filter: the gyro's high frequencies and the low ones of accelerometer and magnetometer.
// Of the angle θ by which the estimate is off, after the gyro has turned it, each step takes back the share of LowPass,
//
//	θ ← θ·τ/(τ + h)
//
// about the axis on which it is off, tilt and heading each on its own. So an error of any size decays as exp(−t/τ), and a
// gyro's bias b leaves one of b·τ: this filter does not look for the bias (SetBias tells it one).
//
// The zero Complementary stays at Identity; make one with NewComplementary.
type Complementary[T Float] struct {
	attitude[T]
	time T
}

// NewComplementary returns a filter that has seen nothing yet. What is not valid gives one that refuses every sample, and
// the reason.
func NewComplementary[T Float](g ComplementaryGains[T], e Earth[T]) (Complementary[T], Err) {
	if g.Time == 0 {
		g.Time = 2
	}
	if !finite(g.Time) || g.Time < 0 {
		return Complementary[T]{}, ErrGain
	}
	a, err := newAttitude(e)
	if err != OK {
		return Complementary[T]{}, err
	}
	return Complementary[T]{attitude: a, time: g.Time}, OK
}

// Update takes a sample and the seconds since the last one. The first with an Accel to believe is the attitude as it is.
//
// ErrRate: the sample changed nothing. ErrDirection: Accel is 0 or not finite, as in free fall, or Field is not finite; the rest
// of the sample was used. What Earth told not to believe is no error: Status counts it.
func (f *Complementary[T]) Update(s Inertial[T], dt T) Err {
	seen, ok, err := f.take(&s, dt)
	if !ok {
		return err
	}
	k := dt / (f.time + dt)
	tilt, turn := k*Atan2(seen.tilt.sin, seen.tilt.cos), k*Atan2(seen.turn.sin, seen.turn.cos)
	f.q = f.q.Integrate(seen.axis.times(tilt).plus(seen.up.times(turn)), 1)
	return err
}
