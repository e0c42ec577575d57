package tinygo

import (
	"fmt"

	tinygo "tinygo.org/x/drivers"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/hal"
)

// defaultLimit is enough for every driver's configuration that was looked at: the longest, of the VL53L1X, takes about 100.
const defaultLimit = 1000

// Driver says how a driver of tinygo.org/x/drivers is used. R is what it measures: a struct whose fields name their units.
type Driver[R any] struct {
	// Start checks and configures the device. nil: there is nothing to do.
	Start func() error
	// Read measures. Whatever error of the bus it overlooks is found.
	Read func() (R, error)
	// Stop leaves the device as it should be left. nil: as it is.
	Stop func() error
	// Limit bounds the transactions of each of them. 0: 1000.
	Limit int
}

// Device is a device that such a driver runs. It belongs to one goroutine.
type Device[R any] struct {
	name    string
	bus     *Bus
	driver  Driver[R]
	reading R
	health  drivers.Health
	read    func() error
}

// Open starts a driver on a handle. The name is what errors begin with, the address the one that the driver uses.
func Open[R any](name string, dev hal.I2C, address uint16, driver func(bus tinygo.I2C) Driver[R]) (*Device[R], error) {
	d := &Device[R]{name: name, bus: NewBus(dev, address)}
	err := d.bus.Do(defaultLimit, func() error { d.driver = driver(d.bus); return nil })
	if err == nil && d.driver.Limit == 0 {
		d.driver.Limit = defaultLimit
	}
	if err == nil && d.driver.Start != nil {
		err = d.bus.Do(d.driver.Limit, d.driver.Start)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: open: %w", name, err)
	}
	d.read = func() (err error) {
		d.reading, err = d.driver.Read()
		return err
	}
	return d, nil
}

// Read measures. With an error, the reading is zero. It allocates what the driver does.
func (d *Device[R]) Read() (R, error) {
	err := d.bus.Do(d.driver.Limit, d.read)
	d.health.Note(true, err)
	if err != nil {
		var none R
		return none, fmt.Errorf("%s: read: %w", d.name, err)
	}
	return d.reading, nil
}

// Health returns how the device is.
func (d *Device[R]) Health() drivers.Health { return d.health }

// Close stops the device. The handle is the caller's to close.
func (d *Device[R]) Close() error {
	if d.driver.Stop == nil {
		return nil
	}
	if err := d.bus.Do(d.driver.Limit, d.driver.Stop); err != nil {
		return fmt.Errorf("%s: close: %w", d.name, err)
	}
	return nil
}
