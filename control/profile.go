package control

// Motion is where something is on a line, how fast it moves, and how its speed changes: in m, m/s and m/s², or in rad.
type Motion[T Float] struct{ Position, Velocity, Acceleration T }

// MotionLimits bound a motion. Velocity and Acceleration must be above 0.
type MotionLimits[T Float] struct {
	// Velocity is the fastest, in either direction.
	Velocity T
	// Acceleration bounds how fast the speed grows, Deceleration how fast it shrinks. Deceleration 0: as Acceleration.
	Acceleration, Deceleration T
}

// Validate returns OK, or what is wrong first.
func (l MotionLimits[T]) Validate() Err {
	if l.Deceleration == 0 {
		l.Deceleration = l.Acceleration
	}
	for _, v := range [...]T{l.Velocity, l.Acceleration, l.Deceleration} {
		if !finite(v) || !(v > 0) {
			return ErrPositive
		}
	}
	return OK
}

// stretch is a part of a move with one acceleration, counted in the direction of the axis.
type stretch[T Float] struct{ time, from, to, acceleration T } // from and to are velocities

// Move is the fastest motion from a state to rest at a target within limits, planned once: a trapezoid over time of the
// velocity, or a triangle where the way is too short to reach the limit. With s the way, v the velocity at the start, a and d
// the limits of growth and shrinking, the peak p follows from s = (p² − v²)/(2a) + p²/(2d):
//
//	p² = (2·a·s + v²)·d/(a + d),     at most the limit
//
// and what is missing from s then is cruised. Before that, a start that is too fast brakes to the limit; one that moves away
// from the target, or cannot stop before it any more, brakes to rest and comes back. Nothing is faster: at every place on the
// way the velocity is the highest from which the rest can still be done.
//
// The zero Move has arrived at 0.
type Move[T Float] struct {
	start, target T
	way           T             // their difference, rounded
	stretches     [4]stretch[T] // brake or slow down; accelerate; cruise; decelerate
	duration      T
}

// NewMove plans a move. The acceleration of from has no effect: this profile's acceleration jumps.
func NewMove[T Float](l MotionLimits[T], from Motion[T], target T) (Move[T], Err) {
	if err := l.Validate(); err != OK {
		return Move[T]{}, err
	}
	m, ok := plan(l, target-from.Position, from.Velocity)
	m.start, m.target = from.Position, target
	if !ok {
		return Move[T]{}, ErrMotion
	}
	return m, OK
}

// plan does the work, with the way in place of two positions: near the target it has more digits than they do.
func plan[T Float](l MotionLimits[T], way, v T) (m Move[T], ok bool) {
	a, d := l.Acceleration, l.Deceleration
	if d == 0 {
		d = a
	}
	m.way = way
	left := way
	stop := v * abs(v) / (2 * d) // where it would come to rest if it braked now
	direction := T(1)
	if way < stop {
		direction = -1
	}
	limit := direction * l.Velocity
	switch {
	case v*direction < 0:
		m.stretches[0] = stretch[T]{abs(v) / d, v, 0, direction * d}
		left, v = left-stop, 0
	case abs(v) > l.Velocity:
		m.stretches[0] = stretch[T]{(abs(v) - l.Velocity) / d, v, limit, -direction * d}
		left, v = left-direction*(v-limit)*(v+limit)/(2*d), limit
	}
	left, v = abs(left), abs(v)
	square := (2*a*left + v*v) * (d / (a + d))
	peak := min(l.Velocity, max(v, Sqrt(square)))
	cruise := max(0, left-(peak-v)*(peak+v)/(2*a)-peak*peak/(2*d))
	m.stretches[1] = stretch[T]{(peak - v) / a, direction * v, direction * peak, direction * a}
	if peak == l.Velocity {
		m.stretches[2] = stretch[T]{cruise / peak, limit, limit, 0}
	}
	m.stretches[3] = stretch[T]{peak / d, direction * peak, 0, -direction * d}
	for i := range m.stretches {
		m.duration += m.stretches[i].time
	}
	return m, finite(way) && finite(stop) && finite(square) && finite(m.duration)
}

// Duration returns how long it takes, in seconds.
func (m *Move[T]) Duration() T { return m.duration }

// At returns where it is t seconds after the start: from the end on at the target, to the bit, at rest.
func (m *Move[T]) At(t T) Motion[T] {
	if t >= m.duration {
		return Motion[T]{Position: m.target}
	}
	moved, v, a := m.after(t)
	return Motion[T]{m.start + moved, v, a}
}

// after returns how far it has come after t seconds, and its velocity and acceleration.
func (m *Move[T]) after(t T) (moved, velocity, acceleration T) {
	if t >= m.duration {
		return m.way, 0, 0
	}
	if !(t > 0) {
		t = 0
	}
	for i := range m.stretches {
		s := &m.stretches[i]
		if t < s.time {
			// The velocity is kept from leaving its stretch by a rounding: it is what the limits are promised for.
			v := clamp(s.from+s.acceleration*t, min(s.from, s.to), max(s.from, s.to))
			return moved + (s.from+v)/2*t, v, s.acceleration
		}
		moved += (s.from + s.to) / 2 * s.time
		t -= s.time
	}
	return m.way, 0, 0 // rounding has left a little of t beyond the last stretch
}

// Trapezoid follows a target that may change at any moment, by the fastest motion within limits: a Slew that knows
// inertia. It plans a Move in each step from where it is. Velocity and Acceleration of what it returns make a
// feedforward.
//
// The zero Trapezoid stays at 0; make one with NewTrapezoid.
type Trapezoid[T Float] struct {
	l    MotionLimits[T]
	now  Motion[T]
	rest T // what the position has been rounded by: a slow step may be below a float32's last place
	held uint32
}

// NewTrapezoid returns one at rest at a position. Limits that are not valid give one that does not move, and the reason.
func NewTrapezoid[T Float](l MotionLimits[T], position T) (Trapezoid[T], Err) {
	if err := l.Validate(); err != OK {
		return Trapezoid[T]{}, err
	}
	if !finite(position) {
		return Trapezoid[T]{}, ErrMotion
	}
	return Trapezoid[T]{l: l, now: Motion[T]{Position: position}}, OK
}

// Update moves towards target for dt seconds and returns where it is then. It arrives to the bit, and stays there with no
// velocity. Its acceleration is that of the next moment. What is not finite, or no time, changes nothing and is counted.
func (p *Trapezoid[T]) Update(target, dt T) Motion[T] {
	if p.l.Acceleration == 0 || !finite(dt) || !(dt > 0) {
		p.held++
		return p.now
	}
	m, ok := plan(p.l, target-p.now.Position-p.rest, p.now.Velocity)
	if !ok {
		p.held++
		return p.now
	}
	if dt >= m.duration {
		p.now, p.rest = Motion[T]{Position: target}, 0
		return p.now
	}
	moved, v, a := m.after(dt)
	moved += p.rest
	to := p.now.Position + moved
	p.rest = moved - (to - p.now.Position)
	p.now = Motion[T]{to, v, a}
	return p.now
}

// Value returns where it is.
func (p *Trapezoid[T]) Value() Motion[T] { return p.now }

// Reset puts it somewhere else, with a velocity, without regard to the limits. What is not finite changes nothing and is
// counted.
func (p *Trapezoid[T]) Reset(position, velocity T) {
	if !finite(position) || !finite(velocity) {
		p.held++
		return
	}
	p.now, p.rest = Motion[T]{Position: position, Velocity: velocity}, 0
}

// Held counts the calls that were given what is not a finite number, or no time, and changed nothing.
func (p *Trapezoid[T]) Held() uint32 { return p.held }
