package power

import (
	"fmt"
	"math"

	"tinygo.org/x/drivers/ina219"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/internal/registers"
	"github.com/fulmar-io/fulmar/drivers/tinygo"
	"github.com/fulmar-io/fulmar/hal"
)

// Config is how an INA219 is wired and measures.
type Config struct {
	// ShuntOhm is the resistor that the current flows through, in Ω. It must be given.
	ShuntOhm float64
	// MaxCurrentA is the largest current that is expected, either way, in A. It must be given; with the shunt it may make up to
	// 320 mV.
	MaxCurrentA float64
	// Up to 16 V on the bus, the finer range may be taken; else it measures up to 26 V.
	Range16V bool
}

// Reading is one measurement.
type Reading struct {
	BusV     float64 // at the load's side of the shunt, against ground
	ShuntV   float64 // across the shunt; positive is towards the load
	CurrentA float64 // ShuntV by the shunt's resistance
	PowerW   float64 // BusV times CurrentA
	// Clipped: the current is at the end of the range or beyond.
	Clipped bool
}

// INA219 is such a chip. It belongs to one goroutine.
//
// Current and power are computed here, from the two voltages. The chip's own registers for them hang on a calibration that it
// forgets when its power fails, and then read 0, which is no error to see; voltages are right then too.
type INA219 struct {
	chip registers.Chip
	bus  *tinygo.Bus
	dev  ina219.Device
	ohm  float64
	full int32 // the end of the shunt's range, in steps of 10 µV
}

// Bits and values that the driver below has no names for.
const (
	reset       = 1 << 15
	afterReset  = 0x399F
	ready       = 1 << 1 // of the bus voltage's register
	shuntStepV  = 10e-6
	busStepV    = 4e-3
	calibration = 0.04096 // Cal = 0.04096 / (current step × shunt)
)

// setup returns the configuration, and the end of the shunt's range in steps.
func (c Config) setup() (ina219.Config, int32, error) {
	var s ina219.Config
	if !(c.ShuntOhm > 0) || math.IsInf(c.ShuntOhm, 0) || !(c.MaxCurrentA > 0) || math.IsInf(c.MaxCurrentA, 0) {
		return s, 0, fmt.Errorf("a shunt of %v Ω and at most %v A: both must be positive", c.ShuntOhm, c.MaxCurrentA)
	}
	s = ina219.Config{BusVoltageRange: ina219.Range32V, BusADC: ina219.ADC12, ShuntADC: ina219.SADC12, Mode: ina219.ModeContShuntBus}
	if c.Range16V {
		s.BusVoltageRange = ina219.Range16V
	}
	full := int32(4000) // 40 mV, and twice that for each step of the amplifier
	for s.PGA = ina219.PGA1; c.ShuntOhm*c.MaxCurrentA > float64(full)*shuntStepV*(1+1e-9); s.PGA, full = s.PGA+1, full*2 {
		if s.PGA == ina219.PGA8 {
			return s, 0, fmt.Errorf("%v A through %v Ω are %.0f mV: it measures up to 320", c.MaxCurrentA, c.ShuntOhm, 1000*c.ShuntOhm*c.MaxCurrentA)
		}
	}
	// Its lowest bit does not exist. Beyond 16 bits the current's step is coarser than it could be, which costs nothing here.
	cal := min(calibration/(c.MaxCurrentA/(1<<15)*c.ShuntOhm), math.MaxUint16)
	s.Calibration = ina219.Calibration(uint16(cal) &^ 1)
	return s, full, nil
}

// OpenINA219 resets the chip, checks by what it says then that it is an INA219 (it has no identity), and sets it up. It takes
// at most 10 transactions and does not wait: the first reading comes about 1 ms later.
func OpenINA219(bus hal.I2C, c Config) (*INA219, error) {
	d := &INA219{chip: registers.New(bus, "power: ina219", "INA219 after its reset", false), bus: tinygo.NewBus(bus, ina219.Address), ohm: c.ShuntOhm}
	d.dev = ina219.New(d.bus)
	s, full, err := c.setup()
	if err != nil {
		return nil, d.chip.Fail("open", err)
	}
	d.full = full
	if err := d.chip.Write("open", uint16(ina219.RegConfig), reset>>8, 0); err != nil {
		return nil, err
	}
	if err := d.chip.Expect("open", uint16(ina219.RegConfig), afterReset>>8, afterReset&0xFF); err != nil {
		return nil, err
	}
	d.dev.SetConfig(s)
	if err := d.bus.Do(6, d.dev.Configure); err != nil { // it reads back what it writes
		return nil, d.chip.Fail("open", err)
	}
	return d, nil
}

// Read returns a reading, and whether it is new: false, and none, before the chip has measured again. It takes at most three
// transactions and allocates nothing. The two voltages may be of two measurements, 0.5 ms apart.
func (d *INA219) Read() (r Reading, fresh bool, err error) {
	r, fresh, err = d.read()
	d.chip.Health.Note(fresh, err)
	return r, fresh, err
}

func (d *INA219) read() (r Reading, fresh bool, err error) {
	bus, err := d.word(ina219.RegBusVoltage)
	if err != nil || bus&ready == 0 {
		return r, false, err
	}
	shunt, err := d.word(ina219.RegShuntVoltage)
	if err != nil {
		return r, false, err
	}
	if _, err := d.word(ina219.RegPower); err != nil { // reading it is what makes the chip not ready again
		return r, false, err
	}
	steps := int32(int16(shunt))
	if bus>>3 > 8000 || steps > 32000 || steps < -32000 {
		return r, false, d.chip.Fail("read", drivers.ErrImplausible)
	}
	r.BusV, r.ShuntV = float64(bus>>3)*busStepV, float64(steps)*shuntStepV
	r.CurrentA = r.ShuntV / d.ohm
	r.PowerW = r.BusV * r.CurrentA
	r.Clipped = steps >= d.full || steps <= -d.full
	return r, true, nil
}

func (d *INA219) word(register uint8) (uint16, error) {
	b, err := d.chip.Read("read", uint16(register), 2)
	if err != nil {
		return 0, err
	}
	return uint16(b[0])<<8 | uint16(b[1]), nil
}

// Health returns how the device is.
func (d *INA219) Health() drivers.Health { return d.chip.Health }

// Close powers the chip down. The handle is the caller's to close.
func (d *INA219) Close() error { return d.chip.Write("close", uint16(ina219.RegConfig), 0, 0) }
