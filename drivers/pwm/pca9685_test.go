package pwm_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/internal/drivertest"
	"github.com/fulmar-io/fulmar/drivers/pwm"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// model is a PCA9685: registers as at power-up; a divider that is only taken asleep; registers for all outputs at once; and
// outputs that follow from what is written.
type model struct{ *haltest.Registers }

func newModel() *model {
	m := &model{haltest.NewRegisters(haltest.Layout{Registers: 256})}
	m.reset()
	m.OnWrite = func(register int, v uint16) uint16 {
		switch {
		case register == 0x00:
			m.Fixed = v&0x20 == 0
		case register == 0x01:
			return v & 0x1F
		case register == 0xFE && m.Get(0)&0x10 == 0:
			return m.Get(0xFE)
		case register >= 0xFA && register <= 0xFD:
			for n := range 16 {
				m.Set(6+4*n+register-0xFA, v)
			}
		}
		return v
	}
	return m
}

func (m *model) reset() {
	m.Fixed = true
	m.Set(0x00, 0x11, 0x04)
	for n := range 16 {
		m.Set(6+4*n, 0, 0, 0, 0x10)
	}
	m.Set(0xFE, 0x1E)
}

// output returns the period and the high time of an output, in ns, as the document says (7.3.3 to 7.3.5).
func (m *model) output(n int, oscillator float64) (period, high float64) {
	on := m.Get(6+4*n) | m.Get(7+4*n)<<8
	off := m.Get(8+4*n) | m.Get(9+4*n)<<8
	period = (float64(m.Get(0xFE)) + 1) * 4096 / oscillator * 1e9
	switch {
	case m.Get(0)&0x10 != 0 || off&0x1000 != 0:
		return period, 0
	case on&0x1000 != 0:
		return period, period
	}
	return period, float64((off-on)&0xFFF) / 4096 * period
}

func TestPCA9685OnBadBuses(t *testing.T) {
	drivertest.Driver{
		Chip: func() hal.I2C { return newModel().I2C() },
		Open: func(bus hal.I2C) (func() (bool, error), error) {
			d, err := pwm.OpenPCA9685(bus, pwm.Config{})
			if err != nil {
				return nil, err
			}
			servo, err := d.Channel(3)
			if err != nil {
				return nil, err
			}
			return func() (bool, error) {
				if err := servo.Set(20e6, 1.5e6); err != nil {
					return false, err
				}
				err := d.Check()
				return err == nil, err
			}, nil
		},
		OpenWithin: 20, CallWithin: 2, Prefix: "pwm: pca9685: ",
		Wrong:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x01}, Answer: []byte{0xE4}},
		WrongError: "register 0x1 reads 0xe4, and of a PCA9685 it reads 0x4",
	}.Test(t)
}

// Whatever is set is what comes out, to half a step of 1/4096; the period to half a step of the divider.
func TestPulses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		c := pwm.Config{
			PeriodNs:     rapid.SampledFrom([]int64{700_000, 1_000_000, 2_500_000, 20_000_000, 38_000_000}).Draw(t, "period"),
			OscillatorHz: rapid.SampledFrom([]float64{24.2e6, 25e6, 26.6e6}).Draw(t, "oscillator"),
		}
		d, err := pwm.OpenPCA9685(m.I2C(), c)
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(0, 15).Draw(t, "channel")
		out, err := d.Channel(n)
		if err != nil {
			t.Fatal(err)
		}
		want := rapid.OneOf(rapid.SampledFrom([]int64{0, 1, c.PeriodNs / 2, c.PeriodNs - 1, c.PeriodNs}), rapid.Int64Range(0, c.PeriodNs)).Draw(t, "high")
		if err := out.Set(c.PeriodNs, want); err != nil {
			t.Fatal(err)
		}
		period, high := m.output(n, c.OscillatorHz)
		if math.Abs(period-float64(c.PeriodNs)) > 0.5*4096/c.OscillatorHz*1e9 || math.Abs(period-float64(d.Period())) > 1 {
			t.Fatalf("a period of %v ns, it says %d, want %d", period, d.Period(), c.PeriodNs)
		}
		// A pulse that is longer than the chip's period can only be as long as that.
		if diff := math.Abs(high - min(float64(want), period)); diff > period/8192+1 && want != c.PeriodNs {
			t.Fatalf("high for %v ns, want %d", high, want)
		}
		if want == 0 && high != 0 || want == c.PeriodNs && high != period {
			t.Fatalf("high for %v of %v ns, want %d of %d", high, period, want, c.PeriodNs)
		}
		if want == 0 && m.Get(9+4*n) != 0x10 {
			t.Fatal("no pulses are not switched off: equal counts are not to be programmed")
		}
		for other := range 16 {
			if _, high := m.output(other, c.OscillatorHz); other != n && high != 0 {
				t.Fatalf("channel %d is on, %d was set", other, n)
			}
		}
	})
}

