package baro_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers/baro"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
	"github.com/fulmar-io/fulmar/internal/rig"
)

func chip() hal.I2C { return newModel(typical, 8300000, 6400000).I2C() }

func TestComponentOnBadBuses(t *testing.T) {
	rig.Device{
		New: func() fulmar.Component { return baro.NewBMP388Component() }, Chip: chip,
		Wrong:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x00}, Answer: []byte{0x60}},
		WrongError: "baro: bmp388: open: register 0x0 reads 0x60, and of a BMP388 it reads 0x50",
		Still:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x02}, Answer: []byte{0, 0}},
	}.Test(t)
}

func TestComponentPublishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rig.NewReader[baro.Air]("baro", "air")
		m := rig.Run(t, rig.Options(rig.NewBus(chip), baro.NewBMP388Component(), r))
		rig.Pass(time.Second)
		if err := m.Stop(); err != nil {
			t.Fatal(err)
		}
		got := r.Values()
		if len(got) < 49 || len(got) > 51 {
			t.Errorf("%d readings in a second, of a chip that has one each time", len(got))
		}
		temp, pressure := typical.datasheet(8300000, 6400000)
		for _, a := range got {
			if math.Abs(a.Pressure-pressure) > 1e-3 || math.Abs(a.Temperature-temp) > 1e-6 {
				t.Fatalf("%+v, want %v Pa, %v °C", a, pressure, temp)
			}
		}
	})
}

func TestParameters(t *testing.T) {
	good := baro.NewBMP388Component().Defaults
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*baro.BMP388Params){
		func(p *baro.BMP388Params) { p.Rate = 30 },
		func(p *baro.BMP388Params) { p.PressureOversampling = 3 },
		func(p *baro.BMP388Params) { p.Filter = 2 },
		func(p *baro.BMP388Params) { p.Rate = 1.5625 }, // stale after 1 s
	} {
		p := good
		if change(&p); p.Validate() == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}
