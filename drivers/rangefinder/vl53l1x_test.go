package rangefinder_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/drivers/internal/drivertest"
	"github.com/fulmar-io/fulmar/drivers/rangefinder"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// model is a VL53L1X. After a reset it starts when it was asked a few times; once started, it has a measurement, and the next
// one when the interrupt was cleared.
type model struct {
	*haltest.Registers
	boot    int // questions until it has started
	left    int
	ranging bool
	ready   bool
	still   bool
	stream  byte
	result  [17]byte
	clears  int
}

const fastOscillator = 0xBCCC // 11.8 MHz, with 12 bits of fraction

func newModel() *model {
	m := &model{Registers: haltest.NewRegisters(haltest.Layout{Registers: 0x200, AddressBytes: 2}), boot: 3}
	m.SetBytes(0x010F, 0xEA, 0xCC)
	m.SetBytes(0x0006, fastOscillator>>8, fastOscillator&0xFF)
	m.SetBytes(0x00DE, 0x02, 0xA0)
	m.SetBytes(0x0008, 0x81)
	m.SetBytes(0x000B, 0x9F)
	m.SetBytes(0x00D8, 0x21)
	m.set(9, 4*256, 0x0100, 0x0040, 1000)
	m.OnRead = func(register int) {
		switch register {
		case 0x00E5:
			m.left--
			m.Set(0x00E5, map[bool]uint16{true: 3}[m.left <= 0])
		case 0x0031:
			m.Set(0x0031, map[bool]uint16{true: 2, false: 3}[m.ready])
		case 0x0089:
			m.result[2] = m.stream
			m.SetBytes(0x0089, m.result[:]...)
		}
	}
	m.OnWrite = func(register int, v uint16) uint16 {
		switch {
		case register == 0 && v == 1:
			m.left = m.boot
		case register == 0x0087:
			m.ranging = v == 0x40
			m.ready = m.ranging && !m.still
		case register == 0x0086 && v == 1:
			m.clears++
			m.ready = m.ranging && !m.still
			if m.stream++; m.stream == 0 {
				m.stream = 0x80
			}
		}
		return v
	}
	return m
}

func (m *model) set(state byte, detectors, signal, ambient, mm uint16) {
	m.result[0] = state
	for i, v := range map[int]uint16{3: detectors, 7: ambient, 13: mm, 15: signal} {
		m.result[i], m.result[i+1] = byte(v>>8), byte(v)
	}
}

func (m *model) word(register int) uint16 { return m.Get(register)<<8 | m.Get(register+1) }

func open(bus hal.I2C) (*rangefinder.VL53L1X, error) {
	return rangefinder.OpenVL53L1X(bus, rangefinder.Config{})
}

func TestVL53L1XOnBadBuses(t *testing.T) {
	drivertest.Driver{
		Chip: func() hal.I2C { return newModel().I2C() },
		Open: func(bus hal.I2C) (func() (bool, error), error) {
			d, err := open(bus)
			if err != nil {
				return nil, err
			}
			return func() (bool, error) { _, fresh, err := d.Read(); return fresh, err }, nil
		},
		OpenWithin: 310, CallWithin: 11, Prefix: "rangefinder: vl53l1x: ",
		Wrong:      haltest.Fault{Trouble: haltest.Answered, Match: []byte{0x01, 0x0F}, Answer: []byte{0xEE, 0xAA}},
		WrongError: "register 0x10f reads 0xeeaa, and of a VL53L1X it reads 0xeacc",
	}.Test(t)
}

// A chip that never starts is not waited for; nor is one that answers 0 where the driver below divides by it.
func TestAChipThatDoesNotStart(t *testing.T) {
	m := newModel()
	m.boot = 1 << 30
	_, err := open(m.I2C())
	if err == nil || m.Transactions() > 310 || !strings.HasPrefix(err.Error(), "rangefinder: vl53l1x: open: ") {
		t.Errorf("%v after %d transactions", err, m.Transactions())
	}
	m = newModel()
	m.SetBytes(0x0006, 0, 0)
	if _, err := open(m.I2C()); err == nil || !strings.Contains(err.Error(), "divide by zero") {
		t.Error(err)
	}
}

