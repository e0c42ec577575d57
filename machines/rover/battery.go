package rover

import (
	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/sim/plant"
)

// Battery is the driver of the battery monitor, and counts the charge.
type Battery struct {
	defaults BatteryParams
	params   fulmar.Params[BatteryParams]

	// What follows is read's own.
	settings fulmar.In[BatteryParams]
	signals  fulmar.In[Signals]
	before   fulmar.In[Power] // what it told last itself, in an earlier life too
	state    fulmar.Out[Power]
	charge   float64 // of the capacity, 0 to 1
	known    bool    // charge has its first estimate
}

// BatteryParams are what can be set.
type BatteryParams struct {
	Capacity float64 `unit:"A.h" doc:"of the battery" min:"0.01" max:"10000"`
}

func defaultBattery() BatteryParams {
	return BatteryParams{Capacity: plant.Default().Battery.CapacityAh}
}

// NewBattery returns the component with its defaults.
func NewBattery() *Battery { return &Battery{defaults: defaultBattery()} }

// Renew implements fulmar.Renewer.
func (c *Battery) Renew() fulmar.Component { return &Battery{defaults: c.defaults} }

// Power is how the battery is.
type Power struct {
	Voltage float64 `unit:"V"`
	Current float64 `unit:"A"` // out of the battery
	Charge  float64 `unit:"%"` // estimated
}

// Spec implements fulmar.Component.
func (c *Battery) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "battery", DependsOn: []string{"world"}, Parameters: c.params.As(c.defaults),
		Tasks: []fulmar.Task{{
			Name: "read", Period: slowPeriod, Budget: stepBudget, Offset: readPhase,
			Reads:  []fulmar.Input{c.signals.From("world/signals"), c.before.From("battery/state"), c.settings.Of(&c.params)},
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
		c.charge = max(0, min(1, (v.BatteryV-restEmptyV)/(restFullV-restEmptyV)))
		if c.before.Version() > 0 { // what was counted is better than what a battery under load looks like
			c.charge = c.before.Get().Charge / 100
		}
	}
	c.charge = max(0, min(1, c.charge-v.BatteryA*s.Dt.Hours()/c.settings.Get().Capacity))
	c.state.Set(Power{Voltage: v.BatteryV, Current: v.BatteryA, Charge: 100 * c.charge})
	return nil
}
