package control

// Cascade is two controllers, one inside the other: the outer's output is the inner's setpoint. Position outside, speed
// inside; or the temperature of a room, and that of the water. The inner loop keeps disturbances and the actuator's quirks
// from the outer, which must be slower: by a factor of 3 to 10 in bandwidth.
//
// While the inner's output is at a limit, the inner cannot follow, and the outer's integral would wind up although the
// outer's own output is free. So each step of the inner finds the setpoint that it could have followed, the one that leads to
// just the limited output: with u − v what the limit has cut off, and K = Kp·b + c·Kd/(Tf + h) what a unit of the setpoint adds
// to v at once,
//
//	r* = r + (u − v)/K,     not beyond the inner's measurement
//
// and the outer's integral lets go of r* − r by back-calculation, with the outer's tracking time. That a saturated controller
// should be seen as one that was given a setpoint which it could realize is after R. Hanus, M. Kinnaert and J.-L.
// Henrotte, Conditioning technique, a general anti-windup and bumpless transfer method (Automatica, 1987). Where K is 0,
// r* is the measurement: the external reset of process control.
//
// The inner may be given a setpoint of its own instead (local), and the outer follows meanwhile, so that neither switch
// bumps. An outer without an integral has nothing to follow with: back in cascade only its RateLimit softens the step.
//
// The zero Cascade has no gains and no range; make one with NewCascade.
type Cascade[T Float] struct {
	// Outer and Inner are the two controllers: to be read, and not to be updated but through the Cascade.
	Outer, Inner PID[T]

	setpoint   T // the inner's
	realizable T // what the inner could follow of it
	local      bool
	held       uint32
}

// NewCascade returns two controllers at rest. The unit of the outer's output is that of the inner's measurement. Gains
// that are not valid give a cascade that always returns 0, and the reason.
func NewCascade[T Float](outer, inner Gains[T]) (Cascade[T], Err) {
	o, err := NewPID(outer)
	if err != OK {
		return Cascade[T]{}, err
	}
	i, err := NewPID(inner)
	if err != OK {
		return Cascade[T]{}, err
	}
	return Cascade[T]{Outer: o, Inner: i, setpoint: o.Output(), realizable: o.Output()}, OK
}

// UpdateOuter takes a step of the outer controller, as PID.Update does, and returns the inner's setpoint. It may be called
// less often than UpdateInner; dt is the time since the last UpdateOuter, in seconds. In local it follows instead.
func (c *Cascade[T]) UpdateOuter(setpoint, measured, feedforward, dt T) T {
	if c.local {
		c.Outer.Track(c.setpoint, setpoint, measured, feedforward)
		return c.setpoint
	}
	if finite(dt) && dt > 0 { // else Update counts it
		c.Outer.Applied(c.realizable, dt)
	}
	c.setpoint = c.Outer.Update(setpoint, measured, feedforward, dt)
	c.realizable = c.setpoint
	return c.setpoint
}

// UpdateInner takes a step of the inner controller and returns the output; feedforward is in the output's unit, dt the
// time since the last UpdateInner, in seconds.
func (c *Cascade[T]) UpdateInner(measured, feedforward, dt T) T {
	held := c.Inner.Held()
	u := c.Inner.Update(c.setpoint, measured, feedforward, dt)
	if c.Inner.Held() == held {
		c.realizable = c.Inner.realizable(c.setpoint, measured)
	}
	return u
}

// SetLocal gives the inner controller a setpoint of its own, brought within the outer's limits, until SetRemote. It may be
// called again for another one. SetLocal(c.Setpoint()) bumps nothing. What is not finite changes nothing and is counted.
func (c *Cascade[T]) SetLocal(setpoint T) {
	if !finite(setpoint) {
		c.held++
		return
	}
	c.local = true
	c.setpoint = clamp(setpoint, c.Outer.g.Min, c.Outer.g.Max)
	c.realizable = c.setpoint
}

// SetRemote gives the inner's setpoint back to the outer controller. The next UpdateOuter starts where the last one in
// local has left it: at the local setpoint, if its setpoint and measurement are still the same.
func (c *Cascade[T]) SetRemote() { c.local = false }

// Local reports whether the inner controller has a setpoint of its own.
func (c *Cascade[T]) Local() bool { return c.local }

// Setpoint returns the inner's setpoint.
func (c *Cascade[T]) Setpoint() T { return c.setpoint }

// Reset brings both controllers to rest, in cascade.
func (c *Cascade[T]) Reset() {
	c.Outer.Reset()
	c.Inner.Reset()
	c.local, c.setpoint, c.realizable = false, c.Outer.Output(), c.Outer.Output()
}

// Held counts the calls, of both controllers too, that were given what is not a finite number, or no time, and changed
// nothing.
func (c *Cascade[T]) Held() uint32 { return c.held + c.Outer.Held() + c.Inner.Held() }
