package nats_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/linktest"
	"github.com/fulmar-io/fulmar/link/nats"
)

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// serve starts a server with options of its own and returns its address.
func serve(t *testing.T, o server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return s.Addr().(*net.TCPAddr).String()
}

func TestRefusedCredentials(t *testing.T) {
	address := serve(t, server.Options{Username: "rover", Password: "other"})
	u := "nats://rover:secret@" + address
	d := nats.Dialer{URL: u, Device: "rover"}
	_, err := d.Dial(within(t))
	if !errors.Is(err, link.ErrRefused) {
		t.Errorf("machine: %v, want ErrRefused", err)
	}
	r, err2 := nats.Listen(u, "")
	if !errors.Is(err2, link.ErrRefused) {
		t.Errorf("ground: %v, want ErrRefused", err2)
	}
	if err2 == nil {
		err2 = errors.Join(r.Close())
	}
	for _, s := range []string{d.String(), err.Error(), err2.Error(), nats.Dialer{URL: "nats://secret@host"}.String()} {
		if strings.Contains(s, "secret") {
			t.Errorf("a secret is told: %s", s)
		}
	}
}

func TestServerThatTakesLess(t *testing.T) {
	address := serve(t, server.Options{MaxPayload: 1000})
	c, err := nats.Dialer{URL: "nats://" + address, Device: "rover"}.Dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send(within(t), make([]byte, 1001)); !errors.Is(err, link.ErrTooLarge) {
		t.Errorf("%v, want ErrTooLarge", err)
	}
	if err := c.Send(within(t), make([]byte, 1000)); err != nil {
		t.Error(err)
	}
}

func TestURLs(t *testing.T) {
	for _, raw := range []string{"", "mqtt://host", "nats://", "nats://user:secret@ho st", "nats://user:secret@host:port"} {
		_, err := nats.Dialer{URL: raw, Device: "rover"}.Dial(t.Context())
		_, err2 := nats.Listen(raw, "")
		for _, err := range []error{err, err2} {
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: %v", raw, err)
			}
		}
	}
}

// TestServerComesLater: a ground that started before its server.
func TestServerComesLater(t *testing.T) {
	address := linktest.Unused(t)
	r, err := nats.Listen("nats://"+address, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Send(within(t), "rover", []byte("x")); !errors.Is(err, link.ErrClosed) {
		t.Errorf("send without a server: %v, want ErrClosed", err)
	}
}
