// Peers compares how readings get from producers to the ground: by Fulmar, and by what one would use instead. All of them get the
// same load, in one run, taking turns.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
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

func compare(ctx context.Context) (err error) {
	fulmarPath := flag.String("fulmar", "", "path of the binary")
	collectorPath := flag.String("collector", "", "path of the Collector; empty leaves it out")
	natsPath := flag.String("nats", "", "path of nats-server; empty leaves it out")
	mosquittoPath := flag.String("mosquitto", "", "path of mosquitto; empty leaves it out")
	together := flag.Int("together", 25, "")
	length := flag.Duration("for", 8*time.Second, "")
	producers := flag.Int("producers", 4, "")
	series := flag.Int("series", 250, "")
	request := flag.Int("request", 100, "")
	flag.Parse()
	dir, err := os.MkdirTemp("", "fulmar-peers-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := shape{Producers: *producers, Series: *series, Together: *together, Request: *request}
	var ways []way
	if *fulmarPath != "" {
		ways = append(ways, &fulmarWay{*fulmarPath, s})
	}
	if *collectorPath != "" {
		ways = append(ways, &collectorWay{*collectorPath, s})
	}
	if *natsPath != "" {
		ways = append(ways, &natsWay{*natsPath, s})
	}
	if *mosquittoPath != "" {
		ways = append(ways, &mosquittoWay{*mosquittoPath, s})
	}
	for _, w := range ways {
		m, err := round(ctx, w, dir, *length)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d readings, %.0f/s, p50 %v p99 %v, sender %.2f receiver %.2f CPU-s/M, %.2f bytes, %.0f / %.0f MiB\n", w.name(), m.Readings, m.rate(), m.P50, m.P99,
			m.senderCPU(), m.receiverCPU(), m.bytesEach(), m.senderMiB(), m.receiverMiB())
	}
	return nil
}
