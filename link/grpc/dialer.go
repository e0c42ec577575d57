package grpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/pipe"
	"github.com/fulmar-io/fulmar/link/internal/queue"
	"github.com/fulmar-io/fulmar/telemetry"
)

// machineInbox is what has arrived at a machine and was not received yet, in bytes. Beyond it the stream is not read.
const machineInbox = 4 << 20

// attemptTime bounds an attempt to connect whose caller set no bound.
const attemptTime = 10 * time.Second

// Dialer connects a machine to a ground.
type Dialer struct {
	URL    string // grpcs://host:port, or grpc:// for the bench
	Device string // as telemetry.ValidateDevice has it
	// KeepAlive is how long a connection may be idle before it is tried; one that gives no sign of life for twice as long
	// is cut. The library pings no more often than each 10 s, so that less than 15 s is taken for that. Default DefaultKeepAlive.
	KeepAlive time.Duration
	// TLS is for grpcs; nothing older than TLS 1.3 is spoken, whatever it says. Default: the system's certificate authorities, and no
	// certificate of our own, which no ground takes.
	TLS *tls.Config
}

// String implements link.Dialer.
func (d Dialer) String() string {
	e, err := parseURL(d.URL)
	if err != nil {
		return "grpc"
	}
	return e.String()
}

// Dial implements link.Dialer. It returns when the ground has taken the stream. Without a deadline an attempt has 10 s.
func (d Dialer) Dial(ctx context.Context) (link.Conn, error) {
	if err := telemetry.ValidateDevice(d.Device); err != nil {
		return nil, fmt.Errorf("grpc: dial: %w", err)
	}
	e, err := parseURL(d.URL)
	if err != nil {
		return nil, err
	}
	left := attemptTime
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	t := &transport{End: pipe.NewEnd(), inbox: queue.New[[]byte](machineInbox/perMessage, machineInbox),
		room: semaphore.NewWeighted(machineInbox), read: make(chan struct{})}
	if err := t.connect(ctx, d, e, left); err != nil {
		return nil, fmt.Errorf("grpc: connect to %s: %w", e, err)
	}
	return &conn{Conn: pipe.NewConn(t, pipe.Options{Name: "grpc", Limit: link.MaxMessage, Inbox: t.inbox}), room: t.room}, nil
}

// conn is a machine's connection, which reads on where messages are received.
type conn struct {
	*pipe.Conn
	room *semaphore.Weighted
}

// Recv implements link.Conn.
func (c *conn) Recv(ctx context.Context) ([]byte, error) {
	m, err := c.Conn.Recv(ctx)
	if err == nil {
		c.room.Release(weight(m))
	}
	return m, err
}

// transport is a machine's connection as the library gives it.
type transport struct {
	*pipe.End
	n      *network
	cc     *grpc.ClientConn
	stream grpc.ClientStream
	run    context.Context // of the stream
	stop   context.CancelFunc
	inbox  *queue.Queue[[]byte]
	room   *semaphore.Weighted
	read   chan struct{} // the reader has ended
}

// connect opens the stream and starts its reader, or leaves nothing behind.
func (t *transport) connect(ctx context.Context, d Dialer, e endpoint, left time.Duration) error {
	ping, silence := rhythm(d.KeepAlive, leastPing)
	t.n = &network{silence: silence, TransportCredentials: insecure.NewCredentials()}
	if e.secure {
		t.n.TransportCredentials = credentials.NewTLS(clientTLS(d.TLS))
	}
	var err error
	if t.cc, err = grpc.NewClient("passthrough:///"+e.address, t.n.options(ping, left)...); err != nil {
		return err
	}
	t.run, t.stop = context.WithCancel(context.Background())
	giveUp := context.AfterFunc(ctx, t.stop)
	err = t.open(d.Device)
	if !giveUp() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		go t.receive()
		return nil
	}
	t.end()
	if ctx.Err() != nil && t.n.cause() == nil {
		return fmt.Errorf("nothing answered as a ground does: %w", ctx.Err())
	}
	return err
}

// clientTLS is a configuration that speaks nothing older than TLS 1.3. Whom it looks for is the library's to fill in.
func clientTLS(config *tls.Config) *tls.Config {
	if config == nil {
		config = new(tls.Config) //nolint:gosec // the version is set below
	}
	config = config.Clone()
	config.MinVersion = tls.VersionTLS13
	return config
}

