package power

import (
	"context"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/hal"
)

// INA219Component is an INA219 as a component: it publishes each new reading. One that does not answer any more, or has nothing
// new, fails and is set up anew, until it is back.
type INA219Component struct {
	Name     string // "power"
	Resource hal.Resource
	Defaults INA219Params

	params fulmar.Params[INA219Params]
	bus    fulmar.Handle[hal.I2C]
	dev    *INA219

	// What follows is read's own.
	settings fulmar.In[INA219Params]
	supply   fulmar.Out[Supply]
	watch    drivers.Watch
}

// INA219Params are what can be set.
type INA219Params struct {
	Shunt      float64       `unit:"Ohm" doc:"resistor that the current flows through" min:"0.00001" max:"1000" rebuild:"true"`
	MaxCurrent float64       `unit:"A" doc:"largest that is expected, either way; at most 320 mV across the shunt" min:"0.000001" max:"10000" rebuild:"true"`
	LowRange   bool          `doc:"measure up to 16 V, not up to 26" rebuild:"true"`
	Errors     int           `doc:"borne in a row; after one more the device is set up anew" min:"1" max:"10000"`
	Stale      time.Duration `doc:"how long nothing may be new until the device is set up anew" min:"10ms" max:"10m"`
}

func (p INA219Params) config() Config {
	return Config{ShuntOhm: p.Shunt, MaxCurrentA: p.MaxCurrent, Range16V: p.LowRange}
}

// Validate implements the machine's question whether the parameters fit together.
func (p *INA219Params) Validate() error {
	_, _, err := p.config().setup()
	return err
}

// NewINA219Component returns the component with its defaults: at 0x40 on i2c-1, with a shunt of 0.1 Ω, as on most boards.
func NewINA219Component() *INA219Component {
	return &INA219Component{Name: "power", Resource: hal.Resource{Path: "i2c-1", Address: 0x40},
		Defaults: INA219Params{Shunt: 0.1, MaxCurrent: 3.2, Errors: 10, Stale: time.Second}}
}

// Supply is one measurement.
type Supply struct {
	Voltage float64 `unit:"V"` // at the load's side of the shunt
	Current float64 `unit:"A"` // positive is towards the load
	Power   float64 `unit:"W"`
	Clipped bool    // the current is at the end of its range, or beyond
}

// Spec implements fulmar.Component.
func (c *INA219Component) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: c.Name, Parameters: c.params.As(c.Defaults), Restart: drivers.Restart(),
		Hardware: []fulmar.Hardware{c.bus.As("bus", c.Resource)},
		Tasks: []fulmar.Task{{
			Name: "read", Period: 50 * time.Millisecond,
			Reads:  []fulmar.Input{c.settings.Of(&c.params)},
			Writes: []fulmar.Output{c.supply.As("supply")},
			Step:   c.read,
		}},
	}
}

// Start implements fulmar.Starter.
func (c *INA219Component) Start(context.Context) error {
	dev, err := OpenINA219(c.bus.Get(), c.params.Get().config())
	if err == nil {
		c.dev = dev
	}
	return err
}

// Stop implements fulmar.Stopper. A chip that has just failed would not hear it.
func (c *INA219Component) Stop(context.Context) error {
	if c.dev == nil || c.dev.Health().InARow > 0 {
		return nil
	}
	if err := c.dev.Close(); err != nil {
		return fmt.Errorf("put to sleep: %w", err)
	}
	return nil
}

// Renew implements fulmar.Renewer.
func (c *INA219Component) Renew() fulmar.Component {
	return &INA219Component{Name: c.Name, Resource: c.Resource, Defaults: c.Defaults}
}

func (c *INA219Component) read(s *fulmar.Step) error {
	p := c.settings.Get()
	c.watch.Errors, c.watch.Stale = p.Errors, p.Stale
	r, fresh, err := c.dev.Read()
	if fresh && err == nil {
		c.supply.Set(Supply{Voltage: r.BusV, Current: r.CurrentA, Power: r.PowerW, Clipped: r.Clipped})
	}
	return c.watch.Saw(s, fresh, err)
}

// Register makes the components known to programs that read machines from files.
func Register(t *fulmar.Types) {
	t.Register(fulmar.Type{Name: "power/ina219", Doc: "INA219, voltage and current of a supply, on I2C",
		New: func() fulmar.Component { return NewINA219Component() }})
}
