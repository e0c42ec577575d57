package rover

import (
	"math"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/control"
	"github.com/fulmar-io/fulmar/sim/plant"
)

// Encoders is the driver of the wheels' encoders.
type Encoders struct {
	defaults EncodersParams
	params   fulmar.Params[EncodersParams]

	// What follows is read's own.
	settings fulmar.In[EncodersParams]
	signals  fulmar.In[Signals]
	wheels   fulmar.Out[Wheels]
	last     Wheels
	filter   [2]control.LowPass[float64]
}

// EncodersParams are what can be set.
type EncodersParams struct {
	WheelRadius  float64 `unit:"m" doc:"of the wheels" min:"0.001" max:"10"`
	TicksPerTurn int     `unit:"1" doc:"of an encoder, per turn of its wheel" min:"1" max:"10000000"`
	// A tick is 31 mm/s at 200 Hz; the speed loop closes at some 50 rad/s and must not see more lag than 10 ms.
	Filter float64 `unit:"s" doc:"time constant of the speeds' low-pass" min:"0" max:"10"`
}

// Tick returns the way of a wheel per tick, in metres.
func (p EncodersParams) Tick() float64 { return 2 * math.Pi * p.WheelRadius / float64(p.TicksPerTurn) }

func defaultEncoders() EncodersParams {
	p := plant.Default()
	return EncodersParams{WheelRadius: p.Body.WheelRadiusM, TicksPerTurn: p.Sensors.TicksPerTurn, Filter: 0.010}
}

// NewEncoders returns the component with its defaults.
func NewEncoders() *Encoders { return &Encoders{defaults: defaultEncoders()} }

// Wheels is what the wheels did.
type Wheels struct {
	TicksLeft  int64   `unit:"1"` // since the start
	TicksRight int64   `unit:"1"`
	Left       float64 `unit:"m/s"` // of the rim, filtered
	Right      float64 `unit:"m/s"`

	Time time.Duration `fulmar:"-"` // the sensor's
}

// Spec implements fulmar.Component.
func (c *Encoders) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "encoders", DependsOn: []string{"world"}, Parameters: c.params.As(c.defaults),
		Tasks: []fulmar.Task{{
			Name: "read", Period: fastPeriod, Budget: stepBudget, Offset: readPhase,
			Reads:  []fulmar.Input{c.signals.From("world/signals"), c.settings.Of(&c.params)},
			Writes: []fulmar.Output{c.wheels.As("wheels")},
			Step:   c.read,
		}},
	}
}

// Renew implements fulmar.Renewer.
func (c *Encoders) Renew() fulmar.Component { return &Encoders{defaults: c.defaults} }

// read divides by the time between the samples, not by the time between the steps: a step may be late, the sample it finds
// is not later for that.
func (c *Encoders) read(*fulmar.Step) error {
	v, p := c.signals.Get(), c.settings.Get()
	w := Wheels{TicksLeft: v.TicksLeft, TicksRight: v.TicksRight, Time: v.Time}
	dt := (w.Time - c.last.Time).Seconds()
	switch {
	case c.signals.Version() == 0:
	case c.last.Time == 0: // one sample is no speed yet
		c.last = w
	case dt > 0:
		c.filter[0].Time, c.filter[1].Time = p.Filter, p.Filter
		w.Left = c.filter[0].Update(float64(w.TicksLeft-c.last.TicksLeft)*p.Tick()/dt, dt)
		w.Right = c.filter[1].Update(float64(w.TicksRight-c.last.TicksRight)*p.Tick()/dt, dt)
		c.last = w
		c.wheels.Set(w)
	}
	return nil
}
