package baro_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"tinygo.org/x/drivers/bmp388"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/baro"
	"github.com/fulmar-io/fulmar/drivers/internal/drivertest"
	"github.com/fulmar-io/fulmar/drivers/tinygo"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// nvm are the trimming coefficients as the chip has them.
type nvm struct {
	t1, t2, p5, p6               uint16
	t3, p3, p4, p7, p8, p10, p11 int8
	p1, p2, p9                   int16
}

// typical are coefficients in the middle of what is plausible: with them, raw values of 8 300 000 and 6 400 000 are of a mild
// day at sea level.
var typical = nvm{t1: 27772, t2: 18974, t3: -10, p1: -820, p2: -2300, p3: 6, p4: 1, p5: 25600, p6: 29850, p7: 3, p8: -6, p9: 3540, p10: 12, p11: -60}

func (n nvm) bytes() []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, n.t1)
	b = append(le.AppendUint16(b, n.t2), byte(n.t3))
	b = le.AppendUint16(b, uint16(n.p1))
	b = append(le.AppendUint16(b, uint16(n.p2)), byte(n.p3), byte(n.p4))
	b = le.AppendUint16(le.AppendUint16(b, n.p5), n.p6)
	b = append(b, byte(n.p7), byte(n.p8))
	return append(le.AppendUint16(b, uint16(n.p9)), byte(n.p10), byte(n.p11))
}

// datasheet computes °C and Pa by Bosch's formula, step by step, in rational numbers: no rounding, no shared code.
func (n nvm) datasheet(uncompTemp, uncompPress int64) (temp, press float64) {
	scaled := func(v int64, exp int) *big.Rat {
		r := new(big.Rat).SetInt64(v)
		two := new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(max(exp, -exp))))
		if exp < 0 {
			return r.Quo(r, two)
		}
		return r.Mul(r, two)
	}
	add := func(a ...*big.Rat) *big.Rat {
		s := new(big.Rat)
		for _, x := range a {
			s.Add(s, x)
		}
		return s
	}
	mul := func(a ...*big.Rat) *big.Rat {
		p := big.NewRat(1, 1)
		for _, x := range a {
			p.Mul(p, x)
		}
		return p
	}
	ut, up := new(big.Rat).SetInt64(uncompTemp), new(big.Rat).SetInt64(uncompPress)
	partial1 := add(ut, scaled(-int64(n.t1), 8))
	partial2 := mul(partial1, scaled(int64(n.t2), -30))
	t := add(partial2, mul(partial1, partial1, scaled(int64(n.t3), -48)))

	out1 := add(scaled(int64(n.p5), 3), mul(scaled(int64(n.p6), -6), t), mul(scaled(int64(n.p7), -8), t, t), mul(scaled(int64(n.p8), -15), t, t, t))
	out2 := mul(up, add(scaled(int64(n.p1)-1<<14, -20), mul(scaled(int64(n.p2)-1<<14, -29), t), mul(scaled(int64(n.p3), -32), t, t), mul(scaled(int64(n.p4), -37), t, t, t)))
	out3 := add(mul(up, up, add(scaled(int64(n.p9), -48), mul(scaled(int64(n.p10), -48), t))), mul(up, up, up, scaled(int64(n.p11), -65)))
	temp, _ = t.Float64()
	press, _ = add(out1, out2, out3).Float64()
	return temp, press
}

// model is a BMP388. It refuses setups for whose samples there is no time, but only when it measures.
type model struct {
	*haltest.Registers
	still bool
}

func newModel(n nvm, rawTemp, rawPress uint32) *model {
	m := &model{Registers: haltest.NewRegisters(haltest.Layout{Registers: 0x80})}
	m.Set(0x00, 0x50)
	m.Set(0x1C, 0x02)
	m.SetBytes(0x31, n.bytes()...)
	m.SetBytes(0x04, byte(rawPress), byte(rawPress>>8), byte(rawPress>>16), byte(rawTemp), byte(rawTemp>>8), byte(rawTemp>>16))
	check := func() {
		osr, odr := m.Get(0x1C), m.Get(0x1D)
		need := 2020*(1<<(osr&7)) + 2020*(1<<(osr>>3&7)) // µs; the fixed parts left out
		if m.Get(0x1B)&0x30 == 0x30 && need > 5000<<odr {
			m.Set(0x02, m.Get(0x02)|4)
		}
	}
	m.OnWrite = func(register int, v uint16) uint16 {
		m.Set(register, v)
		check()
		return v
	}
	m.OnRead = func(register int) {
		ready := m.Get(0x1B)&0x33 == 0x33 && !m.still
		m.Set(0x03, map[bool]uint16{true: 0x70, false: 0x10}[ready])
		if register == 0x03 { // it comes after the errors, which reading clears
			m.Set(0x02, m.Get(0x02)&1)
		}
	}
	return m
}

