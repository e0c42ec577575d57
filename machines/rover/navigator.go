package rover

import (
	"math"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/control"
	"github.com/fulmar-io/fulmar/sim/plant"
)

// Navigator estimates where the rover is: a complementary filter. Encoders and gyro are precise over seconds and drift
// over minutes; satellites are rough and do not drift. So the way is reckoned from the former, and pulled towards the
// latter slowly, the gyro's bias with it.
//
//	heading ← heading + ∫(gyro − bias) dt + kh·(course − heading)
//	bias    ← bias − kb·(course − heading)
//	position ← position + way + kp·(fix − position)
type Navigator struct {
	defaults NavigatorParams
	params   fulmar.Params[NavigatorParams]

	// What follows is estimate's own.
	settings  fulmar.In[NavigatorParams]
	imu       fulmar.In[Inertial]
	wheels    fulmar.In[Wheels]
	fix       fulmar.In[Fix]
	before    fulmar.In[Pose] // what it told last itself, in an earlier life too
	pose      fulmar.Out[Pose]
	started   bool
	now       Pose
	tangent   tangent
	version   uint64        // of the settings that tangent is of
	reckoning time.Duration // since the last fix
	blind     time.Duration // since the last sample of the gyro
	epoch     uint64
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

	// Up to where gyro and wheels are reckoned in: who goes on from this pose goes on from there.
	Angle     float64       `fulmar:"-"`
	Time      time.Duration `fulmar:"-"` // of the inertial sensor
	Ticks     [2]int64      `fulmar:"-"` // left and right, for the way
	TurnTicks [2]int64      `fulmar:"-"` // for the heading
}

// NavigatorParams are what can be set.
type NavigatorParams struct {
	East         float64 `unit:"m" doc:"where the rover starts" min:"-100000" max:"100000" rebuild:"true"`
	North        float64 `unit:"m" doc:"where the rover starts" min:"-100000" max:"100000" rebuild:"true"`
	Heading      float64 `unit:"deg" doc:"of the rover at the start, counter-clockwise from east" min:"-360" max:"360" rebuild:"true"`
	Latitude     float64 `unit:"deg" doc:"of the local frame's origin" min:"-89" max:"89"`
	Longitude    float64 `unit:"deg" doc:"of the local frame's origin" min:"-180" max:"180"`
	Track        float64 `unit:"m" doc:"between the wheels" min:"0.001" max:"100"`
	WheelRadius  float64 `unit:"m" doc:"of the wheels" min:"0.001" max:"10"`
	TicksPerTurn int     `unit:"1" doc:"of an encoder, per turn of its wheel" min:"1" max:"10000000"`
}

func defaultNavigator() NavigatorParams {
	p, e := plant.Default(), defaultEncoders()
	return NavigatorParams{Heading: 45, Latitude: p.Site.LatitudeDeg, Longitude: p.Site.LongitudeDeg, Track: p.Body.TrackM,
		WheelRadius: e.WheelRadius, TicksPerTurn: e.TicksPerTurn}
}

// NewNavigator returns the component with its defaults.
func NewNavigator() *Navigator { return &Navigator{defaults: defaultNavigator()} }

// Renew implements fulmar.Renewer.
func (c *Navigator) Renew() fulmar.Component { return &Navigator{defaults: c.defaults} }

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
	// maxGyroGap is how long the inertial sensor may be away: what was turned meanwhile the wheels have to tell.
	maxGyroGap = 50 * time.Millisecond
)

// Spec implements fulmar.Component.
func (c *Navigator) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "navigator", DependsOn: []string{"imu", "encoders", "gnss"}, Parameters: c.params.As(c.defaults),
		Tasks: []fulmar.Task{{
			Name: "estimate", Period: coursePeriod, Budget: stepBudget, Offset: decidePhase,
			Reads: []fulmar.Input{c.imu.From("imu/sample"), c.wheels.From("encoders/wheels"), c.fix.From("gnss/fix"),
				c.before.From("navigator/pose"), c.settings.Of(&c.params)},
			Writes: []fulmar.Output{c.pose.As("pose")},
			Step:   c.estimate,
		}},
	}
}

func (c *Navigator) estimate(s *fulmar.Step) error {
	if c.imu.Version() == 0 || c.wheels.Version() == 0 {
		return nil
	}
	p := c.settings.Get()
	if v := c.settings.Version(); v != c.version {
		c.version, c.tangent = v, newTangent(p.Latitude, p.Longitude)
	}
	if !c.started {
		c.started, c.now = true, c.begin(p)
	}
	c.predict(p, s.Dt)
	c.reckoning += s.Dt
	if f := c.fix.Get(); f.Epoch != c.epoch {
		c.epoch = f.Epoch
		if f.Valid {
			c.correct(f)
			c.reckoning = 0
		}
	}
	switch {
	case c.blind > maxGyroGap:
		s.Degraded("no gyro: the wheels tell the heading")
	case c.reckoning > maxReckoning:
		s.Degraded("dead reckoning")
	default:
		s.OK()
	}
	c.pose.Set(c.now)
	return nil
}

// begin returns the pose to go on from: after a rebuild the last one that was told, otherwise that of the settings.
func (c *Navigator) begin(p NavigatorParams) Pose {
	if c.before.Version() > 0 {
		return c.before.Get()
	}
	imu, w := c.imu.Get(), c.wheels.Get()
	ticks := [2]int64{w.TicksLeft, w.TicksRight}
	return Pose{East: p.East, North: p.North, Heading: control.Wrap(p.Heading * math.Pi / 180),
		Angle: imu.Angle, Time: imu.Time, Ticks: ticks, TurnTicks: ticks}
}

// predict moves the pose by what gyro and wheels counted since the last step.
func (c *Navigator) predict(settings NavigatorParams, dt time.Duration) {
	imu, w, p := c.imu.Get(), c.wheels.Get(), &c.now
	tick := EncodersParams{WheelRadius: settings.WheelRadius, TicksPerTurn: settings.TicksPerTurn}.Tick()
	ticks := [2]int64{w.TicksLeft, w.TicksRight}
	way := float64(ticks[0]-p.Ticks[0]+ticks[1]-p.Ticks[1]) / 2 * tick
	p.Ticks = ticks
	turn := c.turn(settings.Track, tick, ticks, dt)
	sin, cos := math.Sincos(p.Heading + turn/2)
	p.East += way * cos
	p.North += way * sin
	p.Heading = control.Wrap(p.Heading + turn)
	p.Speed = (w.Left + w.Right) / 2
	p.YawRate = float64(imu.GyroZ) - p.GyroBias
}

// turn returns what was turned since the last step, by the gyro, and while that is away by the wheels.
func (c *Navigator) turn(track, tick float64, ticks [2]int64, dt time.Duration) float64 {
	imu, p := c.imu.Get(), &c.now
	passed := imu.Time - p.Time
	if passed == 0 {
		if c.blind += dt; c.blind <= maxGyroGap {
			return 0 // its next sample will tell
		}
	} else {
		c.blind = 0
	}
	turn := imu.Angle - p.Angle - p.GyroBias*passed.Seconds()
	if passed == 0 || passed > maxGyroGap {
		turn = float64(ticks[1]-p.TurnTicks[1]-ticks[0]+p.TurnTicks[0]) * tick / track
	}
	p.Angle, p.Time, p.TurnTicks = imu.Angle, imu.Time, ticks
	return turn
}

// correct pulls the pose towards a fix.
func (c *Navigator) correct(f Fix) {
	p := &c.now
	east, north := c.tangent.local(f.Latitude, f.Longitude)
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
