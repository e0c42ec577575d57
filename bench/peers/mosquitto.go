package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// mqttSource publishes to a broker on this machine.
type mqttSource struct {
	address string
	clients []mqtt.Client
}

func (m *mqttSource) open(_ context.Context, s shape) ([]requester, error) {
	var list []requester
	for i := range s.Producers {
		c, err := connectMQTT(m.address, fmt.Sprintf("producer-%d", i))
		if err != nil {
			return nil, err
		}
		m.clients = append(m.clients, c)
		list = append(list, &messaging{producer: i, topic: fmt.Sprintf("telemetry/p%d", i), client: c})
	}
	return list, nil
}

func (m *mqttSource) sender() int { return 0 }

func (m *mqttSource) close() error {
	for _, c := range m.clients {
		c.Disconnect(100)
	}
	return nil
}

type messaging struct {
	producer int
	topic    string
	client   mqtt.Client
}

func (m *messaging) request(ctx context.Context, samples []sample) error {
	b, err := exportRequest(m.producer, samples).MarshalProto()
	if err != nil {
		return err
	}
	token := m.client.Publish(m.topic, 1, false, b)
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mosquittoWay is a broker on the machine with a bridge to one on the ground.
type mosquittoWay struct {
	binary string
	shape  shape
}

func (m *mosquittoWay) name() string { return "Mosquitto bridge" }

// broker starts a broker and returns when it takes clients.
func (m *mosquittoWay) broker(ctx context.Context, k *course, dir, name, address string, lines ...string) (*process, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(dir, name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	lines = append([]string{"per_listener_settings false", "allow_anonymous true", "listener " + port + " 127.0.0.1", "persistence true", "persistence_location " + folder + "/",
		"max_queued_messages 0", "max_inflight_messages 1000", "set_tcp_nodelay true", "log_type error", "log_type warning"}, lines...)
	if os.Getuid() == 0 {
		lines = append(lines[:1], append([]string{"user root"}, lines[1:]...)...) // else it becomes a user that cannot read the files
	}
	file := filepath.Join(dir, name+".conf")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	p, err := start(ctx, "mosquitto "+name, false, m.binary, "-c", file)
	if err != nil {
		return nil, err
	}
	k.stops = append(k.stops, func() { p.stop(syscall.SIGTERM) })
	return p, p.listening(ctx, address)
}

func (m *mosquittoWay) begin(ctx context.Context, dir string) (k *course, err error) {
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
	_, port, err := net.SplitHostPort(ground)
	if err != nil {
		return k, err
	}
	hub, err := m.broker(ctx, k, dir, "hub", central, "listener "+port+" 127.0.0.1", "cafile "+certs.CA, "certfile "+certs.Cert, "keyfile "+certs.Key, "require_certificate true")
	if err != nil {
		return k, err
	}
	kept, committed, err := startSink(ctx, sinkOptions{Kind: "mqtt", Dir: dir, Address: central})
	k.stops = append(k.stops, func() { kept.stop(syscall.SIGTERM) })
	if err = errors.Join(err, k.through(ctx, ground)); err != nil {
		return k, err
	}
	edge, err := m.broker(ctx, k, dir, "edge", local, "connection ground", "address "+k.link.address(), "topic telemetry/# out 1", "cleansession false", "restart_timeout 1",
		"bridge_cafile "+certs.CA, "bridge_certfile "+certs.Cert, "bridge_keyfile "+certs.Key)
	if err != nil {
		return k, err
	}
	k.sender, k.receiver, k.committed = edge.pid(), hub.pid(), committed
	return k, k.produce(ctx, m.shape, "mqtt", local)
}
