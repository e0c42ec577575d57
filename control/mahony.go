package control

// MahonyGains say how a Mahony weighs its sensors.
type MahonyGains[T Float] struct {
	// Kp is the proportional gain, in rad/s per rad: 1/Kp is the time constant. 0: 0.5.
	Kp T
	// Ki is the gain of the integral, in rad/s² per rad, at most Kp². Kp²/4 finds a bias without overshoot, in about 4/Kp;
	// much less is usual. 0: the bias is not looked for.
	Ki T
	// BiasLimit bounds the bias on each axis, in rad/s. 0: 0.35 (20°/s).
	BiasLimit T
}

const defaultBiasLimit = 0.35

// validate fills in what is 0.
func (g *MahonyGains[T]) validate() Err {
	if g.Kp == 0 {
		g.Kp = 0.5
	}
	if g.BiasLimit == 0 {
		g.BiasLimit = defaultBiasLimit
	}
	for _, v := range [...]T{g.Kp, g.Ki, g.BiasLimit, 1 / g.Kp} {
		if !finite(v) || v < 0 {
			return ErrGain
		}
	}
	if !(g.Ki <= g.Kp*g.Kp) || !finite(g.Kp*g.Kp) {
		return ErrGain
	}
	return OK
}

// Mahony is the explicit complementary filter with bias of R. Mahony, T. Hamel and J.-M. Pflimlin: the estimate turns as the gyro
// says, less its bias, and as a PI controller says that is given the error e, whose length is the sine of the angle by which
// the estimate is off:
//
//	dq/dt = ½·q·(ω − b + Kp·e)      db/dt = −Ki·e
//
// For a small error θ of a gyro that is off by b that is θ″ + Kp·θ′ + Ki·θ = 0 with θ′ = b at first: a frequency of √Ki in rad/s
// and a damping of Kp/(2·√Ki). With Ki = 0, θ′ = −Kp·sin θ, which tan(θ/2) = tan(θ₀/2)·exp(−Kp·t) solves. Beyond a right
// angle e keeps the length 1, other than there: with a sine alone an estimate that is upside down would not turn.
//
// The bias about the vertical shows in the heading alone: without a magnetometer it is not found.
//
// The zero Mahony stays at Identity; make one with NewMahony.
type Mahony[T Float] struct {
	attitude[T]
	g MahonyGains[T]
}

// NewMahony returns a filter that has seen nothing yet. What is not valid gives one that refuses every sample, and the
// reason.
func NewMahony[T Float](g MahonyGains[T], e Earth[T]) (Mahony[T], Err) {
	if err := g.validate(); err != OK {
		return Mahony[T]{}, err
	}
	a, err := newAttitude(e)
	if err != OK {
		return Mahony[T]{}, err
	}
	return Mahony[T]{attitude: a, g: g}, OK
}

// Update takes a sample and the seconds since the last one. The first with an Accel to believe is the attitude as it is.
//
// ErrRate: the sample changed nothing. ErrDirection: Accel is 0 or not finite, as in free fall, or Field is not finite; the rest
// of the sample was used. What Earth told not to believe is no error: Status counts it.
func (f *Mahony[T]) Update(s Inertial[T], dt T) Err {
	seen, ok, err := f.take(&s, dt)
	if !ok {
		return err
	}
	e := seen.sine()
	h := min(dt, 1/f.g.Kp) // after a pause the error is made good for once, not for as long as the pause was
	f.learn(e.times(-f.g.Ki*h), f.g.BiasLimit)
	f.q = f.q.Integrate(e.times(f.g.Kp*h), 1)
	return err
}
