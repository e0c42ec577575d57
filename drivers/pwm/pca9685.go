package pwm

import (
	"errors"
	"fmt"
	"math"

	"tinygo.org/x/drivers/pca9685"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/internal/registers"
	"github.com/fulmar-io/fulmar/drivers/tinygo"
	"github.com/fulmar-io/fulmar/hal"
)

// ErrPeriod is of a period that is not the chip's: all its channels share one, which is set when it is opened.
var ErrPeriod = fmt.Errorf("another period than the chip's: %w", hal.ErrRange)

// ErrReset is of a chip that has lost its setup, as it does when its power fails for a moment. Its outputs are off then.
var ErrReset = errors.New("the chip has lost its setup: was its power gone?")

// Channels is how many outputs a PCA9685 has.
const Channels = 16

// Config is how a PCA9685 puts out pulses.
type Config struct {
	// PeriodNs is from one pulse to the next, in ns: 656 µs to 41.9 ms with the chip's own oscillator. 0: 20 ms, for servos.
	// The chip divides its clock by whole numbers: see Period.
	PeriodNs int64
	// OscillatorHz is the chip's clock: its own is 25 MHz nominally, and may be off by several per cent. 0: 25 MHz.
	OscillatorHz float64
	// OpenDrain leaves outputs open where they are high; else they are driven.
	OpenDrain bool
}

// PCA9685 is such a chip. It, with all its channels, belongs to one goroutine.
type PCA9685 struct {
	chip     registers.Chip
	bus      *tinygo.Bus
	dev      pca9685.Dev
	channels [Channels]channel
	stepNs   float64 // 1/4096 of a period
	prescale byte
	mode2    byte
}

const (
	steps    = 4096
	fullBit  = 1 << 4 // of LEDn_ON_H: always on; of LEDn_OFF_H: always off, which wins
	allOff   = 0xFD   // ALL_LED_OFF_H
	reserved = 0xE0   // of MODE2, and 0
	modes    = pca9685.RESET | pca9685.EXTCLK | pca9685.AI | pca9685.SLEEP
)

// complete fills in what is 0, and returns by what the chip divides its clock, and then by 4096.
func (c *Config) complete() (divider float64, err error) {
	if c.PeriodNs == 0 {
		c.PeriodNs = 20_000_000
	}
	if c.OscillatorHz == 0 {
		c.OscillatorHz = 25e6
	}
	if !(c.OscillatorHz >= 1e6 && c.OscillatorHz <= 50e6) {
		return 0, fmt.Errorf("an oscillator of %v Hz: want 1 to 50 MHz", c.OscillatorHz)
	}
	divider = math.Round(c.OscillatorHz * float64(c.PeriodNs) / 1e9 / steps)
	if divider < 4 || divider > 256 {
		return 0, fmt.Errorf("a period of %d ns: want %.0f to %.0f", c.PeriodNs, 4*steps*1e9/c.OscillatorHz, 256*steps*1e9/c.OscillatorHz)
	}
	return divider, nil
}

// OpenPCA9685 sets the chip up, with all outputs off, and checks by reading back that it is a PCA9685 (it has no identity). It
// takes at most 20 transactions, and 1 ms for its oscillator to start.
func OpenPCA9685(bus hal.I2C, c Config) (*PCA9685, error) {
	const address = 0x40
	d := &PCA9685{chip: registers.New(bus, "pwm: pca9685", "PCA9685", false), bus: tinygo.NewBus(bus, address)}
	d.dev = pca9685.New(d.bus, address)
	divider, err := c.complete()
	if err != nil {
		return nil, d.chip.Fail("open", err)
	}
	d.prescale, d.stepNs = byte(divider-1), divider*1e9/c.OscillatorHz
	for i := range d.channels {
		d.channels[i] = channel{d, uint16(pca9685.LEDSTART + 4*i)}
	}
	return d, d.start(c)
}