func TestReadings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		d, err := open(m.I2C())
		if err != nil {
			t.Fatal(err)
		}
		m.stream = 1
		mm := rapid.Uint16Range(0, 4000).Draw(t, "mm")
		signal, ambient, detectors := rapid.Uint16().Draw(t, "signal"), rapid.Uint16().Draw(t, "ambient"), rapid.Uint16().Draw(t, "detectors")
		m.set(rapid.SampledFrom([]byte{9, 9 | 0x20, 9 | 0xC0}).Draw(t, "state"), detectors, signal, ambient, mm)
		r, fresh, err := d.Read()
		if !fresh || err != nil || r.Status != rangefinder.Valid || !r.Status.Good() {
			t.Fatal(r, fresh, err)
		}
		// 98.2 % of what the register says; rates in 1/128 million per second; detectors in 1/256.
		if want := float64(mm) * 0.98193359375 / 1000; math.Abs(r.DistanceM-want) > 1e-9 {
			t.Fatalf("%v m, want %v", r.DistanceM, want)
		}
		if r.SignalHz != float64(signal)*7812.5 || r.AmbientHz != float64(ambient)*7812.5 || r.Detectors != float64(detectors)/256 {
			t.Fatalf("%+v", r)
		}
		// The next measurement uses as many detectors as bring the rate to 20 million (0x0A00 / 128) per second.
		next := float64(m.word(0x0054))
		if detectors == 0 || signal == 0 && ambient == 0 {
			if next != 0x8000 {
				t.Fatalf("%v detectors, want the middle", next)
			}
			return
		}
		rate := min(float64(signal)+float64(ambient), 65535) / float64(detectors)
		if want := min(0x0A00/rate, 65535); math.Abs(next-want) > 1+want*want/0x0A00/65536*1.01 {
			t.Fatalf("%v/256 detectors, want %v", next, want)
		}
	})
}

func TestStates(t *testing.T) {
	for state := range byte(32) {
		m := newModel()
		d, err := open(m.I2C())
		if err != nil {
			t.Fatal(err)
		}
		m.stream = 1
		m.set(state, 256, 1, 1, 1000)
		r, fresh, err := d.Read()
		switch state {
		case 1, 2, 3, 17:
			if fresh || !errors.Is(err, rangefinder.ErrHardware) {
				t.Errorf("%d: %+v, %v, %v", state, r, fresh, err)
			}
			continue
		case 4, 5, 6, 7, 8, 9, 12, 13, 18, 19:
			want := map[byte]string{4: "weak", 5: "out of bounds", 6: "sigma", 7: "wrapped", 8: "clipped", 9: "valid", 12: "crosstalk", 13: "region clipped", 18: "synchronisation",
				19: "unchecked"}[state]
			good := state == 8 || state == 9 || state == 19
			if !fresh || err != nil || r.Status.String() != want || r.Status.Good() != good || (r.DistanceM > 0) != good {
				t.Errorf("%d: %+v, %v, %v", state, r, fresh, err)
			}
		default:
			if fresh || !errors.Is(err, drivers.ErrImplausible) {
				t.Errorf("%d: %+v, %v, %v", state, r, fresh, err)
			}
		}
		if m.clears != 2 { // at the start, and here
			t.Errorf("%d: the interrupt was cleared %d times", state, m.clears)
		}
	}
	if s := rangefinder.Status(99); s.String() != "invalid" || s.Good() {
		t.Error(s)
	}
}

