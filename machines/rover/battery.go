package rover

import "github.com/fulmar-io/fulmar"

// Battery is the driver of the battery monitor, and counts the charge.
type Battery struct {
	capacityC float64
	signals   fulmar.In[Signals]
	state     fulmar.Out[Power]
	charge    float64 // read's own: coulombs in the battery
	known     bool    // read's own: charge has its first estimate
}

// Power is how the battery is.
type Power struct {
	Voltage float64 `unit:"V"`
	Current float64 `unit:"A"` // out of the battery
	Charge  float64 `unit:"%"` // estimated
}

func newBattery(g geometry) *Battery { return &Battery{capacityC: g.capacityC} }

// Spec implements fulmar.Component.
func (c *Battery) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "battery", DependsOn: []string{"world"},
		Tasks: []fulmar.Task{{
			Name: "read", Period: slowPeriod, Offset: readPhase,
			Reads:  []fulmar.Input{c.signals.From("world/signals")},
			Writes: []fulmar.Output{c.state.As("state")},
			Step:   c.read,
		}},
	}
}

// A battery of four lithium cells at rest is taken as empty at 13 V and full at 16.7 V, linear in between: good to some
// ten per cent. From there on the charge is counted.
const restEmptyV, restFullV = 13.0, 16.7

func (c *Battery) read(s *fulmar.Step) error {
	if c.signals.Version() == 0 {
		return nil
	}
	v := c.signals.Get()
	if !c.known {
		c.known = true
		c.charge = c.capacityC * max(0, min(1, (v.BatteryV-restEmptyV)/(restFullV-restEmptyV)))
	}
	c.charge = max(0, min(c.capacityC, c.charge-v.BatteryA*s.Dt.Seconds()))
	c.state.Set(Power{Voltage: v.BatteryV, Current: v.BatteryA, Charge: 100 * c.charge / c.capacityC})
	return nil
}
