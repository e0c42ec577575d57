package file_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/fulmar-io/fulmar/link/file"
)

func Example() {
	ctx := context.Background()
	stick, err := os.MkdirTemp("", "stick-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(stick) }()

	machine, err := file.Dialer{Dir: stick, Device: "rover-1"}.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := machine.Send(ctx, []byte("a frame")); err != nil {
		log.Fatal(err)
	}
	if err := machine.Close(); err != nil {
		log.Fatal(err)
	}

	// The stick is carried to the ground.
	ground, err := file.Listen(stick, file.Options{})
	if err != nil {
		log.Fatal(err)
	}
	m, err := ground.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s sent %q\n", m.Device, m.Message)
	if err := ground.Close(); err != nil {
		log.Fatal(err)
	}
	// Output: rover-1 sent "a frame"
}
