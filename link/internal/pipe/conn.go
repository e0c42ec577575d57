package pipe

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/queue"
)

// A Transport is one connection, as a client library gives it.
type Transport interface {
	// Publish writes a message and returns when it left this process's hands. One call at a time; Close ends it.
	Publish(topic string, message []byte) error
	// Lost is closed when the connection is gone and everything that had arrived was handed on. Cause then says why.
	Lost() <-chan struct{}
	Cause() error
	// Close cuts the connection, if it is not lost, and returns after the library's goroutines have ended. It may be
	// called twice, and from two goroutines.
	Close()
}

// Options of a Conn.
type Options struct {
	Name  string // of the carrier, for errors
	Topic string // that messages go to
	Limit int    // bytes of the longest message that the peer takes
	Inbox *queue.Queue[[]byte]
}

// Conn is a link.Conn over a Transport. The message that is being written is the Conn's own, so that a Send whose ctx ends
// need not cut the connection.
type Conn struct {
	o Options
	t Transport

	slot   chan struct{} // holds a token while buf is the writer's
	buf    []byte
	result chan error // of the message in buf
	work   chan struct{}

	ended chan struct{} // the writer has returned
	close sync.Once
}

// NewConn returns a connection that owns the transport.
func NewConn(t Transport, o Options) *Conn {
	c := &Conn{o: o, t: t, slot: make(chan struct{}, 1), work: make(chan struct{}, 1), ended: make(chan struct{})}
	go c.write()
	return c
}

// Send implements link.Conn. A message whose ctx ends while it is being written goes on; the next Send waits for it.
func (c *Conn) Send(ctx context.Context, message []byte) error {
	if len(message) > min(link.MaxMessage, c.o.Limit) {
		return fmt.Errorf("%s: send %d bytes: %w", c.o.Name, len(message), link.ErrTooLarge)
	}
	select {
	case <-c.t.Lost():
		return c.gone("send")
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.slot <- struct{}{}:
	case <-c.t.Lost():
		return c.gone("send")
	case <-ctx.Done():
		return ctx.Err()
	}
	c.buf = append(c.buf[:0], message...)
	result := make(chan error, 1)
	c.result = result
	c.work <- struct{}{} // has room: the slot is ours
	select {
	case err := <-result:
		return err
	case <-c.t.Lost():
		return c.gone("send")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Conn) gone(what string) error {
	return fmt.Errorf("%s: %s: %w: %w", c.o.Name, what, link.ErrClosed, c.t.Cause())
}

// write hands messages to the transport until the connection is lost.
func (c *Conn) write() {
	defer close(c.ended)
	defer c.o.Inbox.Close()
	for {
		select {
		case <-c.t.Lost():
			return
		case <-c.work:
		}
		if err := c.t.Publish(c.o.Topic, c.buf); err != nil {
			// A part of it may have been written, which nothing can follow.
			c.t.Close()
			return
		}
		c.result <- nil
		<-c.slot
	}
}

// Recv implements link.Conn.
func (c *Conn) Recv(ctx context.Context) ([]byte, error) {
	m, err := c.o.Inbox.Get(ctx)
	if errors.Is(err, queue.ErrClosed) {
		return nil, c.gone("receive")
	}
	return m, err
}

// Close implements link.Conn.
func (c *Conn) Close() error {
	c.close.Do(c.t.Close)
	<-c.ended
	return nil
}

// End is how a Transport tells once that it is over, and why.
type End struct {
	once sync.Once
	done chan struct{}
	err  error // set before done is closed
}

// NewEnd returns an End that has not come.
func NewEnd() *End { return &End{done: make(chan struct{})} }

// Because ends it, for the first reason that is given.
func (e *End) Because(err error) {
	e.once.Do(func() {
		e.err = err
		close(e.done)
	})
}

// Lost implements Transport.
func (e *End) Lost() <-chan struct{} { return e.done }

// Cause implements Transport. It waits for the end.
func (e *End) Cause() error {
	<-e.done
	return e.err
}

// ErrClosedHere is the cause of an end by this process.
var ErrClosedHere = errors.New("closed here")
