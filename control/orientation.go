package control

// Vector is a vector of three components: in the frame of the body, x forward, y to the left and z up; in that of the
// earth, x east, y north and z up. Both are right-handed.
type Vector[T Float] struct{ X, Y, Z T }

func (v Vector[T]) plus(w Vector[T]) Vector[T] { return Vector[T]{v.X + w.X, v.Y + w.Y, v.Z + w.Z} }
func (v Vector[T]) times(k T) Vector[T]        { return Vector[T]{k * v.X, k * v.Y, k * v.Z} }
func (v Vector[T]) dot(w Vector[T]) T          { return v.X*w.X + v.Y*w.Y + v.Z*w.Z }

func (v Vector[T]) cross(w Vector[T]) Vector[T] {
	return Vector[T]{v.Y*w.Z - v.Z*w.Y, v.Z*w.X - v.X*w.Z, v.X*w.Y - v.Y*w.X}
}

// most returns the greatest component's size; NaN if one is.
func (v Vector[T]) most() T { return max(abs(v.X), abs(v.Y), abs(v.Z)) }

// unit returns the direction and the length. A vector that is 0 or not finite has no direction: ok is false.
func (v Vector[T]) unit() (direction Vector[T], length T, ok bool) {
	m := v.most()
	if !(m > 0) || !finite(m) {
		return Vector[T]{}, 0, false
	}
	v = Vector[T]{v.X / m, v.Y / m, v.Z / m} // the square of its length, 1 to 3, neither overflows nor vanishes
	square := v.dot(v)
	inverse := rsqrt(square)
	return v.times(inverse), m * (square * inverse), true
}

// Quaternion is a rotation, W + X·i + Y·j + Z·k with i·j = k (Hamilton's convention) and the length 1. An orientation takes
// what is given in the frame of the body to that of the earth: v_earth = q·v_body·q*. So a·b rotates by b first, and
// q and −q are the same rotation.
//
// The zero Quaternion is no rotation; Identity turns nothing.
type Quaternion[T Float] struct{ W, X, Y, Z T }

// Identity returns the rotation that turns nothing: a body that looks east, level.
func Identity[T Float]() Quaternion[T] { return Quaternion[T]{W: 1} }

// Times returns the product q·p: p first, then q.
func (q Quaternion[T]) Times(p Quaternion[T]) Quaternion[T] {
	return Quaternion[T]{
		q.W*p.W - q.X*p.X - q.Y*p.Y - q.Z*p.Z,
		q.W*p.X + q.X*p.W + q.Y*p.Z - q.Z*p.Y,
		q.W*p.Y - q.X*p.Z + q.Y*p.W + q.Z*p.X,
		q.W*p.Z + q.X*p.Y - q.Y*p.X + q.Z*p.W,
	}
}

// Conjugate returns q*, which turns back: from the earth to the body.
func (q Quaternion[T]) Conjugate() Quaternion[T] { return Quaternion[T]{q.W, -q.X, -q.Y, -q.Z} }

// Rotate returns q·v·q*: what v, given in the frame of the body, is in that of the earth. With u the vector part of q,
// t = 2·u × v gives v + w·t + u × t.
func (q Quaternion[T]) Rotate(v Vector[T]) Vector[T] {
	u := Vector[T]{q.X, q.Y, q.Z}
	t := u.cross(v).times(2)
	return v.plus(t.times(q.W)).plus(u.cross(t))
}

// up returns q*·(0, 0, 1)·q: where the estimate has the vertical, in the frame of the body.
func (q Quaternion[T]) up() Vector[T] {
	return Vector[T]{2 * (q.X*q.Z - q.W*q.Y), 2 * (q.Y*q.Z + q.W*q.X), 1 - 2*(q.X*q.X+q.Y*q.Y)}
}

// Normalize returns q with the length 1. A q that is 0 or not finite has no direction: it gives Identity and ErrDirection.
func (q Quaternion[T]) Normalize() (Quaternion[T], Err) {
	m := max(abs(q.W), abs(q.X), abs(q.Y), abs(q.Z))
	if !(m > 0) || !finite(m) {
		return Identity[T](), ErrDirection
	}
	q = Quaternion[T]{q.W / m, q.X / m, q.Y / m, q.Z / m}
	return q.scale(rsqrt(q.W*q.W + q.X*q.X + q.Y*q.Y + q.Z*q.Z)), OK // of 1 to 4
}

