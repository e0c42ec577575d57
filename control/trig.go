package control

// Sine, arc tangent and square root for a T: those of package math are of float64, which a microcontroller's float32 unit
// would have to emulate. The polynomials have the length that float64 needs; float32 pays two or three products more than
// it had to, and no second set of numbers has to be right. Each interpolates its function at the Chebyshev nodes of its
// interval, computed with 60 decimal digits. The tests print and bound how far each function is off.

// maxAngle bounds the angles that Sincos takes, in radians: up to it the multiple of π/2 is subtracted without error.
const maxAngle = 1 << 15

// π/2 as a sum. The first three parts have at most 9 binary digits, so that their products with a count of quarter turns
// below 2¹⁵ are exact in float32; the fourth has 23, and its products are exact in float64.
const (
	halfPi1 = 0x1.92p+0
	halfPi2 = 0x1.fbp-12
	halfPi3 = 0x1.51p-22
	halfPi4 = 0x1.0b4611a4p-34
	halfPi5 = 0x1.13198a2e03707345p-65
)

// Sincos returns the sine and the cosine of an angle in radians. Beyond ±2¹⁵, and for what is not finite, it returns those
// of 0: what is left of a turn there has lost its digits in float32.
func Sincos[T Float](angle T) (sin, cos T) {
	if !(angle >= -maxAngle && angle <= maxAngle) {
		return 0, 1
	}
	half := T(0.5)
	if angle < 0 {
		half = -half
	}
	quarters := int32(angle*(2/pi) + half)
	k := T(quarters)
	r := angle - T(k*halfPi1) - T(k*halfPi2) - T(k*halfPi3) - T(k*halfPi4) - T(k*halfPi5)
	sin, cos = r+r*sincTail(r*r), cosine(r*r)
	switch quarters & 3 {
	case 1:
		return cos, -sin
	case 2:
		return -sin, -cos
	case 3:
		return -cos, sin
	}
	return sin, cos
}

// sincTail returns sin(√z)/√z − 1 for z from 0 to (π/4)². In z there is neither a root nor a special case at 0.
func sincTail[T Float](z T) T {
	const (
		c1 = -0.166666666666666645989327413221
		c2 = 0.008333333333330924574107858700
		c3 = -0.000198412698367224358793271258
		c4 = 0.000002755731608382574060520294
		c5 = -2.5051127945965638632201e-8
		c6 = 1.59178486651219390670e-10
	)
	return z * (c1 + z*(c2+z*(c3+z*(c4+z*(c5+z*c6)))))
}

// cosine returns cos(√z) for z from 0 to (π/4)².
func cosine[T Float](z T) T {
	const (
		c2 = 0.041666666666666665373353374879
		c3 = -0.001388888888888738227852350659
		c4 = 0.000024801587298743080623803806
		c5 = -2.75573172600147073758170e-7
		c6 = 2.087614382921393694793e-9
		c7 = -1.1382456865840482437e-11
	)
	half := T(0.5 * z)
	most := 1 - half
	// What the subtraction from 1 has rounded away is known, and comes back with the small terms.
	return most + ((1 - most) - half + z*z*(c2+z*(c3+z*(c4+z*(c5+z*(c6+z*c7))))))
}

// Atan2 returns the angle of the point (x, y) in radians, counter-clockwise from the x axis, between −π and π. It returns
// 0 for (0, 0) and for what is not finite. It does not tell −0 from 0.
func Atan2[T Float](y, x T) T {
	if !finite(x) || !finite(y) || (x == 0 && y == 0) {
		return 0
	}
	ax, ay := abs(x), abs(y)
	const large = 1e37 // the sums below stay in float32's range
	if ax > large || ay > large {
		ax, ay = ax/4, ay/4
	}
	var angle T
	if ay <= ax {
		angle = octant(ay, ax)
	} else {
		angle = pi/2 - octant(ax, ay)
	}
	if x < 0 {
		angle = pi - angle
	}
	if y < 0 {
		return -angle
	}
	return angle
}

// octant returns the arc tangent of y/x for 0 ≤ y ≤ x and x > 0. The nearest quarter c is taken off the quotient first, by
// atan(a) = atan(c) + atan((a − c)/(1 + a·c)), which leaves the polynomial no more than 1/8.
func octant[T Float](y, x T) T {
	var c, base T
	switch eighths := 8 * (y / x); {
	case eighths > 7:
		c, base = 1, 0.785398163397448309615660845819875721
	case eighths > 5:
		c, base = 0.75, 0.643501108793284386802809228717322638
	case eighths > 3:
		c, base = 0.5, 0.463647609000806116214256231461214402
	case eighths > 1:
		c, base = 0.25, 0.244978663126864154172082481211275811
	}
	t := (y - T(c*x)) / (x + T(c*y))
	const (
		c3  = -0.333333333333332850957487829853
		c5  = 0.199999999997798794527152359407
		c7  = -0.142857141228222399270928685411
		c9  = 0.111110669799566172359539080004
		c11 = -0.090854946129309097104346785383
		c13 = 0.073847507128284331223568322435
	)
	z := t * t
	return base + (t + t*z*(c3+z*(c5+z*(c7+z*(c9+z*(c11+z*c13))))))
}

// Sqrt returns the square root, and 0 for what is negative or not finite.
func Sqrt[T Float](x T) T {
	if !(x > 0) || !finite(x) {
		return 0
	}
	root := T(1) // of the power of 4 that has been taken from x
	for x >= 1<<32 {
		x, root = x/(1<<32), root*(1<<16)
	}
	for x >= 4 {
		x, root = x/4, root*2
	}
	for x < 1.0/(1<<32) {
		x, root = x*(1<<32), root/(1<<16)
	}
	for x < 1 {
		x, root = x*4, root/2
	}
	y := rsqrt(x)
	s := x * y
	return root * (s + T(0.5*y)*(x-s*s)) // a Newton step on s² = x, which the rounding of x·y has left open
}

// rsqrt returns 1/√x for x from 1/2 to 4, to a few units in the last place.
func rsqrt[T Float](x T) T {
	// A parabola is within 3 % from 1 on and within 21 % from 1/2 on; each Newton step on 1/y² = x leaves 3/2 of its square.
	y := 1.3143245040136766 + x*(-0.3917463524081892+x*0.0475995054464756)
	for range 5 {
		y *= 1.5 - 0.5*x*T(y*y)
	}
	return y
}

func abs[T Float](x T) T {
	if x < 0 {
		return -x
	}
	return x
}
