package rover

import (
	"errors"
	"fmt"
	"math"

	"github.com/fulmar-io/fulmar/control"
)

// Course is a closed line to follow, with waypoints on it.
type Course struct {
	points []Point // equally far from each other, the last one step before the first
	stepM  float64
}

// Point is a place on a course.
type Point struct {
	EastM, NorthM float64
	HeadingRad    float64 // of the course there
	CurvatureRadM float64 // positive to the left
}

const (
	coursePoints = 360
	// Waypoints are on a course at equal distances, the first an eighth of a lap from the start, the last at it.
	Waypoints = 8
)

// ErrCourse is wrapped by errors about courses.
var ErrCourse = errors.New("course cannot be driven")

// NewFigureEight returns the lemniscate of Gerono, x = a·sin t, y = a·sin t·cos t, which starts at its crossing and heads
// north-east; halfM is a. Its sharpest turns, at the ends, have a radius of a; a lap is 6.1·a long.
func NewFigureEight(halfM float64) (*Course, error) {
	if !(halfM >= 1 && halfM <= 10_000) {
		return nil, fmt.Errorf("rover: figure of eight: %w: half length %v m, must be 1 to 10000", ErrCourse, halfM)
	}
	const fine = 64 * coursePoints // how finely the length is summed up
	at := func(i int) (x, y float64) {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / fine)
		return halfM * sin, halfM * sin * cos
	}
	var length float64
	for i := range fine {
		x0, y0 := at(i)
		x1, y1 := at(i + 1)
		length += math.Hypot(x1-x0, y1-y0)
	}
	c := &Course{stepM: length / coursePoints}
	var way float64
	for i := 0; i < fine && len(c.points) < coursePoints; i++ {
		x0, y0 := at(i)
		x1, y1 := at(i + 1)
		d := math.Hypot(x1-x0, y1-y0)
		if next := float64(len(c.points)) * c.stepM; way+d > next {
			k := (next - way) / d
			c.points = append(c.points, Point{EastM: x0 + k*(x1-x0), NorthM: y0 + k*(y1-y0)})
		}
		way += d
	}
	c.shape()
	return c, nil
}

// shape gives each point heading and curvature, from its neighbours.
func (c *Course) shape() {
	n := len(c.points)
	for i := range c.points {
		a, b := &c.points[(i+n-1)%n], &c.points[(i+1)%n]
		c.points[i].HeadingRad = math.Atan2(b.NorthM-a.NorthM, b.EastM-a.EastM)
	}
	for i := range c.points {
		a, b := &c.points[(i+n-1)%n], &c.points[(i+1)%n]
		c.points[i].CurvatureRadM = control.Difference(b.HeadingRad, a.HeadingRad) / (2 * c.stepM)
	}
}

// Start returns where the course starts.
func (c *Course) Start() Point { return c.points[0] }

// LengthM returns the length of a lap.
func (c *Course) LengthM() float64 { return float64(len(c.points)) * c.stepM }

// Progress is how far along a course a follower is. The zero Progress is at the start.
type Progress struct {
	index int    // of the point nearest to the follower
	Laps  uint64 // done
}

// window is how many points ahead the nearest is looked for. A figure of eight crosses itself: the nearest point of all
// may be on the other branch.
const window = 12

// Follow moves on to the point of the course that is nearest, a little ahead at most, and returns how far to the left of
// the course the place is, in metres.
func (c *Course) Follow(p *Progress, eastM, northM float64) (crossTrackM float64) {
	n := len(c.points)
	best, ahead := math.Inf(1), 0
	for i := range window {
		q := &c.points[(p.index+i)%n]
		if d := math.Hypot(eastM-q.EastM, northM-q.NorthM); d < best {
			best, ahead = d, i
		}
	}
	if p.index+ahead >= n {
		p.Laps++
	}
	p.index = (p.index + ahead) % n
	q := &c.points[p.index]
	sin, cos := math.Sincos(q.HeadingRad)
	return -(eastM-q.EastM)*sin + (northM-q.NorthM)*cos
}

// At returns the point of the course that is aheadM metres ahead of a follower; behind it, where that is negative. What is not
// finite is no way.
func (c *Course) At(p Progress, aheadM float64) Point {
	n := len(c.points)
	ahead := math.Mod(math.Round(aheadM/c.stepM), float64(n))
	if math.IsNaN(ahead) {
		ahead = 0
	}
	return c.points[(p.index+int(ahead)+n)%n]
}

// Waypoint returns how many waypoints of this lap are behind the follower, 0 to Waypoints−1.
func (c *Course) Waypoint(p Progress) int { return p.index * Waypoints / len(c.points) }
