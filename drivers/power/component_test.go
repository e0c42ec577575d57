package power_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers/power"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
	"github.com/fulmar-io/fulmar/internal/rig"
)

func chip() hal.I2C { return newModel(12, -0.05).I2C() }

func TestComponentOnBadBuses(t *testing.T) {
	rig.Device{
		New: func() fulmar.Component { return power.NewINA219Component() }, Chip: chip,
		Wrong:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x00}, Answer: []byte{0x12, 0x34}},
		WrongError: "power: ina219: open: register 0x0 reads 0x1234, and of a INA219 after its reset it reads 0x399f",
		Still:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x02}, Answer: []byte{0, 0}},
	}.Test(t)
}

func TestComponentPublishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rig.NewReader[power.Supply]("power", "supply")
		c := power.NewINA219Component()
		c.Defaults.Shunt = 0.02
		m := rig.Run(t, rig.Options(rig.NewBus(chip), c, r))
		rig.Pass(time.Second)
		if err := m.Stop(); err != nil {
			t.Fatal(err)
		}
		got := r.Values()
		if len(got) < 19 || len(got) > 21 {
			t.Errorf("%d readings in a second", len(got))
		}
		for _, s := range got {
			if s.Voltage != 12 || math.Abs(s.Current+2.5) > 1e-9 || math.Abs(s.Power+30) > 1e-9 || s.Clipped {
				t.Fatalf("%+v, want 12 V, −2.5 A", s)
			}
		}
	})
}

func TestParameters(t *testing.T) {
	p := power.NewINA219Component().Defaults
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if p.MaxCurrent = 3.3; p.Validate() == nil { // 330 mV
		t.Errorf("%+v is taken", p)
	}
}
