package main

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground/station"
	"github.com/fulmar-io/fulmar/link/carrier"
	"github.com/fulmar-io/fulmar/machines/rover"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/secure/identity"
)

type demoOptions struct {
	components []fulmar.Component // default: the rover
	files      []string           // of settings
	data       string
	duration   time.Duration
	json       bool
	seed       uint64
}

// demoLinger is how long the demo waits at its end for the ground to have everything.
const demoLinger = 30 * time.Second

// demoDefaults are a machine's for who watches: younger batches than others have, which save bytes.
func demoDefaults() node.Settings {
	s := node.DefaultSettings()
	s.Device, s.Linger = "rover", demoLinger
	s.Courier.Batch.UrgentMaxAge, s.Courier.Batch.MaxAge, s.Courier.Batch.BulkMaxAge = 50*time.Millisecond, 250*time.Millisecond, time.Second
	return s
}

func demoCommand() *cobra.Command {
	o := demoOptions{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "A simulated rover, its courier, a broker, the ground and its page, in one process",
		Long: `Run a simulated rover that drives a course, deliver what it tells over MQTT to a ground in the same process, and
show it live on a page. Ctrl-C stops everything in order and prints a summary.

Settings of the machine and of the ground may come from files, each of its kind (--config), and from the environment, as
FULMAR_COURIER__BATCH__MAX_AGE=500ms.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return demo(c, o) },
	}
	receiverFlags(c)
	c.Flags().StringArrayVar(&o.files, "config", nil, "file of settings, of kind machine or ground; may be repeated")
	c.Flags().DurationVar(&o.duration, "for", 0, "stop after this long and everything is delivered; 0 for Ctrl-C")
	c.Flags().BoolVar(&o.json, "json", false, "print the summary as one JSON object on stdout")
	c.Flags().StringVar(&o.data, "data", "", "keep the data in this folder; empty for a temporary one that is removed")
	c.Flags().Uint64Var(&o.seed, "seed", 1, "of the rover's noise and course")
	return c
}

func demo(c *cobra.Command, o demoOptions) (err error) {
	outliveReaders()
	if o.components == nil {
		o.components = rover.Components(o.seed)
	}
	if o.duration < 0 {
		return &usageError{err: fmt.Errorf("demo: --for %s", o.duration), hint: "name a duration as 20s, or leave it out and stop with Ctrl-C"}
	}
	rings := node.SharedRings{Logger: slog.Default()}
	if o.data == "" {
		if o.data, err = os.MkdirTemp("", "fulmar-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.data)) }()
		rings.Dir = o.data // what it leaves behind, if it is killed, is nobody's to find
	}
	machine, ground, err := o.settings(c)
	if err != nil {
		return err
	}
	unlock, err := lock(machine.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	machine.Insecure = machine.Insecure || ground.Insecure
	ground.Insecure, ground.Enroll = machine.Insecure, ""
	if !machine.Insecure {
		if err := demoKeys(ground.KeysDir(), machine.IdentityDir(), machine.Device); err != nil {
			return keysHint(err)
		}
	}
	r, err := openReceiver(c.Context(), ground)
	if err != nil {
		return err
	}
	page, err := r.signInURL("demo")
	if err != nil {
		return errors.Join(err, r.abandon())
	}
	groundCtx, stopGround := context.WithCancel(context.WithoutCancel(c.Context()))
	defer stopGround()
	groundEnded := make(chan error, 1)
	go func() { groundEnded <- r.run(groundCtx) }()
	fmt.Fprintf(c.ErrOrStderr(), "The rover drives. Its page: %s\n", page)

	n, err := demoNode(machine, o.components, r.broker.MQTT(), rings)
	started := time.Now()
	if err == nil {
		err = r.window.Register(n)
	}
	if err == nil {
		ctx, cancel := c.Context(), context.CancelFunc(func() {})
		if o.duration > 0 {
			ctx, cancel = context.WithTimeout(ctx, o.duration)
		}
		err = n.Run(ctx)
		cancel()
	}
	elapsed := time.Since(started)
	var s summary
	if err == nil {
		s, err = summarize(r, n, elapsed)
	}
	stopGround()
	if err = errors.Join(err, <-groundEnded); err != nil {
		return err
	}
	if err := s.print(c.OutOrStdout(), o.json); err != nil {
		return err
	}
	if s.Waiting > 0 || s.Produced != s.Delivered+s.Lost {
		return &hintedError{err: fmt.Errorf("%d records did not reach the ground within %s", s.Produced-s.Delivered-s.Lost, demoLinger),
			hint: "with --data they stay in the spool and are delivered by the next run"}
	}
	return nil
}

// settings reads the machine's and the ground's. Their data go below the demo's folder, whatever a file says.
func (o demoOptions) settings(c *cobra.Command) (machine node.Settings, ground station.Settings, err error) {
	files := make(map[string]string)
	for _, f := range o.files {
		kind, err := kindOf(f)
		if err != nil {
			return machine, ground, err
		}
		if files[kind] != "" {
			return machine, ground, &usageError{err: fmt.Errorf("%s and %s are both of kind %s", files[kind], f, kind)}
		}
		files[kind] = f
	}
	below := func(name string) config.Override {
		return config.Override{Key: "data", Value: filepath.Join(o.data, name), From: "--data"}
	}
	machine, ground = demoDefaults(), station.DefaultSettings()
	if _, err = load("machine", files["machine"], &machine, below("rover")); err != nil {
		return machine, ground, err
	}
	if _, err = load("ground", files["ground"], &ground, append(groundFlags.overrides(c), below("ground"))...); err != nil {
		return machine, ground, err
	}
	if len(machine.Links) > 0 || len(ground.Brokers) > 0 {
		err = &usageError{err: errors.New("demo: links or brokers are set; its rover delivers to a broker of its own"),
			hint: "leave them out, or use fulmar ground and fulmar replay"}
	}
	return machine, ground, err
}

// demoKeys makes the demo's own authority, and what it issues, unless they are there from an earlier run.
func demoKeys(keys, machine, device string) error {
	a, err := identity.OpenAuthority(keys, time.Now)
	if errors.Is(err, identity.ErrNoAuthority) {
		a, err = initKeys(keys, "ground", identity.Terms{})
	}
	if err != nil || identity.Present(machine) {
		return err
	}
	return a.Equip(machine, identity.Subject{Role: identity.Device, Name: device}, identity.Terms{})
}

func demoNode(s node.Settings, components []fulmar.Component, mqtt string, rings node.Rings) (*node.Node, error) {
	s.Links = []node.LinkSettings{{Settings: carrier.Settings{URL: carrier.URL(mqtt)}}}
	keys, err := machineKeys(s)
	if err != nil {
		return nil, err
	}
	o, err := s.Options(keys)
	if err != nil {
		return nil, err
	}
	if o.Disk, err = env.NewOSDisk(s.Data); err != nil {
		return nil, err
	}
	o.Components, o.Random, o.Logger = components, crand.Reader, slog.Default()
	o.Rings = rings
	o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	return node.New(o)
}

// summary is what the demo prints at its end. Records and readings are counts.
type summary struct {
	Seconds           float64 `json:"seconds"`
	Produced          uint64  `json:"produced"`  // records numbered on the machine
	Delivered         uint64  `json:"delivered"` // of them, committed at the ground
	Waiting           uint64  `json:"waiting"`   // neither delivered nor lost
	Lost              uint64  `json:"lost"`
	Readings          uint64  `json:"readings"`
	DuplicatesDropped uint64  `json:"duplicates_dropped"` // frames
	BytesOnLink       uint64  `json:"bytes_on_link"`
	BytesPerReading   float64 `json:"bytes_per_reading"`
	PublishToCommit   float64 `json:"publish_to_commit_p99_ms"`
	machineSummary
}

func summarize(r *receiver, n *node.Node, elapsed time.Duration) (summary, error) {
	s := summary{Seconds: elapsed.Seconds()}
	status := n.CourierStatus()
	for _, a := range status.Accounts {
		if err := a.Check(); err != nil {
			return s, err
		}
		s.Produced += a.Numbered
		s.Lost += a.Lost()
	}
	for _, l := range status.Links {
		s.BytesOnLink += l.SentBytes
	}
	// Delivered is the ground's word, not the machine's: the records that are in its log.
	account, duplicates := r.station.Intake().Account(n.Device())
	s.Delivered, s.DuplicatesDropped = account.Delivered, duplicates
	s.Waiting = s.Produced - min(s.Produced, s.Delivered+s.Lost)
	if err := r.station.Index().CatchUp(context.Background()); err != nil {
		return s, err
	}
	machines, err := r.station.Index().Machines(context.Background())
	if err != nil {
		return s, err
	}
	for _, m := range machines {
		if m.Device == n.Device() {
			s.Readings = m.Readings
		}
	}
	if s.Readings > 0 {
		s.BytesPerReading = float64(s.BytesOnLink) / float64(s.Readings)
	}
	s.PublishToCommit = float64(r.station.Index().Latency().Quantiles(0.99)[0]) / 1e6
	s.machineSummary = machineSummaryOf(n)
	return s, nil
}

func (s summary) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(s)
	}
	fmt.Fprintf(w, "\n%d records (%d readings) in %.1f s: %d delivered, %d waiting, %d lost; %d frames came twice and were dropped\n",
		s.Produced, s.Readings, s.Seconds, s.Delivered, s.Waiting, s.Lost, s.DuplicatesDropped)
	fmt.Fprintf(w, "%d bytes on the link, %.2f per reading; 99 %% were committed on the ground within %.0f ms\n\n", s.BytesOnLink, s.BytesPerReading, s.PublishToCommit)
	s.machineSummary.print(w)
	return nil
}
