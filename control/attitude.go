package control

// Inertial is one sample of an inertial sensor, in the frame of its body: x forward, y to the left, z up.
type Inertial[T Float] struct {
	// Rate is what the gyro measures, in rad/s, counter-clockwise seen against each axis.
	Rate Vector[T]
	// Accel is what the accelerometer measures, which at rest points up. Its unit is that of Earth.Gravity; where that is 0,
	// any, as only the direction counts.
	Accel Vector[T]
	// Field is what the magnetometer measures, free of hard and soft iron. Its unit is that of Earth.Field; where that is 0,
	// any. All 0: no sample this time.
	Field Vector[T]
}

// Earth is what is known of gravity and of the magnetic field where the machine is. The zero Earth believes every sample, and
// takes magnetic north for north.
type Earth[T Float] struct {
	// Declination is where magnetic north is, in radians from true north, positive to the east.
	Declination T
	// Gravity is what the accelerometer measures at rest, in its unit. A sample whose length is off by more than
	// GravityTolerance, a share, is not believed: the body accelerates. 0: every length is. GravityTolerance 0: 0.1.
	Gravity, GravityTolerance T
	// Field is the strength of the earth's field, in the magnetometer's unit. A sample whose length is off by more than
	// FieldTolerance, a share, is not believed: something near disturbs it. 0: every length is. FieldTolerance 0: 0.1.
	Field, FieldTolerance T
	// Dip is how far the field points below the horizon, in radians, negative in the south. A sample that dips otherwise by more than
	// DipTolerance, as the estimate has the horizon, is not believed. DipTolerance 0: every dip is.
	Dip, DipTolerance T
	// Settle is for how many seconds a sensor stays not believed after its last sample that was not. What disturbs it comes in
	// stretches, whose ends pass for undisturbed: an acceleration across gravity of 0.3 g changes the length by 4 %, and the
	// direction by 17°. 0: no longer.
	Settle T
}

// Validate returns OK, or ErrReference.
func (e Earth[T]) Validate() Err {
	for _, v := range [...]T{e.Gravity, e.GravityTolerance, e.Field, e.FieldTolerance, e.DipTolerance, e.Settle} {
		if !finite(v) || v < 0 {
			return ErrReference
		}
	}
	if !(abs(e.Declination) <= pi) || !(abs(e.Dip) <= pi/2) {
		return ErrReference
	}
	return OK
}

// leastHorizontal is the least share of the field that must be horizontal to show where north is: that of a dip of 88.9°.
const leastHorizontal = 0.02

// defaultTolerance is the share by which a length may be off.
const defaultTolerance = 0.1

// AttitudeStatus says what has become of the samples. The counts wrap around.
type AttitudeStatus struct {
	// Ready: a first believed Accel has started the filter. Heading: a first believed Field has set the heading; before, east
	// is where the body looked when it started.
	Ready, Heading bool
	// AccelUsed and FieldUsed tell of the last sample.
	AccelUsed, FieldUsed bool
	// AccelRejected and FieldRejected count what Earth told not to believe, and fields that are all but vertical.
	AccelRejected, FieldRejected uint32
	// Refused counts directions that were none, not finite or an Accel of 0: the rest of their samples was used. Held counts
	// samples that changed nothing: their Rate was not finite, or they came with no time.
	Refused, Held uint32
}

// attitude is what the three filters have in common: they differ in how they follow what a sample shows.
//
// Each predicts with the gyro first: a correction by what was measured now must not be measured against where the body was
// before. Then it compares. With the measured vertical a and the estimated one d, both of length 1 and in the frame of the
// body, turning the estimate by a small vector δ changes q·a·q*, and its product with the vertical, which is a·d, by (δ × a)·d =
// δ·(a × d). So a × d is the axis about which the estimate must turn, and its length is the sine of the angle.
//
// The field shows the heading and nothing else. Were its direction compared like gravity's, a magnet near by would tilt the
// estimate. So it is turned into the frame of the earth, and what is horizontal of it compared with magnetic north.
type attitude[T Float] struct {
	q       Quaternion[T]
	bias    Vector[T]
	earth   Earth[T]
	n       Vector[T] // magnetic north, in the frame of the earth
	status  AttitudeStatus
	accel   gate[T]
	field   gate[T]
	allowed bool // made by a constructor that did not refuse
}

