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
	if len(os.Args) > 3 && os.Args[1] == "produce" {
		err = producing(ctx, os.Args[2], os.Args[3], os.Args[4:])
	} else {
		err = compare(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		stop()
		os.Exit(1)
	}
}

// producing is a producing process.
func producing(ctx context.Context, kind, text string, args []string) error {
	var s shape
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	switch {
	case kind == "fulmar" && len(args) == 2:
		return produceHere(ctx, &fulmarSource{binary: args[0], settings: args[1]}, s)
	}
	return fmt.Errorf("no producer %q", kind)
}

func compare(ctx context.Context) (err error) {
	binary := flag.String("fulmar", "fulmar", "")
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
	m, err := round(ctx, &fulmarWay{binary: *binary, shape: s}, dir, *length)
	if err != nil {
		return err
	}
	fmt.Printf("%d readings, %.0f/s, p50 %v p99 %v, sender %.2f receiver %.2f CPU-s/M, %.2f bytes, %.0f / %.0f MiB\n", m.Readings, m.rate(), m.P50, m.P99,
		m.senderCPU(), m.receiverCPU(), m.bytesEach(), m.senderMiB(), m.receiverMiB())
	return nil
}
