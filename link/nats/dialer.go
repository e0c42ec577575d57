package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/pipe"
	"github.com/fulmar-io/fulmar/link/internal/queue"
	"github.com/fulmar-io/fulmar/telemetry"
)

// What has arrived at a machine and was not received yet; beyond it messages are lost, as on any link.
const (
	machineInboxCount = 1024
	machineInboxBytes = 4 << 20
)

// Dialer connects a machine to a NATS server.
type Dialer struct {
	URL    string // nats://[user:password@]host[:port], or tls://
	Device string // as telemetry.ValidateDevice has it
	// KeepAlive is how long a connection may be idle before it is tried; one that gives no sign of life for twice as long
	// is cut. Default DefaultKeepAlive.
	KeepAlive time.Duration
	// TLS is for tls. Default: the system's certificate authorities, and no certificate of our own.
	TLS *tls.Config
}

// String implements link.Dialer.
func (d Dialer) String() string { return redact(d.URL) }

// Dial implements link.Dialer. Without a deadline an attempt has 10 s.
func (d Dialer) Dial(ctx context.Context) (link.Conn, error) {
	if err := telemetry.ValidateDevice(d.Device); err != nil {
		return nil, fmt.Errorf("nats: dial: %w", err)
	}
	shown, err := parseURL(d.URL)
	if err != nil {
		return nil, err
	}
	if d.KeepAlive <= 0 {
		d.KeepAlive = DefaultKeepAlive
	}
	ctx, cancel := context.WithTimeout(ctx, timeLeft(ctx))
	defer cancel()
	n := &network{silence: 2 * d.KeepAlive, ctx: ctx}
	t := &transport{End: pipe.NewEnd(), n: n, arrived: make(chan *nats.Msg, arriving), pumped: make(chan struct{}),
		inbox: queue.New[[]byte](machineInboxCount, machineInboxBytes)}
	// Whatever the client does then, it finds its connection closed.
	stop := context.AfterFunc(ctx, n.cut)
	err = t.connect(ctx, d)
	if err == nil && !stop() {
		t.Close()
		err = ctx.Err()
	}
	stop()
	if err != nil {
		if why := n.unreachable(); why != nil {
			err = why
		} else if ctx.Err() != nil {
			err = fmt.Errorf("nothing answered as a NATS server does: %w", ctx.Err())
		}
		return nil, fmt.Errorf("nats: connect to %s: %w", shown, refused(err))
	}
	return pipe.NewConn(t, pipe.Options{Name: "nats", Topic: Subject(link.UpTopic(d.Device)), Limit: int(t.nc.MaxPayload()),
		Inbox: t.inbox}), nil
}

func timeLeft(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return attemptTime
}

// transport is a machine's connection as the client gives it.
type transport struct {
	*pipe.End
	n       *network
	nc      *nats.Conn
	arrived chan *nats.Msg // from the client, which drops what has no room
	pumped  chan struct{}  // everything that arrived is in the inbox
	inbox   *queue.Queue[[]byte]
}

// arriving is how many messages may lie between the client's reader and the inbox: more than one read brings.
const arriving = 2048

func (t *transport) connect(ctx context.Context, d Dialer) error {
	closed := make(chan struct{})
	options := append(common(t.n, d.KeepAlive, d.TLS), nats.Name("fulmar machine "+d.Device), nats.NoReconnect(),
		nats.Timeout(timeLeft(ctx)), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	nc, err := nats.Connect(d.URL, options...)
	if err != nil {
		return err
	}
	t.nc = nc
	go t.pump(closed)
	if _, err = nc.ChanSubscribe(Subject(link.DownTopic(d.Device)), t.arrived); err == nil {
		err = nc.FlushWithContext(ctx) // a server's answer: the subscription is in place, or was refused
	}
	if err == nil {
		err = nc.LastError()
	}
	if err != nil {
		t.Close()
	}
	return err
}

// pump moves messages to the inbox, which is bounded in bytes, until the client is closed.
func (t *transport) pump(closed chan struct{}) {
	defer close(t.pumped)
	for {
		select {
		case m := <-t.arrived:
			t.put(m)
			continue
		case <-closed:
		}
		break
	}
	for {
		select {
		case m := <-t.arrived:
			t.put(m)
		default:
			t.Because(t.why())
			return
		}
	}
}

func (t *transport) put(m *nats.Msg) {
	if len(m.Data) <= link.MaxMessage {
		t.inbox.Put(m.Data, len(m.Data))
	}
}

func (t *transport) why() error {
	if err := t.n.cause(); err != nil {
		return err
	}
	if err := t.nc.LastError(); err != nil {
		return err
	}
	return pipe.ErrClosedHere
}

// Publish implements pipe.Transport. The client keeps at most 32 KiB; beyond that it waits for the network.
func (t *transport) Publish(subject string, message []byte) error {
	err := t.nc.Publish(subject, message)
	if errors.Is(err, nats.ErrMaxPayload) {
		return nil // a server that lowered its limit since: lost, as on any link
	}
	return err
}

// Close implements pipe.Transport.
func (t *transport) Close() {
	t.n.hurry()
	t.nc.Close()
	<-t.pumped
}
