package rover

import (
	"math"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/control"
)

// Navigator estimates where the rover is: a complementary filter. Encoders and gyro are precise over seconds and drift
// over minutes; satellites are rough and do not drift. So the way is reckoned from the former, and pulled towards the
// latter slowly, the gyro's bias with it.
//
//	heading ← heading + ∫(gyro − bias) dt + kh·(course − heading)
//	bias    ← bias − kb·(course − heading)
//	position ← position + way + kp·(fix − position)
type Navigator struct {
	g      geometry
	imu    fulmar.In[Inertial]
	wheels fulmar.In[Wheels]
	fix    fulmar.In[Fix]
	pose   fulmar.Out[Pose]

	// What follows is estimate's own.
	now       Pose
	angle     float64
	angleAt   time.Duration
	ticks     [2]int64
	reckoning time.Duration // since the last fix
	epoch     uint64
	degraded  bool
}

// Pose is where the rover is, as far as it knows.
type Pose struct {
	East     float64 `unit:"m"`
	North    float64 `unit:"m"`
	Heading  float64 `unit:"rad"` // −π to π, counter-clockwise from east
	Speed    float64 `unit:"m/s"`
	YawRate  float64 `unit:"rad/s"`
	GyroBias float64 `unit:"rad/s"`
	// Innovation is how far the last fix was from where the rover thought it was.
	Innovation float64 `unit:"m"`
}

// The gains, per fix at 5 Hz. Those of heading and bias make a critically damped observer of ω = 0.25 rad/s
// (kh = 2·ω·T, kb = ω²·T with T = 0.2 s): it forgets an error within some ten seconds.
const (
	positionGain = 0.06
	headingGain  = 0.10
	biasGain     = 0.0125
	// minCourseSpeed is the speed below which a course over ground is noise.
	minCourseSpeed = 0.4
	// maxInnovation is how far a fix may be off before it is not believed at once but step by step.
	maxInnovation = 2.0
	maxReckoning  = time.Second
)

func newNavigator(g geometry, start Point) *Navigator {
	return &Navigator{g: g, now: Pose{East: start.EastM, North: start.NorthM, Heading: control.Wrap(start.HeadingRad)}}
}

// Spec implements fulmar.Component.
func (c *Navigator) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "navigator", DependsOn: []string{"imu", "encoders", "gnss"},
		Tasks: []fulmar.Task{{
			Name: "estimate", Period: coursePeriod, Offset: decidePhase,
			Reads:  []fulmar.Input{c.imu.From("imu/sample"), c.wheels.From("encoders/wheels"), c.fix.From("gnss/fix")},
			Writes: []fulmar.Output{c.pose.As("pose")},
			Step:   c.estimate,
		}},
	}
}

func (c *Navigator) estimate(s *fulmar.Step) error {
	if c.imu.Version() == 0 || c.wheels.Version() == 0 {
		return nil
	}
	c.predict()
	c.reckoning += s.Dt
	if f := c.fix.Get(); f.Epoch != c.epoch {
		c.epoch = f.Epoch
		if f.Valid {
			c.correct(f)
			c.reckoning = 0
		}
	}
	if lost := c.reckoning > maxReckoning; lost != c.degraded {
		if c.degraded = lost; lost {
			s.Degraded("dead reckoning")
		} else {
			s.OK()
		}
	}
	c.pose.Set(c.now)
	return nil
}

// predict moves the pose by what gyro and wheels counted since the last step.
func (c *Navigator) predict() {
	imu, w, p := c.imu.Get(), c.wheels.Get(), &c.now
	turn := imu.Angle - c.angle - p.GyroBias*(imu.Time-c.angleAt).Seconds()
	c.angle, c.angleAt = imu.Angle, imu.Time
	way := float64(w.TicksLeft-c.ticks[0]+w.TicksRight-c.ticks[1]) / 2 * c.g.tickM
	c.ticks = [2]int64{w.TicksLeft, w.TicksRight}
	sin, cos := math.Sincos(p.Heading + turn/2)
	p.East += way * cos
	p.North += way * sin
	p.Heading = control.Wrap(p.Heading + turn)
	p.Speed = (w.Left + w.Right) / 2
	p.YawRate = float64(imu.GyroZ) - p.GyroBias
}

// correct pulls the pose towards a fix.
func (c *Navigator) correct(f Fix) {
	p := &c.now
	east, north := c.g.tangent.local(f.Latitude, f.Longitude)
	dEast, dNorth := east-p.East, north-p.North
	p.Innovation = math.Hypot(dEast, dNorth)
	gain := positionGain
	if p.Innovation > maxInnovation {
		gain *= maxInnovation / p.Innovation
	}
	p.East += gain * dEast
	p.North += gain * dNorth
	if f.Speed > minCourseSpeed && p.Speed > minCourseSpeed { // forwards: backwards, course and heading are opposite
		off := control.Difference(math.Pi/2-f.Course*math.Pi/180, p.Heading)
		p.Heading = control.Wrap(p.Heading + headingGain*off)
		p.GyroBias -= biasGain * off
	}
}
