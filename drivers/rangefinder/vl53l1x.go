package rangefinder

import (
	"errors"
	"fmt"

	"tinygo.org/x/drivers/vl53l1x"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/internal/registers"
	"github.com/fulmar-io/fulmar/drivers/tinygo"
	"github.com/fulmar-io/fulmar/hal"
)

// ErrHardware is of a chip that reports that its laser or its supply fails.
var ErrHardware = errors.New("the chip reports that its hardware fails")

var (
	errBoot   = errors.New("the chip does not start")
	errBudget = errors.New("the timing budget does not fit the distance mode")
)

// Mode is how far the sensor looks.
type Mode uint8

// The modes. The farther it looks, the more it is disturbed by light.
const (
	Long   Mode = iota // up to 3.6 m in the dark
	Medium             // up to 2.9 m
	Short              // up to 1.36 m, also in strong light
)

// Config is how a VL53L1X measures.
type Config struct {
	Mode Mode
	// BudgetUs is the time for one measurement, in µs: 20 000 to 1 000 000. More of it makes it finer. 0: 50 000.
	BudgetUs uint32
	// PeriodMs is from one measurement to the next, in ms; at least the budget. 0: as long as the budget.
	PeriodMs uint32
	// Pullup1V8 is of a bus pulled up to 1.8 V. Else it is 2.8 V and more, as on nearly all boards.
	Pullup1V8 bool
}

// Status is what a measurement is worth.
type Status uint8

// The states. The distance is good with the first three.
const (
	Valid           Status = iota // it is
	Unchecked                     // it is the first, without the check for a target beyond the unambiguous range
	Clipped                       // nearer than what can be told apart; the distance is a bound
	Sigma                         // it scatters too much
	Weak                          // no target, or too little comes back
	OutOfBounds                   // no target within the range of the mode
	Wrapped                       // a target beyond the unambiguous range, which looks nearer
	Crosstalk                     // what comes back may be of the cover glass
	RegionClipped                 // the region of interest is cut off
	Synchronisation               // a first, empty measurement
)

// String returns the status in words.
func (s Status) String() string {
	names := [...]string{"valid", "unchecked", "clipped", "sigma", "weak", "out of bounds", "wrapped", "crosstalk", "region clipped", "synchronisation"}
	if int(s) < len(names) {
		return names[s]
	}
	return "invalid"
}

// Good reports whether the distance can be used.
func (s Status) Good() bool { return s <= Clipped }

// states are the chip's own numbers.
var states = [32]struct {
	known, broken bool
	status        Status
}{
	1: {true, true, 0}, 2: {true, true, 0}, 3: {true, true, 0}, 17: {true, true, 0},
	4: {status: Weak, known: true}, 5: {status: OutOfBounds, known: true}, 6: {status: Sigma, known: true},
	7: {status: Wrapped, known: true}, 8: {status: Clipped, known: true}, 9: {status: Valid, known: true},
	12: {status: Crosstalk, known: true}, 13: {status: RegionClipped, known: true}, 18: {status: Synchronisation, known: true},
	19: {status: Unchecked, known: true},
}

// Reading is one measurement.
type Reading struct {
	DistanceM float64 // where Status is Good; else 0
	Status    Status
	SignalHz  float64 // photons of the target that are counted, per second
	AmbientHz float64 // and of other light, per detector
	Detectors float64 // single-photon detectors in use
}

// VL53L1X is such a chip. It belongs to one goroutine.
type VL53L1X struct {
	chip registers.Chip
	bus  *tinygo.Bus
	dev  vl53l1x.Device
	// What the first measurement has found: saved, and then applied.
	saved, calibrated bool
	phase             byte
}

// openLimit bounds the transactions of the setup, and so how often the chip is asked whether it has started after its reset.
// It is first asked 1 ms after that.
const openLimit = 300

