package tinygo_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	upstream "tinygo.org/x/drivers"
	"tinygo.org/x/drivers/apa102"
	"tinygo.org/x/drivers/lsm6ds3"
	"tinygo.org/x/drivers/mpu6050"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/tinygo"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
	"github.com/fulmar-io/fulmar/hal/sim"
)

// broken returns a device on a bus with faults.
func broken(t *testing.T, dev hal.I2C, faults ...haltest.Fault) (hal.I2C, *haltest.Faults) {
	t.Helper()
	f := haltest.NewFaults(faults...)
	h, err := f.Wrap(hal.KindI2C, dev)
	if err != nil {
		t.Fatal(err)
	}
	return h.(hal.I2C), f
}

// lsm is an LSM6DS3 at rest, one g downwards: at ±2 g, 0.061 mg a step; at ±2000 °/s, 70 m°/s a step; 16 steps a kelvin,
// from 25 °C (as its driver says of the chip's data sheet).
func lsm() *haltest.Registers {
	c := haltest.NewRegisters(haltest.Layout{Registers: 0x80})
	c.Set(0x0F, 0x69)
	c.SetBytes(0x20, 0xB0, 0xFF) // −80: 20 °C
	c.SetBytes(0x22, 0x64, 0, 0, 0, 0x9C, 0xFF)
	c.SetBytes(0x28, 0, 0, 0, 0, 0x09, 0x40) // 16393: 1.000 g
	return c
}

type attitude struct{ AccelZG, RateXDPS, RateZDPS, TempC float64 }

// lsmDriver is what it takes to run a driver.
func lsmDriver(bus upstream.I2C) tinygo.Driver[attitude] {
	d := lsm6ds3.New(bus)
	return tinygo.Driver[attitude]{
		Start: func() error { return d.Configure(lsm6ds3.Configuration{}) },
		Read: func() (a attitude, err error) {
			_, _, z, err := d.ReadAcceleration()
			if err != nil {
				return a, err
			}
			rx, _, rz, err := d.ReadRotation()
			if err != nil {
				return a, err
			}
			t, err := d.ReadTemperature()
			return attitude{float64(z) / 1e6, float64(rx) / 1e6, float64(rz) / 1e6, float64(t) / 1000}, err
		},
	}
}

func TestADriverRuns(t *testing.T) {
	chip := lsm()
	d, err := tinygo.Open("imu", chip.I2C(), lsm6ds3.Address, lsmDriver)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Read()
	if err != nil || math.Abs(r.AccelZG-0.99997) > 1e-5 || math.Abs(r.RateXDPS-7) > 1e-9 || math.Abs(r.RateZDPS+7) > 1e-9 || r.TempC != 20 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if chip.Get(0x10) == 0 {
		t.Error("it was not configured")
	}
}

// The driver of the LSM6DS3 takes every error for another chip; the error of the bus is found in spite of it.
func TestErrorsAreFoundAtEachTransaction(t *testing.T) {
	for n := 0; ; n++ {
		bus, f := broken(t, lsm().I2C(), haltest.Fault{Trouble: haltest.Silent, After: n, For: 1})
		d, err := tinygo.Open("imu", bus, lsm6ds3.Address, lsmDriver)
		if err == nil {
			if f.Calls() != n {
				t.Errorf("%d transactions, but without an answer to number %d there was no error", f.Calls(), n)
			}
			for range 2 {
				if _, err := d.Read(); err != nil && !errors.Is(err, hal.ErrNoAnswer) {
					t.Error(err)
				}
			}
			if h := d.Health(); h.Errors != 1 || h.Readings != 1 || !errors.Is(h.Last, hal.ErrNoAnswer) {
				t.Errorf("%+v", h)
			}
			return
		}
		if !errors.Is(err, hal.ErrNoAnswer) || !strings.HasPrefix(err.Error(), "imu: open: the device does not answer") {
			t.Errorf("without an answer to number %d: %v", n, err)
		}
	}
}

