package rover

import (
	"fmt"
	"math"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/control"
)

// Drive follows a course by a cascade of two loops: heading, at 50 Hz, decides how fast the rover turns; speed, at 200 Hz,
// brings each wheel to the speed that takes. The loops have no field in common: heading's output is speed's input.
type Drive struct {
	g geometry

	// heading's own.
	pose     fulmar.In[Pose]
	out      fulmar.Out[HeadingLoop]
	course   *Course
	progress Progress
	cruise   float64
	ramp     control.Slew[float64]
	turn     control.PID[float64]

	// speed's own.
	setpoint fulmar.In[HeadingLoop]
	wheels   fulmar.In[Wheels]
	command  fulmar.Out[SpeedLoop]
	wheel    [2]control.PID[float64]
}

// HeadingLoop is the state of the outer loop.
type HeadingLoop struct {
	Setpoint   float64 `unit:"rad"` // the heading that leads back to the course
	Heading    float64 `unit:"rad"`
	Error      float64 `unit:"rad"`
	CrossTrack float64 `unit:"m"` // of the estimated pose, positive to the left of the course
	YawRate    float64 `unit:"rad/s"`
	Speed      float64 `unit:"m/s"` // setpoint
	Waypoint   uint32  `unit:"1"`   // of this lap that are behind, 0 to Waypoints−1
	Lap        uint64  `unit:"1"`   // done
}

// SpeedLoop is the state of the inner loops, one for each wheel.
type SpeedLoop struct {
	SetpointLeft  float64 `unit:"m/s"`
	SpeedLeft     float64 `unit:"m/s"`
	DutyLeft      float64 `unit:"1"`
	SetpointRight float64 `unit:"m/s"`
	SpeedRight    float64 `unit:"m/s"`
	DutyRight     float64 `unit:"1"`
}

// How the loops are tuned. A wheel's speed follows its duty as a lag of first order with a gain of some 2 m/s and a time
// constant of some 65 ms; with these gains the closed loop takes some 20 ms. Feedforward does the rest: the loop only
// corrects what sag, friction and load make of it.
const (
	speedFeedforward = 0.52 // duty per m/s
	speedKp          = 0.8  // duty per m/s
	speedKi          = 6.0  // duty per m
	headingKp        = 3.0  // rad/s per rad
	headingKi        = 0.3
	maxYawRate       = 1.5 // rad/s
	maxWheelSpeed    = 1.8 // m/s, that the motors reach with a battery half empty
	acceleration     = 0.8 // m/s²
	// crossTrackGain is how steeply the rover heads back: atan(gain · error), 45° at 1/gain metres.
	crossTrackGain = 1.2
	// A heading takes some time to follow, so the course is read that much ahead.
	previewS = 0.06
)

func newDrive(g geometry, course *Course, cruise float64) (*Drive, error) {
	if !(cruise > 0 && cruise <= maxWheelSpeed) {
		return nil, fmt.Errorf("rover: drive: %w: speed %v m/s, must be above 0, at most %v", ErrCourse, cruise, maxWheelSpeed)
	}
	c := &Drive{g: g, course: course, cruise: cruise}
	c.ramp.Up, c.ramp.Down = acceleration, acceleration
	var bad control.Err
	c.turn, bad = control.NewPID(control.Gains[float64]{Kp: headingKp, Ki: headingKi, ProportionalWeight: 1,
		Min: -maxYawRate, Max: maxYawRate})
	for i := range c.wheel {
		if bad == control.OK {
			c.wheel[i], bad = control.NewPID(control.Gains[float64]{Kp: speedKp, Ki: speedKi, ProportionalWeight: 1,
				Min: -1, Max: 1, RateLimit: 20})
		}
	}
	if bad != control.OK {
		return nil, fmt.Errorf("rover: drive: %w", bad)
	}
	return c, nil
}

// Spec implements fulmar.Component.
func (c *Drive) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "drive", DependsOn: []string{"navigator", "encoders", "motors"}, Critical: true,
		Tasks: []fulmar.Task{
			{
				Name: "speed", Period: fastPeriod, Offset: decidePhase,
				Reads:  []fulmar.Input{c.setpoint.From("drive/heading"), c.wheels.From("encoders/wheels")},
				Writes: []fulmar.Output{c.command.As("speed")},
				Step:   c.speed,
			},
			{
				Name: "heading", Period: coursePeriod, Offset: actPhase,
				Reads:  []fulmar.Input{c.pose.From("navigator/pose")},
				Writes: []fulmar.Output{c.out.As("heading")},
				Step:   c.heading,
			},
		},
	}
}

// heading steers by a vector field: it wants the course's direction, turned towards the course the more the further off
// it is (D. R. Nelson et al., Vector Field Path Following for Miniature Air Vehicles, IEEE Transactions on Robotics,
// 2007). What the course's curvature takes is fed forward; the PID works on what is left.
func (c *Drive) heading(s *fulmar.Step) error {
	if c.pose.Version() == 0 {
		return nil
	}
	pose, dt := c.pose.Get(), s.Dt.Seconds()
	off := c.course.Follow(&c.progress, pose.East, pose.North)
	speed := c.ramp.Update(c.cruise, dt)
	point := c.course.At(c.progress, pose.Speed*previewS)
	want := control.Wrap(point.HeadingRad - math.Atan(crossTrackGain*off))
	diff := control.Difference(want, pose.Heading)
	// The controller gets the wrapped error as its setpoint and 0 as its measurement: an angle itself would jump at ±π.
	rate := c.turn.Update(diff, 0, point.CurvatureRadM*pose.Speed, dt)
	c.out.Set(HeadingLoop{
		Setpoint: want, Heading: pose.Heading, Error: diff, CrossTrack: off, YawRate: rate, Speed: speed,
		Waypoint: uint32(c.course.Waypoint(c.progress)), Lap: c.progress.Laps,
	})
	return nil
}

// speed holds the wheels at their speeds. A turn takes precedence: what the outer wheel cannot do is taken from both.
func (c *Drive) speed(s *fulmar.Step) error {
	if c.setpoint.Version() == 0 || c.wheels.Version() == 0 {
		return nil
	}
	want, is, dt := c.setpoint.Get(), c.wheels.Get(), s.Dt.Seconds()
	turn := want.YawRate * c.g.trackM / 2
	forward := min(want.Speed, maxWheelSpeed-math.Abs(turn))
	left, right := forward-turn, forward+turn
	c.command.Set(SpeedLoop{
		SetpointLeft: left, SpeedLeft: is.Left, DutyLeft: c.wheel[0].Update(left, is.Left, speedFeedforward*left, dt),
		SetpointRight: right, SpeedRight: is.Right, DutyRight: c.wheel[1].Update(right, is.Right, speedFeedforward*right, dt),
	})
	return nil
}
