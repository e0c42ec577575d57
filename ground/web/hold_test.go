package web_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/ground/live"
	"github.com/fulmar-io/fulmar/ground/web"
)

// host is a ground made of the double, on loopback, that can be stopped and started on the same address.
type host struct {
	double *double
	hub    *live.Hub

	mu     sync.Mutex
	addr   string        // guarded by mu; where it listens, once it did
	server *http.Server  // guarded by mu
	done   chan struct{} // guarded by mu
}

// newHost has a machine that has run for half an hour.
func newHost(addr string) *host {
	now := time.Now().UnixNano()
	hub := live.New(live.Options{})
	return &host{hub: hub, double: newDouble(hub, now-1800*second, now), addr: addr}
}

func (h *host) start() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := web.New(web.Options{Source: h.double, Exporter: h.double, Tail: h.hub, Orders: new(commanded), Logger: slog.New(slog.DiscardHandler), Heartbeat: time.Second})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", h.addr)
	if err != nil {
		return err
	}
	h.addr = l.Addr().String()
	h.server = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second}
	h.server.RegisterOnShutdown(s.Close)
	h.done = make(chan struct{})
	go func(server *http.Server, done chan struct{}) {
		defer close(done)
		_ = server.Serve(l)
	}(h.server, h.done)
	return nil
}

// base is where it is served.
func (h *host) base() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return "http://" + h.addr
}

func (h *host) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.server.Close()
	<-h.done
}

// run is the machine: it commits ten times a second, whether or not anybody serves it.
func (h *host) run(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			h.double.advance(now.UnixNano())
		case <-ctx.Done():
			return
		}
	}
}

// TestHold serves the double until it is interrupted, to look at the page:
//
//	FULMAR_WEB_HOLD=127.0.0.1:8080 go test -run TestHold -timeout 0 ./ground/web
func TestHold(t *testing.T) {
	addr := os.Getenv("FULMAR_WEB_HOLD")
	if addr == "" {
		t.Skip("FULMAR_WEB_HOLD has no address")
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	h := newHost(addr)
	if err := h.start(); err != nil {
		t.Fatal(err)
	}
	defer h.stop()
	t.Log(h.base())
	h.run(ctx)
}
