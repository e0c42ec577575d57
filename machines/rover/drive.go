package rover

import (
	"context"
	"math"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/control"
	"github.com/fulmar-io/fulmar/sim/plant"
)

// Drive follows a course by a cascade of two loops: heading, at 50 Hz, decides how fast the rover turns; speed, at 200 Hz,
// brings each wheel to the speed that takes. The loops have no field in common: heading's output is speed's input.
type Drive struct {
	defaults DriveParams
	params   fulmar.Params[DriveParams]

	// heading's own.
	steering fulmar.In[DriveParams]
	pose     fulmar.In[Pose]
	before   fulmar.In[HeadingLoop] // what it told last itself, in an earlier life too
	out      fulmar.Out[HeadingLoop]
	halt     fulmar.Command[Halt]
	goOn     fulmar.Command[GoOn]
	halting  []*fulmar.Order[Halt] // until the rover stands
	halted   bool
	cruise   float64 // m/s, instead of the parameter's; 0 for that
	started  bool
	course   *Course
	progress Progress
	ramp     control.Slew[float64]
	turn     control.PID[float64]

	// speed's own.
	settings fulmar.In[DriveParams]
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
	Halted     bool    // by command
	Cruise     float64 `unit:"m/s"` // by command, instead of the parameter's speed; 0 for that

	Progress Progress `fulmar:"-"`
}

// Halt are the arguments of drive/halt: there are none.
type Halt struct{}

// GoOn are the arguments of drive/go.
type GoOn struct {
	Speed float64 `unit:"m/s" doc:"from here on, instead of the parameter's; 0 for that" min:"0" max:"1.8"`
}

// DriveParams are what can be set.
type DriveParams struct {
	Speed        float64 `unit:"m/s" doc:"on the course; the motors reach 1.8 m/s with a battery half empty" min:"0" max:"1.8"`
	Acceleration float64 `unit:"m/s2" doc:"with which speed is changed" min:"0.01" max:"10"`
	Course       float64 `unit:"m" doc:"half the length of the figure of eight" min:"1" max:"10000" rebuild:"true"`
	Track        float64 `unit:"m" doc:"between the wheels" min:"0.001" max:"100"`
}

func defaultDrive() DriveParams {
	return DriveParams{Speed: 1.2, Acceleration: 0.8, Course: 6, Track: plant.Default().Body.TrackM}
}

// NewDrive returns the component with its defaults.
func NewDrive() *Drive { return &Drive{defaults: defaultDrive()} }

// Renew implements fulmar.Renewer.
func (c *Drive) Renew() fulmar.Component { return &Drive{defaults: c.defaults} }

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
	// crossTrackGain is how steeply the rover heads back: atan(gain · error), 45° at 1/gain metres.
	crossTrackGain = 1.2
	// A heading takes some time to follow, so the course is read that much ahead.
	previewS = 0.06
)

// Start implements fulmar.Starter.
func (c *Drive) Start(context.Context) error {
	var err error
	if c.course, err = NewFigureEight(c.params.Get().Course); err != nil {
		return err
	}
	c.halting = make([]*fulmar.Order[Halt], 0, 32) // more than can be open: a step allocates nothing
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
		return bad
	}
	return nil
}

