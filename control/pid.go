package control

// Gains are a controller's parameters. The zero value of a field switches off what it is for, unless it says otherwise.
// Units: u is the output's unit, y the measured quantity's.
type Gains[T Float] struct {
	// Kp is the proportional gain, in u/y; Ki the integral gain, in u/(y·s); Kd the derivative gain, in u·s/y. All at
	// least 0: a controller that is to act the other way gets its error negated by the caller.
	Kp, Ki, Kd T
	// FilterTime is the time constant of the derivative's low-pass, in seconds. A good start is Kd/Kp/10. 0: a bare
	// difference, which amplifies noise by Kd/dt.
	FilterTime T
	// ProportionalWeight b and DerivativeWeight c say how much of the setpoint the two terms see: P = Kp·(b·r − y), and
	// D differentiates c·r − y. b = 1 reacts to a step of the setpoint at once, b = 0 leaves that to the integral, which
	// overshoots less. c is 0 nearly always: with c = 1 a step of the setpoint kicks the actuator.
	ProportionalWeight, DerivativeWeight T
	// Min and Max bound the output. Min must be less than Max.
	Min, Max T
	// RateLimit bounds how fast the output changes, in u/s. 0: no limit.
	RateLimit T
	// TrackingTime is the time constant, in seconds, with which the integral lets go of what the actuator cannot do
	// (anti-windup by back-calculation). Between Kd/Kp and Kp/Ki is usual. 0: Kp/Ki, or at once where Kp is 0.
	TrackingTime T
}

// Validate returns OK, or what is wrong first.
func (g Gains[T]) Validate() Err {
	for _, v := range [...]T{g.Kp, g.Ki, g.Kd, g.FilterTime, g.RateLimit, g.TrackingTime} {
		if !finite(v) || v < 0 {
			return ErrGain
		}
	}
	if !finite(g.ProportionalWeight) || !finite(g.DerivativeWeight) {
		return ErrGain
	}
	if !finite(g.Min) || !finite(g.Max) || !(g.Min < g.Max) {
		return ErrLimits
	}
	return OK
}

// PID is a controller with two degrees of freedom, a filtered derivative, output and rate limits, and anti-windup by
// back-calculation. With r the setpoint, y the measurement, f the feedforward, h = dt and Tf = FilterTime:
//
//	P = Kp·(b·r − y)
//	D = Tf/(Tf + h)·D₋₁ + Kd/(Tf + h)·((c·r − y) − (c·r − y)₋₁)     backward difference
//	v = P + I + D + f
//	u = v within Min … Max and RateLimit
//	I ← I + h·Ki·(r − y) + min(1, h/Tt)·(u − v)                    forward difference
//
// where the h of D is the time since the last step that was not held.
//
// (Advanced PID Control, on digital implementation and on windup; the last line is back-calculation and tracking.) The
// last summand is what distinguishes it from clamping, where the integral just stops while the output is saturated:
// back-calculation takes the integral back to where the actuator is, so the output leaves the limit when the error's sign
// turns, not when the integral has been worked off. It is also right under the rate limit, where clamping is not.
//
// The zero PID has no gains and no range; make one with NewPID.
type PID[T Float] struct {
	g       Gains[T]
	i, d    T // integral and derivative terms, in u
	p       T
	input   T // c·r − y of the last step
	gap     T // seconds between that step and the one before this, which were held
	out     T
	excess  T    // u − v of the last step
	direct  T    // by how much the last v would have changed per unit of the setpoint
	primed  bool // input and out are of a step or of Track
	limited bool
	held    uint32
}

// NewPID returns a controller at rest. Gains that are not valid give a controller that always returns 0, and the reason.
func NewPID[T Float](g Gains[T]) (PID[T], Err) {
	if err := g.Validate(); err != OK {
		return PID[T]{}, err
	}
	return PID[T]{g: g, out: clamp(0, g.Min, g.Max)}, OK
}

