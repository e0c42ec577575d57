package rover

import (
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/control"
)

// Encoders is the driver of the wheels' encoders.
type Encoders struct {
	tickM   float64
	signals fulmar.In[Signals]
	wheels  fulmar.Out[Wheels]
	last    Wheels                      // read's own
	filter  [2]control.LowPass[float64] // read's own
}

// Wheels is what the wheels did.
type Wheels struct {
	TicksLeft  int64   `unit:"1"` // since the start
	TicksRight int64   `unit:"1"`
	Left       float64 `unit:"m/s"` // of the rim, filtered
	Right      float64 `unit:"m/s"`

	Time time.Duration `fulmar:"-"` // the sensor's
}

// encoderFilter is the time constant of the speeds' low-pass in seconds. A tick is 31 mm/s at 200 Hz; the speed loop
// closes at some 50 rad/s and must not see more lag than this.
const encoderFilter = 0.010

func newEncoders(g geometry) *Encoders {
	c := &Encoders{tickM: g.tickM}
	for i := range c.filter {
		c.filter[i].Time = encoderFilter
	}
	return c
}

// Spec implements fulmar.Component.
func (c *Encoders) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "encoders", DependsOn: []string{"world"},
		Tasks: []fulmar.Task{{
			Name: "read", Period: fastPeriod, Offset: readPhase,
			Reads:  []fulmar.Input{c.signals.From("world/signals")},
			Writes: []fulmar.Output{c.wheels.As("wheels")},
			Step:   c.read,
		}},
	}
}

// read divides by the time between the samples, not by the time between the steps: a step may be late, the sample it finds
// is not later for that.
func (c *Encoders) read(*fulmar.Step) error {
	v := c.signals.Get()
	w := Wheels{TicksLeft: v.TicksLeft, TicksRight: v.TicksRight, Time: v.Time}
	if dt := (w.Time - c.last.Time).Seconds(); dt > 0 {
		w.Left = c.filter[0].Update(float64(w.TicksLeft-c.last.TicksLeft)*c.tickM/dt, dt)
		w.Right = c.filter[1].Update(float64(w.TicksRight-c.last.TicksRight)*c.tickM/dt, dt)
		c.last = w
		c.wheels.Set(w)
	}
	return nil
}
