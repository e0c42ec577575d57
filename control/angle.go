package control

// π and the bound of Wrap's input, in turns. The type of a constant is that of what it meets: no float64 on float32.
const (
	pi       = 3.14159265358979323846264338327950288419716939937510582097494459
	maxTurns = 1 << 30
)

// Wrap returns the angle between −π and π that points where angle points, in radians; π stays π, −π stays −π. Beyond
// ±2³⁰ turns, and for what is not finite, it returns 0: a float32 has lost the fraction of a turn long before.
func Wrap[T Float](angle T) T {
	if angle >= -pi && angle <= pi {
		return angle
	}
	turns := angle / (2 * pi)
	if !(turns > -maxTurns && turns < maxTurns) {
		return 0
	}
	half := T(0.5)
	if turns < 0 {
		half = -half
	}
	whole := T(int32(turns + half))
	// The product may round: what comes out can exceed π by that rounding, and is brought back.
	return clamp(angle-T(whole*(2*pi)), -pi, pi)
}

// Difference returns the shortest way to turn from one angle to another, within −π and π; positive is counter-clockwise
// where angles are.
func Difference[T Float](to, from T) T { return Wrap(to - from) }
