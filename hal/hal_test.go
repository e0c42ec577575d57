package hal_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fulmar-io/fulmar/hal"
)

// everything implements all contracts but UART, whose Read collides with Input's.
type everything struct{}

func (everything) Read() (bool, error)              { return true, nil }
func (everything) Edges([]hal.Edge) (int, error)    { return 1, nil }
func (everything) Set(int64, int64) error           { return nil }
func (everything) Volts() (float64, error)          { return 1, nil }
func (everything) Count() (int64, error)            { return 1, nil }
func (everything) Tx([]byte, []byte) error          { return nil }
func (everything) Send(hal.Frame) error             { return nil }
func (everything) Receive([]hal.Frame) (int, error) { return 1, nil }
func (everything) Write(bool) error                 { return nil }

type line struct{}

func (line) Read([]byte) (int, error)  { return 1, nil }
func (line) Write([]byte) (int, error) { return 1, nil }

// calls are all calls that can be made on a handle of a kind.
func calls(t *testing.T, k hal.Kind, handle any) []error {
	t.Helper()
	switch k {
	case hal.KindInput:
		_, err := handle.(hal.Input).Read()
		_, err2 := handle.(hal.Input).Edges(nil)
		return []error{err, err2}
	case hal.KindOutput:
		return []error{handle.(hal.Output).Write(true)}
	case hal.KindPWM:
		return []error{handle.(hal.PWM).Set(2, 1)}
	case hal.KindADC:
		_, err := handle.(hal.ADC).Volts()
		return []error{err}
	case hal.KindCounter:
		_, err := handle.(hal.Counter).Count()
		return []error{err}
	case hal.KindI2C:
		return []error{handle.(hal.I2C).Tx(nil, nil)}
	case hal.KindSPI:
		return []error{handle.(hal.SPI).Tx(nil, nil)}
	case hal.KindUART:
		_, err := handle.(hal.UART).Read(nil)
		_, err2 := handle.(hal.UART).Write(nil)
		return []error{err, err2}
	case hal.KindCAN:
		_, err := handle.(hal.CAN).Receive(nil)
		return []error{handle.(hal.CAN).Send(hal.Frame{}), err}
	}
	t.Fatalf("no calls on a %s", k)
	return nil
}

// Every call on every kind of handle works until the lease is revoked, and fails afterwards, without allocating.
func TestLeasesAreRevoked(t *testing.T) {
	for k := hal.KindInput; k <= hal.KindCAN; k++ {
		var l hal.Lease
		raw := any(everything{})
		if k == hal.KindUART {
			raw = line{}
		}
		handle, ok := l.Let(k, raw)
		if !ok {
			t.Fatalf("%s: it does not meet its contract", k)
		}
		for i, err := range calls(t, k, handle) {
			if err != nil {
				t.Errorf("%s: call %d: %v", k, i, err)
			}
		}
		l.Revoke()
		for i, err := range calls(t, k, handle) {
			if !errors.Is(err, hal.ErrRevoked) {
				t.Errorf("%s: call %d after it was revoked: %v", k, i, err)
			}
		}
		if _, ok := l.Let(k, 7); ok {
			t.Errorf("%s: a number meets the contract", k)
		}
	}
	if _, ok := new(hal.Lease).Let(0, everything{}); ok {
		t.Error("there is a handle of no kind")
	}
}

func TestSameHardware(t *testing.T) {
	i2c := hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x68}
	pin := hal.Resource{Kind: hal.KindInput, Path: "GPIO17"}
	for _, c := range []struct {
		a, b hal.Resource
		same bool
	}{
		{i2c, i2c, true},
		{i2c, hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x69}, false},
		{pin, hal.Resource{Kind: hal.KindOutput, Path: "GPIO17"}, true},
		{pin, hal.Resource{Kind: hal.KindInput, Path: "GPIO17", PullUp: true}, true},
		{pin, hal.Resource{Kind: hal.KindPWM, Path: "GPIO17"}, false},
		{pin, hal.Resource{Kind: hal.KindInput, Path: "GPIO18"}, false},
		{hal.Resource{Kind: hal.KindUART, Path: "ttyACM0"}, hal.Resource{Kind: hal.KindUART, Path: "/dev/ttyACM0", RateHz: 9600}, true},
		{hal.Resource{Kind: hal.KindUART, Path: "ttyACM0"}, hal.Resource{Kind: hal.KindUART, Path: "/dev/ttyACM1"}, false},
		{hal.Resource{Kind: hal.KindUART, Path: "/dev/"}, hal.Resource{Kind: hal.KindUART}, false},
	} {
		if c.a.Same(c.b) != c.same || c.b.Same(c.a) != c.same {
			t.Errorf("%+v and %+v: same is %v", c.a, c.b, !c.same)
		}
	}
}

func TestFramesAreChecked(t *testing.T) {
	for _, c := range []struct {
		f     hal.Frame
		valid bool
	}{
		{hal.Frame{ID: 0x7FF, Len: 8}, true},
		{hal.Frame{ID: 0x800}, false},
		{hal.Frame{ID: 0x800, Extended: true}, true},
		{hal.Frame{ID: 1 << 29, Extended: true}, false},
		{hal.Frame{Len: 9}, false},
	} {
		if c.f.Valid() != c.valid {
			t.Errorf("%+v: valid is %v", c.f, !c.valid)
		}
	}
}

// thermometer answers a register with a temperature.
type thermometer struct{}

func (thermometer) Tx(w, r []byte) error {
	if len(w) == 1 && w[0] == 0x05 && len(r) == 1 {
		r[0] = 21
		return nil
	}
	return hal.ErrNoAnswer
}

func Example() {
	var lease hal.Lease
	handle, _ := lease.Let(hal.KindI2C, thermometer{})
	bus := handle.(hal.I2C)

	var temperature [1]byte
	err := bus.Tx([]byte{0x05}, temperature[:])
	fmt.Println(temperature[0], err)

	lease.Revoke()
	fmt.Println(bus.Tx([]byte{0x05}, temperature[:]))
	// Output:
	// 21 <nil>
	// the handle was revoked
}
