// Peers compares how readings get from producers to the ground: by Fulmar, and by what one would use instead. All of them get the
// same load, in one run, taking turns:
//
//	make bench-peers
//
// The load is 1,000 series that walk randomly in hundredths, with stamps of nanoseconds. Four producers send requests of 100 readings, one
// after the other, each answered when it is durable on the machine. What counts is what has arrived on the ground, durably there too. For
// Fulmar the producers are the control half of a machine; its courier half and its ground are the shipped binary, secured with keys of the
// run. Each peer has a place on the machine that keeps things, a link with mutual TLS, and a place on the ground: a Collector with its queue
// in a file with fsync, and a sink that writes and syncs; NATS JetStream, leaf and hub, syncing always; a Mosquitto with a bridge to
// another, which acknowledges from memory. All links go through a forwarder of this program's, which counts.
//
// Every process is a child of this one, on random ports of the loopback, in a temporary folder. Ctrl-C stops them.
//
// The module is one of its own: nobody who uses the framework inherits what it is compared with.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 3 && os.Args[1] == "child" {
		err = child(ctx, os.Args[2], os.Args[3], os.Args[4:])
	} else {
		err = compare(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		stop()
		os.Exit(1)
	}
}

// child is another process of the comparison: a producer or a sink.
func child(ctx context.Context, kind, text string, args []string) error {
	var s shape
	var o sinkOptions
	to := any(&s)
	if kind == "sink" {
		to = &o
	}
	if err := json.Unmarshal([]byte(text), to); err != nil {
		return err
	}
	switch {
	case kind == "sink":
		return sinkHere(ctx, o)
	case kind == "fulmar" && len(args) == 2:
		return produceHere(ctx, &fulmarSource{binary: args[0], settings: args[1]}, s)
	case kind == "otlp" && len(args) == 1:
		return produceHere(ctx, &otlpSource{address: args[0]}, s)
	case kind == "nats" && len(args) == 1:
		return produceHere(ctx, &natsSource{url: args[0]}, s)
	case kind == "mqtt" && len(args) == 1:
		return produceHere(ctx, &mqttSource{address: args[0]}, s)
	}
	return fmt.Errorf("no child %q of %d arguments", kind, len(args))
}
