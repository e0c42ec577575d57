package baro

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"tinygo.org/x/drivers/bmp388"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/internal/registers"
	"github.com/fulmar-io/fulmar/drivers/tinygo"
	"github.com/fulmar-io/fulmar/hal"
)

// ErrFatal is of a chip that reports a fatal error of its own. Only opening it again, or its power, can help.
var ErrFatal = errors.New("the chip reports a fatal error")

// errCalibration is of two readings of the trimming coefficients that are not the same.
var errCalibration = errors.New("the calibration reads differently each time")

// Config is how a BMP388 measures.
type Config struct {
	// PressureOversampling and TemperatureOversampling are how many samples are averaged: 1, 2, 4, 8, 16 or 32. 0: 8 and 1.
	PressureOversampling, TemperatureOversampling int
	// Filter is the coefficient of the chip's low-pass: 0, 1, 3, 7, 15, 31, 63 or 127. 0: none.
	Filter int
	// RateHz is how often it measures: 200 or a half, a quarter, … of it, down to 1.5625. 0: 25. What does not leave time for
	// the samples, the chip refuses when it is opened.
	RateHz float64
}

// Reading is one measurement.
type Reading struct {
	PressurePa float64
	TempC      float64 // of the chip
}

// BMP388 is such a chip. It belongs to one goroutine.
type BMP388 struct {
	chip registers.Chip
	bus  *tinygo.Bus
	dev  bmp388.Device
	trim trim
}

// trim are the coefficients PAR_T1 … PAR_P11.
type trim struct{ t1, t2, t3, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11 float64 }

const trimBytes = 21

// parse takes the coefficients as they lie in the chip: little-endian integers of one and two bytes, each with a scale that is
// a power of two.
func (t *trim) parse(b []byte) {
	u16 := func(i int) float64 { return float64(uint16(b[i]) | uint16(b[i+1])<<8) }
	s16 := func(i int) float64 { return float64(int16(uint16(b[i]) | uint16(b[i+1])<<8)) }
	s8 := func(i int) float64 { return float64(int8(b[i])) }
	t.t1, t.t2, t.t3 = math.Ldexp(u16(0), 8), math.Ldexp(u16(2), -30), math.Ldexp(s8(4), -48)
	t.p1, t.p2 = math.Ldexp(s16(5)-16384, -20), math.Ldexp(s16(7)-16384, -29)
	t.p3, t.p4 = math.Ldexp(s8(9), -32), math.Ldexp(s8(10), -37)
	t.p5, t.p6 = math.Ldexp(u16(11), 3), math.Ldexp(u16(13), -6)
	t.p7, t.p8 = math.Ldexp(s8(15), -8), math.Ldexp(s8(16), -15)
	t.p9, t.p10, t.p11 = math.Ldexp(s16(17), -48), math.Ldexp(s8(19), -48), math.Ldexp(s8(20), -65)
}

// compensate makes °C and Pa of what the chip has measured.
func (t *trim) compensate(rawTemp, rawPressure float64) Reading {
	d := rawTemp - t.t1
	temp := d * (t.t2 + d*t.t3)
	offset := t.p5 + temp*(t.p6+temp*(t.p7+temp*t.p8))
	slope := t.p1 + temp*(t.p2+temp*(t.p3+temp*t.p4))
	return Reading{
		PressurePa: offset + rawPressure*(slope+rawPressure*(t.p9+t.p10*temp+rawPressure*t.p11)),
		TempC:      temp,
	}
}

func (c Config) setup() (s bmp388.Config, err error) {
	power := func(n, otherwise int) (uint8, error) {
		if n == 0 {
			n = otherwise
		}
		if n < 1 || n > 32 || bits.OnesCount(uint(n)) != 1 {
			return 0, fmt.Errorf("oversampling by %d: want 1, 2, 4, 8, 16 or 32", n)
		}
		return uint8(bits.TrailingZeros(uint(n))), nil
	}
	pressure, err := power(c.PressureOversampling, 8)
	if err != nil {
		return s, err
	}
	temperature, err := power(c.TemperatureOversampling, 1)
	if err != nil {
		return s, err
	}
	if c.Filter < 0 || c.Filter > 127 || bits.OnesCount(uint(c.Filter+1)) != 1 {
		return s, fmt.Errorf("a filter of %d: want 0, 1, 3, 7, 15, 31, 63 or 127", c.Filter)
	}
	if c.RateHz == 0 {
		c.RateHz = 25
	}
	halvings := math.Log2(200 / c.RateHz)
	if !(halvings >= 0 && halvings <= 7) || halvings != math.Trunc(halvings) {
		return s, fmt.Errorf("a rate of %v Hz: want 200, 100, 50, 25, 12.5, 6.25, 3.125 or 1.5625", c.RateHz)
	}
	return bmp388.Config{
		Pressure: bmp388.Oversampling(pressure), Temperature: bmp388.Oversampling(temperature), Mode: bmp388.Normal,
		ODR: bmp388.OutputDataRate(halvings), IIR: bmp388.FilterCoefficient(bits.Len(uint(c.Filter))),
	}, nil
}

