package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/pipe"
)

// A session is one connection to a broker, in one version of the protocol.
type session interface {
	pipe.Transport
	// subscribe asks for a filter's messages, and returns when the broker has agreed.
	subscribe(ctx context.Context, filter string) error
	// limit is how many bytes a packet to the broker may have.
	limit() int
	version() Version
}

// receive is called with each message, in order, from a goroutine of the session's; it must not wait. The payload's
// memory is the callee's.
type receive func(topic string, payload []byte)

// open connects to a broker and speaks the version that the endpoint wants.
func open(ctx context.Context, e endpoint, to receive) (session, error) {
	first, fallBack := e.version, false
	if e.version == Auto {
		first = known.at(e.address, time.Now())
		fallBack = first == V5
	}
	s, reached, err := attempt(ctx, e, first, fallBack, to)
	if err == nil {
		return s, nil
	}
	if e.version == Auto && !fallBack {
		known.forget(e.address) // it may have been replaced: MQTT 5 gets the next turn
	}
	var refused *refusal
	answered := errors.As(err, &refused) && !refused.version
	if !fallBack || !reached || answered || ctx.Err() != nil {
		return nil, fmt.Errorf("mqtt: connect to %s: %w", e.shown, err)
	}
	s, _, err2 := attempt(ctx, e, V311, false, to)
	if err2 != nil {
		return nil, fmt.Errorf("mqtt: connect to %s: MQTT 5: %w; MQTT 3.1.1: %w", e.shown, err, err2)
	}
	known.old(e.address, time.Now())
	return s, nil
}

// attempt connects once. It reports whether anybody took the network connection. An attempt after which another shall be
// possible has half of the time.
func attempt(ctx context.Context, e endpoint, v Version, half bool, to receive) (s session, reached bool, err error) {
	ctx, cancel := attemptContext(ctx, half)
	defer cancel()
	nc, err := dialNetwork(ctx, e)
	if err != nil {
		return nil, false, err
	}
	g := newGuard(nc, e.keepAlive, v)
	// Whatever the library does then, it finds its connection closed.
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	if v == V311 {
		s, err = openV311(ctx, e, g, to)
	} else {
		s, err = openV5(ctx, e, g, to)
	}
	if err == nil && !stop() {
		s.Close()
		err = ctx.Err()
	}
	if err != nil {
		stop()
		_ = nc.Close() // the error that matters is the one at hand
		return nil, true, explain(ctx, g, e.secure, err)
	}
	return s, true, nil
}

// attemptTime bounds an attempt whose caller set no bound.
const attemptTime = 10 * time.Second

func attemptContext(ctx context.Context, half bool) (context.Context, context.CancelFunc) {
	limit := attemptTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	if half {
		limit /= 2
	}
	return context.WithTimeout(ctx, limit)
}

func dialNetwork(ctx context.Context, e endpoint) (net.Conn, error) {
	var d net.Dialer
	if !e.secure {
		return d.DialContext(ctx, "tcp", e.address)
	}
	c, err := (&tls.Dialer{NetDialer: &d, Config: e.tls}).DialContext(ctx, "tcp", e.address)
	var network *net.OpError
	if err != nil && (!errors.As(err, &network) || network.Op != "dial") {
		err = fmt.Errorf("TLS handshake: %w", err)
	}
	return c, err
}

// explain says in an operator's words why there was no handshake.
func explain(ctx context.Context, g *guard, secure bool, err error) error {
	var refused *refusal
	if errors.As(err, &refused) {
		return err
	}
	cause := g.Cause()
	var network *net.OpError
	switch {
	case secure && ctx.Err() == nil && (errors.As(cause, &network) || errors.Is(cause, io.EOF)):
		// In TLS 1.3 the server looks at the client's certificate when the client is through with the handshake.
		return fmt.Errorf("the connection was closed before the broker answered: does it take this machine's TLS certificate? %w", cause)
	case cause != nil && errors.Is(cause, io.EOF):
		return fmt.Errorf("the connection was closed before the broker answered: %w", cause)
	case cause != nil && ctx.Err() == nil:
		return cause
	case ctx.Err() != nil:
		return fmt.Errorf("the connection was taken, but nothing answered as an MQTT broker does: %w", ctx.Err())
	}
	return err
}

// lost says why a connection that was open is gone, where no packet of the broker's did; err is the library's word for it.
// That another connection took over a broker cannot say in 3.1.1, and not every one that speaks MQTT 5 does, Mosquitto
// 2.0.11 for one: all that is seen is that it closes. The device is empty for a ground, whose identifier nobody else has.
func lost(g *guard, device string, err error) error {
	cause := g.Cause()
	switch {
	case cause == nil:
		return err
	case !closedByPeer(cause):
		return cause
	case device == "":
		return fmt.Errorf("the broker closed the connection without a reason: %w", cause)
	}
	return fmt.Errorf("the broker closed the connection without a reason, as it does when it stops, or when another connection takes over: is a second machine using the device name %s? %w",
		device, cause)
}

func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// A refusal is a broker's answer that it does not want this connection or subscription.
type refusal struct {
	text    string
	version bool // it does not speak this version
	lasting bool // trying again soon is of no use
}

// Error implements error.
func (r *refusal) Error() string { return "the broker refused: " + r.text }

// Is reports a lasting refusal as link.ErrRefused.
func (r *refusal) Is(target error) bool { return r.lasting && target == link.ErrRefused }

// memory remembers at which addresses MQTT 5 was of no use.
type memory struct {
	mu      sync.Mutex
	expires map[string]time.Time
}

// known is the process's memory: every redial of a link would otherwise begin with a failure.
var known = memory{expires: make(map[string]time.Time)}

const (
	// rememberFor is short enough that a broker which was upgraded is soon spoken with in MQTT 5.
	rememberFor = 15 * time.Minute
	maxKnown    = 1024
)

// at returns what to try first at an address.
func (m *memory) at(address string, now time.Time) Version {
	m.mu.Lock()
	defer m.mu.Unlock()
	if expires, ok := m.expires[address]; ok && now.Before(expires) {
		return V311
	}
	delete(m.expires, address)
	return V5
}

// old remembers that the broker at an address speaks only 3.1.1.
func (m *memory) old(address string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.expires) >= maxKnown {
		clear(m.expires)
	}
	m.expires[address] = now.Add(rememberFor)
}

func (m *memory) forget(address string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.expires, address)
}
