package rover

import (
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/sim/plant"
)

// World is the simulated hardware. It owns the plant: no other component can reach it but through World's ports.
type World struct {
	rover   *plant.Rover  // physics' own
	next    time.Duration // physics' own: when, in the plant's time, the sensors sample next
	duty    fulmar.In[Duty]
	signals fulmar.Out[Signals]
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
		Name: "world", Critical: true,
		Tasks: []fulmar.Task{{
			Name: "physics", Period: physicsPeriod,
			Reads:  []fulmar.Input{w.duty.From("motors/duty")},
			Writes: []fulmar.Output{w.signals.As("signals", fulmar.Bulk)},
			Step:   w.physics,
		}},
	}
}

// physics lets as much time pass in the plant as passed outside, whatever clock that is.
func (w *World) physics(s *fulmar.Step) error {
	d := w.duty.Get()
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
