package imu

import (
	"bytes"
	"fmt"
	"math"

	"tinygo.org/x/drivers/mpu6050"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/internal/registers"
	"github.com/fulmar-io/fulmar/drivers/tinygo"
	"github.com/fulmar-io/fulmar/hal"
)

// StandardGravity is the acceleration that sensors call 1 g, in m/s².
const StandardGravity = 9.80665

// Config is how an MPU-6050 measures.
type Config struct {
	// AccelRangeG is the range of acceleration, ±: 2, 4, 8 or 16 g. 0: 4.
	AccelRangeG int
	// GyroRangeDPS is the range of the rate of turn, ±: 250, 500, 1000 or 2000 degrees per second. 0: 500.
	GyroRangeDPS int
	// RateHz is how often it measures: a divisor of 1000, at least 4. 0: 200. The low-pass filter of the chip is set to the
	// highest bandwidth that is below half of it, or else to its lowest, 5 Hz.
	RateHz int
}

// Reading is one measurement, of one instant.
type Reading struct {
	AccelMPS2 [3]float64 // x, y, z: specific force, in m/s²; at rest it points upwards with 9.81
	RateRadS  [3]float64 // about x, y, z, right-handed, in rad/s
	TempC     float64    // of the chip
	// Clipped: one of the values is at the end of its range, and the truth may lie beyond.
	Clipped bool
}

// MPU6050 is such a chip. It belongs to one goroutine.
type MPU6050 struct {
	chip registers.Chip
	bus  *tinygo.Bus
	dev  mpu6050.Device
	// mps2 and rads are per step of the chip's integers.
	mps2, rads float64
}

// ones is a byte that a line without a chip reads as.
var ones = []byte{0xFF}

// setup is a configuration as the chip has it.
type setup struct{ accel, gyro, divider, filter byte }

// Bits of the chip that the driver below has no names for.
const (
	dataReady = 1 << 0 // of INT_STATUS and INT_ENABLE
	asleep    = 1 << 6 // of PWR_MGMT_1
)

func (c Config) setup() (s setup, err error) {
	accels := map[int]byte{0: 1, 2: 0, 4: 1, 8: 2, 16: 3}
	gyros := map[int]byte{0: 1, 250: 0, 500: 1, 1000: 2, 2000: 3}
	var ok bool
	if s.accel, ok = accels[c.AccelRangeG]; !ok {
		return s, fmt.Errorf("a range of %d g: want 2, 4, 8 or 16", c.AccelRangeG)
	}
	if s.gyro, ok = gyros[c.GyroRangeDPS]; !ok {
		return s, fmt.Errorf("a range of %d °/s: want 250, 500, 1000 or 2000", c.GyroRangeDPS)
	}
	if c.RateHz == 0 {
		c.RateHz = 200
	}
	if c.RateHz < 4 || c.RateHz > 1000 || 1000%c.RateHz != 0 {
		return s, fmt.Errorf("a rate of %d Hz: want a divisor of 1000, at least 4", c.RateHz)
	}
	s.divider = byte(1000/c.RateHz - 1)
	s.filter = 6
	for setting, bandwidth := range []int{1: 184, 2: 94, 3: 44, 4: 21, 5: 10} {
		if setting > 0 && 2*bandwidth < c.RateHz {
			s.filter = byte(setting)
			break
		}
	}
	return s, nil
}

// OpenMPU6050 checks that the chip is an MPU-6050 and sets it up. It takes at most 20 transactions and does not wait: the
// first reading comes when the chip has one, some 30 ms after it was asleep.
func OpenMPU6050(bus hal.I2C, c Config) (*MPU6050, error) {
	d := &MPU6050{chip: registers.New(bus, "imu: mpu6050", "MPU-6050", false), bus: tinygo.NewBus(bus, mpu6050.Address)}
	d.dev = mpu6050.New(d.bus)
	s, err := c.setup()
	if err != nil {
		return nil, d.chip.Fail("open", err)
	}
	d.mps2 = StandardGravity * float64(int(2)<<s.accel) / 32768
	d.rads = math.Pi / 180 * float64(int(250)<<s.gyro) / 32768
	if err := d.chip.Expect("open", mpu6050.WHO_AM_I, 0x68); err != nil {
		return nil, err
	}
	if err := d.bus.Do(10, func() error { return d.start(s) }); err != nil {
		return nil, d.chip.Fail("open", err)
	}
	for _, w := range []struct {
		register uint16
		value    byte
	}{{mpu6050.SMPLRT_DIV, s.divider}, {mpu6050.CONFIG, s.filter}, {mpu6050.INT_ENABLE, dataReady}} {
		if err := d.chip.Write("open", w.register, w.value); err != nil {
			return nil, err
		}
	}
	// Did it arrive?
	if err := d.chip.Expect("open", mpu6050.SMPLRT_DIV, s.divider, s.filter, s.gyro<<3, s.accel<<3); err != nil {
		return nil, err
	}
	if err := d.chip.Expect("open", mpu6050.PWR_MGMT_1, mpu6050.CLOCK_PLL_XGYRO); err != nil {
		return nil, err
	}
	return d, d.chip.Expect("open", mpu6050.INT_ENABLE, dataReady)
}

// start wakes the chip. The ranges are shifted to where the register has them: the driver writes what it is given.
func (d *MPU6050) start(s setup) error {
	if err := d.dev.Configure(); err != nil {
		return err
	}
	if err := d.dev.SetClockSource(mpu6050.CLOCK_PLL_XGYRO); err != nil {
		return err
	}
	if err := d.dev.SetFullScaleGyroRange(s.gyro << 3); err != nil {
		return err
	}
	return d.dev.SetFullScaleAccelRange(s.accel << 3)
}

// Read returns a reading, and whether it is new: false, and none, before the chip has measured again. It takes one transaction
// and allocates nothing.
func (d *MPU6050) Read() (r Reading, fresh bool, err error) {
	r, fresh, err = d.read()
	d.chip.Health.Note(fresh, err)
	return r, fresh, err
}

func (d *MPU6050) read() (r Reading, fresh bool, err error) {
	// Status, acceleration, temperature and rates lie side by side, and a burst reads them from the same instant.
	b, err := d.chip.Read("read", mpu6050.INT_STATUS, 15)
	if err != nil || b[0]&dataReady == 0 {
		return r, false, err
	}
	if bytes.Count(b, ones) == len(b) { // nobody pulls the line down: no chip has all interrupts, and −1 everywhere
		return r, false, d.chip.Fail("read", drivers.ErrImplausible)
	}
	word := func(i int) float64 {
		v := int16(uint16(b[i])<<8 | uint16(b[i+1]))
		if v == math.MaxInt16 || v == math.MinInt16 {
			r.Clipped = true
		}
		return float64(v)
	}
	r.TempC = word(7)/340 + 36.53
	r.Clipped = false // the temperature has no end of range that matters
	for i := range 3 {
		r.AccelMPS2[i] = word(1+2*i) * d.mps2
		r.RateRadS[i] = word(9+2*i) * d.rads
	}
	if r.TempC < -50 || r.TempC > 110 { // it works from −40 to 85 °C
		return Reading{}, false, d.chip.Fail("read", drivers.ErrImplausible)
	}
	return r, true, nil
}

// Health returns how the device is.
func (d *MPU6050) Health() drivers.Health { return d.chip.Health }

// Close puts the chip to sleep. The handle is the caller's to close.
func (d *MPU6050) Close() error { return d.chip.Write("close", mpu6050.PWR_MGMT_1, asleep) }
