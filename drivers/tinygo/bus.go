package tinygo

import (
	"errors"
	"fmt"

	"github.com/fulmar-io/fulmar/hal"
)

// ErrAddress is of a driver that speaks to another device than the handle's.
var ErrAddress = errors.New("the handle is for another device")

// ErrLimit is of a driver that did more transactions than a call of it may.
var ErrLimit = errors.New("the driver does not come to an end")

// contained is what Bus and SPI have in common. It belongs to one goroutine.
type contained struct {
	err   error // the first since it was taken
	in    bool  // within Do
	left  int   // transactions that may still be made there
	calls uint64
}

// stop unwinds a driver that has gone beyond its limit, or goes on after an error.
type stop struct{}

var stopped any = new(stop)

// begin counts a transaction, and within Do lets none follow an error.
func (c *contained) begin() {
	c.calls++
	if !c.in {
		return
	}
	if c.err == nil && c.left == 0 {
		c.err = ErrLimit
	}
	if c.err != nil {
		panic(stopped)
	}
	c.left--
}

func (c *contained) end(err error) error {
	if err != nil && c.err == nil {
		c.err = err
	}
	return err
}

// Err returns the first error since it was last asked, and forgets it. Whoever calls a driver outside of Do asks after each
// reading, and does not pass on one with an error behind it.
func (c *contained) Err() error {
	err := c.err
	c.err = nil
	return err
}

// Transactions returns how many a driver has begun.
func (c *contained) Transactions() uint64 { return c.calls }

// Do calls a driver, contained as this package's documentation says, and returns the first error of the bus, or else what f
// returns. An error from before is forgotten. It allocates nothing where nothing fails, and f does not.
func (c *contained) Do(limit int, f func() error) (err error) {
	c.err, c.in, c.left = nil, true, limit
	defer func() {
		c.in = false
		p := recover()
		bus := c.Err()
		switch {
		case p != nil && p != stopped && bus == nil:
			err = fmt.Errorf("the driver panicked: %v", p)
		case bus != nil && err != nil && !errors.Is(err, bus):
			err = fmt.Errorf("%w; the driver calls it %q", bus, err.Error())
		case bus != nil:
			err = bus
		}
	}()
	return f()
}

// Bus is what drivers of tinygo.org/x/drivers take for an I2C bus. There is one device on it, the handle's.
type Bus struct {
	contained
	dev     hal.I2C
	address uint16
}

// NewBus returns the bus of a handle. The address is the one that the driver uses, mostly a constant of its package; where
// the device really is, the handle knows.
func NewBus(dev hal.I2C, address uint16) *Bus { return &Bus{dev: dev, address: address} }

// Tx implements drivers.I2C. On an error, nothing was read.
func (b *Bus) Tx(address uint16, w, r []byte) error {
	b.begin()
	err := ErrAddress
	if address == b.address {
		err = b.dev.Tx(w, r)
	}
	if err != nil {
		clear(r)
	}
	return b.end(err)
}

// SPI is what drivers of tinygo.org/x/drivers take for an SPI bus. The handle moves the chip select around each transaction:
// a driver that holds its own down over several needs a device without one.
type SPI struct {
	contained
	dev    hal.SPI
	w1, r1 [1]byte
}

// NewSPI returns the bus of a handle.
func NewSPI(dev hal.SPI) *SPI { return &SPI{dev: dev} }

// Tx implements drivers.SPI. On an error, nothing was read.
func (b *SPI) Tx(w, r []byte) error {
	b.begin()
	err := b.dev.Tx(w, r)
	if err != nil {
		clear(r)
	}
	return b.end(err)
}

// Transfer implements drivers.SPI.
func (b *SPI) Transfer(w byte) (byte, error) {
	b.w1[0], b.r1[0] = w, 0
	err := b.Tx(b.w1[:], b.r1[:])
	return b.r1[0], err
}
