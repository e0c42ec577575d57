package registers_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fulmar-io/fulmar/drivers/internal/registers"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

func TestAddresses(t *testing.T) {
	for _, wide := range []bool{false, true} {
		l := haltest.Layout{Registers: 0x80, AddressBytes: 1}
		if wide {
			l.AddressBytes = 2
		}
		model := haltest.NewRegisters(l)
		c := registers.New(model.I2C(), "room", "CHIP", wide)
		if err := c.Write("write", 0x20, 1, 2, 3); err != nil {
			t.Fatal(err)
		}
		if b, err := c.Read("read", 0x21, 2); err != nil || b[0] != 2 || b[1] != 3 {
			t.Error(wide, b, err)
		}
		if err := c.Expect("check", 0x20, 1, 2); err != nil {
			t.Error(err)
		}
	}
}

// A bus that stays silent, in a loop, takes no memory; another operation has another error.
func TestSilenceAllocatesNothing(t *testing.T) {
	bus, err := haltest.NewFaults(haltest.Fault{Trouble: haltest.Silent}).Wrap(hal.KindI2C, haltest.NewRegisters(haltest.Layout{Registers: 1}).I2C())
	if err != nil {
		t.Fatal(err)
	}
	c := registers.New(bus.(hal.I2C), "room", "CHIP", false)
	var last error
	if n := testing.AllocsPerRun(100, func() { _, last = c.Read("read", 0, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if !errors.Is(last, hal.ErrNoAnswer) || last.Error() != "room: read: the device does not answer" {
		t.Error(last)
	}
	wrapped := fmt.Errorf("i2c-1: %w", hal.ErrNoAnswer)
	if n := testing.AllocsPerRun(100, func() { last = c.Fail("read", wrapped) }); n != 0 || !errors.Is(last, wrapped) {
		t.Errorf("%v allocations, %v", n, last)
	}
	for range 2 {
		if err := c.Fail("read", several{errors.New("a")}); err == nil || err.Error() != "room: read: several" {
			t.Error(err)
		}
	}
	if err := c.Write("write", 0); err.Error() != "room: write: the device does not answer" {
		t.Error(err)
	}
}

// several cannot be compared.
type several []error

func (several) Error() string { return "several" }

func Example() {
	model := haltest.NewRegisters(haltest.Layout{Registers: 0x80})
	model.Set(0x75, 0x19)
	c := registers.New(model.I2C(), "imu: mpu6050", "MPU-6050", false)
	fmt.Println(c.Expect("open", 0x75, 0x68))
	// Output:
	// imu: mpu6050: open: register 0x75 reads 0x19, and of a MPU-6050 it reads 0x68: is it another chip, at another address, or a bad line?
}
