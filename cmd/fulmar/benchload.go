package main

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/node"
)

// benchLoadCommand is a process of bench loop's: a machine that has much to do.
func benchLoadCommand() *cobra.Command {
	return &cobra.Command{Use: "load", Hidden: true, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return busyMachine(c.Context(), func() { fmt.Fprintln(c.OutOrStdout(), "under way") })
	}}
}

// busyMachine has two goroutines busy, makes garbage and publishes until ctx ends.
func busyMachine(ctx context.Context, underWay func()) (err error) {
	dir, err := os.MkdirTemp("", "fulmar-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	disk, err := env.NewOSDisk(dir)
	if err != nil {
		return err
	}
	n, err := node.New(node.Options{Device: "load", Components: []fulmar.Component{&chatter{}}, Disk: disk, Random: crand.Reader,
		Rings: node.SharedRings{Dir: dir, Logger: slog.Default()}})
	if err != nil {
		return err
	}
	for range 2 {
		go spin(ctx.Done())
	}
	go litter(ctx.Done())
	underWay()
	return n.Run(ctx)
}

// loadHere starts a load in this process, if it is one of these, and says whether the loop is alone in it otherwise.
func loadHere(ctx context.Context, load string) (stop func() error, alone bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	ended, begun := make(chan error, 1), make(chan struct{})
	switch load {
	case loadSingle:
		go func() { ended <- busyMachine(ctx, func() { close(begun) }) }()
	case loadCollect:
		go func() { ended <- collect(ctx, func() { close(begun) }) }()
	default:
		return func() error { cancel(); return nil }, true, nil
	}
	select {
	case <-begun:
	case err := <-ended:
		cancel()
		return nil, false, err
	}
	return func() error { cancel(); return <-ended }, load != loadSingle, nil
}

// collect has the garbage collector run each 20 ms, over 32 MB of a heap that is all in use.
func collect(ctx context.Context, underWay func()) error {
	live := make([]*[1024]byte, 32<<10)
	for i := range live {
		live[i] = new([1024]byte)
	}
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	underWay()
	for {
		select {
		case <-ctx.Done():
			runtime.KeepAlive(live)
			return nil
		case <-t.C:
			runtime.GC()
		}
	}
}

// chatter publishes 100,000 readings a second.
type chatter struct {
	out fulmar.Out[[100]float64]
	n   float64
}

func (c *chatter) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "chatter", Tasks: []fulmar.Task{{Name: "talk", Period: time.Millisecond, OnMiss: fulmar.CatchUp,
		Writes: []fulmar.Output{c.out.As("values")},
		Step: func(*fulmar.Step) error {
			var v [100]float64
			for i := range v {
				c.n++
				v[i] = c.n * float64(i)
			}
			c.out.Set(v)
			return nil
		}}}}
}

// spin keeps a processor busy.
func spin(done <-chan struct{}) {
	for x := uint64(1); ; x = x*6364136223846793005 + 1 {
		if x>>52 == 0 { // now and then
			select {
			case <-done:
				return
			default:
			}
		}
	}
}

// litter makes 200 MB of garbage a second.
func litter(done <-chan struct{}) {
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	var kept [64][]byte // so that it is not collected at once
	for i := 0; ; {
		select {
		case <-done:
			return
		case <-t.C:
		}
		for range 50 { // of 4 kB
			kept[i%len(kept)] = make([]byte, 4000)
			i++
		}
	}
}
