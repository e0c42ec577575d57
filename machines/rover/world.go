package rover

import (
	"context"
	"math"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/sim/plant"
)

// World is the simulated hardware. It owns the plant: no other component can reach it but through World's ports.
type World struct {
	plant    plant.Params
	defaults WorldParams
	params   fulmar.Params[WorldParams]

	// What follows is physics' own.
	rover   *plant.Rover
	next    time.Duration // when, in the plant's time, the sensors sample next
	duty    fulmar.In[Duty]
	version uint64        // of the last duty
	silence time.Duration // since then
	signals fulmar.Out[Signals]
}

// WorldParams are what can be set.
type WorldParams struct {
	Seed     uint64  `doc:"decides the errors of the simulated sensors" rebuild:"true"`
	East     float64 `unit:"m" doc:"where the rover starts" min:"-100000" max:"100000" rebuild:"true"`
	North    float64 `unit:"m" doc:"where the rover starts" min:"-100000" max:"100000" rebuild:"true"`
	Heading  float64 `unit:"deg" doc:"of the rover at the start, counter-clockwise from east" min:"-360" max:"360" rebuild:"true"`
	Charge   float64 `unit:"%" doc:"of the battery at the start" min:"0" max:"100" rebuild:"true"`
	ShadowAt float64 `config:"shadow_east" unit:"m" doc:"where the trees are, east of the origin" min:"-100000" max:"100000" rebuild:"true"`
	Shadow   float64 `unit:"m" doc:"radius of the trees under which there is no fix; 0 for none" min:"0" max:"1000" rebuild:"true"`
}

// NewWorld returns the component with its defaults.
func NewWorld() *World {
	return &World{plant: plant.Default(), defaults: WorldParams{Seed: 1, Heading: 45, Charge: 92, ShadowAt: 6, Shadow: 1.5}}
}

// Start implements fulmar.Starter.
func (w *World) Start(context.Context) error {
	p := w.params.Get()
	w.plant.Site.ShadowEastM, w.plant.Site.ShadowM, w.plant.Battery.StateOfCharge = p.ShadowAt, p.Shadow, p.Charge/100
	rover, err := plant.NewRover(w.plant, p.Seed)
	if err != nil {
		return err
	}
	rover.Place(p.East, p.North, p.Heading*math.Pi/180)
	w.rover = rover
	return nil
}

// Signals are what the wires of the simulated sensors carry, 200 times a second. Telemetry gets the truth only: what the
// sensors make of it, their components publish.
type Signals struct {
	East    float64 `unit:"m"`
	North   float64 `unit:"m"`
	Heading float64 `unit:"rad"` // not wrapped
	Speed   float64 `unit:"m/s"`
	YawRate float64 `unit:"rad/s"`

	Time       time.Duration `fulmar:"-"` // the plant's
	IMU        plant.IMU     `fulmar:"-"`
	TicksLeft  int64         `fulmar:"-"`
	TicksRight int64         `fulmar:"-"`
	GNSS       plant.GNSS    `fulmar:"-"`
	BatteryV   float64       `fulmar:"-"`
	BatteryA   float64       `fulmar:"-"`
	MotorC     [2]float64    `fulmar:"-"`
	WheelMps   [2]float64    `fulmar:"-"` // the truth, for tests
}

// maxLag bounds what one step makes up for. After a longer pause (a laptop that slept, a debugger) the world stood still
// for the rest.
const maxLag = 100 * time.Millisecond

// Spec implements fulmar.Component.
func (w *World) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "world", Critical: true, Parameters: w.params.As(w.defaults),
		Tasks: []fulmar.Task{{
			Name: "physics", Period: physicsPeriod, Budget: physicsBudget,
			Reads:  []fulmar.Input{w.duty.From("motors/duty")},
			Writes: []fulmar.Output{w.signals.As("signals", fulmar.Bulk)},
			Step:   w.physics,
		}},
	}
}

// dutyTimeout is how long the simulated motors' driver chips hold a duty that nobody repeats, as such chips do: so the motors
// stop when what drives them is gone, whatever has become of it.
const dutyTimeout = 100 * time.Millisecond

// physics lets as much time pass in the plant as passed outside, whatever clock that is.
func (w *World) physics(s *fulmar.Step) error {
	d := w.duty.Get()
	if v := w.duty.Version(); v != w.version {
		w.version, w.silence = v, 0
	} else if w.silence += s.Dt; w.silence > dutyTimeout {
		d = Duty{}
	}
	w.rover.SetDuty(d.Left, d.Right)
	for left := min(s.Dt, maxLag); left > 0; {
		now := w.rover.Time()
		for w.next <= now {
			w.next += fastPeriod
		}
		d := min(left, w.next-now)
		left -= d
		w.rover.Advance(d)
		if w.rover.Time() >= w.next { // at the sensors' own time, however late this step is
			w.signals.Set(w.sample())
		}
	}
	return nil
}

func (w *World) sample() Signals {
	t := w.rover.Truth()
	v := Signals{East: t.EastM, North: t.NorthM, Heading: t.HeadingRad, Speed: t.SpeedMps, YawRate: t.YawRateRadS,
		Time: t.Time, IMU: w.rover.IMU(), GNSS: w.rover.GNSS()}
	v.TicksLeft, v.TicksRight = w.rover.Encoders()
	v.BatteryV, v.BatteryA = w.rover.Battery()
	v.MotorC[0], v.MotorC[1] = w.rover.MotorTemps()
	v.WheelMps = w.rover.RimSpeeds()
	return v
}
