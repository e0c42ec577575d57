package rover_test

import (
	"errors"
	"math"
	"testing"

	"github.com/fulmar-io/fulmar/machines/rover"
	"pgregory.net/rapid"
)

// The lemniscate of Gerono has a length of 6.09722 a and its sharpest turns, at the ends, have a radius of a.
func TestFigureEight(t *testing.T) {
	for _, a := range []float64{1, 6, 1000} {
		c, err := rover.NewFigureEight(a)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.LengthM() / a; math.Abs(got-6.09722) > 1e-4 {
			t.Errorf("half length %v: a lap is %v of it", a, got)
		}
		s := c.Start()
		if math.Hypot(s.EastM, s.NorthM) > 1e-3*a || math.Abs(s.HeadingRad-math.Pi/4) > 1e-3 {
			t.Errorf("half length %v: starts at %+v", a, s)
		}
		end := c.At(rover.Progress{}, c.LengthM()/4)
		if math.Abs(end.EastM-a) > 1e-3*a || math.Abs(math.Abs(end.CurvatureRadM)*a-1) > 0.01 {
			t.Errorf("half length %v: a quarter of a lap on it is at %+v", a, end)
		}
	}
	for _, a := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if _, err := rover.NewFigureEight(a); !errors.Is(err, rover.ErrCourse) {
			t.Errorf("half length %v: %v, want ErrCourse", a, err)
		}
	}
}

// A rover that rolls backwards at the start looks behind it: the course is closed.
func TestAtLooksBehind(t *testing.T) {
	c, err := rover.NewFigureEight(6)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.At(rover.Progress{}, -c.LengthM()/4), c.At(rover.Progress{}, 3*c.LengthM()/4); got != want {
		t.Errorf("a quarter of a lap behind is %+v, three quarters ahead %+v", got, want)
	}
	for _, ahead := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := c.At(rover.Progress{}, ahead); got != c.Start() {
			t.Errorf("%v m ahead is %+v, want the start", ahead, got)
		}
	}
}

// Who goes along the course a little to the left is told so, through the crossing too, and all laps are counted.
func TestFollowAlongTheCourse(t *testing.T) {
	c, err := rover.NewFigureEight(6)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		left := rapid.Float64Range(-0.8, 0.8).Draw(t, "left")
		var p rover.Progress
		var at rover.Progress // advanced by hand: where the follower really is
		for i := range 3 * 360 {
			q := c.At(at, float64(i)*c.LengthM()/360)
			off := c.Follow(&p, q.EastM-left*math.Sin(q.HeadingRad), q.NorthM+left*math.Cos(q.HeadingRad))
			if math.Abs(off-left) > 0.02 {
				t.Fatalf("%.3f of a lap on, %.3f m to the left, is told %.3f", float64(i)/360, left, off)
			}
			if way := (float64(p.Laps)*rover.Waypoints + float64(c.Waypoint(p))) / rover.Waypoints; math.Abs(way-float64(i)/360) > 0.16 {
				t.Fatalf("%.3f laps on, it counts %.3f", float64(i)/360, way)
			}
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []rover.Options{{SpeedMps: 5}, {SpeedMps: -1}, {SpeedMps: math.NaN()}, {CourseM: -3}} {
		if _, err := rover.New(o); !errors.Is(err, rover.ErrCourse) {
			t.Errorf("%+v: %v, want ErrCourse", o, err)
		}
	}
}