func newAttitude[T Float](e Earth[T]) (attitude[T], Err) {
	if err := e.Validate(); err != OK {
		return attitude[T]{}, err
	}
	if e.GravityTolerance == 0 {
		e.GravityTolerance = defaultTolerance
	}
	if e.FieldTolerance == 0 {
		e.FieldTolerance = defaultTolerance
	}
	sin, cos := Sincos(e.Declination)
	return attitude[T]{q: Identity[T](), earth: e, n: Vector[T]{X: sin, Y: cos}, allowed: true}, OK
}

// angle is one by its sine and cosine.
type angle[T Float] struct{ sin, cos T }

// bounded returns the sine up to a right angle, and 1 beyond, with the angle's sign: a sine alone would pull less the further
// the estimate is off, and not at all where it is upside down.
func (a angle[T]) bounded() T {
	if a.cos >= 0 {
		return a.sin
	}
	if a.sin < 0 {
		return -1
	}
	return 1
}

// sight is what a sample shows: by how much the estimate must turn.
type sight[T Float] struct {
	axis Vector[T] // horizontal, in the frame of the body
	tilt angle[T]  // about axis, its sine at least 0
	up   Vector[T] // the vertical as the estimate has it, in the frame of the body
	turn angle[T]  // about up
}

// sine returns the vector about which to turn. Its two parts are perpendicular, and each no longer than the angle that is left.
func (s *sight[T]) sine() Vector[T] {
	return s.axis.times(s.tilt.bounded()).plus(s.up.times(s.turn.bounded()))
}

// take does what comes before the correction. Where there is none to be made, ok is false.
func (a *attitude[T]) take(s *Inertial[T], dt T) (seen sight[T], ok bool, err Err) {
	if !a.allowed {
		return seen, false, ErrReference
	}
	if !(s.Rate.plus(a.bias.times(-1)).times(dt).most() <= maxAngle) || !(s.Rate.most() < maxRate) || !(dt > 0) || !finite(dt) {
		a.status.Held++
		return seen, false, ErrRate
	}
	a.status.AccelUsed, a.status.FieldUsed = false, false
	vertical, believed, err := a.vertical(s.Accel, dt)
	if !a.status.Ready {
		if !believed {
			return seen, false, err
		}
		a.q = level(vertical)
		a.status.Ready = true
	} else {
		a.q = a.q.Integrate(s.Rate.plus(a.bias.times(-1)), dt)
	}
	seen = sight[T]{up: a.q.up(), tilt: angle[T]{cos: 1}, turn: angle[T]{cos: 1}}
	if believed {
		a.status.AccelUsed = true
		seen.lean(vertical)
	}
	if fieldErr := a.look(s.Field, &seen, dt); fieldErr != OK {
		err = fieldErr
	}
	return seen, true, err
}

// gate keeps a sensor out for a while.
type gate[T Float] struct{ left T } // seconds

// open takes whether a sample is as it should be, and the seconds since the last, and says whether to believe it.
func (g *gate[T]) open(good bool, dt, settle T) bool {
	if !good {
		g.left = settle
		return false
	}
	g.left -= min(dt, g.left)
	return g.left == 0
}

// maxRate bounds a gyro's rate, in rad/s: what is beyond it is no rate of a body.
const maxRate = 1e6

// vertical returns the direction of an accelerometer's sample, and whether to believe it.
func (a *attitude[T]) vertical(accel Vector[T], dt T) (direction Vector[T], believed bool, err Err) {
	direction, length, ok := accel.unit()
	if !ok {
		a.accel.left = a.earth.Settle
		a.status.Refused++
		return direction, false, ErrDirection
	}
	e := &a.earth
	if near := e.Gravity == 0 || abs(length-e.Gravity) <= e.GravityTolerance*e.Gravity; !a.accel.open(near, dt, e.Settle) {
		a.status.AccelRejected++
		return direction, false, OK
	}
	return direction, true, OK
}

