package grpc_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/fulmar-io/fulmar/link/grpc"
)

// A machine and its ground, without keys as on the bench, on one host.
func Example() {
	ground, err := grpc.Listen("127.0.0.1:0", grpc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = ground.Close() }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	machine, err := grpc.Dialer{URL: ground.String(), Device: "rover-7"}.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = machine.Close() }()
	if err := machine.Send(ctx, []byte("a frame")); err != nil {
		log.Fatal(err)
	}
	m, err := ground.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s\n", m.Device, m.Message)
	if err := ground.Send(ctx, m.Device, []byte("an acknowledgement")); err != nil {
		log.Fatal(err)
	}
	answer, err := machine.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer)
	// Output:
	// rover-7: a frame
	// an acknowledgement
}
