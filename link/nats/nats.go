package nats

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fulmar-io/fulmar/link"
)

// inboxSize bounds the messages that have arrived and were not received yet, per connection; beyond it they are lost, as
// on any link.
const inboxSize = 4096

// Dialer connects a machine to a NATS server.
type Dialer struct {
	URL    string // nats://host:port
	Device string
}

// String implements link.Dialer.
func (d Dialer) String() string { return redact(d.URL) }

func redact(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "nats"
	}
	return u.Redacted()
}

// Dial implements link.Dialer.
func (d Dialer) Dial(ctx context.Context) (link.Conn, error) {
	timeout := 5 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	c := &conn{device: d.Device, closed: make(chan struct{})}
	nc, err := nats.Connect(d.URL, nats.Name("fulmar machine "+d.Device), nats.NoReconnect(), nats.Timeout(timeout),
		nats.ClosedHandler(func(*nats.Conn) { c.end() }))
	if err != nil {
		return nil, fmt.Errorf("nats: connect to %s: %w", redact(d.URL), err)
	}
	c.nc = nc
	c.inbox = make(chan *nats.Msg, inboxSize)
	if c.sub, err = nc.ChanSubscribe(subject(link.DownTopic(d.Device)), c.inbox); err == nil {
		err = nc.FlushTimeout(timeout)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("nats: subscribe at %s: %w", redact(d.URL), err)
	}
	return c, nil
}

func subject(topic string) string { return strings.ReplaceAll(topic, "/", ".") }

type conn struct {
	device string
	nc     *nats.Conn
	sub    *nats.Subscription
	inbox  chan *nats.Msg
	once   sync.Once
	closed chan struct{}
}

func (c *conn) end() { c.once.Do(func() { close(c.closed) }) }

// flushEvery bounds what is in the client's buffer: Send waits for the server after so many bytes.
const flushEvery = 1 << 20

// Send implements link.Conn.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if len(message) > link.MaxMessage || int64(len(message)) > c.nc.MaxPayload() {
		return fmt.Errorf("nats: send %d bytes: %w", len(message), link.ErrTooLarge)
	}
	if n, err := c.nc.Buffered(); err == nil && n > flushEvery {
		if err := c.nc.FlushWithContext(withDeadline(ctx)); err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := c.nc.Publish(subject(link.UpTopic(c.device)), message); err != nil {
		if errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("nats: send: %w", link.ErrClosed)
		}
		return fmt.Errorf("nats: send: %w", err)
	}
	return nil
}

// withDeadline gives a context that has none one far away: the client insists on it.
func withDeadline(ctx context.Context) context.Context {
	if _, ok := ctx.Deadline(); ok {
		return ctx
	}
	far, cancel := context.WithTimeout(ctx, time.Minute)
	context.AfterFunc(far, cancel)
	return far
}

// Recv implements link.Conn.
func (c *conn) Recv(ctx context.Context) ([]byte, error) {
	m, err := next(ctx, c.inbox, c.closed)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// next returns what has arrived before it says that there is no more to come.
func next(ctx context.Context, inbox chan *nats.Msg, closed chan struct{}) (*nats.Msg, error) {
	select {
	case m := <-inbox:
		return m, nil
	default:
	}
	select {
	case m := <-inbox:
		return m, nil
	case <-closed:
		select {
		case m := <-inbox:
			return m, nil
		default:
			return nil, fmt.Errorf("nats: receive: %w", link.ErrClosed)
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close implements link.Conn.
func (c *conn) Close() error {
	c.nc.Close()
	<-c.closed
	return nil
}

// Receiver is the ground's end.
type Receiver struct {
	url    string
	nc     *nats.Conn
	inbox  chan *nats.Msg
	once   sync.Once
	closed chan struct{}
}

// Listen connects a ground to a NATS server. Grounds with the same non-empty queue share the messages between them.
// Options may replace how the server is reached: nats.InProcessServer for an embedded one.
func Listen(serverURL, queue string, options ...nats.Option) (*Receiver, error) {
	r := &Receiver{url: serverURL, inbox: make(chan *nats.Msg, inboxSize), closed: make(chan struct{})}
	options = append([]nats.Option{nats.Name("fulmar ground"), nats.MaxReconnects(-1), nats.ReconnectJitter(time.Second, time.Second),
		nats.RetryOnFailedConnect(true), nats.ClosedHandler(func(*nats.Conn) { r.once.Do(func() { close(r.closed) }) })}, options...)
	nc, err := nats.Connect(serverURL, options...)
	if err != nil {
		return nil, fmt.Errorf("nats: connect to %s: %w", redact(serverURL), err)
	}
	r.nc = nc
	up := subject(strings.ReplaceAll(link.UpTopics, "+", "*"))
	if queue != "" {
		_, err = nc.ChanQueueSubscribe(up, queue, r.inbox)
	} else {
		_, err = nc.ChanSubscribe(up, r.inbox)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("nats: subscribe at %s: %w", redact(serverURL), err)
	}
	return r, nil
}

// Recv implements link.Receiver.
func (r *Receiver) Recv(ctx context.Context) (link.Inbound, error) {
	for {
		m, err := next(ctx, r.inbox, r.closed)
		if err != nil {
			return link.Inbound{}, err
		}
		if device, ok := link.TopicDevice(strings.ReplaceAll(m.Subject, ".", "/")); ok {
			return link.Inbound{Device: device, Message: m.Data}, nil
		}
	}
}

// Send implements link.Receiver.
func (r *Receiver) Send(_ context.Context, device string, message []byte) error {
	if !r.nc.IsConnected() {
		return fmt.Errorf("nats: send: %w", link.ErrClosed)
	}
	if err := r.nc.Publish(subject(link.DownTopic(device)), message); err != nil {
		return fmt.Errorf("nats: send: %w", err)
	}
	return nil
}

// Close implements link.Receiver.
func (r *Receiver) Close() error {
	r.nc.Close()
	<-r.closed
	return nil
}

// String implements link.Receiver.
func (r *Receiver) String() string { return redact(r.url) }
