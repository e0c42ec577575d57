package imu

import (
	"context"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/hal"
)

// MPU6050Component is an MPU-6050 as a component: it publishes each new reading. One that does not answer any more, or has
// nothing new, fails and is set up anew, until it is back.
type MPU6050Component struct {
	Name     string // "imu"
	Resource hal.Resource
	Defaults MPU6050Params

	params fulmar.Params[MPU6050Params]
	bus    fulmar.Handle[hal.I2C]
	dev    *MPU6050

	// What follows is read's own.
	settings fulmar.In[MPU6050Params]
	sample   fulmar.Out[Sample]
	watch    drivers.Watch
}

// MPU6050Params are what can be set.
type MPU6050Params struct {
	AccelRange int           `unit:"[g]" doc:"of acceleration, either way: 2, 4, 8 or 16" rebuild:"true"`
	RateRange  int           `unit:"deg/s" doc:"of the rate of turn, either way: 250, 500, 1000 or 2000" rebuild:"true"`
	Rate       int           `unit:"Hz" doc:"how often it measures: a divisor of 1000" min:"4" max:"1000" rebuild:"true"`
	Errors     int           `doc:"borne in a row; after one more the device is set up anew" min:"1" max:"10000"`
	Stale      time.Duration `doc:"how long nothing may be new until the device is set up anew" min:"10ms" max:"10m"`
}

func (p MPU6050Params) config() Config {
	return Config{AccelRangeG: p.AccelRange, GyroRangeDPS: p.RateRange, RateHz: p.Rate}
}

func (p MPU6050Params) watch() drivers.Watch { return drivers.Watch{Errors: p.Errors, Stale: p.Stale} }

// Validate implements the machine's question whether the parameters fit together.
func (p *MPU6050Params) Validate() error {
	if _, err := p.config().setup(); err != nil {
		return err
	}
	return p.watch().Validate(time.Second / time.Duration(p.Rate))
}

// NewMPU6050Component returns the component with its defaults: at 0x68 on i2c-1. It measures at 100 Hz by a clock of its own, and
// is asked twice as often, so that no measurement is missed and none is older than 5 ms.
func NewMPU6050Component() *MPU6050Component {
	return &MPU6050Component{Name: "imu", Resource: hal.Resource{Path: "i2c-1", Address: 0x68},
		Defaults: MPU6050Params{AccelRange: 4, RateRange: 500, Rate: 100, Errors: 20, Stale: time.Second}}
}

// Sample is one measurement, in the chip's own axes.
type Sample struct {
	Accel       [3]float64 `unit:"m/s2"`  // specific force: at rest it points upwards
	Rate        [3]float64 `unit:"rad/s"` // of turn, right-handed
	Temperature float64    `unit:"Cel"`   // of the chip
	Clipped     bool       // a value is at the end of its range
}

// Spec implements fulmar.Component.
func (c *MPU6050Component) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: c.Name, Parameters: c.params.As(c.Defaults), Restart: drivers.Restart(),
		Hardware: []fulmar.Hardware{c.bus.As("bus", c.Resource)},
		Tasks: []fulmar.Task{{
			Name: "read", Period: 5 * time.Millisecond,
			Reads:  []fulmar.Input{c.settings.Of(&c.params)},
			Writes: []fulmar.Output{c.sample.As("sample")},
			Step:   c.read,
		}},
	}
}

// Start implements fulmar.Starter.
func (c *MPU6050Component) Start(context.Context) error {
	dev, err := OpenMPU6050(c.bus.Get(), c.params.Get().config())
	if err == nil {
		c.dev = dev
	}
	return err
}

// Stop implements fulmar.Stopper. A chip that has just failed would not hear it.
func (c *MPU6050Component) Stop(context.Context) error {
	if c.dev == nil || c.dev.Health().InARow > 0 {
		return nil
	}
	if err := c.dev.Close(); err != nil {
		return fmt.Errorf("put to sleep: %w", err)
	}
	return nil
}

// Renew implements fulmar.Renewer.
func (c *MPU6050Component) Renew() fulmar.Component {
	return &MPU6050Component{Name: c.Name, Resource: c.Resource, Defaults: c.Defaults}
}

func (c *MPU6050Component) read(s *fulmar.Step) error {
	p := c.settings.Get()
	c.watch.Errors, c.watch.Stale = p.Errors, p.Stale
	r, fresh, err := c.dev.Read()
	if fresh && err == nil {
		c.sample.Set(Sample{Accel: r.AccelMPS2, Rate: r.RateRadS, Temperature: r.TempC, Clipped: r.Clipped})
	}
	return c.watch.Saw(s, fresh, err)
}

// Register makes the components known to programs that read machines from files.
func Register(t *fulmar.Types) {
	t.Register(fulmar.Type{Name: "imu/mpu6050", Doc: "MPU-6050, acceleration and rate of turn, on I2C",
		New: func() fulmar.Component { return NewMPU6050Component() }})
}
