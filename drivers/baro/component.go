package baro

import (
	"context"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/hal"
)

// BMP388Component is a BMP388 as a component: it publishes each new reading. One that does not answer any more, or has nothing
// new, fails and is set up anew, until it is back.
type BMP388Component struct {
	Name     string // "baro"
	Resource hal.Resource
	Defaults BMP388Params

	params fulmar.Params[BMP388Params]
	bus    fulmar.Handle[hal.I2C]
	dev    *BMP388

	// What follows is read's own.
	settings fulmar.In[BMP388Params]
	air      fulmar.Out[Air]
	watch    drivers.Watch
}

// BMP388Params are what can be set.
type BMP388Params struct {
	Rate                    float64       `unit:"Hz" doc:"how often it measures: 200 or a half, a quarter, … of it" min:"1.5625" max:"200" rebuild:"true"`
	PressureOversampling    int           `doc:"samples in a measurement: a power of two" min:"1" max:"32" rebuild:"true"`
	TemperatureOversampling int           `doc:"samples in a measurement: a power of two" min:"1" max:"32" rebuild:"true"`
	Filter                  int           `doc:"of the chip's low-pass: 0, 1, 3, 7, 15, 31, 63 or 127" min:"0" max:"127" rebuild:"true"`
	Errors                  int           `doc:"borne in a row; after one more the device is set up anew" min:"1" max:"10000"`
	Stale                   time.Duration `doc:"how long nothing may be new until the device is set up anew" min:"10ms" max:"10m"`
}

func (p BMP388Params) config() Config {
	return Config{PressureOversampling: p.PressureOversampling, TemperatureOversampling: p.TemperatureOversampling, Filter: p.Filter, RateHz: p.Rate}
}

func (p BMP388Params) watch() drivers.Watch { return drivers.Watch{Errors: p.Errors, Stale: p.Stale} }

// Validate implements the machine's question whether the parameters fit together.
func (p *BMP388Params) Validate() error {
	if _, err := p.config().setup(); err != nil {
		return err
	}
	return p.watch().Validate(time.Duration(float64(time.Second) / p.Rate))
}

// NewBMP388Component returns the component with its defaults: at 0x77 on i2c-1. It measures at 25 Hz by a clock of its own, and
// is asked twice as often, so that no measurement is missed.
func NewBMP388Component() *BMP388Component {
	return &BMP388Component{Name: "baro", Resource: hal.Resource{Path: "i2c-1", Address: 0x77},
		Defaults: BMP388Params{Rate: 25, PressureOversampling: 8, TemperatureOversampling: 1, Errors: 10, Stale: time.Second}}
}

// Air is one measurement.
type Air struct {
	Pressure    float64 `unit:"Pa"`
	Temperature float64 `unit:"Cel"` // of the chip
}

// Spec implements fulmar.Component.
func (c *BMP388Component) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: c.Name, Parameters: c.params.As(c.Defaults), Restart: drivers.Restart(),
		Hardware: []fulmar.Hardware{c.bus.As("bus", c.Resource)},
		Tasks: []fulmar.Task{{
			Name: "read", Period: 20 * time.Millisecond,
			Reads:  []fulmar.Input{c.settings.Of(&c.params)},
			Writes: []fulmar.Output{c.air.As("air")},
			Step:   c.read,
		}},
	}
}

// Start implements fulmar.Starter.
func (c *BMP388Component) Start(context.Context) error {
	dev, err := OpenBMP388(c.bus.Get(), c.params.Get().config())
	if err == nil {
		c.dev = dev
	}
	return err
}

// Stop implements fulmar.Stopper. A chip that has just failed would not hear it.
func (c *BMP388Component) Stop(context.Context) error {
	if c.dev == nil || c.dev.Health().InARow > 0 {
		return nil
	}
	if err := c.dev.Close(); err != nil {
		return fmt.Errorf("put to sleep: %w", err)
	}
	return nil
}

// Renew implements fulmar.Renewer.
func (c *BMP388Component) Renew() fulmar.Component {
	return &BMP388Component{Name: c.Name, Resource: c.Resource, Defaults: c.Defaults}
}

func (c *BMP388Component) read(s *fulmar.Step) error {
	p := c.settings.Get()
	c.watch.Errors, c.watch.Stale = p.Errors, p.Stale
	r, fresh, err := c.dev.Read()
	if fresh && err == nil {
		c.air.Set(Air{Pressure: r.PressurePa, Temperature: r.TempC})
	}
	return c.watch.Saw(s, fresh, err)
}

// Register makes the components known to programs that read machines from files.
func Register(t *fulmar.Types) {
	t.Register(fulmar.Type{Name: "baro/bmp388", Doc: "BMP388, pressure of the air, on I2C",
		New: func() fulmar.Component { return NewBMP388Component() }})
}