func TestBMP388OnBadBuses(t *testing.T) {
	drivertest.Driver{
		Chip: func() hal.I2C { return newModel(typical, 8300000, 6400000).I2C() },
		Open: func(bus hal.I2C) (func() (bool, error), error) {
			d, err := baro.OpenBMP388(bus, baro.Config{})
			if err != nil {
				return nil, err
			}
			return func() (bool, error) { _, fresh, err := d.Read(); return fresh, err }, nil
		},
		OpenWithin: 20, CallWithin: 1, Prefix: "baro: bmp388: ",
		Wrong:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x00}, Answer: []byte{0x60}},
		WrongError: "register 0x0 reads 0x60, and of a BMP388 it reads 0x50",
	}.Test(t)
}

// For any coefficients and any raw values, the reading is what Bosch's formula gives, or refused as beyond the range.
func TestCompensation(t *testing.T) {
	tried, kept := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		tried++
		near := func(middle, by int, label string) int { return middle + rapid.IntRange(-by, by).Draw(t, label) }
		n := nvm{
			t1: uint16(near(27772, 1000, "t1")), t2: uint16(near(18974, 1000, "t2")), t3: rapid.Int8().Draw(t, "t3"),
			p1: int16(near(-820, 1000, "p1")), p2: int16(near(-2300, 1000, "p2")), p3: rapid.Int8().Draw(t, "p3"),
			p4: rapid.Int8().Draw(t, "p4"), p5: uint16(near(25600, 1000, "p5")), p6: uint16(near(29850, 1500, "p6")),
			p7: rapid.Int8().Draw(t, "p7"), p8: rapid.Int8().Draw(t, "p8"), p9: int16(near(3540, 500, "p9")),
			p10: rapid.Int8().Draw(t, "p10"), p11: rapid.Int8().Draw(t, "p11"),
		}
		ut, up := uint32(near(8300000, 1500000, "temperature")), uint32(near(6000000, 2500000, "pressure"))
		temp, press := n.datasheet(int64(ut), int64(up))
		d, err := baro.OpenBMP388(newModel(n, ut, up).I2C(), baro.Config{})
		if err != nil {
			t.Fatal(err)
		}
		r, fresh, err := d.Read()
		if press < 30000 || press > 125000 || temp < -40 || temp > 85 {
			if fresh || !errors.Is(err, drivers.ErrImplausible) {
				t.Fatalf("%v °C and %v Pa are read as %+v, %v, %v", temp, press, r, fresh, err)
			}
			return
		}
		kept++
		if !fresh || err != nil || math.Abs(r.TempC-temp) > 1e-9 || math.Abs(r.PressurePa-press) > 1e-6 {
			t.Fatalf("%+v, %v, %v, want %v °C, %v Pa", r, fresh, err, temp, press)
		}
	})
	if kept < tried/4 {
		t.Errorf("only %d of %d readings were within the range", kept, tried)
	}
}

// The integer formulas of the driver below, of another hand, give the same.
func TestCompensationOfAnother(t *testing.T) {
	for _, raw := range [][2]uint32{{8300000, 6400000}, {8000000, 7000000}, {8600000, 6000000}, {7400000, 6400000}} {
		m := newModel(typical, raw[0], raw[1])
		d, err := baro.OpenBMP388(m.I2C(), baro.Config{})
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := d.Read()
		if err != nil {
			t.Fatal(err)
		}
		other := bmp388.New(tinygo.NewBus(m.I2C(), uint16(bmp388.Address)))
		if err := other.Configure(bmp388.Config{Mode: bmp388.Normal, Pressure: bmp388.Sampling8X, ODR: bmp388.Odr25}); err != nil {
			t.Fatal(err)
		}
		temp, err := other.ReadTemperature()
		if err != nil {
			t.Fatal(err)
		}
		press, err := other.ReadPressure()
		if err != nil {
			t.Fatal(err)
		}
		// It rounds to hundredths, of °C and of Pa, on the way.
		if math.Abs(r.TempC-float64(temp)/100) > 0.011 || math.Abs(r.PressurePa-float64(press)/100) > 1 {
			t.Errorf("%+v, and the other has %v °C, %v Pa", r, float64(temp)/100, float64(press)/100)
		}
	}
}