func (q Quaternion[T]) scale(k T) Quaternion[T] {
	return Quaternion[T]{k * q.W, k * q.X, k * q.Y, k * q.Z}
}

// trim takes back what roundings have done to a length of 1: one Newton step on 1/√s, which leaves 3/8 of the square of
// what the squared length s was off by.
func (q Quaternion[T]) trim() Quaternion[T] {
	s := q.W*q.W + q.X*q.X + q.Y*q.Y + q.Z*q.Z
	return q.scale(1 + (1-s)/2)
}

// Integrate returns the orientation dt seconds later, if the body turns with a constant rate meanwhile, in rad/s about its own
// axes. That solves dq/dt = ½·q·ω exactly, however far it turns: with the half angle h = |ω|·dt/2
//
//	q·(cos h + sin h/h · ω·dt/2)
//
// A rate or a dt that is not finite, or more than 2¹⁵ rad about an axis, changes nothing.
func (q Quaternion[T]) Integrate(rate Vector[T], dt T) Quaternion[T] {
	turn := rate.times(dt)
	if !(turn.most() <= maxAngle) {
		return q
	}
	half := turn.times(0.5)
	h := Sqrt(half.dot(half))
	sin, cos := Sincos(h)
	sinc := T(1)
	if h > 0 {
		sinc = sin / h
	}
	return q.Times(Quaternion[T]{cos, sinc * half.X, sinc * half.Y, sinc * half.Z}).trim()
}

// AngleTo returns by how much p is turned from q, in radians from 0 to π: the angle of q*·p, whose half has the cosine w and
// as sine the length of the vector part. The arc tangent of both is right for small angles, where an arc cosine is not.
func (q Quaternion[T]) AngleTo(p Quaternion[T]) T {
	d := q.Conjugate().Times(p)
	return 2 * Atan2(Sqrt(d.X*d.X+d.Y*d.Y+d.Z*d.Z), abs(d.W))
}

// Euler is an orientation as three turns, in radians: first by Yaw about the vertical, then by Pitch about the body's new y
// axis, then by Roll about its x axis, each counter-clockwise seen against its axis. So Yaw is the heading, counter-clockwise
// from east; Pitch is positive nose down, as the y axis is to the left; Roll is positive with the left side up.
type Euler[T Float] struct{ Yaw, Pitch, Roll T }

// Quaternion returns the rotation of the three turns. An angle that is not finite, or beyond ±2¹⁶, counts as 0.
func (e Euler[T]) Quaternion() Quaternion[T] {
	sy, cy := Sincos(e.Yaw / 2)
	sp, cp := Sincos(e.Pitch / 2)
	sr, cr := Sincos(e.Roll / 2)
	return Quaternion[T]{
		cy*cp*cr + sy*sp*sr,
		cy*cp*sr - sy*sp*cr,
		cy*sp*cr + sy*cp*sr,
		sy*cp*cr - cy*sp*sr,
	}.trim()
}

// Euler returns the three turns: Yaw and Roll between −π and π, Pitch between −π/2 and π/2. Sums of the four components in
// Euler.Quaternion are products: with p half the pitch,
//
//	w − y = (cos p − sin p)·cos((yaw + roll)/2)      x + z = (cos p − sin p)·sin((yaw + roll)/2)
//	w + y = (cos p + sin p)·cos((yaw − roll)/2)      z − x = (cos p + sin p)·sin((yaw − roll)/2)
//
// which gives each angle by an arc tangent, with all its digits also next to a pitch of ±π/2. There only one of the two sums is
// known: the rotation is right, what of it is yaw and what is roll is arbitrary. Exactly there Roll is 0.
func (q Quaternion[T]) Euler() Euler[T] {
	sumSin, sumCos := q.X+q.Z, q.W-q.Y
	diffSin, diffCos := q.Z-q.X, q.W+q.Y
	less, more := Sqrt(sumSin*sumSin+sumCos*sumCos), Sqrt(diffSin*diffSin+diffCos*diffCos)
	sum, diff := Atan2(sumSin, sumCos), Atan2(diffSin, diffCos)
	switch {
	case less == 0:
		sum = diff
	case more == 0:
		diff = sum
	}
	// tan(p + π/4) is the quotient of the two lengths.
	return Euler[T]{Wrap(sum + diff), clamp(2*Atan2(more, less)-pi/2, -pi/2, pi/2), Wrap(sum - diff)}
}
