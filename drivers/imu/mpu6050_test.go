package imu_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/imu"
	"github.com/fulmar-io/fulmar/drivers/internal/drivertest"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// model is an MPU-6050 after power-up: asleep, ±2 g, ±250 °/s, its interrupts off (as its makers have it). It has a new
// measurement at each reading of its status, when it is awake.
type model struct {
	*haltest.Registers
	still bool // no new ones
}

func newModel() *model {
	m := &model{Registers: haltest.NewRegisters(haltest.Layout{Registers: 0x76})}
	m.Set(0x75, 0x68)
	m.Set(0x6B, 0x40)
	m.set(0, 0, 8192, 0, 0, 0, -1170) // 1 g upwards at ±4 g; 33.09 °C
	m.OnRead = func(register int) {
		if register == 0x3A {
			ready := m.Get(0x6B)&0x40 == 0 && m.Get(0x38)&1 != 0 && !m.still
			m.Set(0x3A, map[bool]uint16{true: 1, false: 0}[ready])
		}
	}
	return m
}

func (m *model) set(ax, ay, az, gx, gy, gz, temp int16) {
	for i, v := range []int16{ax, ay, az, temp, gx, gy, gz} {
		m.SetBytes(0x3B+2*i, byte(uint16(v)>>8), byte(v))
	}
}

func TestMPU6050OnBadBuses(t *testing.T) {
	drivertest.Driver{
		Chip: func() hal.I2C { return newModel().I2C() },
		Open: func(bus hal.I2C) (func() (bool, error), error) {
			d, err := imu.OpenMPU6050(bus, imu.Config{})
			if err != nil {
				return nil, err
			}
			return func() (bool, error) { _, fresh, err := d.Read(); return fresh, err }, nil
		},
		OpenWithin: 20, CallWithin: 1, Prefix: "imu: mpu6050: ",
		Wrong:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x75}, Answer: []byte{0x19}},
		WrongError: "register 0x75 reads 0x19, and of a MPU-6050 it reads 0x68",
	}.Test(t)
}

// The sensitivities as its makers give them, in steps per g and per °/s.
func TestScales(t *testing.T) {
	accels := map[int]float64{2: 16384, 4: 8192, 8: 4096, 16: 2048}
	gyros := map[int]float64{250: 131, 500: 65.5, 1000: 32.8, 2000: 16.4}
	rapid.Check(t, func(t *rapid.T) {
		g := rapid.SampledFrom([]int{2, 4, 8, 16}).Draw(t, "g")
		dps := rapid.SampledFrom([]int{250, 500, 1000, 2000}).Draw(t, "dps")
		m := newModel()
		d, err := imu.OpenMPU6050(m.I2C(), imu.Config{AccelRangeG: g, GyroRangeDPS: dps, RateHz: 100})
		if err != nil {
			t.Fatal(err)
		}
		var raw [7]int16
		for i := range raw {
			raw[i] = rapid.Int16Range(-12000, 12000).Draw(t, "raw")
		}
		m.set(raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6])
		r, fresh, err := d.Read()
		if !fresh || err != nil || r.Clipped {
			t.Fatal(r, fresh, err)
		}
		for i := range 3 {
			accel := float64(raw[i]) / accels[g] * 9.80665
			rate := float64(raw[3+i]) / gyros[dps] * 2 * math.Pi / 360
			// They are rounded to three digits: 131 for 131.07.
			if math.Abs(r.AccelMPS2[i]-accel) > 1e-9 || math.Abs(r.RateRadS[i]-rate) > 0.001*math.Abs(rate)+1e-9 {
				t.Fatalf("axis %d: %v m/s², %v rad/s, want %v, %v", i, r.AccelMPS2[i], r.RateRadS[i], accel, rate)
			}
		}
		if temp := float64(raw[6])/340 + 36.53; math.Abs(r.TempC-temp) > 1e-9 {
			t.Fatalf("%v °C, want %v", r.TempC, temp)
		}
	})
}

func TestSetup(t *testing.T) {
	m := newModel()
	if _, err := imu.OpenMPU6050(m.I2C(), imu.Config{AccelRangeG: 16, GyroRangeDPS: 2000, RateHz: 100}); err != nil {
		t.Fatal(err)
	}
	// 1 kHz / (1 + 9); 44 Hz; FS_SEL 3 and AFS_SEL 3 in bits 4:3; awake, on the gyroscope's clock.
	for register, want := range map[int]uint16{0x19: 9, 0x1A: 3, 0x1B: 0x18, 0x1C: 0x18, 0x38: 1, 0x6B: 1} {
		if got := m.Get(register); got != want {
			t.Errorf("register %#x is %#x, want %#x", register, got, want)
		}
	}
	for _, c := range []imu.Config{{AccelRangeG: 3}, {GyroRangeDPS: 300}, {RateHz: 3}, {RateHz: 2000}, {RateHz: 300}, {RateHz: -1}} {
		if _, err := imu.OpenMPU6050(newModel().I2C(), c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestNothingNew(t *testing.T) {
	m := newModel()
	d, err := imu.OpenMPU6050(m.I2C(), imu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m.still = true
	if r, fresh, err := d.Read(); fresh || err != nil || r != (imu.Reading{}) {
		t.Error(r, fresh, err)
	}
	m.still = false
	m.set(0, math.MaxInt16, 0, 0, 0, 0, 0)
	if r, fresh, err := d.Read(); !fresh || err != nil || !r.Clipped {
		t.Error(r, fresh, err)
	}
	m.set(0, 0, 0, math.MinInt16, 0, 0, 0)
	if r, fresh, err := d.Read(); !fresh || err != nil || !r.Clipped {
		t.Error(r, fresh, err)
	}
	m.set(0, 0, 0, 0, 0, 0, -32768) // −60 °C
	if r, fresh, err := d.Read(); fresh || !errors.Is(err, drivers.ErrImplausible) || r != (imu.Reading{}) {
		t.Error(r, fresh, err)
	}
	if h := d.Health(); h.Readings != 2 || h.Errors != 1 || h.InARow != 1 {
		t.Errorf("%+v", h)
	}
	if err := d.Close(); err != nil || m.Get(0x6B) != 0x40 {
		t.Error(err, m.Get(0x6B))
	}
}

// A chip that does not keep what is written to it is found out.
func TestSetupIsReadBack(t *testing.T) {
	for _, register := range []int{0x19, 0x1A, 0x1B, 0x1C, 0x38, 0x6B} {
		m := newModel()
		m.OnWrite = func(r int, v uint16) uint16 {
			if r == register {
				return v ^ 0x10
			}
			return v
		}
		_, err := imu.OpenMPU6050(m.I2C(), imu.Config{})
		if err == nil || !strings.Contains(err.Error(), "reads 0x") {
			t.Errorf("register %#x: %v", register, err)
		}
	}
}

func Example() {
	d, err := imu.OpenMPU6050(newModel().I2C(), imu.Config{}) // the model stands for a handle
	if err != nil {
		fmt.Println(err)
		return
	}
	r, fresh, err := d.Read()
	fmt.Printf("%.3f m/s², %.2f °C, new %v, %v\n", r.AccelMPS2, r.TempC, fresh, err)
	// Output:
	// [0.000 0.000 9.807] m/s², 33.09 °C, new true, <nil>
}
