package enroll

import (
	"net"
	"sync"
)

// bounded takes so many connections at a time, and of them so many from one address; others are closed at once.
type bounded struct {
	net.Listener

	mu   sync.Mutex
	all  int            // guarded by mu
	from map[string]int // guarded by mu
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(c.RemoteAddr().String())
		if err == nil && b.take(host) {
			return &counted{Conn: c, release: sync.OnceFunc(func() { b.release(host) })}, nil
		}
		_ = c.Close() // it has come to nothing, either way
	}
}

func (b *bounded) take(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= maxConnections || b.from[host] >= maxFromOne {
		return false
	}
	b.all++
	b.from[host]++
	return true
}

func (b *bounded) release(host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.from[host]--; b.from[host] == 0 {
		delete(b.from, host)
	}
}

type counted struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.release()
	return c.Conn.Close()
}
