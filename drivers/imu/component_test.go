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
	"github.com/fulmar-io/fulmar/node"
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

// What a machine's file says of the hardware holds for each life of the component.
func TestComponentFromAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := rig.NewBus(func() hal.I2C { return newModel().I2C() })
		o := rig.Options(bus)
		o.Configured = []node.Configured{{Name: "front", Component: imu.NewMPU6050Component(), Settings: node.ComponentSettings{Type: "imu/mpu6050",
			Hardware: map[string]node.ResourceSettings{"bus": {Path: "i2c-3", Address: 0x69}}}}}
		m := rig.Run(t, o)
		m.Until("front", "ok", time.Second, rig.IsOK)
		bus.Unplug(true)
		m.Until("front", "failed", time.Second, func(h fulmar.Health) bool { return h.Status == fulmar.StatusFailed })
		bus.Unplug(false)
		m.Until("front", "back", time.Second, func(h fulmar.Health) bool { return rig.IsOK(h) && h.Restarts == 1 })
		want := hal.Resource{Kind: hal.KindI2C, Path: "i2c-3", Address: 0x69}
		if got := bus.Opened(); len(got) != 2 || got[0] != want || got[1] != want {
			t.Errorf("%+v", got)
		}
	})
}

// Answers that cannot be are trouble of another kind than silence, with the same end.
func TestComponentOfADisturbedChip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := rig.NewBus(func() hal.I2C { return newModel().I2C() })
		r := rig.NewReader[imu.Sample]("imu", "sample")
		m := rig.Run(t, rig.Options(bus, imu.NewMPU6050Component(), r))
		m.Until("imu", "ok", time.Second, rig.IsOK)
		bus.Set(haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x3A}, Answer: []byte{1, 0, 0, 0, 0, 0, 0, 0x80, 0}}) // −60 °C
		had := len(r.Values())
		m.Until("imu", "degraded", time.Second, func(h fulmar.Health) bool { return h.Reason == "reading the device fails" })
		m.Until("imu", "failed", time.Second, func(h fulmar.Health) bool {
			return h.LastError == "task read: imu: mpu6050: read: an answer that this chip cannot give, 21 times in a row"
		})
		if got := len(r.Values()) - had; got > 1 {
			t.Errorf("%d samples that cannot be", got)
		}
	})
}
