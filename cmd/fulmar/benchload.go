package main

import (
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/node"
)

// benchLoadCommand is a process of bench loop's: a machine that has much to do.
func benchLoadCommand() *cobra.Command {
	return &cobra.Command{Use: "load", Hidden: true, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) (err error) {
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
			go spin(c.Context().Done())
		}
		go litter(c.Context().Done())
		fmt.Fprintln(c.OutOrStdout(), "under way")
		return n.Run(c.Context())
	}}
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
