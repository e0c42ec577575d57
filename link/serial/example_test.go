package serial_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/fulmar-io/fulmar/link/serial"
)

// Both ends of a line, here a pipe. With a path such as /dev/ttyUSB0 and no Open it is that port.
func Example() {
	ctx := context.Background()
	here, there := net.Pipe()
	over := func(end net.Conn) func(context.Context) (io.ReadWriteCloser, error) {
		return func(context.Context) (io.ReadWriteCloser, error) { return end, nil }
	}

	ground, err := serial.Listen("pipe", serial.Options{Baud: 921600, Open: over(there), Logger: quiet()})
	if err != nil {
		log.Fatal(err)
	}
	machine, err := serial.Dialer{Path: "pipe", Device: "rover-1", Options: serial.Options{Baud: 921600, Open: over(here)}}.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := machine.Send(ctx, []byte("a frame")); err != nil {
		log.Fatal(err)
	}
	m, err := ground.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s sent %q over %s\n", m.Device, m.Message, ground)
	if err := machine.Close(); err != nil {
		log.Fatal(err)
	}
	if err := ground.Close(); err != nil {
		log.Fatal(err)
	}
	// Output: rover-1 sent "a frame" over serial:///pipe?baud=921600
}
