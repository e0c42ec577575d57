package haltest_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// A chip is modelled by its registers, and a conversation with it recorded.
func Example() {
	chip := haltest.NewRegisters(haltest.Layout{Registers: 0x80})
	chip.Set(0x75, 0x68) // who am I

	var ns int64
	rec := haltest.NewRecorder(os.Stdout, func() int64 { ns += 100; return ns })
	handle, err := rec.Wrap(hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x68}, chip.I2C())
	if err != nil {
		fmt.Println(err)
		return
	}
	id := make([]byte, 1)
	if err := handle.(hal.I2C).Tx([]byte{0x75}, id); err != nil {
		fmt.Println(err)
	}
	if err := rec.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// hal recording 1
	// 100 i2c:i2c-1:0x68 open
	// 200 i2c:i2c-1:0x68 tx w 75 r 68
}

func ExamplePlayer() {
	const recording = "hal recording 1\n0 i2c:i2c-1:0x68 open\n1 i2c:i2c-1:0x68 tx w 75 r 68\n"
	p, err := haltest.NewPlayer(strings.NewReader(recording), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	handle, closing, err := p.Open(hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x68})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(handle.(hal.I2C).Tx([]byte{0x0F}, make([]byte, 1)))
	fmt.Println(closing())
	// Output:
	// haltest: play back: line 3: i2c:i2c-1:0x68: want tx w 75 r *1, got tx w 0f r *1
	// <nil>
}
