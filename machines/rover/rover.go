package rover

import (
	"fmt"
	"math"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/sim/plant"
)

// Options are a rover's. The zero value of each field means its default.
type Options struct {
	// Seed decides the errors of the simulated sensors.
	Seed uint64
	// Plant is what is simulated. Default: plant.Default with trees over the eastern end of the course. If it is set,
	// geometry and site of the components follow it.
	Plant *plant.Params
	// SpeedMps is how fast the rover drives. Default 1.2.
	SpeedMps float64
	// CourseM is half the length of the figure of eight. Default 6.
	CourseM float64
}

func (o Options) withDefaults() Options {
	if o.SpeedMps == 0 {
		o.SpeedMps = 1.2
	}
	if o.CourseM == 0 {
		o.CourseM = 6
	}
	if o.Plant == nil {
		p := plant.Default()
		p.Site.ShadowEastM, p.Site.ShadowM = o.CourseM, 1.5
		o.Plant = &p
	}
	return o
}

// Components returns a new rover with the default options, at the start of its course.
func Components(seed uint64) []fulmar.Component {
	list, err := New(Options{Seed: seed})
	if err != nil {
		panic(err) // the defaults are wrong, which a test would have found
	}
	return list
}

// New returns a new rover at the start of its course. An error is about the options.
func New(o Options) ([]fulmar.Component, error) {
	o = o.withDefaults()
	course, err := NewFigureEight(o.CourseM)
	if err != nil {
		return nil, err
	}
	if !(o.SpeedMps > 0 && o.SpeedMps <= maxWheelSpeed) {
		return nil, fmt.Errorf("rover: %w: speed %v m/s, must be above 0, at most %v", ErrCourse, o.SpeedMps, maxWheelSpeed)
	}
	if err := o.Plant.Validate(); err != nil {
		return nil, err
	}
	start, body, site := course.Start(), o.Plant.Body, o.Plant.Site
	deg := start.HeadingRad * 180 / math.Pi
	world, encoders, battery, navigator, drive := NewWorld(), NewEncoders(), NewBattery(), NewNavigator(), NewDrive()
	world.plant = *o.Plant
	world.defaults = WorldParams{Seed: o.Seed, East: start.EastM, North: start.NorthM, Heading: deg,
		Charge: 100 * o.Plant.Battery.StateOfCharge, ShadowAt: site.ShadowEastM, Shadow: site.ShadowM}
	encoders.defaults.WheelRadius, encoders.defaults.TicksPerTurn = body.WheelRadiusM, o.Plant.Sensors.TicksPerTurn
	battery.defaults.Capacity = o.Plant.Battery.CapacityAh
	navigator.defaults = NavigatorParams{East: start.EastM, North: start.NorthM, Heading: deg, Latitude: site.LatitudeDeg, Longitude: site.LongitudeDeg,
		Track: body.TrackM, WheelRadius: body.WheelRadiusM, TicksPerTurn: o.Plant.Sensors.TicksPerTurn}
	drive.defaults.Speed, drive.defaults.Course, drive.defaults.Track = o.SpeedMps, o.CourseM, body.TrackM
	return []fulmar.Component{world, NewIMU(), encoders, NewGNSS(), battery, NewMotors(), navigator, drive, NewMission()}, nil
}

// Register makes the rover's components known to programs that read machines from files, as rover/world, rover/imu and so on.
func Register(t *fulmar.Types) {
	t.Register(
		fulmar.Type{Name: "rover/world", Doc: "simulated hardware: motors, sensors, ground", New: func() fulmar.Component { return NewWorld() }},
		fulmar.Type{Name: "rover/imu", Doc: "driver of the inertial sensor", New: func() fulmar.Component { return NewIMU() }},
		fulmar.Type{Name: "rover/encoders", Doc: "driver of the wheels' encoders", New: func() fulmar.Component { return NewEncoders() }},
		fulmar.Type{Name: "rover/gnss", Doc: "driver of the satellite receiver", New: func() fulmar.Component { return NewGNSS() }},
		fulmar.Type{Name: "rover/battery", Doc: "driver of the battery monitor, counts the charge", New: func() fulmar.Component { return NewBattery() }},
		fulmar.Type{Name: "rover/motors", Doc: "driver of the motors", New: func() fulmar.Component { return NewMotors() }},
		fulmar.Type{Name: "rover/navigator", Doc: "estimates where the rover is", New: func() fulmar.Component { return NewNavigator() }},
		fulmar.Type{Name: "rover/drive", Doc: "follows a figure of eight", New: func() fulmar.Component { return NewDrive() }},
		fulmar.Type{Name: "rover/mission", Doc: "tells a person what happens", New: func() fulmar.Component { return NewMission() }},
	)
}

// The rates. The physics has a finer step inside; what its period decides is how old a duty is when it takes effect.
const (
	physicsPeriod = 2 * time.Millisecond
	fastPeriod    = 5 * time.Millisecond
	coursePeriod  = 20 * time.Millisecond
	slowPeriod    = 100 * time.Millisecond
)

// The budgets: five to ten times what a step takes at its 99th percentile on a processor of 2020, which fulmar demo prints. With
// them it is known before the start that every task meets its deadline: fulmar check --timing.
const (
	physicsBudget = 300 * time.Microsecond
	stepBudget    = 200 * time.Microsecond
)

// The phases, as offsets of the tasks' releases. Where a reader and a writer were released at the same instant, jitter
// would decide whether the reader gets this sample or the last one: it would see some twice and miss others. So the world
// speaks first, then the sensors are read, then it is decided, then acted. The phases are further apart than ordinary
// timers are coarse, which is a millisecond. It costs four milliseconds of age in each loop, always the same four.
const (
	readPhase   = 1000 * time.Microsecond
	decidePhase = 2500 * time.Microsecond
	actPhase    = 4000 * time.Microsecond
)
