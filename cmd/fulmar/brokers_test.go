package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/internal/extent"
	"github.com/fulmar-io/fulmar/internal/testbroker"
)

// brokerChild is a NATS server in a process of its own, until SIGTERM.
func brokerChild(address, dir string) error {
	b, err := broker.Start(broker.Options{NATS: address, MQTT: "127.0.0.1:0", Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	return b.Close()
}

// natsServer can be killed and started again.
type natsServer struct {
	t            *testing.T
	address, dir string
	p            *process
}

func (n *natsServer) Start() {
	n.t.Helper()
	n.p = startChild(n.t, "broker", n.address, n.dir)
	eventually(n.t, func() bool {
		c, err := net.Dial("tcp", n.address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, "the NATS server does not listen")
}

// Stop kills it.
func (n *natsServer) Stop() {
	n.t.Helper()
	if err := n.p.end(syscall.SIGKILL); err == nil {
		n.t.Fatal("a broker survived SIGKILL")
	}
}

// Mosquitto, and a NATS server, are killed again and again while records flow through them. Every record whose Publish had returned is at the ground,
// once, and none is declared lost.
func TestBrokersAreKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	first, end := extent.Of(t, 5)
	t.Run("mosquitto", func(t *testing.T) {
		m := testbroker.StartMosquitto(t)
		killBroker(t, m.URL(), m.Stop, m.Start, first, end)
	})
	t.Run("nats", func(t *testing.T) {
		n := &natsServer{t: t, address: freePort(t), dir: t.TempDir()}
		n.Start()
		defer func() { _ = n.p.end(syscall.SIGKILL) }()
		killBroker(t, "nats://"+n.address, n.Stop, n.Start, first, end)
	})
	extent.Covered(t, 2*(end-first), "kills of a broker")
}

func killBroker(t *testing.T, url string, kill, start func(), first, end uint64) {
	t.Helper()
	dir := t.TempDir()
	machineDir, groundDir := filepath.Join(dir, "machine"), filepath.Join(dir, "ground")
	if err := os.Mkdir(machineDir, 0o750); err != nil {
		t.Fatal(err)
	}
	device := fmt.Sprintf("brokers-%d-%d", os.Getpid(), first)
	g := startGround(t, groundDir, "--broker", url)
	m := startChild(t, "machine", device, machineDir, url, "1")
	ended := false
	defer func() {
		if !ended {
			_ = m.end(syscall.SIGKILL)
		}
	}()
	flows := func(when string) {
		t.Helper()
		before := delivered(t, g, device)
		eventually(t, func() bool { return delivered(t, g, device) > before }, "nothing arrives %s", when)
	}
	flows("at first")
	for i := first; i < end; i++ {
		rng := rand.New(rand.NewPCG(i, 19))
		<-time.After(time.Duration(rng.IntN(200)) * time.Millisecond) // somewhere in the middle
		kill()
		<-time.After(time.Duration(rng.IntN(300)) * time.Millisecond)
		start()
		flows(fmt.Sprintf("after kill %d", i))
	}
	ended = true
	if err := m.end(syscall.SIGTERM); err != nil {
		t.Fatalf("machine: %v\n%s", err, m.out.String())
	}
	g.stop(t)
	if err := compare(machineDir, groundDir, m, 100, 0); err != nil {
		t.Error(err)
	}
}
