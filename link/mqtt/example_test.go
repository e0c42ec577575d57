package mqtt_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/link/mqtt"
)

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "broker-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	slog.SetLogLoggerLevel(slog.LevelError)
	b, err := broker.Start(broker.Options{MQTT: "127.0.0.1:0", NATS: "127.0.0.1:0", Dir: dir, Log: slog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = b.Close() }()

	ground, err := mqtt.Listen(ctx, b.MQTT(), "", mqtt.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = ground.Close() }()
	machine, err := mqtt.Dialer{URL: b.MQTT(), Device: "rover-1"}.Dial(ctx)
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
	fmt.Printf("%s sent %q\n", m.Device, m.Message)
	// Output: rover-1 sent "a frame"
}
