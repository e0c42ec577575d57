package power_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/internal/drivertest"
	"github.com/fulmar-io/fulmar/drivers/power"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// model is an INA219: a reset sets its registers to what they are at power-up; the shunt's voltage ends at the amplifier's
// range; it is ready when it measures and its power was not read since.
type model struct {
	*haltest.Registers
	busV, shuntV float64
	read         bool // the power was, and nothing new came
	still        bool
}

func newModel(busV, shuntV float64) *model {
	m := &model{Registers: haltest.NewRegisters(haltest.Layout{Registers: 6, Width: 2, Fixed: true}), busV: busV, shuntV: shuntV}
	m.Set(0, 0x1234)
	m.OnWrite = func(register int, v uint16) uint16 {
		switch {
		case register == 0 && v&0x8000 != 0:
			m.Set(1, 0, 0, 0, 0, 0)
			return 0x399F
		case register == 5:
			return v &^ 1
		case register > 0:
			return m.Get(register)
		}
		return v
	}
	m.OnRead = m.measure
	return m
}

func (m *model) measure(register int) {
	config := m.Get(0)
	switch register {
	case 1:
		end := float64(int(4000) << (config >> 11 & 3))
		m.Set(1, uint16(int16(max(-end, min(end, math.Round(m.shuntV*1e5))))))
	case 2:
		m.read = m.read && m.still
		v := uint16(math.Round(m.busV/0.004)) << 3
		if config&7 == 7 && !m.read {
			v |= 2
		}
		m.Set(2, v)
	case 3:
		m.read = true
	}
}

func open(bus hal.I2C) (*power.INA219, error) {
	return power.OpenINA219(bus, power.Config{ShuntOhm: 0.1, MaxCurrentA: 3})
}

func TestINA219OnBadBuses(t *testing.T) {
	drivertest.Driver{
		Chip: func() hal.I2C {
			m := newModel(12, 0.05)
			measure := m.OnRead
			m.OnRead = func(register int) { m.read = false; measure(register) }
			return m.I2C()
		},
		Open: func(bus hal.I2C) (func() (bool, error), error) {
			d, err := open(bus)
			if err != nil {
				return nil, err
			}
			return func() (bool, error) { _, fresh, err := d.Read(); return fresh, err }, nil
		},
		OpenWithin: 10, CallWithin: 3, Prefix: "power: ina219: ",
		Wrong:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0}, Answer: []byte{0x41, 0x27}},
		WrongError: "register 0x0 reads 0x4127, and of a INA219 after its reset it reads 0x399f",
	}.Test(t)
}

// Voltages within half a step of 4 mV and 10 µV are what comes out, for any shunt; current and power by Ohm's law.
func TestReadings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := power.Config{ShuntOhm: rapid.SampledFrom([]float64{0.001, 0.01, 0.05, 0.1, 2}).Draw(t, "ohm"), Range16V: rapid.Bool().Draw(t, "16 V")}
		c.MaxCurrentA = rapid.Float64Range(0.01, 0.32).Draw(t, "mV") / c.ShuntOhm
		amps := rapid.Float64Range(-c.MaxCurrentA, c.MaxCurrentA).Draw(t, "A") * 0.99
		volts := rapid.Float64Range(0, 26).Draw(t, "V")
		if c.Range16V {
			volts /= 2
		}
		m := newModel(volts, amps*c.ShuntOhm)
		d, err := power.OpenINA219(m.I2C(), c)
		if err != nil {
			t.Fatal(err)
		}
		r, fresh, err := d.Read()
		if !fresh || err != nil || r.Clipped {
			t.Fatal(r, fresh, err)
		}
		if math.Abs(r.BusV-volts) > 0.0021 || math.Abs(r.CurrentA-amps) > 0.51e-5/c.ShuntOhm || math.Abs(r.ShuntV-amps*c.ShuntOhm) > 0.51e-5 {
			t.Fatalf("%+v, want %v V, %v A", r, volts, amps)
		}
		if want := r.BusV * r.CurrentA; r.PowerW != want {
			t.Fatalf("%v W, want %v", r.PowerW, want)
		}
	})
}

