package wire_test

import (
	"fmt"

	"github.com/fulmar-io/fulmar/wire"
)

func Example() {
	// A microcontroller sends a temperature; both buffers are its own, and stay.
	var out [32]byte
	n, err := wire.Encode(out[:], []byte{'t', 0, 215})
	if err != wire.OK {
		fmt.Println(err)
		return
	}
	fmt.Printf("on the line: % x\n", out[:n])

	// The other end was plugged in amid something else.
	line := append([]byte{0x17, 0x42, 0x00}, out[:n]...)
	var in [32]byte
	var d wire.Decoder
	d.Reset(in[:])
	for len(line) > 0 {
		taken, payload, ok := d.Feed(line)
		line = line[taken:]
		if ok {
			fmt.Printf("%c %.1f °C\n", payload[0], float64(payload[2])/10)
		}
	}
	fmt.Println(d.Frames, "frame,", d.Damaged, "damaged")
	// Output:
	// on the line: 02 74 06 d7 67 84 20 af 00
	// t 21.5 °C
	// 1 frame, 1 damaged
}
