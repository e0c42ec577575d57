package haltest_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// counting is a device that answers with how often it was reached.
type counting struct{ n byte }

func (c *counting) Tx(_, r []byte) error {
	c.n++
	for i := range r {
		r[i] = c.n
	}
	return nil
}

// outcome runs calls on a broken device and writes each in a letter: the answer, or what error.
func outcome(t *testing.T, f *haltest.Faults, calls int) string {
	t.Helper()
	h, err := f.Wrap(hal.KindI2C, &counting{})
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for range calls {
		b := make([]byte, 2)
		switch err := h.(hal.I2C).Tx([]byte{0x75}, b); {
		case errors.Is(err, hal.ErrNoAnswer):
			s.WriteByte('-')
		case errors.Is(err, hal.ErrGone):
			s.WriteByte('x')
		case err != nil || b[0] != b[1]:
			t.Fatal(b, err)
		default:
			fmt.Fprintf(&s, "%x", b[0])
		}
	}
	return s.String()
}

func TestFaultsKeepTheirSchedule(t *testing.T) {
	slow := 0
	for _, c := range []struct {
		name   string
		faults []haltest.Fault
		want   string
	}{
		{"none", nil, "123456789a"},
		{"silent", []haltest.Fault{{Trouble: haltest.Silent}}, "----------"},
		{"silent for a while", []haltest.Fault{{Trouble: haltest.Silent, After: 2, For: 3}}, "12---34567"},
		{"each third unanswered", []haltest.Fault{{Trouble: haltest.Silent, After: 1, Every: 3}}, "1-23-45-67"},
		{"only the third", []haltest.Fault{{Trouble: haltest.Silent, After: 2, For: 1}}, "12-3456789"},
		{"stuck", []haltest.Fault{{Trouble: haltest.Stuck, After: 2, For: 4}}, "1222223456"},
		{"stuck from the start", []haltest.Fault{{Trouble: haltest.Stuck, For: 3}}, "0001234567"},
		{"gone for good", []haltest.Fault{{Trouble: haltest.Gone, After: 4, For: 1}}, "1234xxxxxx"},
		{"another answer", []haltest.Fault{{Trouble: haltest.Answered, After: 8, Match: []byte{0x75}, Answer: []byte{7, 7}}}, "1234567877"},
		{"the answer of another register", []haltest.Fault{{Trouble: haltest.Answered, Match: []byte{0x76}, Answer: []byte{7, 7}}}, "123456789a"},
		{"slow", []haltest.Fault{{Trouble: haltest.Slow, Every: 2, Wait: func() { slow++ }}}, "123456789a"},
		{"silent, then gone", []haltest.Fault{{Trouble: haltest.Silent, After: 1, For: 2}, {Trouble: haltest.Gone, After: 5}}, "1--23xxxxx"},
	} {
		if got := outcome(t, haltest.NewFaults(c.faults...), 10); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if slow != 5 {
		t.Errorf("waited %d times, want 5", slow)
	}
}

// What was pulled out can be plugged in again, in the midst of a run.
func TestSetReplaces(t *testing.T) {
	f := haltest.NewFaults()
	h, err := f.Wrap(hal.KindI2C, &counting{})
	if err != nil {
		t.Fatal(err)
	}
	tx := func() error { return h.(hal.I2C).Tx(nil, make([]byte, 1)) }
	if err := tx(); err != nil {
		t.Error(err)
	}
	f.Set(haltest.Fault{Trouble: haltest.Gone})
	if err := tx(); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	f.Set()
	if err := tx(); err != nil || f.Calls() != 1 {
		t.Error(err, f.Calls())
	}
}

// Bit errors come at the rate that was asked for, the same ones for the same seed.
func TestBitErrors(t *testing.T) {
	run := func(rate float64, seed uint64) []byte {
		h, err := haltest.NewFaults(haltest.Fault{Trouble: haltest.BitErrors, Rate: rate, Seed: seed}).Wrap(hal.KindSPI, &echo{})
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1<<16)
		if err := h.(hal.SPI).Tx(b, b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	ones := func(b []byte) (n int) {
		for _, c := range b {
			n += bits.OnesCount8(c)
		}
		return n
	}
	if n := ones(run(0, 1)); n != 0 {
		t.Errorf("%d bits at rate 0", n)
	}
	if n := ones(run(1, 1)); n != 8<<16 {
		t.Errorf("%d bits at rate 1", n)
	}
	// 524288 bits at 1 %: 5243 expected, standard deviation 72.
	if n := ones(run(0.01, 1)); n < 4800 || n > 5700 {
		t.Errorf("%d bits at rate 0.01", n)
	}
	if !bytes.Equal(run(0.01, 1), run(0.01, 1)) || bytes.Equal(run(0.01, 1), run(0.01, 2)) {
		t.Error("the seed does not decide which")
	}
}

// Each kind of handle knows each trouble that it can have.
func TestFaultsOfAllKinds(t *testing.T) {
	for _, c := range []struct {
		trouble haltest.Trouble
		want    string
	}{
		{haltest.Silent, "input read - edges - | output - | pwm - | adc - | counter - | i2c - | spi - | uart 0 took 3 | can ok 0 |"},
		{haltest.Gone, "input read x edges x | output x | pwm x | adc x | counter x | i2c x | spi x | uart x took x | can x x |"},
		{haltest.Stuck, "input read true edges 0 | output ok | pwm ok | adc 3.25 | counter -7 | i2c 68 | spi 68 | uart 5 took 3 | can ok 1 |"},
	} {
		var all2 []any
		schedules := map[hal.Kind]*haltest.Faults{}
		h := haltest.Host(newBench(), func(r hal.Resource) *haltest.Faults {
			schedules[r.Kind] = haltest.NewFaults()
			return schedules[r.Kind]
		})
		for _, r := range all {
			handle, _, err := h.Open(r)
			if err != nil {
				t.Fatal(err)
			}
			all2 = append(all2, handle)
		}
		probe(all2) // so that there is something to be stuck at
		for _, f := range schedules {
			f.Set(haltest.Fault{Trouble: c.trouble})
		}
		if got := probe(all2); got != c.want {
			t.Errorf("trouble %d:\ngot  %s\nwant %s", c.trouble, got, c.want)
		}
	}
}

func probe(handles []any) string {
	says := func(v any, err error) any {
		switch {
		case errors.Is(err, hal.ErrNoAnswer):
			return "-"
		case errors.Is(err, hal.ErrGone):
			return "x"
		case err != nil:
			return err
		}
		return v
	}
	var s strings.Builder
	b := make([]byte, 5)
	high, err := handles[0].(hal.Input).Read()
	n, err2 := handles[0].(hal.Input).Edges(make([]hal.Edge, 3))
	fmt.Fprint(&s, "input read ", says(high, err), " edges ", says(n, err2))
	fmt.Fprint(&s, " | output ", says("ok", handles[1].(hal.Output).Write(true)))
	fmt.Fprint(&s, " | pwm ", says("ok", handles[2].(hal.PWM).Set(2, 1)))
	v, err := handles[3].(hal.ADC).Volts()
	fmt.Fprint(&s, " | adc ", says(v, err))
	k, err := handles[4].(hal.Counter).Count()
	fmt.Fprint(&s, " | counter ", says(k, err))
	err = handles[5].(hal.I2C).Tx([]byte{0x75}, b[:1])
	fmt.Fprint(&s, " | i2c ", says(fmt.Sprintf("%x", b[0]), err))
	err = handles[6].(hal.SPI).Tx([]byte{0xF5, 0}, b[:2])
	fmt.Fprint(&s, " | spi ", says(fmt.Sprintf("%x", b[1]), err))
	n, err = handles[7].(hal.UART).Read(b)
	took, err2 := handles[7].(hal.UART).Write([]byte("abc"))
	fmt.Fprint(&s, " | uart ", says(n, err), " took ", says(took, err2))
	err = handles[8].(hal.CAN).Send(hal.Frame{})
	n, err2 = handles[8].(hal.CAN).Receive(make([]hal.Frame, 1))
	fmt.Fprint(&s, " | can ", says("ok", err), " ", says(n, err2), " |")
	return s.String()
}

func TestFaultsThatCannotBe(t *testing.T) {
	for _, k := range []hal.Kind{hal.KindInput, hal.KindADC, hal.KindOutput} {
		if _, err := haltest.NewFaults(haltest.Fault{Trouble: haltest.BitErrors}).Wrap(k, newBench().handles["GPIO17"]); err == nil {
			t.Errorf("a %s has bit errors", k)
		}
	}
	if _, err := haltest.NewFaults().Wrap(hal.KindADC, &counting{}); err == nil {
		t.Error("an I2C device is a converter")
	}
	h := haltest.Host(newBench(), func(hal.Resource) *haltest.Faults { return haltest.NewFaults() })
	if _, _, err := h.Open(hal.Resource{Kind: hal.KindCAN, Path: "GPIO17"}); err == nil {
		t.Error("a pin is a bus")
	}
}

func TestRegisters(t *testing.T) {
	chip := haltest.NewRegisters(haltest.Layout{Registers: 0x200, AddressBytes: 2})
	chip.Set(0x10F, 0xEA, 0xCC)
	b := make([]byte, 2)
	if err := chip.I2C().Tx([]byte{1, 0x0F}, b); err != nil || !bytes.Equal(b, []byte{0xEA, 0xCC}) {
		t.Errorf("% x, %v", b, err)
	}
	// A read without a write goes on where the last one ended.
	if err := chip.I2C().Tx([]byte{0, 0x20, 1, 2, 3}, nil); err != nil {
		t.Error(err)
	}
	if err := chip.I2C().Tx([]byte{0, 0x21}, b[:1]); err != nil || b[0] != 2 {
		t.Error(b, err)
	}
	if err := chip.I2C().Tx(nil, b[:1]); err != nil || b[0] != 3 {
		t.Error(b, err)
	}
	if chip.Transactions() != 4 {
		t.Error(chip.Transactions())
	}

	wide := haltest.NewRegisters(haltest.Layout{Registers: 6, Width: 2, Fixed: true})
	var hooks []string
	wide.OnWrite = func(r int, v uint16) uint16 { hooks = append(hooks, fmt.Sprintf("w%d=%x", r, v)); return v &^ 1 }
	wide.OnRead = func(r int) { hooks = append(hooks, fmt.Sprintf("r%d", r)) }
	if err := wide.I2C().Tx([]byte{5, 0x12, 0x35}, nil); err != nil || wide.Get(5) != 0x1234 {
		t.Errorf("%x, %v", wide.Get(5), err)
	}
	four := make([]byte, 4)
	if err := wide.I2C().Tx([]byte{5}, four); err != nil || !bytes.Equal(four, []byte{0x12, 0x34, 0x12, 0x34}) {
		t.Errorf("% x, %v", four, err)
	}
	if got := strings.Join(hooks, " "); got != "w5=1235 r5 r5" {
		t.Error(got)
	}

	spi := haltest.NewRegisters(haltest.Layout{Registers: 0x80})
	bus := spi.SPI(0x80, 1)
	if err := bus.Tx([]byte{0x1B, 0x33, 0x34}, nil); err != nil || spi.Get(0x1C) != 0x34 {
		t.Error(err, spi.Get(0x1C))
	}
	if err := bus.Tx([]byte{0x9B, 0, 0, 0}, four); err != nil || !bytes.Equal(four, []byte{0, 0, 0x33, 0x34}) {
		t.Errorf("% x, %v", four, err)
	}
	for name, err := range map[string]error{
		"beyond": chip.I2C().Tx([]byte{2, 0}, b), "half an address": chip.I2C().Tx([]byte{2}, nil),
		"half a value": wide.I2C().Tx([]byte{5, 1}, nil), "half a read": wide.I2C().Tx([]byte{5}, b[:1]),
		"no address": bus.Tx(nil, b), "lengths": bus.Tx([]byte{1}, b),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
