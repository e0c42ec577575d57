package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/pipe"
)

// DefaultKeepAlive is how often a connection is tried when nothing crosses it.
const DefaultKeepAlive = 30 * time.Second

// attemptTime bounds an attempt to connect whose caller set no bound.
const attemptTime = 10 * time.Second

// parseURL checks nats://[user[:password]@]host[:port], or tls:// with the same, and returns it without secrets. Its errors
// do not repeat the URL, which may hold a password.
func parseURL(raw string) (shown string, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return "", fmt.Errorf("nats: server's URL: %w", err)
	}
	if u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" {
		return "", errors.New("nats: server's URL: want nats://host:port or tls://host:port")
	}
	if u.User != nil {
		if _, ok := u.User.Password(); !ok {
			u.User = url.User("xxxxx") // a token
		}
	}
	return u.Redacted(), nil
}

// CheckURL reports what is wrong with the URL of a server.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

// redact shows a URL without secrets.
func redact(raw string) string {
	shown, err := parseURL(raw)
	if err != nil {
		return "nats"
	}
	return shown
}

// Subject is the subject of a topic; see package link.
func Subject(topic string) string { return strings.ReplaceAll(topic, "/", ".") }

// network makes the client's connections. The client holds a lock while it writes, which every other call then waits for;
// cutting the connection below it is what ends that.
type network struct {
	silence time.Duration

	mu   sync.Mutex // guards what follows
	ctx  context.Context
	last *pipe.Steady
	fail error // of the last dial; the client only says that there is no server
}

// Dial implements nats.CustomDialer.
func (n *network) Dial(protocol, address string) (net.Conn, error) {
	n.mu.Lock()
	ctx := n.ctx
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, protocol, address)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail = err; err != nil {
		return nil, err
	}
	n.last = pipe.NewSteady(c, n.silence)
	return n.last, nil
}

// hurry ends what the client is writing.
func (n *network) hurry() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last != nil {
		n.last.Hurry()
	}
}

// cut closes the connection below the client.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last != nil {
		_ = n.last.Close() // it may be closed
	}
}

// unreachable returns the error of the dial, if that failed.
func (n *network) unreachable() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fail
}

// cause returns why the connection failed, if it did.
func (n *network) cause() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == nil {
		return nil
	}
	return n.last.Cause()
}

// common are the options of both ends.
func common(n *network, keepAlive time.Duration, config *tls.Config) []nats.Option {
	list := []nats.Option{nats.SetCustomDialer(n), nats.PingInterval(keepAlive / 2),
		nats.MaxPingsOutstanding(math.MaxInt32), // a ping may wait behind a long message; pipe.Steady finds out who is dead

		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})} // the default prints
	if config != nil {
		list = append(list, nats.Secure(config))
	}
	return list
}

// refused adds what a caller can do about it to an error of the client's.
func refused(err error) error {
	for _, e := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
		nats.ErrPermissionViolation} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", link.ErrRefused, err)
		}
	}
	return err
}
