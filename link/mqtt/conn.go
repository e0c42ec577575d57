package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/queue"
	"github.com/fulmar-io/fulmar/telemetry"
)

// What has arrived at a machine and was not received yet; beyond it messages are lost, as on any link.
const (
	machineInboxCount = 1024
	machineInboxBytes = 4 << 20
)

// Dialer connects a machine to a broker.
type Dialer struct {
	URL     string // mqtt://[user[:password]@]host[:port], or mqtts://
	Device  string // as telemetry.ValidateDevice has it
	Version Version
	// KeepAlive is how long a connection may be idle before it is tried; one that does not answer for as long again is
	// cut. In whole seconds. Default DefaultKeepAlive.
	KeepAlive time.Duration
	// TLS is for mqtts. Default: the system's certificate authorities, and no certificate of our own.
	TLS *tls.Config
}

// String implements link.Dialer.
func (d Dialer) String() string { return redact(d.URL) }

// Dial implements link.Dialer. Without a deadline an attempt has 10 s, and with Auto an attempt with MQTT 5 half the time.
func (d Dialer) Dial(ctx context.Context) (link.Conn, error) {
	if err := telemetry.ValidateDevice(d.Device); err != nil {
		return nil, fmt.Errorf("mqtt: dial: %w", err)
	}
	e, err := parseURL(d.URL)
	if err != nil {
		return nil, err
	}
	e.clientID, e.keepAlive, e.version, e.tls = "fulmar-"+d.Device, d.KeepAlive, d.Version, d.TLS
	if e.keepAlive <= 0 {
		e.keepAlive = DefaultKeepAlive
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, attemptTime)
		defer cancel()
	}
	c := &conn{topic: link.UpTopic(d.Device), slot: make(chan struct{}, 1), work: make(chan int, 1), ended: make(chan struct{}),
		inbox: queue.New[[]byte](machineInboxCount, machineInboxBytes)}
	down := link.DownTopic(d.Device)
	c.s, err = open(ctx, e, func(topic string, payload []byte) {
		if topic == down && len(payload) <= link.MaxMessage {
			c.inbox.Put(payload, len(payload))
		}
	})
	if err != nil {
		return nil, err
	}
	if err := c.s.subscribe(ctx, down); err != nil {
		c.s.close()
		return nil, fmt.Errorf("mqtt: subscribe at %s: %w", e.shown, err)
	}
	go c.write()
	return c, nil
}

// conn is a machine's connection.
type conn struct {
	s     session
	topic string
	inbox *queue.Queue[[]byte]

	// slot holds a token while a message is with the writer, whose memory buf then is.
	slot   chan struct{}
	buf    []byte
	work   chan int // the length of the message in buf
	result chan error

	ended chan struct{} // the writer has returned
	close sync.Once
}

// overhead is what a packet takes beyond topic and payload: the fixed header, and the lengths of topic and properties.
const overhead = 5 + 2 + 1

// Send implements link.Conn. A message that ctx interrupts while it is being written goes on; the next Send waits for it.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if len(message) > link.MaxMessage || len(message)+len(c.topic)+overhead > c.s.limit() {
		return fmt.Errorf("mqtt: send %d bytes: %w", len(message), link.ErrTooLarge)
	}
	select {
	case c.slot <- struct{}{}:
	case <-c.s.lost():
		return c.gone("send")
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		<-c.slot
		return err
	}
	c.buf = append(c.buf[:0], message...)
	result := make(chan error, 1)
	c.result = result
	c.work <- len(message)
	select {
	case err := <-result:
		return err
	case <-c.s.lost():
		return c.gone("send")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *conn) gone(what string) error {
	return fmt.Errorf("mqtt: %s: %w: %w", what, link.ErrClosed, c.s.cause())
}

// write hands messages to the session until the connection is lost.
func (c *conn) write() {
	defer close(c.ended)
	defer c.inbox.Close()
	for {
		select {
		case <-c.s.lost():
			return
		case <-c.work:
		}
		err := c.s.publish(c.topic, c.buf)
		if err != nil {
			// A packet may have been written in part: nothing can follow it.
			c.s.close()
			c.result <- c.gone("send")
			return
		}
		c.result <- nil
		<-c.slot
	}
}

// Recv implements link.Conn.
func (c *conn) Recv(ctx context.Context) ([]byte, error) {
	m, err := c.inbox.Get(ctx)
	if errors.Is(err, queue.ErrClosed) {
		return nil, c.gone("receive")
	}
	return m, err
}

// Close implements link.Conn.
func (c *conn) Close() error {
	c.close.Do(c.s.close)
	<-c.ended
	return nil
}
