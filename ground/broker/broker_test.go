package broker_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/link/mqtt"
)

func start(t *testing.T, dir string) *broker.Broker {
	t.Helper()
	b, err := broker.Start(broker.Options{MQTT: "127.0.0.1:0", Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// talk sends a message over MQTT and receives it.
func talk(t *testing.T, b *broker.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := b.Receiver()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := mqtt.Dialer{URL: b.MQTT(), Device: "rover"}.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send(ctx, []byte("frame")); err != nil {
		t.Fatal(err)
	}
	if m, err := r.Recv(ctx); err != nil || m.Device != "rover" {
		t.Fatal(m, err)
	}
	if err := r.Send(ctx, "rover", []byte("ack")); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Recv(ctx); err != nil || string(m) != "ack" {
		t.Fatal(m, err)
	}
}

// blocks returns the files in which a server keeps messages.
func blocks(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".blk") {
			list = append(list, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server removes it meanwhile
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A session on disk would be one more thing that a full disk takes away.
func TestSessionsAreNotOnDisk(t *testing.T) {
	dir := t.TempDir()
	talk(t, start(t, dir))
	if list := blocks(t, dir); len(list) > 0 {
		t.Errorf("on disk: %v", list)
	}
}

// What an earlier build left on disk is replaced.
func TestSessionsThatAreOnDisk(t *testing.T) {
	dir := t.TempDir()
	s, err := server.NewServer(&server.Options{ServerName: "earlier", JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("not ready")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "$MQTT_sess", Subjects: []string{"$MQTT.sess.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "$MQTT.sess.x", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	s.Shutdown()
	s.WaitForShutdown()
	if len(blocks(t, dir)) == 0 {
		t.Fatal("nothing on disk to begin with")
	}
	talk(t, start(t, dir))
	// The server removes the folder of a stream some time after it has forgotten the stream.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(10 * time.Second); ; {
		list := blocks(t, dir)
		if len(list) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("on disk: %v", list)
		}
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for what, o := range map[string]broker.Options{"MQTT": {MQTT: taken}, "NATS": {MQTT: "127.0.0.1:0", NATS: taken}} {
		o.Dir, o.Log = t.TempDir(), slog.New(slog.DiscardHandler)
		b, err := broker.Start(o)
		var port *broker.PortError
		if !errors.As(err, &port) || port.What != what || port.Address != taken {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			_ = b.Close()
		}
	}
}
