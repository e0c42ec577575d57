package drivers_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/hal"
)

func TestHealthCounts(t *testing.T) {
	var h drivers.Health
	broken := errors.New("broken")
	for _, err := range []error{nil, hal.ErrNoAnswer, broken} {
		h.Note(true, err)
	}
	if h != (drivers.Health{Readings: 1, Errors: 2, InARow: 2, Last: broken}) {
		t.Errorf("%+v", h)
	}
	h.Note(false, nil)
	if h != (drivers.Health{Readings: 1, Errors: 2, Last: broken}) {
		t.Errorf("%+v", h)
	}
}

func Example() {
	err := fmt.Errorf("imu: mpu6050: open: %w", &drivers.WrongChipError{Chip: "MPU-6050", Register: 0x75, Want: 0x68, Found: 0x19})
	var wrong *drivers.WrongChipError
	fmt.Println(errors.As(err, &wrong), err)
	// Output:
	// true imu: mpu6050: open: register 0x75 reads 0x19, and of a MPU-6050 it reads 0x68: is it another chip, at another address, or a bad line?
}
