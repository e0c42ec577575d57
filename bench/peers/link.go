package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// link forwards connections to an address, and counts what goes over them: all bytes of TCP's payload, TLS and protocols included,
// both ways together.
type link struct {
	listener net.Listener
	to       string
	carried  atomic.Int64
	wg       sync.WaitGroup

	mu   sync.Mutex // guards open
	open map[net.Conn]bool
}

// newLink returns a link to an address, which need not be there yet.
func newLink(ctx context.Context, to string) (*link, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &link{listener: l, to: to, open: make(map[net.Conn]bool)}
	k.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // it is closed
			}
			k.wg.Go(func() { k.forward(ctx, c) })
		}
	})
	return k, nil
}

func (k *link) address() string { return k.listener.Addr().String() }

// forward serves one connection. Where nobody listens it is closed at once, as a refused one would be.
func (k *link) forward(ctx context.Context, near net.Conn) {
	defer k.forget(near)
	if !k.keep(near) {
		return
	}
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", k.to)
	if err != nil {
		return
	}
	defer k.forget(far)
	if !k.keep(far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { k.copy(far, near) })
	both.Go(func() { k.copy(near, far) })
	both.Wait()
}

// copy forwards one direction until either end is closed, and then closes both.
func (k *link) copy(to, from net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		k.carried.Add(int64(n))
		if n > 0 {
			if _, werr := to.Write(b[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			_, _ = to.Close(), from.Close() // the other direction ends too
			return
		}
	}
}

func (k *link) keep(c net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open == nil {
		return false
	}
	k.open[c] = true
	return true
}

func (k *link) forget(c net.Conn) {
	k.mu.Lock()
	delete(k.open, c)
	k.mu.Unlock()
	_ = c.Close()
}

func (k *link) close() {
	_ = k.listener.Close()
	k.mu.Lock()
	for c := range k.open {
		_ = c.Close()
	}
	k.open = nil
	k.mu.Unlock()
	k.wg.Wait()
}

// reachable reports whether somebody takes connections at an address.
func reachable(ctx context.Context, address string) bool {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// freeAddress returns an address of the loopback on which nobody listens now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), errors.Join(l.Close())
}
