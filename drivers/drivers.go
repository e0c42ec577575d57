package drivers

import (
	"errors"
	"fmt"
)

// ErrImplausible is of what a chip of its kind cannot say: it, or its bus, is disturbed.
var ErrImplausible = errors.New("an answer that this chip cannot give")

// WrongChipError is of a device that is not the one that a driver is for, or does not keep what is written to it.
type WrongChipError struct {
	Chip     string // that was expected
	Register uint16
	Want     uint32
	Found    uint32
}

// Error implements error.
func (e *WrongChipError) Error() string {
	return fmt.Sprintf("register %#x reads %#x, and of a %s it reads %#x: is it another chip, at another address, or a bad line?",
		e.Register, e.Found, e.Chip, e.Want)
}

// Health is how a device is, by what came of reading it.
type Health struct {
	// Readings were new; Errors is how many calls failed, InARow how many of those since the last that did not.
	Readings, Errors, InARow uint64
	// Last is the last error, also when it has been well since.
	Last error
}

// Note counts what came of a call.
func (h *Health) Note(fresh bool, err error) {
	if err != nil {
		h.Errors++
		h.InARow++
		h.Last = err
		return
	}
	h.InARow = 0
	if fresh {
		h.Readings++
	}
}