// The driver of the MPU-6050 has no errors at all in its readings.
func TestSwallowedErrors(t *testing.T) {
	bus, _ := broken(t, haltest.NewRegisters(haltest.Layout{Registers: 0x80}).I2C(), haltest.Fault{Trouble: haltest.Gone, After: 1})
	b := tinygo.NewBus(bus, mpu6050.Address)
	d := mpu6050.New(b)
	d.ReadAcceleration()
	if err := b.Err(); err != nil {
		t.Error(err)
	}
	d.ReadAcceleration()
	if err := b.Err(); !errors.Is(err, hal.ErrGone) {
		t.Errorf("the error was swallowed: %v", err)
	}
	if err := b.Err(); err != nil {
		t.Errorf("it was taken already: %v", err)
	}
}

func TestOneDeviceOnly(t *testing.T) {
	chip := lsm()
	b := tinygo.NewBus(chip.I2C(), 0x6A)
	r := []byte{1, 2}
	if err := b.Tx(0x6B, []byte{0x0F}, r); !errors.Is(err, tinygo.ErrAddress) || chip.Transactions() != 0 || r[0] != 0 || r[1] != 0 {
		t.Error(err, chip.Transactions(), r)
	}
	if err := b.Err(); !errors.Is(err, tinygo.ErrAddress) {
		t.Error(err)
	}
}