// OpenBMP388 checks that the chip is a BMP388, sets it up and takes its calibration. It takes at most 20 transactions and does
// not wait: the first reading comes when the chip has one.
func OpenBMP388(bus hal.I2C, c Config) (*BMP388, error) {
	address := uint16(bmp388.Address)
	d := &BMP388{chip: registers.New(bus, "baro: bmp388", "BMP388", false), bus: tinygo.NewBus(bus, address)}
	d.dev = bmp388.New(d.bus)
	s, err := c.setup()
	if err != nil {
		return nil, d.chip.Fail("open", err)
	}
	if err := d.chip.Expect("open", uint16(bmp388.RegChipId), bmp388.ChipId); err != nil {
		return nil, err
	}
	osr, odr, iir := byte(s.Pressure)|byte(s.Temperature)<<3, byte(s.ODR), byte(s.IIR)<<1
	// Asleep first: a chip that measures finds fault with each combination on the way from one setup to the next, and the
	// driver below would take that for its own.
	for _, w := range [...][2]byte{{bmp388.RegPwrCtrl, 0}, {bmp388.RegOSR, osr}, {bmp388.RegODR, odr}, {bmp388.RegIIR, iir}} {
		if err := d.chip.Write("open", uint16(w[0]), w[1]); err != nil {
			return nil, err
		}
	}
	if _, err := d.chip.Read("open", uint16(bmp388.RegErr), 1); err != nil { // reading clears it
		return nil, err
	}
	if err := d.bus.Do(12, func() error { return d.dev.Configure(s) }); err != nil {
		return nil, d.chip.Fail("open", err)
	}
	// Did it arrive?
	if err := d.chip.Expect("open", uint16(bmp388.RegPwrCtrl), bmp388.PwrPress|bmp388.PwrTemp|byte(bmp388.Normal), osr, odr); err != nil {
		return nil, err
	}
	if err := d.chip.Expect("open", uint16(bmp388.RegIIR), iir); err != nil {
		return nil, err
	}
	return d, d.calibrate()
}

// calibrate takes the coefficients, twice: a wrong one would make every reading wrong from now on, and the bus has no checksum.
func (d *BMP388) calibrate() error {
	b, err := d.chip.Read("open", uint16(bmp388.RegCali), trimBytes)
	if err != nil {
		return err
	}
	first := bytes.Clone(b)
	if b, err = d.chip.Read("open", uint16(bmp388.RegCali), trimBytes); err != nil {
		return err
	}
	if !bytes.Equal(first, b) {
		return d.chip.Fail("open", errCalibration)
	}
	d.trim.parse(first)
	return nil
}

// Read returns a reading, and whether it is new: false, and none, before the chip has measured again. It takes one transaction
// and allocates nothing. A pressure or temperature beyond what the chip can measure, 300 to 1250 hPa and −40 to 85 °C, is
// ErrImplausible.
func (d *BMP388) Read() (r Reading, fresh bool, err error) {
	r, fresh, err = d.read()
	d.chip.Health.Note(fresh, err)
	return r, fresh, err
}

func (d *BMP388) read() (r Reading, fresh bool, err error) {
	const fatal = 1 << 0
	const ready = bmp388.DRDYPress | bmp388.DRDYTemp
	// Errors, status, pressure and temperature lie side by side, and a burst reads them from one measurement.
	b, err := d.chip.Read("read", uint16(bmp388.RegErr), 8)
	if err != nil {
		return r, false, err
	}
	if b[0]&fatal != 0 {
		return r, false, d.chip.Fail("read", ErrFatal)
	}
	if b[1]&ready != ready {
		return r, false, nil
	}
	raw := func(i int) float64 { return float64(uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16) }
	r = d.trim.compensate(raw(5), raw(2))
	if !(r.PressurePa >= 30000 && r.PressurePa <= 125000 && r.TempC >= -40 && r.TempC <= 85) {
		return Reading{}, false, d.chip.Fail("read", drivers.ErrImplausible)
	}
	return r, true, nil
}

// Health returns how the device is.
func (d *BMP388) Health() drivers.Health { return d.chip.Health }

// Close puts the chip to sleep. The handle is the caller's to close.
func (d *BMP388) Close() error { return d.chip.Write("close", uint16(bmp388.RegPwrCtrl), 0) }