// The timing budget that was asked for is what the chip is set to, in each mode: twice the time of a range, in periods that
// follow from the oscillator and the laser, and the guard of 4.5 ms.
func TestBudget(t *testing.T) {
	for mode, vcsel := range map[rangefinder.Mode]float64{rangefinder.Long: 0x0F, rangefinder.Medium: 0x0B, rangefinder.Short: 0x07} {
		for _, budget := range []uint32{20000, 33000, 50000, 140000, 500000} {
			m := newModel()
			if _, err := rangefinder.OpenVL53L1X(m.I2C(), rangefinder.Config{Mode: mode, BudgetUs: budget, PeriodMs: 600}); err != nil {
				t.Fatal(err)
			}
			period := 2304 * 2 * (vcsel + 1) / (fastOscillator / 64.0) // µs
			timeout := m.word(0x005E)
			periods := float64(uint32(timeout&0xFF)<<(timeout>>8)) + 1
			if got := 2*periods*period + 4528; math.Abs(got-float64(budget)) > 0.01*float64(budget)+2*period {
				t.Errorf("mode %d: %v µs, want %d", mode, got, budget)
			}
			if got := float64(m.word(0x006C))*65536 + float64(m.word(0x006E)); got != 600*0x02A0 {
				t.Errorf("a period of %v clocks, want %d", got, 600*0x02A0)
			}
		}
	}
	for _, c := range []rangefinder.Config{{BudgetUs: 19999}, {BudgetUs: 1000001}, {BudgetUs: 50000, PeriodMs: 49}, {PeriodMs: 60001}, {Mode: 3}} {
		if _, err := rangefinder.OpenVL53L1X(newModel().I2C(), c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestLife(t *testing.T) {
	m := newModel()
	d, err := rangefinder.OpenVL53L1X(m.I2C(), rangefinder.Config{Pullup1V8: true})
	if err != nil {
		t.Fatal(err)
	}
	if m.Get(0x002E) != 0 {
		t.Error("it is set to 2.8 V")
	}
	r, fresh, err := d.Read()
	if !fresh || err != nil || r.Status != rangefinder.Valid {
		t.Error(r, fresh, err)
	}
	// What the first measurement found is kept for the next.
	for register, want := range map[int]uint16{0x000B: 0x1F, 0x0008: 0x81&3 + 12, 0x004D: 1, 0x0047: 0x21} {
		if got := m.Get(register); got != want {
			t.Errorf("register %#x is %#x, want %#x", register, got, want)
		}
	}
	before := m.Transactions()
	if _, fresh, err := d.Read(); !fresh || err != nil || m.Transactions()-before != 4 {
		t.Error(fresh, err, m.Transactions()-before)
	}
	m.ready = false
	if r, fresh, err := d.Read(); fresh || err != nil || r != (rangefinder.Reading{}) {
		t.Error(r, fresh, err)
	}
	if err := d.Close(); err != nil || m.ranging || m.Get(0x000B) != 0x9F || m.Get(0x0008) != 0x81 || m.Get(0x004D) != 0 {
		t.Error("closing does not restore it", err)
	}
	if h := d.Health(); h.Readings != 2 || h.Errors != 0 {
		t.Errorf("%+v", h)
	}
	m = newModel()
	if _, err := open(m.I2C()); err != nil || m.Get(0x002E) != 1 {
		t.Error("it is not set to 2.8 V", err)
	}
}

// An error in the middle of the first measurement does not make half of a calibration the chip's own.
func TestInterruptedCalibration(t *testing.T) {
	for n := range 11 {
		m := newModel()
		f := haltest.NewFaults()
		bus, err := f.Wrap(hal.KindI2C, m.I2C())
		if err != nil {
			t.Fatal(err)
		}
		d, err := open(bus.(hal.I2C))
		if err != nil {
			t.Fatal(err)
		}
		f.Set(haltest.Fault{Trouble: haltest.Silent, After: n, For: 1})
		if _, _, err := d.Read(); err == nil {
			t.Fatal("no error")
		}
		if _, fresh, err := d.Read(); !fresh || err != nil {
			t.Fatal(fresh, err)
		}
		if err := d.Close(); err != nil || m.Get(0x000B) != 0x9F || m.Get(0x0008) != 0x81 {
			t.Errorf("after transaction %d failed: %#x, %#x, %v", n, m.Get(0x000B), m.Get(0x0008), err)
		}
	}
}

// The first of a series has no number yet.
func TestFirstIsUnchecked(t *testing.T) {
	m := newModel()
	d, err := open(m.I2C())
	if err != nil {
		t.Fatal(err)
	}
	m.stream = 0
	if r, _, err := d.Read(); err != nil || r.Status != rangefinder.Unchecked || r.DistanceM == 0 {
		t.Error(r, err)
	}
}

func Example() {
	d, err := rangefinder.OpenVL53L1X(newModel().I2C(), rangefinder.Config{Mode: rangefinder.Long}) // the model stands for a handle
	if err != nil {
		fmt.Println(err)
		return
	}
	r, fresh, err := d.Read()
	fmt.Printf("%.3f m, %s, new %v, %v\n", r.DistanceM, r.Status, fresh, err)
	// Output:
	// 0.982 m, valid, new true, <nil>
}