func (d *PCA9685) start(c Config) error {
	mode2, err := d.chip.Read("open", uint16(pca9685.MODE2), 1)
	if err != nil {
		return err
	}
	if mode2[0]&reserved != 0 {
		return d.chip.Fail("open", &drivers.WrongChipError{Chip: "PCA9685", Register: uint16(pca9685.MODE2), Want: uint32(mode2[0] &^ reserved), Found: uint32(mode2[0])})
	}
	d.mode2 = mode2[0]&^(pca9685.OUTDRV|pca9685.INVRT) | pca9685.OUTDRV
	if c.OpenDrain {
		d.mode2 &^= pca9685.OUTDRV
	}
	// Off before anything else: a motor may be running since before a restart. The clock's divider takes effect asleep only.
	if err := d.chip.Write("open", allOff, fullBit); err != nil {
		return err
	}
	err = d.bus.Do(12, func() error {
		return errors.Join(d.dev.SetAI(true), d.dev.SetDrive(!c.OpenDrain), d.dev.SetInverting(0, false), d.dev.Sleep(true))
	})
	if err != nil {
		return d.chip.Fail("open", err)
	}
	if err := d.chip.Write("open", uint16(pca9685.PRESCALE), d.prescale); err != nil {
		return err
	}
	if err := d.bus.Do(2, func() error { return d.dev.Sleep(false) }); err != nil {
		return d.chip.Fail("open", err)
	}
	return d.check("open")
}

func (d *PCA9685) check(op string) error {
	mode1, err := d.chip.Read(op, uint16(pca9685.MODE1), 1)
	if err != nil {
		return err
	}
	if mode1[0]&modes != pca9685.AI {
		return d.chip.Fail(op, &drivers.WrongChipError{Chip: "PCA9685", Register: uint16(pca9685.MODE1), Want: uint32(pca9685.AI), Found: uint32(mode1[0] & modes)})
	}
	if err := d.chip.Expect(op, uint16(pca9685.MODE2), d.mode2); err != nil {
		return err
	}
	return d.chip.Expect(op, uint16(pca9685.PRESCALE), d.prescale)
}

// Check reads back whether the chip still has its setup, and returns ErrReset if not: it has lost the channels too then, and is
// to be opened again. It takes one transaction and allocates nothing. A component that only writes calls it now and then.
func (d *PCA9685) Check() error {
	b, err := d.chip.Read("check", uint16(pca9685.MODE1), 2)
	if err == nil && (b[0]&modes != pca9685.AI || b[1] != d.mode2) {
		err = d.chip.Fail("check", ErrReset)
	}
	d.chip.Health.Note(false, err)
	return err
}

// Period returns the period that the chip has, in ns: the one that is nearest to what was asked for.
func (d *PCA9685) Period() int64 { return int64(math.Round(d.stepNs * steps)) }

// Channel returns an output, 0 to 15. It does one transaction per Set and allocates nothing. A period that differs from Period
// by more than half a step of the chip's divider, 0.4 % at 20 ms, is ErrPeriod. The high time is rounded to 1/4096 of the period.
func (d *PCA9685) Channel(n int) (hal.PWM, error) {
	if n < 0 || n >= Channels {
		return nil, d.chip.Fail("channel", hal.ErrRange)
	}
	return &d.channels[n], nil
}

type channel struct {
	d        *PCA9685
	register uint16
}

// Set implements hal.PWM.
func (c *channel) Set(period, high int64) error {
	err := c.set(period, high)
	c.d.chip.Health.Note(err == nil, err)
	return err
}

func (c *channel) set(period, high int64) error {
	d := c.d
	if high < 0 || high > period {
		return d.chip.Fail("set", hal.ErrRange)
	}
	if half := d.stepNs * steps / (float64(d.prescale) + 1) / 2; math.Abs(float64(period)-d.stepNs*steps) > half {
		return d.chip.Fail("set", ErrPeriod)
	}
	// From step 0 to step n of each period; both ends are no pulses, and have bits of their own.
	n := int(math.Round(float64(high) / d.stepNs))
	var on, off uint16
	switch {
	case n == 0:
		off = fullBit << 8
	case n >= steps || high == period:
		on = fullBit << 8
	default:
		off = uint16(n)
	}
	return d.chip.Write("set", c.register, byte(on), byte(on>>8), byte(off), byte(off>>8))
}

// Health returns how the device is: what was set counts as a reading.
func (d *PCA9685) Health() drivers.Health { return d.chip.Health }

// Close switches all outputs off and puts the chip to sleep. The handle is the caller's to close.
func (d *PCA9685) Close() error {
	if err := d.chip.Write("close", allOff, fullBit); err != nil {
		return err
	}
	if err := d.bus.Do(2, func() error { return d.dev.Sleep(true) }); err != nil {
		return d.chip.Fail("close", err)
	}
	return nil
}
