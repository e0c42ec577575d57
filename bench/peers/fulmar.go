package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// ownProducers are those of a machine's region that are the machine's own; its components' tasks follow.
const ownProducers = 3

// settings are a machine's: secured, with defaults, but for the reports of its health, which are no readings and would be counted.
// Each component has one task, whose part of the ring a producer has; in the courier half none is ever opened.
func settings(data, identity, address string, producers int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kind: machine\ndevice: bench\ndata: %s\nidentity: %s\nhealth_period: 1h\nlinger: 0s\nlinks: [%q]\ncomponents:\n", data, identity, "mqtts://"+address)
	for i := range producers {
		fmt.Fprintf(&b, "  p%d: {type: baro/bmp388, hardware: {bus: {path: i2c-%d}}}\n", i, i)
	}
	return b.String()
}

// fulmarSource is the control half of a machine: this process publishes into the ring that it shares with the courier half, which is
// the shipped binary's.
type fulmarSource struct {
	binary, settings string
	courier          *node.CourierProcess
	cmd              *exec.Cmd // of the courier half
	region           *ring.Region
}

func (f *fulmarSource) open(ctx context.Context, s shape) ([]requester, error) {
	f.courier = &node.CourierProcess{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Carry: func(command.Order) {}, Command: f.command}
	path, err := f.courier.Start(ctx)
	if err != nil {
		return nil, err
	}
	if f.region, err = ring.Join(path); err != nil {
		return nil, err
	}
	requesters := make([]requester, s.Producers)
	for i := range requesters {
		if requesters[i], err = newPublishing(ctx, f.region, i, s); err != nil {
			return nil, err
		}
	}
	return requesters, nil
}

// command is the courier half, as fulmar run starts it: it ends when its standard input does, not sooner.
func (f *fulmarSource) command(region string) *exec.Cmd {
	f.cmd = exec.CommandContext(context.Background(), f.binary, "run", f.settings, "--courier-half", "--region", region)
	f.cmd.Stderr = os.Stderr
	return f.cmd
}

func (f *fulmarSource) sender() int { return f.cmd.Process.Pid }

func (f *fulmarSource) close() error { return errors.Join(f.region.Close(), f.courier.Finish()) }

// publishing is one producer's.
type publishing struct {
	publisher *fulmar.Publisher
	layouts   []*telemetry.Layout // per group
	w         packet.Writer
	buf       []byte
}

func newPublishing(ctx context.Context, region *ring.Region, producer int, s shape) (*publishing, error) {
	publisher, err := fulmar.NewPublisher(region, ownProducers+producer, nil)
	if err != nil {
		return nil, err
	}
	p := &publishing{publisher: publisher, buf: make([]byte, 0, packet.MaxSize)}
	for group := range s.Series / s.Together {
		l := &telemetry.Layout{Name: layoutName(producer, group), Kind: telemetry.Reading}
		for v := range s.Together {
			l.Fields = append(l.Fields, telemetry.Field{Name: fieldName(v), Type: packet.Float64})
		}
		if err := l.Validate(); err != nil {
			return nil, err
		}
		p.layouts = append(p.layouts, l)
		b, err := telemetry.AppendDefinition(&p.w, l, packet.Urgent, 0, 0)
		if err == nil {
			err = publisher.PublishWait(ctx, telemetry.Record{Layout: telemetry.LayoutRecords, Packet: b})
		}
		if err != nil {
			return nil, fmt.Errorf("define %s: %w", l.Name, err)
		}
	}
	return p, nil
}

func (p *publishing) request(ctx context.Context, samples []sample) error {
	for i := range samples {
		s := &samples[i]
		l := p.layouts[s.group]
		p.w.Reset(p.buf, packet.Header{Layout: uint64(l.ID()), Mono: s.stamp, Wall: s.stamp, Class: packet.Normal})
		for _, v := range s.values {
			p.w.Float64(v)
		}
		b, err := p.w.Bytes()
		if err != nil {
			return err
		}
		publish := p.publisher.PublishWait
		if i == len(samples)-1 { // what has lower numbers is durable with it
			publish = p.publisher.PublishDurable
		}
		if err := publish(ctx, telemetry.Record{Layout: l, Packet: b}); err != nil {
			return err
		}
	}
	return nil
}