// Spec implements fulmar.Component.
func (c *Drive) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "drive", DependsOn: []string{"navigator", "encoders", "motors"}, Critical: true, Parameters: c.params.As(c.defaults),
		Tasks: []fulmar.Task{
			{
				Name: "speed", Period: fastPeriod, Budget: stepBudget, Offset: decidePhase,
				Reads:  []fulmar.Input{c.setpoint.From("drive/heading"), c.wheels.From("encoders/wheels"), c.settings.Of(&c.params)},
				Writes: []fulmar.Output{c.command.As("speed")},
				Step:   c.speed,
			},
			{
				Name: "heading", Period: coursePeriod, Budget: stepBudget, Offset: actPhase,
				Reads: []fulmar.Input{c.pose.From("navigator/pose"), c.before.From("drive/heading"), c.steering.Of(&c.params),
					c.halt.As("halt", fulmar.Declared{Doc: "brings the rover to a stand; done when it stands", Risk: fulmar.Safe}, Halt{}),
					c.goOn.As("go", fulmar.Declared{Doc: "has the rover follow its course", Risk: fulmar.Caution}, GoOn{})},
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
	pose, p, dt := c.pose.Get(), c.steering.Get(), s.Dt.Seconds()
	if !c.started { // after a rebuild from where it was, at the speed that is left
		b := c.before.Get()
		c.started, c.progress, c.halted, c.cruise = true, b.Progress, b.Halted, b.Cruise
		c.ramp.Reset(max(0, pose.Speed))
	}
	c.obey(pose)
	c.ramp.Up, c.ramp.Down = p.Acceleration, p.Acceleration
	off := c.course.Follow(&c.progress, pose.East, pose.North)
	speed := c.ramp.Update(c.wanted(p), dt)
	point := c.course.At(c.progress, pose.Speed*previewS)
	want := control.Wrap(point.HeadingRad - math.Atan(crossTrackGain*off))
	diff := control.Difference(want, pose.Heading)
	// The controller gets the wrapped error as its setpoint and 0 as its measurement: an angle itself would jump at ±π.
	rate := c.turn.Update(diff, 0, point.CurvatureRadM*pose.Speed, dt)
	if c.halted && speed == 0 { // it does not turn on the spot
		c.turn.Reset()
		rate = 0
	}
	c.out.Set(HeadingLoop{
		Setpoint: want, Heading: pose.Heading, Error: diff, CrossTrack: off, YawRate: rate, Speed: speed,
		Waypoint: uint32(c.course.Waypoint(c.progress)), Lap: c.progress.Laps,
		Halted: c.halted, Cruise: c.cruise, Progress: c.progress,
	})
	return nil
}

// standing is the speed below which the rover stands, in m/s: what the encoders still tell then is noise.
const standing = 0.02

// obey takes the commands. A halt is done when the rover stands, unless it is told to go on before.
func (c *Drive) obey(pose Pose) {
	for o, ok := c.halt.Next(); ok; o, ok = c.halt.Next() {
		c.halted, c.halting = true, append(c.halting, o)
	}
	for o, ok := c.goOn.Next(); ok; o, ok = c.goOn.Next() {
		for _, h := range c.halting {
			h.Fail("the rover was told to go on before it stood")
		}
		c.halted, c.cruise, c.halting = false, o.Args.Speed, c.halting[:0]
		o.Done("")
	}
	if c.halted && math.Abs(pose.Speed) < standing {
		for _, h := range c.halting {
			h.Done("the rover stands")
		}
		c.halting = c.halting[:0]
	}
}

// wanted is how fast the rover is to be.
func (c *Drive) wanted(p DriveParams) float64 {
	switch {
	case c.halted:
		return 0
	case c.cruise > 0:
		return c.cruise
	}
	return p.Speed
}

// speed holds the wheels at their speeds. A turn takes precedence: what the outer wheel cannot do is taken from both.
func (c *Drive) speed(s *fulmar.Step) error {
	if c.setpoint.Version() == 0 || c.wheels.Version() == 0 {
		return nil
	}
	want, is, dt := c.setpoint.Get(), c.wheels.Get(), s.Dt.Seconds()
	turn := want.YawRate * c.settings.Get().Track / 2
	forward := min(want.Speed, maxWheelSpeed-math.Abs(turn))
	left, right := forward-turn, forward+turn
	c.command.Set(SpeedLoop{
		SetpointLeft: left, SpeedLeft: is.Left, DutyLeft: c.wheel[0].Update(left, is.Left, speedFeedforward*left, dt),
		SetpointRight: right, SpeedRight: is.Right, DutyRight: c.wheel[1].Update(right, is.Right, speedFeedforward*right, dt),
	})
	return nil
}
