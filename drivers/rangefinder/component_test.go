package rangefinder_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers/rangefinder"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
	"github.com/fulmar-io/fulmar/internal/rig"
)

func TestComponentOnBadBuses(t *testing.T) {
	rig.Device{
		New: func() fulmar.Component { return rangefinder.NewVL53L1XComponent() }, Chip: func() hal.I2C { return newModel().I2C() },
		Wrong:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x01, 0x0F}, Answer: []byte{0xEE, 0xAA}},
		WrongError: "rangefinder: vl53l1x: open: register 0x10f reads 0xeeaa, and of a VL53L1X it reads 0xeacc",
		Still:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x00, 0x31}, Answer: []byte{3}},
	}.Test(t)
}

func TestComponentPublishes(t *testing.T) {
	for state, want := range map[byte]rangefinder.Distance{
		9: {Distance: 0.982, Valid: true, Status: rangefinder.Valid},
		4: {Status: rangefinder.Weak},
	} {
		synctest.Test(t, func(t *testing.T) {
			bus := rig.NewBus(func() hal.I2C {
				m := newModel()
				m.set(state, 4*256, 0x0100, 0x0040, 1000)
				return m.I2C()
			})
			r := rig.NewReader[rangefinder.Distance]("rangefinder", "distance")
			m := rig.Run(t, rig.Options(bus, rangefinder.NewVL53L1XComponent(), r))
			rig.Pass(time.Second)
			if err := m.Stop(); err != nil {
				t.Fatal(err)
			}
			got := r.Values()
			if len(got) < 49 || len(got) > 51 {
				t.Errorf("%d readings in a second, of a chip that has one each time", len(got))
			}
			for _, d := range got[1:] { // the first is unchecked
				if math.Abs(d.Distance-want.Distance) > 1e-3 || d.Valid != want.Valid || d.Status != want.Status || d.Signal != 2e6 || d.Ambient != 0.5e6 {
					t.Fatalf("%+v, want %+v", d, want)
				}
			}
		})
	}
}

func TestParameters(t *testing.T) {
	good := rangefinder.NewVL53L1XComponent().Defaults
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*rangefinder.VL53L1XParams){
		func(p *rangefinder.VL53L1XParams) { p.Mode = "longer" },
		func(p *rangefinder.VL53L1XParams) { p.Budget = 60 * time.Millisecond },
		func(p *rangefinder.VL53L1XParams) { p.Period = 400 * time.Millisecond }, // stale after 1 s
	} {
		p := good
		if change(&p); p.Validate() == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}
