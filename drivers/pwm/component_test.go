package pwm_test

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers/pwm"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
	"github.com/fulmar-io/fulmar/internal/rig"
)

// control sets the first two outputs, as long as it is not mute.
type control struct {
	pulses fulmar.Out[pwm.Pulses]
	high   [2]float64
	mute   atomic.Bool
}

func (c *control) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "control", Tasks: []fulmar.Task{{Name: "control", Period: 20 * time.Millisecond,
		Writes: []fulmar.Output{c.pulses.As("pulses")}, Step: c.step}}}
}

func (c *control) step(*fulmar.Step) error {
	if !c.mute.Load() {
		var p pwm.Pulses
		p.High[0], p.High[1] = c.high[0], c.high[1]
		c.pulses.Set(p)
	}
	return nil
}

func TestComponentOnBadBuses(t *testing.T) {
	rig.Device{
		New:        func() fulmar.Component { return pwm.NewPCA9685Component() },
		With:       func() []fulmar.Component { return []fulmar.Component{&control{high: [2]float64{1.5e-3, 0.02}}} },
		Chip:       func() hal.I2C { return newModel().I2C() },
		Wrong:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x01}, Answer: []byte{0xE4}},
		WrongError: "pwm: pca9685: open: register 0x1 reads 0xe4, and of a PCA9685 it reads 0x4",
	}.Test(t)
}

// chip is a model that is looked at while it is used.
type chip struct {
	mu sync.Mutex
	m  *model
}

func (c *chip) Tx(w, r []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m.I2C().Tx(w, r)
}

func (c *chip) high(n int) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, high := c.m.output(n, 25e6)
	return high
}

func (c *chip) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m.reset()
}

// What is set is put out; without new pulses nothing is, nor after a step that hangs, nor at the end; a chip that has lost its setup
// gets it again.
func TestComponentPutsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ctl := &chip{m: newModel()}, &control{high: [2]float64{1.5e-3, 1e-3}}
		bus := rig.NewBus(func() hal.I2C { return c })
		m := rig.Run(t, rig.Options(bus, pwm.NewPCA9685Component(), ctl))
		on := func() {
			t.Helper()
			m.Until("pwm", "putting out", time.Second, func(h fulmar.Health) bool {
				return rig.IsOK(h) && math.Abs(c.high(0)-1.5e6) < 2500 && math.Abs(c.high(1)-1e6) < 2500
			})
			if other := c.high(2); other != 0 {
				t.Errorf("an output that nobody has set is high for %v ns", other)
			}
		}
		off := func() {
			t.Helper()
			for n := range 16 {
				if h := c.high(n); h != 0 {
					t.Errorf("output %d is high for %v ns", n, h)
				}
			}
		}
		on()

		ctl.mute.Store(true)
		m.Until("pwm", "degraded", time.Second, func(h fulmar.Health) bool { return h.Reason == "no command" })
		off()
		ctl.mute.Store(false)
		on()

		c.reset()
		m.Until("pwm", "made again", 200*time.Millisecond, func(h fulmar.Health) bool { return h.Restarts == 1 })
		on()

		until := make(chan struct{})
		bus.Hang(until)
		rig.Pass(100 * time.Millisecond) // in the midst of a call
		bus.Hang(nil)                    // what comes after it is not held back
		m.Until("pwm", "given up", 3*time.Second, func(h fulmar.Health) bool { return h.Status == fulmar.StatusFailed })
		off()
		close(until)
		m.Until("pwm", "made again", time.Second, func(h fulmar.Health) bool { return h.Restarts == 2 })
		on()

		if err := m.Stop(); err != nil {
			t.Error(err)
		}
		off()
	})
}

// deaf is a chip of which one acknowledgement gets lost, when its first output is set to something: it has taken that.
type deaf struct {
	chip
	lost atomic.Int32
}

func (c *deaf) Tx(w, r []byte) error {
	err := c.chip.Tx(w, r)
	if len(w) == 5 && w[0] == 0x06 && w[3]|w[4]&0x0F != 0 && c.lost.CompareAndSwap(0, 1) {
		return hal.ErrNoAnswer
	}
	return err
}

// Pulses that the chip has taken without saying so, and that are not wanted any more in the next step, end.
func TestPulsesTakenUnheard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &deaf{chip: chip{m: newModel()}}
		m := rig.Run(t, rig.Options(rig.NewBus(func() hal.I2C { return c }), pwm.NewPCA9685Component(), &until{lost: &c.lost}))
		m.Until("pwm", "ok", time.Second, func(h fulmar.Health) bool { return rig.IsOK(h) && c.lost.Load() == 1 })
		rig.Pass(100 * time.Millisecond)
		if h := c.high(0); h != 0 {
			t.Errorf("nothing is wanted any more, and the output is high for %v ns", h)
		}
	})
}

// until sets a pulse until an acknowledgement is lost, and then none; more often than pulses are put out.
type until struct {
	pulses fulmar.Out[pwm.Pulses]
	lost   *atomic.Int32
}

func (c *until) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "control", Tasks: []fulmar.Task{{Name: "control", Period: time.Millisecond,
		Writes: []fulmar.Output{c.pulses.As("pulses")}, Step: c.step}}}
}

func (c *until) step(*fulmar.Step) error {
	var p pwm.Pulses
	if c.lost.Load() == 0 {
		p.High[0] = 1.5e-3
	}
	c.pulses.Set(p)
	return nil
}

func TestParameters(t *testing.T) {
	for _, p := range []struct {
		period time.Duration
		mhz    float64
		fit    bool
	}{{20 * time.Millisecond, 25, true}, {656 * time.Microsecond, 25, true}, {41900 * time.Microsecond, 25, true},
		{656 * time.Microsecond, 1, false}, {41900 * time.Microsecond, 50, false}, {20 * time.Millisecond, 60, false}} {
		params := pwm.NewPCA9685Component().Defaults
		params.Period, params.Oscillator = p.period, p.mhz
		if err := params.Validate(); (err == nil) != p.fit {
			t.Errorf("%s at %v MHz: %v", p.period, p.mhz, err)
		}
	}
}

// What cannot be put out is not, and said.
func TestPulsesThatCannotBe(t *testing.T) {
	for _, high := range []float64{-1e-3, 0.021, math.NaN(), math.Inf(1)} {
		synctest.Test(t, func(t *testing.T) {
			c := &chip{m: newModel()}
			m := rig.Run(t, rig.Options(rig.NewBus(func() hal.I2C { return c }), pwm.NewPCA9685Component(), &control{high: [2]float64{high, 1e-3}}))
			m.Until("pwm", "degraded", time.Second, func(h fulmar.Health) bool { return h.Reason == "a pulse that cannot be: its output is off" })
			if a, b := c.high(0), c.high(1); a != 0 || math.Abs(b-1e6) > 2500 {
				t.Errorf("high for %v and %v ns", a, b)
			}
		})
	}
}