// A servo's middle, as the document computes it: 25 MHz / 4096 / 50 Hz − 1 is 121; 1.5 ms is 307 steps.
func TestServo(t *testing.T) {
	m := newModel()
	d, err := pwm.OpenPCA9685(m.I2C(), pwm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if p := m.Get(0xFE); p != 121 || d.Period() != 19988480 {
		t.Error(p, d.Period())
	}
	if mode1, mode2 := m.Get(0), m.Get(1); mode1 != 0x21 || mode2 != 0x04 {
		t.Errorf("%#x, %#x", mode1, mode2)
	}
	servo, err := d.Channel(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := servo.Set(20_000_000, 1_500_000); err != nil || m.Get(6) != 0 || m.Get(7) != 0 || m.Get(8) != 307&0xFF || m.Get(9) != 307>>8 {
		t.Error(err, m.Get(8), m.Get(9))
	}
	for _, bad := range [][2]int64{{20_000_000, -1}, {20_000_000, 20_000_001}, {10_000_000, 1}, {19_900_000, 1}, {20_100_000, 1}, {0, 0}} {
		if err := servo.Set(bad[0], bad[1]); !errors.Is(err, hal.ErrRange) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if m.Get(8) != 307&0xFF {
		t.Error("what was refused was set")
	}
	for _, n := range []int{-1, 16} {
		if _, err := d.Channel(n); !errors.Is(err, hal.ErrRange) {
			t.Error(n, err)
		}
	}
	if h := d.Health(); h.Readings != 1 || h.Errors != 6 {
		t.Errorf("%+v", h)
	}
}

// A restart finds motors off, at once, and a chip whose power was gone is found out.
func TestSafety(t *testing.T) {
	m := newModel()
	d, err := pwm.OpenPCA9685(m.I2C(), pwm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	motor, err := d.Channel(7)
	if err != nil {
		t.Fatal(err)
	}
	if err := motor.Set(20e6, 20e6); err != nil {
		t.Fatal(err)
	}
	onWrite, writes := m.OnWrite, 0
	m.OnWrite = func(register int, v uint16) uint16 {
		if writes++; writes == 1 && register != 0xFD {
			t.Errorf("the first thing that is written is register %#x", register)
		}
		return onWrite(register, v)
	}
	if d, err = pwm.OpenPCA9685(m.I2C(), pwm.Config{}); err != nil {
		t.Fatal(err)
	}
	if _, high := m.output(7, 25e6); high != 0 {
		t.Error("the motor runs on")
	}
	if err := d.Check(); err != nil {
		t.Error(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = d.Check() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	m.reset()
	if err := d.Check(); !errors.Is(err, pwm.ErrReset) {
		t.Error(err)
	}

	m = newModel()
	if d, err = pwm.OpenPCA9685(m.I2C(), pwm.Config{OpenDrain: true}); err != nil || m.Get(1) != 0 {
		t.Error(err, m.Get(1))
	}
	if motor, err = d.Channel(7); err != nil {
		t.Fatal(err)
	}
	if err := motor.Set(20e6, 20e6); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil || m.Get(0)&0x10 == 0 || m.Get(9+4*7)&0x10 == 0 {
		t.Error("closed, it is not off", err)
	}
}

// A divider that the chip does not take is found out.
func TestSetupIsReadBack(t *testing.T) {
	m := newModel()
	onWrite := m.OnWrite
	m.OnWrite = func(register int, v uint16) uint16 {
		if register == 0xFE {
			return 0x1E
		}
		return onWrite(register, v)
	}
	var wrong *drivers.WrongChipError
	if _, err := pwm.OpenPCA9685(m.I2C(), pwm.Config{}); !errors.As(err, &wrong) || wrong.Register != 0xFE || wrong.Found != 0x1E || wrong.Want != 121 {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []pwm.Config{{PeriodNs: -1}, {PeriodNs: 500_000}, {PeriodNs: 43_000_000}, {OscillatorHz: -1}, {OscillatorHz: 1e9}, {OscillatorHz: math.NaN()}} {
		if _, err := pwm.OpenPCA9685(newModel().I2C(), c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func Example() {
	d, err := pwm.OpenPCA9685(newModel().I2C(), pwm.Config{}) // the model stands for a handle
	if err != nil {
		fmt.Println(err)
		return
	}
	servo, err := d.Channel(0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(servo.Set(20_000_000, 1_500_000), d.Period())
	fmt.Println(servo.Set(10_000_000, 1_500_000))
	// Output:
	// <nil> 19988480
	// pwm: pca9685: set: another period than the chip's: out of range
}