// fulmarWay is a machine and its ground.
type fulmarWay struct {
	binary string
	shape  shape
}

func (f *fulmarWay) name() string { return "Fulmar" }

// fulmarGround is a ground that can be stopped and started again, and what a machine needs to reach it.
type fulmarGround struct {
	way             *fulmarWay
	dir             string
	broker, page    string // addresses
	process         *process
	before, samples uint64 // records at the ground that are not the load's; readings in one that is
}

// quota lets one machine have the ground to itself; a ground's default is for many.
const quota = "kind: ground\nenroll: \"\"\nlimits: {frames_per_second: 100000, bytes_per_second: 1GiB}\n"

func (f *fulmarWay) ground(ctx context.Context, dir string) (*fulmarGround, error) {
	g := &fulmarGround{way: f, dir: dir, samples: uint64(f.shape.Together)}
	for _, args := range [][]string{{"keys", "init", "--keys", g.path("keys")},
		{"keys", "issue", "device", "bench", "--keys", g.path("keys"), "--out", g.path("identity")}} {
		if out, err := exec.CommandContext(ctx, f.binary, args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("fulmar %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	var err error
	if g.broker, err = freeAddress(ctx); err == nil {
		g.page, err = freeAddress(ctx)
	}
	if err == nil {
		err = os.WriteFile(g.path("ground.yaml"), []byte(quota), 0o600)
	}
	return g, err
}

func (g *fulmarGround) path(name string) string { return filepath.Join(g.dir, name) }

// start starts the ground and returns when it takes machines.
func (g *fulmarGround) start(ctx context.Context) (err error) {
	g.process, err = start(ctx, "fulmar ground", false, g.way.binary, "ground", g.path("ground.yaml"), "--data", g.path("ground"), "--keys", g.path("keys"),
		"--http", g.page, "--mqtt", g.broker, "--nats", "")
	if err != nil {
		return err
	}
	return errors.Join(g.process.listening(ctx, g.broker), g.process.listening(ctx, g.page))
}

// committed returns how many readings of the load are committed at the ground.
func (g *fulmarGround) committed(ctx context.Context) (uint64, error) {
	n, err := g.records(ctx)
	return (n - min(n, g.before)) * g.samples, err
}

// records reads the ground's own account.
func (g *fulmarGround) records(ctx context.Context) (uint64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.page+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	for lines := bufio.NewScanner(io.LimitReader(res.Body, 1<<20)); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), `fulmar_ground_records_delivered_total{device="bench"} `); ok {
			n, err := strconv.ParseFloat(text, 64)
			return uint64(n), err
		}
	}
	return 0, nil // nothing has arrived yet
}

func (f *fulmarWay) begin(ctx context.Context, dir string) (c *course, err error) {
	g, err := f.ground(ctx, dir)
	if err != nil {
		return nil, err
	}
	c = &course{}
	defer c.endAfter(&err)
	if err := g.start(ctx); err != nil {
		return c, err
	}
	c.stops = append(c.stops, func() { g.process.stop(syscall.SIGTERM) })
	if err := c.through(ctx, g.broker); err != nil {
		return c, err
	}
	file := g.path("machine.yaml")
	if err := os.WriteFile(file, []byte(settings(g.path("machine"), g.path("identity"), c.link.address(), f.shape.Producers)), 0o600); err != nil {
		return c, err
	}
	if err := c.produce(ctx, f.shape, "fulmar", f.binary, file); err != nil {
		return c, err
	}
	definitions := uint64(f.shape.Producers * (f.shape.Series / f.shape.Together))
	g.before = definitions
	c.receiver = g.process.pid()
	c.committed = g.committed
	c.ground = g
	return c, c.until(ctx, func() (bool, error) { n, err := g.records(ctx); g.before = n; return n >= definitions, err })
}
