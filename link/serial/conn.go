package serial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/queue"
	"github.com/fulmar-io/fulmar/link/serial/internal/arq"
)

// What an inbox holds at most is the machine's matter: these are more.
const (
	inboxCount = 1 << 16
	inboxBytes = arq.Inbox + 2*link.MaxMessage
)

// conn is a machine's connection. The message that is being taken is its own, so that a Send whose ctx ends need not cut the
// connection.
type conn struct {
	l         *line
	inbox     *queue.Queue[[]byte]
	connected chan struct{}
	gone      chan struct{} // closed when the connection is
	slot      chan struct{} // holds a token while buf is being taken
	buf       []byte
	close     sync.Once
	closed    error // of Close

	// Of the line's mutex, but for reading err after gone is closed.
	result chan error // of the message in buf; nil if there is none
	isGone bool
	err    error
}

func newConn(port io.ReadWriteCloser, o arq.Options, rng env.Rand) *conn {
	c := &conn{inbox: queue.New[[]byte](inboxCount, inboxBytes), connected: make(chan struct{}), gone: make(chan struct{}),
		slot: make(chan struct{}, 1)}
	c.l = newLine(port, c, o, rng)
	c.l.run()
	return c
}

func (c *conn) up(string) { close(c.connected) }

func (c *conn) down(err error) {
	if !c.isGone {
		c.isGone, c.err = true, err
		close(c.gone)
		c.inbox.Close()
	}
}

func (c *conn) failed(err error) { c.down(err) }

func (c *conn) taken() {
	if c.result != nil {
		c.result <- nil // has room
		c.result = nil
		<-c.slot
	}
}

func (c *conn) deliver(message []byte) { c.inbox.Put(message, len(message)) }

// cause is why the connection is gone; it waits for that.
func (c *conn) cause() error {
	<-c.gone
	return c.err
}

func (c *conn) isClosed(what string) error {
	return fmt.Errorf("serial: %s: %w: %w", what, link.ErrClosed, c.cause())
}

// Send implements link.Conn. It returns when the end of the message has its place in the window. A message whose ctx ends
// before goes on; the next Send waits for it.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if len(message) > link.MaxMessage {
		return fmt.Errorf("serial: send %d bytes: %w", len(message), link.ErrTooLarge)
	}
	select {
	case <-c.gone:
		return c.isClosed("send")
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.slot <- struct{}{}:
	case <-c.gone:
		return c.isClosed("send")
	case <-ctx.Done():
		return ctx.Err()
	}
	c.buf = append(c.buf[:0], message...)
	result := make(chan error, 1)
	c.l.do(func(time.Duration) {
		c.result = result
		c.l.offer(c.buf) // is taken on, or the connection is gone
	})
	select {
	case err := <-result:
		return err
	case <-c.gone:
		return c.isClosed("send")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Recv implements link.Conn.
func (c *conn) Recv(ctx context.Context) ([]byte, error) {
	m, err := c.inbox.Get(ctx)
	if errors.Is(err, queue.ErrClosed) {
		return nil, c.isClosed("receive")
	}
	if err == nil {
		c.l.do(func(now time.Duration) { c.l.m.Consumed(now, arq.Weight(m)) })
	}
	return m, err
}

// Close implements link.Conn. It tells the ground.
func (c *conn) Close() error {
	c.close.Do(func() { c.closed = c.l.close() })
	return c.closed
}