func TestSetup(t *testing.T) {
	m := newModel(typical, 0, 0)
	if _, err := baro.OpenBMP388(m.I2C(), baro.Config{PressureOversampling: 16, TemperatureOversampling: 2, Filter: 3, RateHz: 12.5}); err != nil {
		t.Fatal(err)
	}
	// osr_p 4 in bits 2:0, osr_t 1 in bits 5:3; 200 Hz halved 4 times; coefficient 3 is code 2, in bits 3:1; normal mode, both on.
	for register, want := range map[int]uint16{0x1B: 0x33, 0x1C: 4 | 1<<3, 0x1D: 4, 0x1F: 2 << 1} {
		if got := m.Get(register); got != want {
			t.Errorf("register %#x is %#x, want %#x", register, got, want)
		}
	}
	for _, c := range []baro.Config{{PressureOversampling: 3}, {TemperatureOversampling: 64}, {PressureOversampling: -1}, {Filter: 2},
		{Filter: -1}, {Filter: 255}, {RateHz: 30}, {RateHz: 400}, {RateHz: 0.78125}, {RateHz: -25}, {RateHz: math.NaN()},
		{PressureOversampling: 32, RateHz: 200}} {
		if _, err := baro.OpenBMP388(newModel(typical, 0, 0).I2C(), c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	// The chip may measure already, with another setup.
	m = newModel(typical, 8300000, 6400000)
	if _, err := baro.OpenBMP388(m.I2C(), baro.Config{PressureOversampling: 1, RateHz: 200}); err != nil {
		t.Fatal(err)
	}
	if _, err := baro.OpenBMP388(m.I2C(), baro.Config{PressureOversampling: 32, RateHz: 6.25}); err != nil {
		t.Error(err)
	}
}

func TestStates(t *testing.T) {
	m := newModel(typical, 8300000, 6400000)
	d, err := baro.OpenBMP388(m.I2C(), baro.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m.still = true
	if r, fresh, err := d.Read(); fresh || err != nil || r != (baro.Reading{}) {
		t.Error(r, fresh, err)
	}
	m.still = false
	m.Set(0x02, 1)
	if r, fresh, err := d.Read(); fresh || !errors.Is(err, baro.ErrFatal) || r != (baro.Reading{}) {
		t.Error(r, fresh, err)
	}
	m.Set(0x02, 0)
	if _, fresh, err := d.Read(); !fresh || err != nil {
		t.Error(fresh, err)
	}
	if err := d.Close(); err != nil || m.Get(0x1B) != 0 {
		t.Error(err)
	}
	if h := d.Health(); h.Readings != 1 || h.Errors != 1 || h.InARow != 0 {
		t.Errorf("%+v", h)
	}
}

// A bit of the calibration that is read wrong once does not stay wrong for good.
func TestCalibrationIsReadTwice(t *testing.T) {
	m := newModel(typical, 8300000, 6400000)
	reads, onRead := 0, m.OnRead
	m.OnRead = func(register int) {
		onRead(register)
		if register == 0x36 {
			if reads++; reads == 3 { // the driver below reads it once
				m.Set(0x36, m.Get(0x36)^0x40)
			}
		}
	}
	if _, err := baro.OpenBMP388(m.I2C(), baro.Config{}); err == nil || !strings.Contains(err.Error(), "differently") {
		t.Error(err)
	}
}

func Example() {
	d, err := baro.OpenBMP388(newModel(typical, 8300000, 6400000).I2C(), baro.Config{}) // the model stands for a handle
	if err != nil {
		fmt.Println(err)
		return
	}
	r, fresh, err := d.Read()
	fmt.Printf("%.1f hPa, %.2f °C, new %v, %v\n", r.PressurePa/100, r.TempC, fresh, err)
	// Output:
	// 1050.4 hPa, 20.98 °C, new true, <nil>
}

// What the chip cannot measure is refused: each of the two on its own.
func TestBeyondTheRange(t *testing.T) {
	for _, raw := range [][2]uint32{{12200000, 6400000}, {4800000, 6400000}, {8300000, 15000000}, {8300000, 1}} {
		temp, press := typical.datasheet(int64(raw[0]), int64(raw[1]))
		if cold, thin := temp < -40 || temp > 85, press < 30000 || press > 125000; cold == thin {
			t.Fatalf("%v °C and %v Pa say nothing of one of them", temp, press)
		}
		d, err := baro.OpenBMP388(newModel(typical, raw[0], raw[1]).I2C(), baro.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if r, fresh, err := d.Read(); fresh || !errors.Is(err, drivers.ErrImplausible) || r != (baro.Reading{}) {
			t.Errorf("%v °C and %v Pa are read as %+v, %v, %v", temp, press, r, fresh, err)
		}
	}
}
