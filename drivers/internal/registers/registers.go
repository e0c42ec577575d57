package registers

import (
	"fmt"
	"reflect"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/hal"
)

// maxBytes is the longest transaction in bytes, in either direction, the address included.
const maxBytes = 34

// Chip is a chip on a bus. It belongs to one goroutine.
type Chip struct {
	Health drivers.Health

	bus  hal.I2C
	room string // before each error: imu: mpu6050
	name string // of the chip, in its maker's spelling
	wide bool
	out  [maxBytes]byte
	in   [maxBytes]byte
	// known is an error, and what it was made into: a bus that stays silent takes no memory.
	known struct {
		op        string
		err, made error
	}
}

// New returns a chip whose registers have addresses of 8 bits, or of 16 if wide. The room is what errors begin with.
func New(bus hal.I2C, room, name string, wide bool) Chip {
	return Chip{bus: bus, room: room, name: name, wide: wide}
}

// Fail returns an error of an operation, with the room's name.
func (c *Chip) Fail(op string, err error) error {
	same := c.known.made != nil && c.known.op == op && reflect.TypeOf(err).Comparable() && c.known.err == err //nolint:errorlint // this one, not one like it
	if !same {
		c.known.op, c.known.err = op, err
		c.known.made = fmt.Errorf("%s: %s: %w", c.room, op, err)
	}
	return c.known.made
}

func (c *Chip) address(register uint16) int {
	if !c.wide {
		c.out[0] = byte(register)
		return 1
	}
	c.out[0], c.out[1] = byte(register>>8), byte(register)
	return 2
}

// Read reads n bytes from a register on. They are the chip's until the next call.
func (c *Chip) Read(op string, register uint16, n int) ([]byte, error) {
	w := c.out[:c.address(register)]
	if err := c.bus.Tx(w, c.in[:n]); err != nil {
		return nil, c.Fail(op, err)
	}
	return c.in[:n], nil
}

// Write writes bytes from a register on.
func (c *Chip) Write(op string, register uint16, values ...byte) error {
	n := c.address(register)
	n += copy(c.out[n:], values)
	if err := c.bus.Tx(c.out[:n], nil); err != nil {
		return c.Fail(op, err)
	}
	return nil
}

// Expect reads the bytes from a register on, most significant first, and returns a WrongChipError if they are others.
func (c *Chip) Expect(op string, register uint16, want ...byte) error {
	b, err := c.Read(op, register, len(want))
	if err != nil {
		return err
	}
	var found, expected uint32
	for i := range b {
		found, expected = found<<8|uint32(b[i]), expected<<8|uint32(want[i])
	}
	if found != expected {
		return c.Fail(op, &drivers.WrongChipError{Chip: c.name, Register: register, Want: expected, Found: found})
	}
	return nil
}
