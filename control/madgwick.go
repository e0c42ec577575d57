package control

// MadgwickGains say how a Madgwick weighs its sensors.
type MadgwickGains[T Float] struct {
	// Beta is the size of the step in rad/s, as a change of the quaternion: the estimate turns towards what was measured with
	// 2·Beta, so that is also the greatest bias of the gyro that it holds against. 0: 0.05.
	Beta T
	// Zeta is how fast the bias follows, in rad/s². What is left of a bias below 2·Beta decays with the time constant Beta/Zeta; a
	// greater one shrinks by 2·Zeta per second first. 0: the bias is not looked for.
	Zeta T
	// BiasLimit bounds the bias on each axis, in rad/s. 0: 0.35 (20°/s).
	BiasLimit T
}

// validate fills in what is 0.
func (g *MadgwickGains[T]) validate() Err {
	if g.Beta == 0 {
		g.Beta = 0.05
	}
	if g.BiasLimit == 0 {
		g.BiasLimit = defaultBiasLimit
	}
	for _, v := range [...]T{g.Beta, g.Zeta, g.BiasLimit, g.Zeta / g.Beta} {
		if !finite(v) || v < 0 {
			return ErrGain
		}
	}
	return OK
}

// Madgwick is the gradient descent filter of S. Madgwick: the estimate turns as the gyro says, and down the gradient of
// E(q) = ½·|q·a·q* − z|², where a is the measured vertical and z the earth's, with a constant speed:
//
//	dq/dt = ½·q·(ω − b) − β·∇E/|∇E|
//
// The two vectors have the length 1, so E = 1 − (q·a·q*)·z. Where q turns by δ, that is dq = ½·q·δ, E falls by δ·e with
// e = a × (q*·z·q). The gradient that is itself a change of a unit quaternion, with the length ½·|δ| for a turn by δ, is thus
// ∇E = −2·q·e: the descent turns about e, as Mahony's filter does, but with the speed 2·β however long e is. The heading adds
// ½·|m − n|² of the horizontal field m and magnetic north n, whose e is vertical.
//
// A step is never longer than e: one of the fixed length 2·β·h would go to and fro about what it has found. With r the turn of a
// step, 2·β·h or |e| about e, the bias follows as
//
//	b ← b − ζ/β·r
//
// which is b − 2·ζ·h·e/|e| while the error is large: the direction of the gradient again, with a speed of its own. Once it is
// not, r makes good in each step what the bias has done in it, and the bias left decays with β/ζ. The bias about the vertical is
// found with a magnetometer only.
//
// The zero Madgwick stays at Identity; make one with NewMadgwick.
type Madgwick[T Float] struct {
	attitude[T]
	g MadgwickGains[T]
}

// NewMadgwick returns a filter that has seen nothing yet. What is not valid gives one that refuses every sample, and the
// reason.
func NewMadgwick[T Float](g MadgwickGains[T], e Earth[T]) (Madgwick[T], Err) {
	if err := g.validate(); err != OK {
		return Madgwick[T]{}, err
	}
	a, err := newAttitude(e)
	if err != OK {
		return Madgwick[T]{}, err
	}
	return Madgwick[T]{attitude: a, g: g}, OK
}

// Update takes a sample and the seconds since the last one. The first with an Accel to believe is the attitude as it is.
//
// ErrRate: the sample changed nothing. ErrDirection: Accel is 0 or not finite, as in free fall, or Field is not finite; the rest
// of the sample was used. What Earth told not to believe is no error: Status counts it.
func (f *Madgwick[T]) Update(s Inertial[T], dt T) Err {
	seen, ok, err := f.take(&s, dt)
	if !ok {
		return err
	}
	axis, size, ok := seen.sine().unit()
	if !ok {
		return err // nothing is off
	}
	turn := axis.times(min(2*f.g.Beta*dt, size))
	share := f.g.Zeta / f.g.Beta
	if share*dt > 1 {
		share = 1 / dt // after a pause the bias is no more than what explains the error
	}
	f.learn(turn.times(-share), f.g.BiasLimit)
	f.q = f.q.Integrate(turn, 1)
	return err
}
