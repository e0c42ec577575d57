package control

// LowPass is a first-order low-pass, τ·dx̂/dt = x − x̂, by the backward difference:
//
//	x̂ ← x̂ + h/(τ + h)·(x − x̂)
//
// It is stable for every h and needs no exponential. The zero LowPass passes its input; the first sample sets its state.
type LowPass[T Float] struct {
	// Time is the time constant τ in seconds, at least 0. Its corner is at 1/(2π·τ) Hz.
	Time   T
	state  T
	primed bool
	held   uint32
}

// Update takes a sample and the seconds since the last one, and returns the filtered value.
func (f *LowPass[T]) Update(x, dt T) T {
	if !finite(x) || !finite(dt) || dt <= 0 {
		f.held++
		return f.state
	}
	if !f.primed || !(f.Time > 0) {
		f.state, f.primed = x, true
		return x
	}
	k := dt / (f.Time + dt)
	// In this form, unlike in x̂ + k·(x − x̂), the difference of two huge samples cannot overflow.
	f.state = T((1-k)*f.state) + T(k*x)
	return f.state
}

// Value returns the filtered value.
func (f *LowPass[T]) Value() T { return f.state }

// Reset makes x the filtered value. An x that is not finite changes nothing.
func (f *LowPass[T]) Reset(x T) {
	if finite(x) {
		f.state, f.primed = x, true
	}
}

// Held counts the samples that were not finite, or came with no time, and changed nothing.
func (f *LowPass[T]) Held() uint32 { return f.held }

// Slew lets a value change no faster than its limits: a setpoint's ramp. The zero Slew holds 0.
type Slew[T Float] struct {
	// Up and Down are the limits, in units per second, both at least 0.
	Up, Down T
	value    T
}

// Update moves towards target for dt seconds and returns where it is. What is not finite changes nothing.
func (s *Slew[T]) Update(target, dt T) T {
	up, down := s.Up*dt, s.Down*dt
	if !finite(target) || !(dt > 0) || !finite(up) || !finite(down) {
		return s.value
	}
	s.value = clamp(target, s.value-down, s.value+up)
	return s.value
}

// Value returns where it is.
func (s *Slew[T]) Value() T { return s.value }

// Reset makes x the value, without regard to the limits. An x that is not finite changes nothing.
func (s *Slew[T]) Reset(x T) {
	if finite(x) {
		s.value = x
	}
}