func TestContainment(t *testing.T) {
	chip := lsm()
	b := tinygo.NewBus(chip.I2C(), 1)
	read := func() byte {
		r := make([]byte, 1)
		_ = b.Tx(1, []byte{0x0F}, r)
		return r[0]
	}
	for _, c := range []struct {
		name string
		do   func() error
		want string
		n    int
	}{
		{"all is well", func() error { read(); return nil }, "", 1},
		{"the driver's own error", func() error { return errors.New("cold") }, "cold", 0},
		{"up to the limit", func() error {
			for range 10 {
				read()
			}
			return nil
		}, "", 10},
		{"a loop without end", func() error {
			for read() != 0 {
			}
			return nil
		}, tinygo.ErrLimit.Error(), 10},
		{"a division by what was read", func() error {
			none := read() - 0x69
			_ = 1 / none
			return nil
		}, "the driver panicked: runtime error: integer divide by zero", 1},
	} {
		before := chip.Transactions()
		err := b.Do(10, c.do)
		if got := fmt.Sprint(err); got != c.want && (c.want != "" || err != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if n := chip.Transactions() - before; n != c.n {
			t.Errorf("%s: %d transactions reached the device, want %d", c.name, n, c.n)
		}
	}
	// After it, outside of Do, there is no limit.
	for range 20 {
		read()
	}
	if err := b.Err(); err != nil {
		t.Error(err)
	}
}

// After an error a driver is stopped: what it computes from what it did not read is not written, and it does not sleep and
// try again a thousand times.
func TestNothingIsWrittenAfterAnError(t *testing.T) {
	chip := haltest.NewRegisters(haltest.Layout{Registers: 2})
	chip.Set(0, 0xA5)
	bus, _ := broken(t, chip.I2C(), haltest.Fault{Trouble: haltest.Silent, For: 1})
	b := tinygo.NewBus(bus, 1)
	tries := 0
	err := b.Do(1000, func() error {
		r := []byte{0}
		for tries = 1; b.Tx(1, []byte{0}, r) != nil; tries++ {
		}
		_ = b.Tx(1, []byte{0, r[0] | 1}, nil) // a careless read, modify, write
		return nil
	})
	if !errors.Is(err, hal.ErrNoAnswer) || tries != 2 {
		t.Error(err, tries)
	}
	if v := chip.Get(0); v != 0xA5 {
		t.Errorf("%#x was written", v)
	}
	if err := b.Do(1, func() error { return b.Tx(1, []byte{0, 1}, nil) }); err != nil || chip.Get(0) != 1 {
		t.Error("the next call does not work", err)
	}
}

func TestSPI(t *testing.T) {
	var leds [][]byte
	b := tinygo.NewSPI(spi(func(w, r []byte) error {
		leds = append(leds, append([]byte(nil), w...))
		if len(r) == 1 {
			r[0] = ^w[0]
		}
		if len(leds) > 6 {
			return hal.ErrGone
		}
		return nil
	}))
	d := apa102.New(b)
	if err := b.Do(100, func() error { _, err := d.Write([]byte{0xFF, 1, 2, 3}); return err }); err != nil {
		t.Fatal(err)
	}
	var all string
	for _, l := range leds {
		all += fmt.Sprintf("%x", l)
	}
	if !strings.HasPrefix(all, "00000000ff010203") {
		t.Error(all)
	}
	leds = leds[:0]
	if v, err := b.Transfer(0x0F); v != 0xF0 || err != nil {
		t.Error(v, err)
	}
	for range 7 {
		_, _ = b.Transfer(0)
	}
	if err := b.Err(); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
}

type spi func(w, r []byte) error

func (s spi) Tx(w, r []byte) error { return s(w, r) }

func TestUART(t *testing.T) {
	var w sim.Wires
	line := w.UART("tty", 8)
	h, _, err := w.Open(hal.Resource{Kind: hal.KindUART, Path: "tty"})
	if err != nil {
		t.Fatal(err)
	}
	u := tinygo.NewUART(h.(hal.UART), 3)
	var _ upstream.UART = u
	b := make([]byte, 8)
	if n, err := u.Read(b); n != 0 || err != nil || u.Buffered() != 0 {
		t.Error(n, err)
	}
	_, _ = line.Write([]byte("abcdefg"))
	if n := u.Buffered(); n != 3 {
		t.Error(n)
	}
	var got string
	for range 6 {
		n, err := u.Read(b[:2])
		if err != nil {
			t.Error(err)
		}
		got += string(b[:n])
	}
	if got != "abcdefg" {
		t.Error(got)
	}
	if n, err := u.Write([]byte("0123456789")); n != 8 || !errors.Is(err, tinygo.ErrFull) || !errors.Is(u.Err(), tinygo.ErrFull) {
		t.Error(n, err)
	}
	// What had arrived before it was unplugged is read; then comes the error.
	_, _ = line.Write([]byte("z"))
	if u.Buffered() != 1 {
		t.Error("nothing arrived")
	}
	line.Unplug(true)
	if n, err := u.Read(b); n != 1 || b[0] != 'z' || err != nil {
		t.Error(n, err)
	}
	if _, err := u.Read(b); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	// A driver that waits for a byte comes to an end.
	if err := u.Do(50, func() error {
		for u.Buffered() == 0 {
		}
		return nil
	}); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	line.Unplug(false)
}

// The adapter itself takes no memory.
func TestNothingAllocates(t *testing.T) {
	chip := lsm()
	b := tinygo.NewBus(chip.I2C(), 1)
	w, r := []byte{0x0F}, make([]byte, 1)
	f := func() error { return b.Tx(1, w, r) }
	s := tinygo.NewSPI(spi(func(_, _ []byte) error { return nil }))
	var line sim.Wires
	line.UART("tty", 8)
	h, _, err := line.Open(hal.Resource{Kind: hal.KindUART, Path: "tty"})
	if err != nil {
		t.Fatal(err)
	}
	u := tinygo.NewUART(h.(hal.UART), 8)
	if n := testing.AllocsPerRun(100, func() {
		if err := b.Do(10, f); err != nil {
			t.Error(err)
		}
		_, _ = s.Transfer(1)
		_, _ = u.Read(r)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Any driver runs over a handle: here one of an LSM6DS3, whose model stands for the hardware.
func Example() {
	dev, err := tinygo.Open("imu", lsm().I2C(), lsm6ds3.Address, lsmDriver)
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := dev.Read()
	fmt.Printf("%.2f g, %.1f °/s, %.1f °C, %v\n", a.AccelZG, a.RateXDPS, a.TempC, err)

	// The same driver, on a bus where nobody answers.
	silent, err := haltest.NewFaults(haltest.Fault{Trouble: haltest.Silent}).Wrap(hal.KindI2C, lsm().I2C())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = tinygo.Open("imu", silent.(hal.I2C), lsm6ds3.Address, lsmDriver)
	fmt.Println(err)
	fmt.Println(dev.Health() == drivers.Health{Readings: 1})
	// Output:
	// 1.00 g, 7.0 °/s, 20.0 °C, <nil>
	// imu: open: the device does not answer; the driver calls it "lsm6ds3: failed to communicate with acel/gyro sensor"
	// true
}
