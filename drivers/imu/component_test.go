package imu_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers/imu"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
	"github.com/fulmar-io/fulmar/internal/rig"
)

func TestComponentOnBadBuses(t *testing.T) {
	rig.Device{
		New: func() fulmar.Component { return imu.NewMPU6050Component() }, Chip: func() hal.I2C { return newModel().I2C() },
		Wrong:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x75}, Answer: []byte{0x19}},
		WrongError: "imu: mpu6050: open: register 0x75 reads 0x19, and of a MPU-6050 it reads 0x68",
		Still:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x3A}, Answer: []byte{0}},
	}.Test(t)
}

func TestComponentPublishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := rig.NewBus(func() hal.I2C {
			m := newModel()
			m.set(0, 4096, 8192, 655, 0, -655, -1170) // at ±4 g and ±500 °/s
			return m.I2C()
		})
		r := rig.NewReader[imu.Sample]("imu", "sample")
		m := rig.Run(t, rig.Options(bus, imu.NewMPU6050Component(), r))
		rig.Pass(time.Second)
		if err := m.Stop(); err != nil {
			t.Fatal(err)
		}
		got := r.Values()
		if len(got) < 199 || len(got) > 201 {
			t.Errorf("%d samples in a second, of a chip that has one each time", len(got))
		}
		for _, s := range got {
			if s.Accel != [3]float64{0, 9.80665 / 2, 9.80665} || math.Abs(s.Rate[0]-10*math.Pi/180) > 1e-3 || s.Rate[0] != -s.Rate[2] || math.Abs(s.Temperature-33.09) > 0.01 || s.Clipped {
				t.Fatalf("%+v", s)
			}
		}
		if o := bus.Opened(); len(o) != 1 || o[0] != (hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x68}) {
			t.Errorf("%+v", o)
		}
	})
}

func TestParameters(t *testing.T) {
	for _, p := range []imu.MPU6050Params{
		{AccelRange: 3, RateRange: 500, Rate: 100, Errors: 1, Stale: time.Second},
		{AccelRange: 4, RateRange: 501, Rate: 100, Errors: 1, Stale: time.Second},
		{AccelRange: 4, RateRange: 500, Rate: 300, Errors: 1, Stale: time.Second},
		{AccelRange: 4, RateRange: 500, Rate: 4, Errors: 1, Stale: 700 * time.Millisecond},
	} {
		if p.Validate() == nil {
			t.Errorf("%+v is taken", p)
		}
	}
	if p := imu.NewMPU6050Component().Defaults; p.Validate() != nil {
		t.Error(p.Validate())
	}
}
