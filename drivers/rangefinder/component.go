package rangefinder

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/hal"
)

// VL53L1XComponent is a VL53L1X as a component: it publishes each new reading, also those whose distance is not valid. One that
// does not answer any more, or has nothing new, fails and is set up anew, until it is back.
type VL53L1XComponent struct {
	Name     string // "rangefinder"
	Resource hal.Resource
	Defaults VL53L1XParams

	params fulmar.Params[VL53L1XParams]
	bus    fulmar.Handle[hal.I2C]
	dev    *VL53L1X

	// What follows is read's own.
	settings fulmar.In[VL53L1XParams]
	distance fulmar.Out[Distance]
	watch    drivers.Watch
}

// VL53L1XParams are what can be set.
type VL53L1XParams struct {
	Mode      string        `doc:"how far it looks: 3.6, 2.9 or 1.36 m; the farther, the more light disturbs it" choices:"long,medium,short" rebuild:"true"`
	Budget    time.Duration `doc:"for one measurement; more of it makes it finer" min:"20ms" max:"1s" rebuild:"true"`
	Period    time.Duration `doc:"from one measurement to the next, at least the budget" min:"20ms" max:"1m" rebuild:"true"`
	LowPullup bool          `doc:"the bus is pulled up to 1.8 V, not to 2.8 V and more" rebuild:"true"`
	Errors    int           `doc:"borne in a row; after one more the device is set up anew" min:"1" max:"10000"`
	Stale     time.Duration `doc:"how long nothing may be new until the device is set up anew" min:"10ms" max:"10m"`
}

// modeNames are the modes as parameters have them.
var modeNames = []string{Long: "long", Medium: "medium", Short: "short"}

func (p VL53L1XParams) config() Config {
	return Config{Mode: Mode(max(0, slices.Index(modeNames, p.Mode))), BudgetUs: uint32(p.Budget.Microseconds()), PeriodMs: uint32(p.Period.Milliseconds()),
		Pullup1V8: p.LowPullup}
}

func (p VL53L1XParams) watch() drivers.Watch { return drivers.Watch{Errors: p.Errors, Stale: p.Stale} }

// Validate implements the machine's question whether the parameters fit together.
func (p *VL53L1XParams) Validate() error {
	if !slices.Contains(modeNames, p.Mode) {
		return fmt.Errorf("mode %q: want %s", p.Mode, strings.Join(modeNames, ", "))
	}
	c := p.config()
	if err := c.complete(); err != nil {
		return err
	}
	return p.watch().Validate(p.Period)
}

// NewVL53L1XComponent returns the component with its defaults: at 0x29 on i2c-1. It measures at 20 Hz by a clock of its own, and is
// asked more than twice as often, so that no measurement is missed.
func NewVL53L1XComponent() *VL53L1XComponent {
	return &VL53L1XComponent{Name: "rangefinder", Resource: hal.Resource{Path: "i2c-1", Address: 0x29},
		Defaults: VL53L1XParams{Mode: "long", Budget: 50 * time.Millisecond, Period: 50 * time.Millisecond, Errors: 10, Stale: time.Second}}
}

// Distance is one measurement.
type Distance struct {
	Distance float64 `unit:"m"` // 0 unless it is valid
	Valid    bool
	Status   Status  `unit:"1"`  // what it is worth
	Signal   float64 `unit:"Hz"` // photons of the target that are counted
	Ambient  float64 `unit:"Hz"` // and of other light, per detector
}

// Spec implements fulmar.Component.
func (c *VL53L1XComponent) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: c.Name, Parameters: c.params.As(c.Defaults), Restart: drivers.Restart(),
		Hardware: []fulmar.Hardware{c.bus.As("bus", c.Resource)},
		Tasks: []fulmar.Task{{
			Name: "read", Period: 20 * time.Millisecond,
			Reads:  []fulmar.Input{c.settings.Of(&c.params)},
			Writes: []fulmar.Output{c.distance.As("distance")},
			Step:   c.read,
		}},
	}
}

// Start implements fulmar.Starter.
func (c *VL53L1XComponent) Start(context.Context) error {
	dev, err := OpenVL53L1X(c.bus.Get(), c.params.Get().config())
	if err == nil {
		c.dev = dev
	}
	return err
}

// Stop implements fulmar.Stopper: the laser is switched off. A chip that has just failed would not hear it.
func (c *VL53L1XComponent) Stop(context.Context) error {
	if c.dev == nil || c.dev.Health().InARow > 0 {
		return nil
	}
	if err := c.dev.Close(); err != nil {
		return fmt.Errorf("stop measuring: %w", err)
	}
	return nil
}

// Renew implements fulmar.Renewer.
func (c *VL53L1XComponent) Renew() fulmar.Component {
	return &VL53L1XComponent{Name: c.Name, Resource: c.Resource, Defaults: c.Defaults}
}

func (c *VL53L1XComponent) read(s *fulmar.Step) error {
	p := c.settings.Get()
	c.watch.Errors, c.watch.Stale = p.Errors, p.Stale
	r, fresh, err := c.dev.Read()
	if fresh && err == nil {
		c.distance.Set(Distance{Distance: r.DistanceM, Valid: r.Status.Good(), Status: r.Status, Signal: r.SignalHz, Ambient: r.AmbientHz})
	}
	return c.watch.Saw(s, fresh, err)
}

// Register makes the components known to programs that read machines from files.
func Register(t *fulmar.Types) {
	t.Register(fulmar.Type{Name: "rangefinder/vl53l1x", Doc: "VL53L1X, distance by a laser, on I2C",
		New: func() fulmar.Component { return NewVL53L1XComponent() }})
}