// Known registers, the document's own example values: 4 mV and 10 µV a step, 24 V above the sign bit.
func TestKnownRegisters(t *testing.T) {
	for _, c := range []struct {
		bus, shunt             uint16
		volts, amps            float64
		clipped, fresh, failed bool
	}{
		{bus: 0x1F40<<3 | 2, shunt: 0x7D00, volts: 32, amps: 3.2, clipped: true, fresh: true},
		{bus: 6000<<3 | 2, shunt: 2000, volts: 24, amps: 0.2, fresh: true},
		{bus: 6000<<3 | 2, shunt: 0xF830, volts: 24, amps: -0.2, fresh: true},
		{bus: 6000<<3 | 2, shunt: 0x8300, volts: 24, amps: -3.2, clipped: true, fresh: true},
		{bus: 6000 << 3, shunt: 2000},
		{bus: 8001<<3 | 2, shunt: 2000, failed: true},
		{bus: 6000<<3 | 2, shunt: 32001, failed: true},
		{bus: 6000<<3 | 2, shunt: 0x8000, failed: true},
	} {
		m := newModel(0, 0)
		d, err := open(m.I2C())
		if err != nil {
			t.Fatal(err)
		}
		m.OnRead = nil
		m.Set(1, c.shunt, c.bus)
		r, fresh, err := d.Read()
		if fresh != c.fresh || errors.Is(err, drivers.ErrImplausible) != c.failed || math.Abs(r.BusV-c.volts) > 1e-9 || math.Abs(r.CurrentA-c.amps) > 1e-9 || r.Clipped != c.clipped {
			t.Errorf("%+v: %+v, %v, %v", c, r, fresh, err)
		}
	}
}

func TestSetup(t *testing.T) {
	for _, c := range []struct {
		config power.Config
		pga    uint16
	}{
		{power.Config{ShuntOhm: 0.1, MaxCurrentA: 0.4}, 0},
		{power.Config{ShuntOhm: 0.1, MaxCurrentA: 0.41}, 1},
		{power.Config{ShuntOhm: 0.1, MaxCurrentA: 1.6}, 2},
		{power.Config{ShuntOhm: 0.1, MaxCurrentA: 3.2}, 3},
		{power.Config{ShuntOhm: 0.0001, MaxCurrentA: 1, Range16V: true}, 0},
	} {
		m := newModel(0, 0)
		if _, err := power.OpenINA219(m.I2C(), c.config); err != nil {
			t.Fatal(err)
		}
		config := m.Get(0)
		if config>>11&3 != c.pga || config>>13&1 == 1 == c.config.Range16V || config&0x7FF != 0x19F {
			t.Errorf("%+v: %#x", c.config, config)
		}
		// The current's register counts in steps of 0.04096 / (Cal × shunt): the whole range is within 15 bits.
		if steps := c.config.MaxCurrentA / (0.04096 / (float64(m.Get(5)) * c.config.ShuntOhm)); steps > 32769 || steps < 100 {
			t.Errorf("%+v: calibration %d: %v steps", c.config, m.Get(5), steps)
		}
	}
	for _, c := range []power.Config{{}, {ShuntOhm: 0.1}, {MaxCurrentA: 1}, {ShuntOhm: 0.1, MaxCurrentA: 3.3}, {ShuntOhm: -1, MaxCurrentA: -1},
		{ShuntOhm: math.NaN(), MaxCurrentA: 1}, {ShuntOhm: math.Inf(1), MaxCurrentA: 1}} {
		if _, err := power.OpenINA219(newModel(0, 0).I2C(), c); err == nil || !strings.HasPrefix(err.Error(), "power: ina219: open: ") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestNothingNew(t *testing.T) {
	m := newModel(12, 0.01)
	m.still = true
	d, err := open(m.I2C())
	if err != nil {
		t.Fatal(err)
	}
	if _, fresh, err := d.Read(); !fresh || err != nil {
		t.Error(fresh, err)
	}
	if r, fresh, err := d.Read(); fresh || err != nil || r != (power.Reading{}) {
		t.Error(r, fresh, err)
	}
	if err := d.Close(); err != nil || m.Get(0) != 0 {
		t.Error(err)
	}
	if h := d.Health(); h.Readings != 1 || h.Errors != 0 {
		t.Errorf("%+v", h)
	}
}

func Example() {
	d, err := power.OpenINA219(newModel(24, 0.02).I2C(), power.Config{ShuntOhm: 0.01, MaxCurrentA: 10}) // the model stands for a handle
	if err != nil {
		fmt.Println(err)
		return
	}
	r, fresh, err := d.Read()
	fmt.Printf("%.2f V, %.2f A, %.1f W, new %v, %v\n", r.BusV, r.CurrentA, r.PowerW, fresh, err)
	// Output:
	// 24.00 V, 2.00 A, 48.0 W, new true, <nil>
}
