package pwm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"tinygo.org/x/drivers/pca9685"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/hal"
)

// PCA9685Component is a PCA9685 as a component: it puts out the pulses that another component, called control unless the
// machine says otherwise, sets at its port pulses: an Out of Pulses. Outputs are off until the first ones come, when none come
// any more, and when the component ends, whatever becomes of its steps. A chip that does not answer any more, or has lost its setup,
// fails and is set up anew, until it is back.
type PCA9685Component struct {
	Name     string // "pwm"
	Resource hal.Resource
	Defaults PCA9685Params

	params fulmar.Params[PCA9685Params]
	bus    fulmar.Handle[hal.I2C]
	dev    *PCA9685
	asked  int64 // ns, of the period that was asked for
	period int64 // ns, of the chip: the one that is nearest

	// What follows is write's own.
	settings fulmar.In[PCA9685Params]
	pulses   fulmar.In[Pulses]
	put      fulmar.Out[Pulses]
	watch    drivers.Watch
	version  uint64          // of the last pulses
	silence  time.Duration   // since they came
	high     [Channels]int64 // ns, as the chip has it; unknown after an error
}

// PCA9685Params are what can be set.
type PCA9685Params struct {
	Period     time.Duration `doc:"of the pulses" min:"656us" max:"41900us" rebuild:"true"`
	Oscillator float64       `unit:"MHz" doc:"the chip's clock, by which the pulses can be trimmed" min:"1" max:"50" rebuild:"true"`
	OpenDrain  bool          `doc:"outputs are open where they are high, not driven" rebuild:"true"`
	Timeout    time.Duration `doc:"how long pulses are put out without new ones" min:"1ms" max:"1m"`
	Errors     int           `doc:"borne in a row; after one more the device is set up anew" min:"1" max:"10000"`
}

func (p PCA9685Params) config() Config {
	return Config{PeriodNs: p.Period.Nanoseconds(), OscillatorHz: 1e6 * p.Oscillator, OpenDrain: p.OpenDrain}
}

// Validate implements the machine's question whether the parameters fit together.
func (p *PCA9685Params) Validate() error {
	c := p.config()
	_, err := c.complete()
	return err
}

// NewPCA9685Component returns the component with its defaults: at 0x40 on i2c-1, with pulses each 20 ms, for servos.
func NewPCA9685Component() *PCA9685Component {
	return &PCA9685Component{Name: "pwm", Resource: hal.Resource{Path: "i2c-1", Address: 0x40},
		Defaults: PCA9685Params{Period: 20 * time.Millisecond, Oscillator: 25, Timeout: 200 * time.Millisecond, Errors: 10}}
}

// Pulses are how long each output is high in a period. 0 is off. What is no time from 0 to the period is off too, and the
// component says so.
type Pulses struct {
	High [Channels]float64 `unit:"s"`
}

// Spec implements fulmar.Component.
func (c *PCA9685Component) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: c.Name, DependsOn: []string{"control"}, Parameters: c.params.As(c.Defaults), Restart: drivers.Restart(),
		Hardware: []fulmar.Hardware{c.bus.AtRest(Off).As("bus", c.Resource)},
		Tasks: []fulmar.Task{{
			Name: "write", Period: 20 * time.Millisecond,
			Reads:  []fulmar.Input{c.pulses.From("control/pulses"), c.settings.Of(&c.params)},
			Writes: []fulmar.Output{c.put.As("output")},
			Step:   c.write,
		}},
	}
}

// Start implements fulmar.Starter.
func (c *PCA9685Component) Start(context.Context) error {
	dev, err := OpenPCA9685(c.bus.Get(), c.params.Get().config())
	if err == nil {
		c.dev, c.asked, c.period = dev, c.params.Get().Period.Nanoseconds(), dev.Period()
	}
	return err
}

// Renew implements fulmar.Renewer.
func (c *PCA9685Component) Renew() fulmar.Component {
	return &PCA9685Component{Name: c.Name, Resource: c.Resource, Defaults: c.Defaults}
}

// write sets the outputs that change, and looks whether the chip is still as it was set up: at most 17 transactions.
func (c *PCA9685Component) write(s *fulmar.Step) error {
	p := c.settings.Get()
	c.watch.Errors, c.watch.Stale = p.Errors, math.MaxInt64 // it has no news of its own
	c.silence += s.Dt
	switch v := c.pulses.Version(); {
	case c.version == 0 && v != 0 && s.Run == 0:
		c.version = v // from before this component was: it says nothing about now
		c.silence = p.Timeout
	case v != c.version:
		c.version, c.silence = v, 0
	}
	wanted, wrong := c.wanted(p)
	err := c.set(&wanted)
	if err == nil {
		err = c.dev.Check()
	}
	if errors.Is(err, ErrReset) {
		return err
	}
	failure := c.watch.Saw(s, true, err)
	switch {
	case failure != nil || err != nil: // the watch has said what there is to say
	case c.silence >= p.Timeout || c.version == 0:
		s.Degraded("no command")
	case wrong:
		s.Degraded("a pulse that cannot be: its output is off")
	}
	return failure
}

// wanted returns what is to be put out, in ns, and whether something else was asked for.
func (c *PCA9685Component) wanted(p PCA9685Params) (high [Channels]int64, wrong bool) {
	if c.version == 0 || c.silence >= p.Timeout {
		return high, false
	}
	in := c.pulses.Get()
	for i, h := range in.High {
		ns := math.Round(h * 1e9)
		if !(ns >= 0 && ns <= float64(max(c.asked, c.period))) {
			wrong = true
			continue
		}
		high[i] = min(int64(ns), c.period)
	}
	return high, wrong
}

// unknown is what an output has after an error: the chip may have taken what it did not acknowledge.
const unknown = -1

// set sets the outputs that are not as wanted yet, and publishes what they are if something has changed.
func (c *PCA9685Component) set(wanted *[Channels]int64) error {
	if *wanted == c.high {
		return nil
	}
	for i := range c.high {
		if wanted[i] == c.high[i] {
			continue
		}
		if err := c.dev.channels[i].Set(c.period, wanted[i]); err != nil {
			c.high[i] = unknown
			return err
		}
		c.high[i] = wanted[i]
	}
	var out Pulses
	for i, ns := range c.high {
		out.High[i] = float64(ns) / 1e9
	}
	c.put.Set(out)
	return nil
}

// Off switches all outputs of a chip off, whatever its setup, in two transactions. A chip that cannot be a PCA9685 it leaves alone.
func Off(bus hal.I2C) error {
	var mode2 [1]byte
	if err := bus.Tx([]byte{pca9685.MODE2}, mode2[:]); err == nil && mode2[0]&reserved != 0 {
		return nil
	}
	if err := bus.Tx([]byte{allOff, fullBit}, nil); err != nil {
		return fmt.Errorf("pwm: pca9685: off: %w", err)
	}
	return nil
}

// Register makes the components known to programs that read machines from files.
func Register(t *fulmar.Types) {
	t.Register(fulmar.Type{Name: "pwm/pca9685", Doc: "PCA9685, 16 outputs of pulses, on I2C; another component's port pulses says how long they are",
		New: func() fulmar.Component { return NewPCA9685Component() }})
}
