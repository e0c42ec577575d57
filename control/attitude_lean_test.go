package control

import "testing"

// Upside down to the bit there is still an axis to turn about, whichever way up is. From outside, roundings hide it.
func TestLeanHasAnAxisUpsideDown(t *testing.T) {
	for _, up := range []Vector[float32]{{X: 1}, {X: -1}, {Y: 1}, {Y: -1}, {Z: 1}, {Z: -1}} {
		s := sight[float32]{up: up}
		s.lean(up.times(-1))
		if s.axis.dot(s.axis) != 1 || s.axis.dot(up) != 0 || s.tilt != (angle[float32]{0, -1}) || s.sine() != s.axis {
			t.Errorf("up is %+v: %+v", up, s)
		}
		s.lean(up)
		if s.tilt != (angle[float32]{0, 1}) || s.sine() != (Vector[float32]{}) {
			t.Errorf("up is %+v and measured so: %+v", up, s)
		}
	}
}
