package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsSource publishes into the stream of a leaf server on this machine.
type natsSource struct {
	url   string
	conns []*nats.Conn
}

func (n *natsSource) open(_ context.Context, s shape) ([]requester, error) {
	var list []requester
	for i := range s.Producers {
		conn, err := nats.Connect(n.url)
		if err != nil {
			return nil, err
		}
		n.conns = append(n.conns, conn)
		js, err := jetstream.New(conn)
		if err != nil {
			return nil, err
		}
		list = append(list, &streaming{producer: i, subject: fmt.Sprintf("telemetry.p%d", i), js: js})
	}
	return list, nil
}

func (n *natsSource) sender() int { return 0 }

func (n *natsSource) close() error {
	for _, c := range n.conns {
		c.Close()
	}
	return nil
}

type streaming struct {
	producer int
	subject  string
	js       jetstream.JetStream
}

func (s *streaming) request(ctx context.Context, samples []sample) error {
	b, err := exportRequest(s.producer, samples).MarshalProto()
	if err == nil {
		_, err = s.js.Publish(ctx, s.subject, b)
	}
	return err
}

// natsWay is a leaf server on the machine with a stream, and a hub whose stream has that one as its source.
type natsWay struct {
	binary string
	shape  shape
}

func (n *natsWay) name() string { return natsName }

const (
	leafSettings = `
server_name: leaf
listen: %q
jetstream { store_dir: %q, domain: leaf, sync_interval: always }
leafnodes { remotes: [ { url: "tls://%s", tls { ca_file: %q, cert_file: %q, key_file: %q } } ] }
`
	hubSettings = `
server_name: hub
listen: %q
jetstream { store_dir: %q, domain: hub, sync_interval: always }
leafnodes { listen: %q, tls { ca_file: %q, cert_file: %q, key_file: %q, verify: true } }
`
)

// server starts a server and returns when it takes clients.
func (n *natsWay) server(ctx context.Context, k *course, dir, name, address, text string) (*process, error) {
	file := filepath.Join(dir, name+".conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := start(ctx, "nats "+name, false, n.binary, "-c", file)
	if err != nil {
		return nil, err
	}
	k.stops = append(k.stops, func() { p.stop(syscall.SIGTERM) })
	return p, p.listening(ctx, address)
}

func (n *natsWay) begin(ctx context.Context, dir string) (k *course, err error) {
	k = &course{}
	defer k.endAfter(&err)
	certs, err := newCertificates(dir)
	if err != nil {
		return k, err
	}
	var local, central, ground string
	for _, a := range []*string{&local, &central, &ground} {
		if *a, err = freeAddress(ctx); err != nil {
			return k, err
		}
	}
	hub, err := n.server(ctx, k, dir, "hub", central, fmt.Sprintf(hubSettings, central, filepath.Join(dir, "hub"), ground, certs.CA, certs.Cert, certs.Key))
	if err == nil {
		err = k.through(ctx, ground)
	}
	if err != nil {
		return k, err
	}
	leaf, err := n.server(ctx, k, dir, "leaf", local, fmt.Sprintf(leafSettings, local, filepath.Join(dir, "leaf"), k.link.address(), certs.CA, certs.Cert, certs.Key))
	if err != nil {
		return k, err
	}
	if err := n.streams(ctx, k, "nats://"+local, "nats://"+central); err != nil {
		return k, err
	}
	k.sender, k.receiver = leaf.pid(), hub.pid()
	return k, k.produce(ctx, n.shape, "nats", "nats://"+local)
}

// streams makes the stream on the machine and that of the hub, which takes from it.
func (n *natsWay) streams(ctx context.Context, k *course, leaf, hub string) error {
	near, err := nats.Connect(leaf)
	if err != nil {
		return err
	}
	defer near.Close()
	far, err := nats.Connect(hub)
	if err != nil {
		return err
	}
	k.stops = append(k.stops, far.Close)
	js, err := jetstream.New(near)
	if err != nil {
		return err
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "MACHINE", Subjects: []string{"telemetry.>"}, Storage: jetstream.FileStorage}); err != nil {
		return err
	}
	if js, err = jetstream.New(far); err != nil {
		return err
	}
	var stream jetstream.Stream
	err = k.until(ctx, func() (bool, error) { // the leaf's domain is known when it has connected
		var err error
		stream, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "GROUND", Storage: jetstream.FileStorage,
			Sources: []*jetstream.StreamSource{{Name: "MACHINE", External: &jetstream.ExternalStream{APIPrefix: "$JS.leaf.API"}}}})
		return err == nil, errors.Join(ctx.Err())
	})
	readings := uint64(n.shape.Request)
	k.committed = func(ctx context.Context) (uint64, error) {
		info, err := stream.Info(ctx)
		if err != nil {
			return 0, err
		}
		return info.State.Msgs * readings, nil
	}
	return err
}
