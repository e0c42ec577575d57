package drivers_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/drivers"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// The driver of docs/hardware.md.

// MCP9808 is a thermometer of Microchip. It belongs to one goroutine.
type MCP9808 struct {
	bus    hal.I2C
	out    [1]byte
	in     [2]byte
	health drivers.Health
}

// OpenMCP9808 checks that the chip is one, by its maker's number in register 6.
func OpenMCP9808(bus hal.I2C) (*MCP9808, error) {
	d := &MCP9808{bus: bus}
	maker, err := d.word(6)
	if err == nil && maker != 0x54 {
		err = &drivers.WrongChipError{Chip: "MCP9808", Register: 6, Want: 0x54, Found: uint32(maker)}
	}
	if err != nil {
		return nil, fmt.Errorf("mcp9808: open: %w", err)
	}
	return d, nil
}

func (d *MCP9808) word(register byte) (uint16, error) {
	d.out[0] = register
	err := d.bus.Tx(d.out[:], d.in[:])
	return uint16(d.in[0])<<8 | uint16(d.in[1]), err
}

// Read returns the temperature in °C. It takes one transaction and allocates nothing.
func (d *MCP9808) Read() (tempC float64, err error) {
	v, err := d.word(5)
	if err == nil {
		tempC = float64(int16(v<<3)>>3) / 16 // 13 bits; three flags above them
		if tempC < -40 || tempC > 125 {
			tempC, err = 0, drivers.ErrImplausible
		}
	}
	d.health.Note(true, err)
	return tempC, err
}

// Health returns how the device is.
func (d *MCP9808) Health() drivers.Health { return d.health }

// Recorded traffic is what it is tested with. Below 0 °C the temperature is in two's complement.
func TestDriverOfFortyLines(t *testing.T) {
	const recording = `hal recording 1
0 i2c:i2c-1:0x18 open
1 i2c:i2c-1:0x18 tx w 06 r 00 54
2 i2c:i2c-1:0x18 tx w 05 r c1 94
3 i2c:i2c-1:0x18 tx w 05 r 1f f8
4 i2c:i2c-1:0x18 tx w 05 r *2 ! no-answer
5 i2c:i2c-1:0x18 tx w 05 r 0f ff
`
	p, err := haltest.NewPlayer(strings.NewReader(recording), nil)
	if err != nil {
		t.Fatal(err)
	}
	handle, _, err := p.Open(hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x18})
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenMCP9808(handle.(hal.I2C))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		tempC float64
		err   error
	}{{25.25, nil}, {-0.5, nil}, {0, hal.ErrNoAnswer}, {0, drivers.ErrImplausible}} {
		if got, err := d.Read(); math.Abs(got-want.tempC) > 1e-9 || !errors.Is(err, want.err) {
			t.Errorf("%v °C, %v, want %v", got, err, want)
		}
	}
	if err := p.Done(); err != nil {
		t.Error(err)
	}
	if h := d.Health(); h.Readings != 2 || h.InARow != 2 {
		t.Errorf("%+v", h)
	}
}