func (c *Config) complete() error {
	if c.BudgetUs == 0 {
		c.BudgetUs = 50000
	}
	if c.BudgetUs < 20000 || c.BudgetUs > 1000000 {
		return fmt.Errorf("a budget of %d µs: want 20000 to 1000000", c.BudgetUs)
	}
	if c.PeriodMs == 0 {
		c.PeriodMs = (c.BudgetUs + 999) / 1000
	}
	if c.PeriodMs > 60000 || c.PeriodMs*1000 < c.BudgetUs {
		return fmt.Errorf("a period of %d ms: want at least the budget, %d µs, and at most 60000", c.PeriodMs, c.BudgetUs)
	}
	if c.Mode > Short {
		return fmt.Errorf("there is no mode %d", c.Mode)
	}
	return nil
}

// OpenVL53L1X checks that the chip is a VL53L1X, resets it, sets it up, and lets it measure. It takes at most 310 transactions,
// about 80 where the chip starts at once, and 1.1 ms of waiting.
func OpenVL53L1X(bus hal.I2C, c Config) (*VL53L1X, error) {
	d := &VL53L1X{chip: registers.New(bus, "rangefinder: vl53l1x", "VL53L1X", true), bus: tinygo.NewBus(bus, vl53l1x.Address)}
	if err := c.complete(); err != nil {
		return nil, d.chip.Fail("open", err)
	}
	if err := d.chip.Expect("open", vl53l1x.WHO_AM_I, vl53l1x.CHIP_ID>>8, vl53l1x.CHIP_ID&0xFF); err != nil {
		return nil, err
	}
	d.dev = vl53l1x.New(d.bus)
	if err := d.bus.Do(openLimit, func() error { return d.start(c) }); err != nil {
		return nil, d.chip.Fail("open", err)
	}
	// Did it arrive? The driver has no errors, and the bus no checksum.
	periods := [...][2]byte{Long: {0x0F, 0x0D}, Medium: {0x0B, 0x09}, Short: {0x07, 0x05}}[c.Mode]
	if err := d.chip.Expect("open", vl53l1x.RANGE_CONFIG_VCSEL_PERIOD_A, periods[0]); err != nil {
		return nil, err
	}
	return d, d.chip.Expect("open", vl53l1x.RANGE_CONFIG_VCSEL_PERIOD_B, periods[1])
}

func (d *VL53L1X) start(c Config) error {
	if !d.dev.Configure(!c.Pullup1V8) {
		return errBoot
	}
	// Setting a mode leaves a budget that is far from what it was; so it comes first.
	d.dev.SetDistanceMode([...]vl53l1x.DistanceMode{Long: vl53l1x.LONG, Medium: vl53l1x.MEDIUM, Short: vl53l1x.SHORT}[c.Mode])
	if !d.dev.SetMeasurementTimingBudget(c.BudgetUs) {
		return errBudget
	}
	d.dev.StartContinuous(c.PeriodMs)
	return nil
}

// Read returns a reading, and whether it is new: false, and none, before the chip has measured again. It takes one transaction
// then, four where there is one, eleven for the first; and allocates nothing. Whether the distance is good, its Status says.
func (d *VL53L1X) Read() (r Reading, fresh bool, err error) {
	r, fresh, err = d.read()
	d.chip.Health.Note(fresh, err)
	return r, fresh, err
}

