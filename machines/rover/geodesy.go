package rover

import "math"

// tangent is the plane that touches the earth at the origin of the local frame, scaled by the ellipsoid's radii of
// curvature there. 100 m away it is wrong by millimetres.
type tangent struct {
	latDeg, lonDeg float64
	northPerDegree float64 // metres
	eastPerDegree  float64
}

func newTangent(latDeg, lonDeg float64) tangent {
	const (
		semiMajorM = 6378137.0        // WGS 84
		eccentric2 = 6.69437999014e-3 // first eccentricity, squared
		radPerDeg  = math.Pi / 180
	)
	sin, cos := math.Sincos(latDeg * radPerDeg)
	w2 := 1 - eccentric2*sin*sin
	n := semiMajorM / math.Sqrt(w2)
	m := n * (1 - eccentric2) / w2
	return tangent{latDeg: latDeg, lonDeg: lonDeg, northPerDegree: m * radPerDeg, eastPerDegree: n * cos * radPerDeg}
}

// local returns where a position is in the local frame, in metres.
func (t *tangent) local(latDeg, lonDeg float64) (east, north float64) {
	dLon := math.Remainder(lonDeg-t.lonDeg, 360) // across the date line too
	return dLon * t.eastPerDegree, (latDeg - t.latDeg) * t.northPerDegree
}
