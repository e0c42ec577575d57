package rover

import (
	"math"
	"testing"

	"github.com/fulmar-io/fulmar/sim/plant"
)

// What the simulated receiver says, the navigator must understand, across the date line too.
func TestLocalInvertsGeodetic(t *testing.T) {
	for _, site := range []plant.Site{{LatitudeDeg: 40.79, LongitudeDeg: -113.8}, {LatitudeDeg: -16.8, LongitudeDeg: 179.9999}} {
		tangent := newTangent(site.LatitudeDeg, site.LongitudeDeg)
		for _, p := range [][2]float64{{0, 0}, {100, -40}, {-3, 250}} {
			east, north := tangent.local(site.Geodetic(p[0], p[1]))
			if math.Hypot(east-p[0], north-p[1]) > 1e-6 {
				t.Errorf("%v at %+v comes back as %v, %v", p, site, east, north)
			}
		}
	}
}