// open asks for the stream and waits until the ground has taken it.
func (t *transport) open(device string) error {
	ctx := metadata.AppendToOutgoingContext(t.run, deviceKey, device)
	var err error
	if t.stream, err = t.cc.NewStream(ctx, &carry, "/"+service+"/"+method, grpc.ForceCodecV2(codec{}),
		grpc.MaxCallRecvMsgSize(link.MaxMessage), grpc.MaxCallSendMsgSize(link.MaxMessage)); err != nil {
		return t.n.explain(err, nil)
	}
	header, err := t.stream.Header()
	if err == nil && len(header.Get(deviceKey)) == 0 {
		var none []byte
		if err = t.stream.RecvMsg(&none); err == nil {
			err = errors.New("it does not answer as a ground does")
		}
	}
	if err != nil {
		return t.n.explain(err, t.stream.Trailer())
	}
	if known := header.Get(deviceKey)[0]; known != device {
		return fmt.Errorf("%w: the ground has this machine as %.70q, and it is %s", link.ErrRefused, known, device)
	}
	return nil
}

// receive moves messages to the inbox until the stream is over.
func (t *transport) receive() {
	defer close(t.read)
	for {
		var message []byte
		err := t.stream.RecvMsg(&message)
		if err == nil {
			err = t.room.Acquire(t.run, weight(message))
		}
		if err != nil {
			t.Because(t.why(err))
			return
		}
		t.inbox.Put(message, len(message))
	}
}

func (t *transport) why(err error) error {
	if t.run.Err() != nil && t.n.cause() == nil {
		return pipe.ErrClosedHere
	}
	return t.n.explain(err, t.stream.Trailer())
}

// Publish implements pipe.Transport. The library keeps the message, or 64 KiB of several; beyond that it waits for the ground.
func (t *transport) Publish(_ string, message []byte) error { return t.stream.SendMsg(message) }

// Close implements pipe.Transport.
func (t *transport) Close() {
	t.end()
	<-t.read
}

// end cuts the connection.
func (t *transport) end() {
	t.n.hurry() // the library's farewell must not wait for a network that takes nothing
	t.stop()
	_ = t.cc.Close() // it may be closed
}

// network is the machine's connection below the library.
type network struct {
	credentials.TransportCredentials
	silence time.Duration

	mu     sync.Mutex // guards what follows
	first  *listening
	last   *pipe.Steady
	failed error // of the first dial or handshake that failed; the library makes text of it
	closed bool
}

// options are the library's, which is to do nothing by itself: no retry, no proxy, no configuration from elsewhere.
func (n *network) options(ping, left time.Duration) []grpc.DialOption {
	once := backoff.DefaultConfig
	once.BaseDelay = never
	return []grpc.DialOption{
		grpc.WithTransportCredentials(n), grpc.WithContextDialer(n.dial), grpc.WithNoProxy(), grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(),
		grpc.WithDisableHealthCheck(), grpc.WithIdleTimeout(0), grpc.WithUserAgent("fulmar"), grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: once, MinConnectTimeout: left}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: ping, Timeout: never}),
	}
}

func (n *network) dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	return c, n.fail(err)
}

// ClientHandshake implements credentials.TransportCredentials.
func (n *network) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, info, err := n.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if n.fail(err) != nil {
		return nil, nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if sc, ok := c.(syscall.Conn); ok {
		n.first = &listening{Conn: c, below: sc}
		c = n.first
	}
	n.last = pipe.NewSteady(c, n.silence)
	if n.closed {
		n.last.Hurry()
	}
	return n.last, info, nil
}

// Clone implements credentials.TransportCredentials: a network is one connection's.
func (n *network) Clone() credentials.TransportCredentials { return n }

func (n *network) fail(err error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed == nil && !errors.Is(err, context.Canceled) {
		n.failed = err
	}
	return err
}

// hurry ends what the library is writing.
func (n *network) hurry() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	if n.last != nil {
		n.last.Hurry()
	}
}

// cause returns the first failure below the library, if there was one.
func (n *network) cause() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last != nil && n.failed == nil {
		return n.last.Cause()
	}
	return n.failed
}

// unheard reports whether there is a connection over which the other end never said a thing.
func (n *network) unheard() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.first != nil && !n.first.heard.Load()
}

// listening is a connection that hears the other end's last word. In TLS 1.3 that has verified our certificate when we are writing
// already: that the writing fails must not hide why.
type listening struct {
	net.Conn
	below syscall.Conn
	heard atomic.Bool
}

// SyscallConn implements syscall.Conn; see pipe.Steady.
func (c *listening) SyscallConn() (syscall.RawConn, error) { return c.below.SyscallConn() }

// Read implements net.Conn.
func (c *listening) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
	}
	return n, err
}

// Write implements net.Conn.
func (c *listening) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	var timeout net.Error
	if err == nil || c.heard.Load() || errors.Is(err, net.ErrClosed) || errors.As(err, &timeout) && timeout.Timeout() {
		return n, err
	}
	if c.SetReadDeadline(time.Now().Add(goodbye)) == nil {
		if _, last := c.Conn.Read(make([]byte, 1)); remotely(last) {
			err = last
		}
	}
	return n, err
}

// remotely reports whether an error is a word of the other end's TLS.
func remotely(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && strings.HasPrefix(op.Op, "remote error")
}
