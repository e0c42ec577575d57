package haltest

import (
	"fmt"

	"github.com/fulmar-io/fulmar/hal"
)

// Layout is how a chip's registers are reached.
type Layout struct {
	// Registers is how many there are, from address 0. At most 65536.
	Registers int
	// AddressBytes is the length of a register's address in a transaction, 1 or 2, most significant byte first. 0: 1.
	AddressBytes int
	// Width is the length of a register, 1 or 2 bytes, most significant byte first. 0: 1.
	Width int
	// Fixed chips do not go on to the next register within a transaction.
	Fixed bool
}

// Registers is a chip, seen from its bus: registers, and a pointer into them that a transaction sets and moves. Hooks make
// it behave. A test or a plant owns it; its methods and its handles are for one goroutine at a time and do not allocate
// unless they fail.
type Registers struct {
	// OnRead, if it is set, is called before a register is read, and may Set it.
	OnRead func(register int)
	// OnWrite, if it is set, is called with each value written; what it returns is stored. It may Set others.
	OnWrite func(register int, value uint16) uint16
	// Fixed is the layout's; a chip where it can be switched may change it, also from a hook.
	Fixed bool

	layout  Layout
	mem     []byte
	pointer int
	calls   int
}

// NewRegisters returns a chip whose registers are all 0. A layout that is not valid is a bug and panics.
func NewRegisters(l Layout) *Registers {
	if l.AddressBytes == 0 {
		l.AddressBytes = 1
	}
	if l.Width == 0 {
		l.Width = 1
	}
	if l.Registers < 1 || l.Registers > 1<<(8*l.AddressBytes) || l.AddressBytes > 2 || l.Width > 2 {
		panic(fmt.Sprintf("haltest: no such registers: %+v", l))
	}
	return &Registers{Fixed: l.Fixed, layout: l, mem: make([]byte, l.Registers*l.Width)}
}

// Set sets consecutive registers, as the chip itself does: without OnWrite.
func (c *Registers) Set(register int, values ...uint16) {
	for i, v := range values {
		at := (register + i) * c.layout.Width
		if c.layout.Width == 2 {
			c.mem[at] = byte(v >> 8)
			at++
		}
		c.mem[at] = byte(v)
	}
}

// SetBytes sets the bytes of consecutive registers.
func (c *Registers) SetBytes(register int, b ...byte) { copy(c.mem[register*c.layout.Width:], b) }

// Get returns a register, without OnRead.
func (c *Registers) Get(register int) uint16 {
	at := register * c.layout.Width
	if c.layout.Width == 2 {
		return uint16(c.mem[at])<<8 | uint16(c.mem[at+1])
	}
	return uint16(c.mem[at])
}

// Transactions returns how many there have been.
func (c *Registers) Transactions() int { return c.calls }

// I2C returns the chip's handle on an I2C bus: what is written is a register's address and then values; what is read
// continues at the pointer. A register that the chip does not have is an error, as is half a value.
func (c *Registers) I2C() hal.I2C { return i2cChip{c} }

type i2cChip struct{ c *Registers }

func (x i2cChip) Tx(w, r []byte) error {
	c := x.c
	c.calls++
	if len(w) > 0 {
		if len(w) < c.layout.AddressBytes {
			return fmt.Errorf("haltest: registers: half an address was written: % x", w)
		}
		c.pointer = 0
		for _, b := range w[:c.layout.AddressBytes] {
			c.pointer = c.pointer<<8 | int(b)
		}
		if err := c.write(w[c.layout.AddressBytes:]); err != nil {
			return err
		}
	}
	return c.read(r)
}

// SPI returns the chip's handle on an SPI bus. The first byte of a transaction is the register's address: with readBit set it
// reads, and the answer begins after the first byte and dummy more; else it writes. Chips with addresses of two bytes have none.
func (c *Registers) SPI(readBit byte, dummy int) hal.SPI {
	if c.layout.AddressBytes != 1 {
		panic("haltest: registers with addresses of two bytes are not on SPI")
	}
	return &spiChip{c, readBit, dummy}
}

type spiChip struct {
	c       *Registers
	readBit byte
	dummy   int
}

func (x *spiChip) Tx(w, r []byte) error {
	x.c.calls++
	if len(w) == 0 {
		return fmt.Errorf("haltest: registers: an SPI transaction without an address")
	}
	if len(r) != 0 && len(r) != len(w) {
		return fmt.Errorf("haltest: registers: SPI transaction of %d bytes out and %d in", len(w), len(r))
	}
	first := w[0]
	x.c.pointer = int(first &^ x.readBit)
	if first&x.readBit == 0 || x.readBit == 0 {
		err := x.c.write(w[1:])
		clear(r)
		return err
	}
	if len(r) < 1+x.dummy {
		return nil
	}
	clear(r[:1+x.dummy])
	return x.c.read(r[1+x.dummy:])
}

func (c *Registers) write(b []byte) error {
	for width := c.layout.Width; len(b) > 0; b = b[width:] {
		if err := c.check(len(b)); err != nil {
			return err
		}
		v := uint16(b[0])
		if width == 2 {
			v = v<<8 | uint16(b[1])
		}
		register := c.pointer
		if c.OnWrite != nil {
			v = c.OnWrite(register, v)
		}
		c.Set(register, v)
		c.next()
	}
	return nil
}

func (c *Registers) read(b []byte) error {
	for width := c.layout.Width; len(b) > 0; b = b[width:] {
		if err := c.check(len(b)); err != nil {
			return err
		}
		if c.OnRead != nil {
			c.OnRead(c.pointer)
		}
		copy(b, c.mem[c.pointer*width:][:width])
		c.next()
	}
	return nil
}

func (c *Registers) check(bytes int) error {
	if c.pointer >= c.layout.Registers {
		return fmt.Errorf("haltest: registers: there is no register %#x, only %#x of them", c.pointer, c.layout.Registers)
	}
	if bytes < c.layout.Width {
		return fmt.Errorf("haltest: registers: half of register %#x", c.pointer)
	}
	return nil
}

func (c *Registers) next() {
	if !c.Fixed {
		c.pointer++
	}
}
