package control

// Err is why something was refused. It is a number, not a pointer, so that it needs no heap.
type Err uint8

// The errors. OK is none.
const (
	OK           Err = iota
	ErrGain          // a gain or time constant is negative or not finite
	ErrLimits        // a limit is not finite, or the lower is not below the upper
	ErrPositive      // what must be finite and above 0 is not: a quality, a limit of motion
	ErrFrequency     // a frequency is not between 0 and half the sample rate
	ErrMotion        // a position, velocity or target is not finite, or too far off to plan for
	ErrDirection     // a vector or quaternion has no direction: it is 0 or not finite
	ErrRate          // a rate is not finite, or the time is not finite and above 0
	ErrReference     // what is given of the earth's gravity or field is not finite, or out of its range
)

// Error returns the error in words. OK returns "ok".
func (e Err) Error() string {
	switch e {
	case OK:
		return "ok"
	case ErrGain:
		return "control: a gain or time constant is negative or not finite"
	case ErrLimits:
		return "control: the lower limit must be below the upper, both finite"
	case ErrPositive:
		return "control: a quality, or a limit of motion, must be finite and above 0"
	case ErrFrequency:
		return "control: the frequency must be between 0 and half the sample rate"
	case ErrMotion:
		return "control: a position, velocity or target is not finite, or too far off to plan for"
	case ErrDirection:
		return "control: a vector or quaternion has no direction: it is 0 or not finite"
	case ErrRate:
		return "control: a rate is not finite, or the time is not finite and above 0"
	case ErrReference:
		return "control: what is given of the earth's gravity or field is not finite, or out of its range"
	}
	return "control: unknown error"
}

// finite reports whether x is neither NaN nor infinite: only of a finite number is the difference with itself 0.
func finite[T Float](x T) bool { return x-x == 0 }

func clamp[T Float](x, low, high T) T {
	if x < low {
		return low
	}
	if x > high {
		return high
	}
	return x
}
