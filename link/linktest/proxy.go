package linktest

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a loopback network between a client and a server. Its methods may be called from any goroutine.
type Proxy struct {
	target   string
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu       sync.Mutex // guards what follows
	changed  chan struct{}
	stalled  bool
	delay    time.Duration
	rate     int // bytes per second and direction; 0 is without limit
	conns    map[net.Conn]bool
	accepted int
	toServer int64
	toClient int64
}

// NewProxy starts a proxy to the server at target, "host:port", and ends it with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, listener: l, changed: make(chan struct{}), conns: make(map[net.Conn]bool)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Add(1)
	go p.accept()
	t.Cleanup(p.close)
	return p
}

// Address is where it listens, "host:port".
func (p *Proxy) Address() string { return p.listener.Addr().String() }

func (p *Proxy) close() {
	p.cancel()
	_ = p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

// Cut closes all connections. What was forwarded arrives; what was not is lost.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Stall makes it take connections and forward nothing, or go on.
func (p *Proxy) Stall(on bool) { p.set(func() { p.stalled = on }) }

// Delay makes every byte take so long, each way.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// Limit bounds the bytes per second, each way; 0 is without limit.
func (p *Proxy) Limit(bytesPerSecond int) { p.set(func() { p.rate = bytesPerSecond }) }

func (p *Proxy) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// Connections returns how many connections were taken so far.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Forwarded returns the bytes that were handed on, each way, over all connections.
func (p *Proxy) Forwarded() (toServer, toClient int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.toServer, p.toClient
}

func (p *Proxy) accept() {
	defer p.wg.Done()
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.set(func() { p.accepted++ })
		p.wg.Add(1)
		go p.serve(c)
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.wg.Done()
	server, err := (&net.Dialer{}).DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	for _, c := range []net.Conn{client, server} {
		_ = c.(*net.TCPConn).SetReadBuffer(pieceSize) // else the system takes in megabytes, as if it were through
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	if p.ctx.Err() != nil {
		p.Cut() // it came between
	}
	var both sync.WaitGroup
	both.Add(2)
	go func() { defer both.Done(); p.pump(server, client, &p.toServer) }()
	go func() { defer both.Done(); p.pump(client, server, &p.toClient) }()
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// parcel is a piece of the stream and when it may arrive.
type parcel struct {
	data []byte
	due  time.Time
}

// inTransit bounds the pieces under way in one direction. It is little, as on a real network: the sender is to
// feel a stall.
const (
	inTransit = 4
	pieceSize = 32 << 10
)

func (p *Proxy) pump(to, from net.Conn, count *int64) {
	transit := make(chan parcel, inTransit)
	go func() {
		defer close(transit)
		for {
			b := make([]byte, pieceSize)
			n, err := from.Read(b)
			if n > 0 {
				p.mu.Lock()
				due := time.Now().Add(p.delay)
				p.mu.Unlock()
				transit <- parcel{b[:n], due}
			}
			if err != nil {
				return
			}
		}
	}()
	ok := true
	for piece := range transit { // to its end: the reader must not be left waiting
		ok = ok && p.pass(piece) && p.write(to, piece.data, count)
		if !ok {
			_ = from.Close()
		}
	}
	p.pass(parcel{}) // the end does not go through a stall either
	_ = to.Close()
	_ = from.Close()
}

func (p *Proxy) write(to net.Conn, b []byte, count *int64) bool {
	_, err := to.Write(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	*count += int64(len(b))
	return err == nil
}

// pass waits until a piece may go on, and reports false if the proxy ends before that.
func (p *Proxy) pass(piece parcel) bool {
	for {
		p.mu.Lock()
		stalled, rate, changed := p.stalled, p.rate, p.changed
		p.mu.Unlock()
		wait := time.Until(piece.due)
		if rate > 0 {
			wait = max(wait, 0) + time.Duration(float64(len(piece.data))/float64(rate)*float64(time.Second))
		}
		if !stalled && wait <= 0 {
			return true
		}
		timer := time.NewTimer(max(wait, 0))
		due := timer.C
		if stalled {
			due = nil
		}
		select {
		case <-due:
			return true
		case <-changed:
			timer.Stop()
		case <-p.ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// Silent is a server that takes connections and answers with nothing, or with a fixed text, and then hangs up if told so.
func Silent(t testing.TB, answer string, hangUp bool) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				continue
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			wg.Add(1)
			go func() {
				defer wg.Done()
				var b [1]byte
				if _, err := c.Read(b[:]); err == nil {
					_, _ = c.Write([]byte(answer))
				}
				if hangUp {
					_ = c.Close()
				}
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// Unused returns an address at which nobody listens.
func Unused(t testing.TB) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