// level returns the orientation that looks east, with the vertical where it is in the frame of the body.
func level[T Float](v Vector[T]) Quaternion[T] {
	return Euler[T]{Pitch: Atan2(-v.X, Sqrt(v.Y*v.Y+v.Z*v.Z)), Roll: Atan2(v.Y, v.Z)}.Quaternion()
}

// lean finds how to turn the estimate so that its vertical is the measured one.
func (s *sight[T]) lean(measured Vector[T]) {
	axis, sin, ok := measured.cross(s.up).unit()
	if !ok {
		// They are one, or upside down to the bit: then any horizontal axis does.
		other := Vector[T]{X: 1}
		if abs(s.up.X) > 0.5 {
			other = Vector[T]{Y: 1}
		}
		axis, _, _ = s.up.cross(other).unit()
	}
	s.axis, s.tilt = axis, angle[T]{sin, measured.dot(s.up)}
}

// look compares a magnetometer's sample with magnetic north. The first that is believed sets the heading at once.
func (a *attitude[T]) look(field Vector[T], seen *sight[T], dt T) Err {
	if field == (Vector[T]{}) {
		return OK
	}
	direction, length, ok := field.unit()
	if !ok {
		a.field.left = a.earth.Settle
		a.status.Refused++
		return ErrDirection
	}
	f := a.q.Rotate(direction)
	horizontal := Sqrt(f.X*f.X + f.Y*f.Y)
	if !a.field.open(a.undisturbed(length, horizontal, f.Z), dt, a.earth.Settle) {
		a.status.FieldRejected++
		return OK
	}
	turn := angle[T]{(f.X*a.n.Y - f.Y*a.n.X) / horizontal, (f.X*a.n.X + f.Y*a.n.Y) / horizontal}
	a.status.FieldUsed = true
	if !a.status.Heading {
		a.q = Euler[T]{Yaw: Atan2(turn.sin, turn.cos)}.Quaternion().Times(a.q).trim()
		a.status.Heading = true
		return OK
	}
	seen.turn = turn
	return OK
}

func (a *attitude[T]) undisturbed(length, horizontal, z T) bool {
	e := &a.earth
	if !(horizontal >= leastHorizontal) {
		return false
	}
	if e.Field > 0 && !(abs(length-e.Field) <= e.FieldTolerance*e.Field) {
		return false
	}
	return e.DipTolerance == 0 || abs(Atan2(-z, horizontal)-e.Dip) <= e.DipTolerance
}

// learn moves the bias by a step, within a limit on each axis.
func (a *attitude[T]) learn(step Vector[T], limit T) {
	b := a.bias.plus(step)
	a.bias = Vector[T]{clamp(b.X, -limit, limit), clamp(b.Y, -limit, limit), clamp(b.Z, -limit, limit)}
}

// Attitude returns the orientation as of the last sample: from the frame of the body to that of the earth. Before the first
// it is Identity.
func (a *attitude[T]) Attitude() Quaternion[T] {
	if !a.allowed {
		return Identity[T]()
	}
	return a.q
}

// Bias returns what is taken off the gyro's rate, in rad/s.
func (a *attitude[T]) Bias() Vector[T] { return a.bias }

// SetBias says what the gyro measures while the body is at rest, in rad/s. What is not finite, or no rate of a body, changes
// nothing.
func (a *attitude[T]) SetBias(bias Vector[T]) Err {
	if !(bias.most() < maxRate) {
		return ErrRate
	}
	a.bias = bias
	return OK
}

// Set makes q the attitude, heading included: one that is known otherwise, or was before a restart. A q that has no direction
// changes nothing.
func (a *attitude[T]) Set(q Quaternion[T]) Err {
	q, err := q.Normalize()
	if err != OK {
		return err
	}
	a.q = q
	a.status.Ready, a.status.Heading = true, true
	return OK
}

// Reset forgets attitude and bias: the next sample is the first. The counts stay.
func (a *attitude[T]) Reset() {
	a.q, a.bias = Identity[T](), Vector[T]{}
	a.accel, a.field = gate[T]{}, gate[T]{}
	a.status.Ready, a.status.Heading, a.status.AccelUsed, a.status.FieldUsed = false, false, false, false
}

// Status says what has become of the samples.
func (a *attitude[T]) Status() AttitudeStatus { return a.status }
