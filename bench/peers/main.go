// Peers compares how readings get from producers to the ground: by Fulmar, and by what one would use instead. All of them get the
// same load, in one run, taking turns.
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
