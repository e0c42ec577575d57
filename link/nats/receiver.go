package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/queue"
	"github.com/fulmar-io/fulmar/telemetry"
)

// What has arrived at a ground and was not received yet, and what waits for the server to take it. Beyond it messages
// are lost; they come again.
const (
	groundInboxCount  = 65536
	groundInboxBytes  = 64 << 20
	groundOutboxCount = 4096
	groundOutboxBytes = 8 << 20
	perMessage        = 256 // what one costs beside its bytes
)

// pause is how long to wait before the nth attempt to reach the server again: random, up to a limit that doubles.
func pause(attempts int) time.Duration {
	limit := min(100*time.Millisecond<<min(max(attempts-1, 0), 20), 10*time.Second)
	return time.Duration(rand.Int64N(int64(limit)) + 1)
}

// Receiver is the ground's end.
type Receiver struct {
	shown   string
	n       *network
	nc      *nats.Conn
	inbox   *queue.Queue[link.Inbound]
	outbox  *queue.Queue[outgoing]
	stopped context.Context
	stop    context.CancelFunc
	closed  chan struct{} // the client is
	pumped  chan struct{} // nothing moves to the inbox any more
	written chan struct{}
	// up is whether there is a server. The client would tell, but only after what it is writing.
	up atomic.Bool
}

// subscribeTime is how long a server may take for its word that a subscription is in place.
const subscribeTime = 5 * time.Second

type outgoing struct {
	subject string
	message []byte
}

// Listen connects a ground to a NATS server. Grounds with the same non-empty queue share the messages between them. A
// server that is not there yet is no error, for the client goes on trying; one that refuses is, with ErrRefused. Options may replace how the server is reached:
// nats.InProcessServer for an embedded one.
func Listen(serverURL, queueGroup string, options ...nats.Option) (*Receiver, error) {
	shown, err := parseURL(serverURL)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(queueGroup, " \t\r\n") {
		return nil, fmt.Errorf("nats: queue group %q: want a name without white space", queueGroup)
	}
	run, stop := context.WithCancel(context.Background())
	if err := tryOnce(run, serverURL, options); errors.Is(err, link.ErrRefused) {
		stop()
		return nil, fmt.Errorf("nats: connect to %s: %w", shown, err)
	}
	r := &Receiver{shown: shown, n: &network{silence: 2 * DefaultKeepAlive, ctx: run},
		inbox:   queue.New[link.Inbound](groundInboxCount, groundInboxBytes),
		outbox:  queue.New[outgoing](groundOutboxCount, groundOutboxBytes),
		stopped: run, stop: stop, closed: make(chan struct{}), pumped: make(chan struct{}), written: make(chan struct{})}
	options = append(append(common(r.n, DefaultKeepAlive, nil), nats.Name("fulmar ground"), nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(pause), nats.RetryOnFailedConnect(true), nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(), nats.DisconnectErrHandler(r.disconnected), nats.ConnectHandler(r.connected),
		nats.ReconnectHandler(r.connected),
		nats.ClosedHandler(func(*nats.Conn) { close(r.closed) })), options...)
	if r.nc, err = nats.Connect(serverURL, options...); err != nil {
		stop()
		return nil, fmt.Errorf("nats: connect to %s: %w", shown, refused(err))
	}
	r.up.CompareAndSwap(false, r.nc.IsConnected())
	go r.write(run)
	if err := r.subscribe(queueGroup); err != nil {
		close(r.pumped)
		return nil, errors.Join(fmt.Errorf("nats: subscribe at %s: %w", shown, err), r.Close())
	}
	if r.nc.IsConnected() {
		// The subscription is in place when Listen returns. Should the server be gone again meanwhile, the client makes it anew.
		_ = r.nc.FlushTimeout(subscribeTime)
	}
	return r, nil
}

// subscribe has what comes up moved to the inbox. The client holds what comes faster, up to bounds of the inbox's kind: a flood of one device
// would otherwise drop what others send while this process does something else.
func (r *Receiver) subscribe(queueGroup string) error {
	up := Subject(strings.ReplaceAll(link.UpTopics, "+", "*"))
	sub, err := r.nc.QueueSubscribe(up, queueGroup, r.arrive)
	if err != nil {
		return err
	}
	sub.SetClosedHandler(func(string) { r.inbox.Close(); close(r.pumped) })
	return sub.SetPendingLimits(groundInboxCount, groundInboxBytes)
}

// arrive takes a message from the client, one after the other.
func (r *Receiver) arrive(m *nats.Msg) {
	device, ok := link.TopicDevice(strings.ReplaceAll(m.Subject, ".", "/"))
	if ok && len(m.Data) <= link.MaxMessage {
		r.inbox.Put(link.Inbound{Device: device, Message: m.Data}, len(m.Data)+perMessage)
	}
}

// tryOnce connects without trying again: a client that does forgets why it was refused.
func tryOnce(ctx context.Context, serverURL string, options []nats.Option) error {
	n := &network{silence: 2 * DefaultKeepAlive, ctx: ctx}
	nc, err := nats.Connect(serverURL, append(append(common(n, DefaultKeepAlive, nil), nats.NoReconnect()), options...)...)
	if err != nil {
		return refused(err)
	}
	nc.Close()
	return nil
}

func (r *Receiver) connected(*nats.Conn) {
	r.up.Store(true)
	slog.Default().Debug("server connected", "link", r.shown)
}

func (r *Receiver) disconnected(_ *nats.Conn, err error) {
	r.up.Store(false)
	if r.stopped.Err() == nil {
		slog.Default().Warn("server lost; trying again", "link", r.shown, "error", err)
	}
}

// write hands messages to the client, which waits where the server does not take them.
func (r *Receiver) write(ctx context.Context) {
	defer close(r.written)
	for {
		m, err := r.outbox.Get(ctx)
		if err != nil {
			return
		}
		// An error says that the server is gone, or takes no message so long: the machine asks again.
		_ = r.nc.Publish(m.subject, m.message)
	}
}

// Recv implements link.Receiver.
func (r *Receiver) Recv(ctx context.Context) (link.Inbound, error) {
	m, err := r.inbox.Get(ctx)
	if errors.Is(err, queue.ErrClosed) {
		return link.Inbound{}, fmt.Errorf("nats: receive: %w", link.ErrClosed)
	}
	return m, err
}

// Send implements link.Receiver.
func (r *Receiver) Send(_ context.Context, device string, message []byte) error {
	if err := telemetry.ValidateDevice(device); err != nil {
		return fmt.Errorf("nats: send: %w", err)
	}
	if len(message) > link.MaxMessage {
		return fmt.Errorf("nats: send %d bytes: %w", len(message), link.ErrTooLarge)
	}
	m := outgoing{subject: Subject(link.DownTopic(device)), message: append([]byte(nil), message...)}
	switch {
	case r.isClosed() || !r.up.Load():
		return fmt.Errorf("nats: send: %w", link.ErrClosed)
	case !r.outbox.Put(m, len(message)):
		return errors.New("nats: send: the server does not take messages as fast as they come; this one is dropped")
	}
	return nil
}

func (r *Receiver) isClosed() bool {
	select {
	case <-r.closed:
		return true
	default:
		return false
	}
}

// Close implements link.Receiver.
func (r *Receiver) Close() error {
	r.stop()
	r.n.hurry()
	r.nc.Close()
	<-r.closed
	<-r.pumped
	<-r.written
	return nil
}

// String implements link.Receiver.
func (r *Receiver) String() string { return r.shown }