func (d *VL53L1X) read() (r Reading, fresh bool, err error) {
	b, err := d.chip.Read("read", vl53l1x.GPIO_TIO_HV_STATUS, 1)
	if err != nil || b[0]&1 != 0 { // the interrupt is active low
		return r, false, err
	}
	if b, err = d.chip.Read("read", vl53l1x.RESULT_RANGE_STATUS, 17); err != nil {
		return r, false, err
	}
	word := func(i int) uint16 { return uint16(b[i])<<8 | uint16(b[i+1]) }
	state, stream := states[b[0]&31], b[2]
	detectors, ambient, distance, signal := word(3), word(7), word(13), word(15)
	if !d.calibrated {
		if err := d.calibrate(); err != nil {
			return r, false, err
		}
	}
	if err := d.writeWord(vl53l1x.DSS_CONFIG_MANUAL_EFFECTIVE_SPADS_SELECT, wanted(detectors, signal, ambient)); err != nil {
		return r, false, err
	}
	if err := d.chip.Write("read", vl53l1x.SYSTEM_INTERRUPT_CLEAR, 1); err != nil {
		return r, false, err
	}
	switch {
	case state.broken:
		return r, false, d.chip.Fail("read", ErrHardware)
	case !state.known:
		return r, false, d.chip.Fail("read", drivers.ErrImplausible)
	}
	r.Status = state.status
	if r.Status == Valid && stream == 0 {
		r.Status = Unchecked
	}
	if r.Status.Good() {
		r.DistanceM = float64(distance) * gain / 1000
	}
	r.SignalHz, r.AmbientHz = float64(signal)*countsPerStep, float64(ambient)*countsPerStep
	r.Detectors = float64(detectors) / 256
	return r, true, nil
}

const (
	gain          = 2011.0 / 2048 // of the chip's distance, by ST's tuning
	countsPerStep = 1e6 / 128     // rates have 7 bits of fraction, in millions per second
)

// wanted returns how many detectors, with 8 bits of fraction, are to be used next, so that the rate comes to where the chip
// counts best, with the rates of the last measurement.
func wanted(detectors, signal, ambient uint16) uint16 {
	const middle = 0x8000
	if detectors == 0 {
		return middle
	}
	perDetector := min(uint32(signal)+uint32(ambient), 0xFFFF) << 16 / uint32(detectors)
	if perDetector == 0 {
		return middle
	}
	return uint16(min(vl53l1x.TARGETRATE<<16/perDetector, 0xFFFF))
}

// calibrate keeps what the first measurement has found, so that the next ones do not find it again. What was saved before an
// error is not read again: it may have been changed since.
func (d *VL53L1X) calibrate() error {
	if !d.saved {
		if err := d.save(); err != nil {
			return err
		}
	}
	for _, w := range [...]struct {
		register uint16
		value    byte
	}{
		{vl53l1x.VHV_CONFIG_INIT, d.dev.VHVInit & 0x7F},
		{vl53l1x.VHV_CONFIG_TIMEOUT_MACROP_LOOP_BOUND, d.dev.VHVTimeout&3 + 3<<2},
		{vl53l1x.PHASECAL_CONFIG_OVERRIDE, 1},
		{vl53l1x.CAL_CONFIG_VCSEL_START, d.phase},
	} {
		if err := d.chip.Write("read", w.register, w.value); err != nil {
			return err
		}
	}
	d.calibrated = true
	return nil
}

// save takes it over, into the driver below, which restores it when it stops.
func (d *VL53L1X) save() error {
	for _, r := range [...]struct {
		register uint16
		to       *byte
	}{
		{vl53l1x.VHV_CONFIG_INIT, &d.dev.VHVInit},
		{vl53l1x.VHV_CONFIG_TIMEOUT_MACROP_LOOP_BOUND, &d.dev.VHVTimeout},
		{vl53l1x.PHASECAL_RESULT_VCSEL_START, &d.phase},
	} {
		b, err := d.chip.Read("read", r.register, 1)
		if err != nil {
			return err
		}
		*r.to = b[0]
	}
	d.saved = true
	return nil
}

func (d *VL53L1X) writeWord(register, v uint16) error {
	return d.chip.Write("read", register, byte(v>>8), byte(v))
}

// Health returns how the device is.
func (d *VL53L1X) Health() drivers.Health { return d.chip.Health }

// Close stops measuring. The handle is the caller's to close.
func (d *VL53L1X) Close() error {
	if err := d.bus.Do(10, func() error { d.dev.StopContinuous(); return nil }); err != nil {
		return d.chip.Fail("close", err)
	}
	return nil
}