// Update takes one step: the setpoint, the measurement, what is known beforehand to be needed (feedforward, in the
// output's unit, 0 if nothing is), and the seconds since the last step. It returns the output, which is within Min and
// Max always and within RateLimit·dt of the last one.
func (c *PID[T]) Update(setpoint, measured, feedforward, dt T) T {
	if !finite(setpoint) || !finite(measured) || !finite(feedforward) || !finite(dt) || dt <= 0 {
		c.hold(dt)
		return c.out
	}
	g := &c.g
	since := c.gap + dt // what the input has changed by, it has changed by in that time
	input := g.DerivativeWeight*setpoint - measured
	p := g.Kp * (g.ProportionalWeight*setpoint - measured)
	d, direct := c.d, g.Kp*g.ProportionalWeight
	if c.primed {
		direct += g.Kd / (g.FilterTime + since) * g.DerivativeWeight
		d = T(g.FilterTime/(g.FilterTime+since))*d + T(g.Kd/(g.FilterTime+since))*(input-c.input)
	}
	v := p + c.i + d + feedforward
	u := clamp(v, g.Min, g.Max)
	if g.RateLimit > 0 {
		step := g.RateLimit * dt
		u = clamp(u, c.out-step, c.out+step)
	}
	i := c.i
	if g.Ki > 0 { // else there is nothing to wind up, and the excess must not become an offset
		i += T(dt*g.Ki)*(setpoint-measured) + c.tracking(dt)*(u-v)
	}
	if !finite(v) || !finite(i) || !finite(d) || !finite(u) || !finite(input) {
		c.hold(dt) // gains and input were finite, their product is not
		return c.out
	}
	c.p, c.i, c.d, c.input, c.gap, c.out, c.primed = p, i, d, input, 0, u, true
	c.limited, c.excess, c.direct = u != v, u-v, direct
	return u
}

// hold counts a step that changes nothing, and keeps its time for the derivative of the next.
func (c *PID[T]) hold(dt T) {
	c.held++
	if dt > 0 && finite(c.gap+dt) {
		c.gap += dt
	}
}

// Applied tells the controller that not its last output took effect but actual, over the last dt seconds: the position
// of a valve that sticks, or what an inner loop could follow. The integral lets go of the difference as it does of what
// the controller's own limits cut off. Values that are not finite, or no time, change nothing and are counted.
func (c *PID[T]) Applied(actual, dt T) {
	if c.g.Ki == 0 {
		return
	}
	i := c.i + c.tracking(dt)*(actual-c.out)
	if !finite(actual) || !finite(dt) || dt <= 0 || !finite(i) {
		c.held++
		return
	}
	c.i = i
}

// realizable returns the setpoint with which the last step would have led to the output it had, without a limit: the
// one given, unless that was limited. It is never beyond the measurement, seen from the setpoint: there a weak direct path
// from the setpoint to the output says more than is known.
func (c *PID[T]) realizable(setpoint, measured T) T {
	if !c.limited {
		return setpoint
	}
	could := measured
	if r := setpoint + c.excess/c.direct; finite(r) {
		could = r
	}
	return clamp(could, min(setpoint, measured), max(setpoint, measured))
}

// tracking returns the share of the excess that the integral lets go of in one step.
func (c *PID[T]) tracking(dt T) T {
	tt := c.g.TrackingTime
	if tt == 0 {
		tt = c.g.Kp / c.g.Ki
	}
	if tt <= dt {
		return 1
	}
	return dt / tt
}

// Track puts the controller where its next Update with the same setpoint, measurement and feedforward returns output:
// the bumpless transfer from manual control, from another controller, or from before a pause. output is brought within
// Min and Max. Without integral action (Ki = 0) there is nothing to take up the difference: only the rate limit then
// starts from output. Values that are not finite change nothing and are counted.
func (c *PID[T]) Track(output, setpoint, measured, feedforward T) {
	if !finite(output) || !finite(setpoint) || !finite(measured) || !finite(feedforward) {
		c.held++
		return
	}
	g := &c.g
	output = clamp(output, g.Min, g.Max)
	p := g.Kp * (g.ProportionalWeight*setpoint - measured)
	i := output - p - feedforward
	if g.Ki == 0 {
		i = 0
	}
	input := g.DerivativeWeight*setpoint - measured
	if !finite(p) || !finite(i) || !finite(input) {
		c.held++
		return
	}
	c.p, c.i, c.d, c.out = p, i, 0, output
	c.input, c.gap, c.primed = input, 0, true
	c.limited = false
}

// Reset brings the controller to rest: no integral, no derivative, no memory of a measurement. The output it holds is 0,
// or the limit next to 0.
func (c *PID[T]) Reset() { *c = PID[T]{g: c.g, held: c.held, out: clamp(0, c.g.Min, c.g.Max)} }

// Terms returns the three terms of the last step, in the output's unit; the integral is the one for the next.
func (c *PID[T]) Terms() (p, i, d T) { return c.p, c.i, c.d }

// Output returns what Update returned last.
func (c *PID[T]) Output() T { return c.out }

// Limited reports whether the last output was cut by a limit.
func (c *PID[T]) Limited() bool { return c.limited }

// Held counts the calls that were given what is not a finite number, or no time, and changed nothing.
func (c *PID[T]) Held() uint32 { return c.held }
