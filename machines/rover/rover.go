package rover

import (
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

// New returns a new rover at the start of its course. An error is about Options.Plant.
func New(o Options) ([]fulmar.Component, error) {
	o = o.withDefaults()
	course, err := NewFigureEight(o.CourseM)
	if err != nil {
		return nil, err
	}
	start := course.Start()
	hardware, err := plant.NewRover(*o.Plant, o.Seed)
	if err != nil {
		return nil, err
	}
	hardware.Place(start.EastM, start.NorthM, start.HeadingRad)
	g := geometry{
		trackM:    o.Plant.Body.TrackM,
		tickM:     2 * math.Pi * o.Plant.Body.WheelRadiusM / float64(o.Plant.Sensors.TicksPerTurn),
		tangent:   newTangent(o.Plant.Site.LatitudeDeg, o.Plant.Site.LongitudeDeg),
		capacityC: o.Plant.Battery.CapacityAh * 3600,
	}
	drive, err := newDrive(g, course, o.SpeedMps)
	if err != nil {
		return nil, err
	}
	return []fulmar.Component{
		&World{rover: hardware},
		&IMU{},
		newEncoders(g),
		&GNSS{},
		newBattery(g),
		&Motors{},
		newNavigator(g, start),
		drive,
		&Mission{},
	}, nil
}

// geometry is what the components know of the machine they are on: on a real one, its configuration.
type geometry struct {
	trackM    float64 // between the wheels
	tickM     float64 // way of a wheel per encoder tick
	tangent   tangent
	capacityC float64 // of the battery, in coulombs
}

// The rates. The physics has a finer step inside; what its period decides is how old a duty is when it takes effect.
const (
	physicsPeriod = 2 * time.Millisecond
	fastPeriod    = 5 * time.Millisecond
	coursePeriod  = 20 * time.Millisecond
	slowPeriod    = 100 * time.Millisecond
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
