package broker_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/mqtt"
	"github.com/fulmar-io/fulmar/link/nats"
)

// A machine that speaks MQTT and one that speaks NATS arrive at one receiver.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "broker-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, err := broker.Start(broker.Options{MQTT: "127.0.0.1:0", NATS: "127.0.0.1:0", Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	ground, err := b.Receiver()
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = ground.Close() }()
	for _, d := range []link.Dialer{mqtt.Dialer{URL: b.MQTT(), Device: "rover"}, nats.Dialer{URL: b.NATS(), Device: "boat"}} {
		c, err := d.Dial(ctx)
		if err != nil {
			log.Fatal(err)
		}
		if err := c.Send(ctx, []byte("a frame")); err != nil {
			log.Fatal(err)
		}
		m, err := ground.Recv(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s sent %q\n", m.Device, m.Message)
		if err := c.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// rover sent "a frame"
	// boat sent "a frame"
}
