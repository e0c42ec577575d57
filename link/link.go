package link

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxMessage bounds a message in either direction, in bytes. A frame is at most 256 KiB; the rest is room for what
// seals it.
const MaxMessage = 512 << 10

// Errors that a carrier's methods wrap.
var (
	// ErrClosed: the connection is gone, by Close or from the other side. Dial again.
	ErrClosed = errors.New("link closed")
	// ErrTooLarge: the message exceeds MaxMessage, or what the peer said it takes. Sending it again is of no use.
	ErrTooLarge = errors.New("message too large for the link")
	// ErrRefused: the peer was reached and does not want this device. Trying again soon is of no use.
	ErrRefused = errors.New("link refused")
)

// Later is the error of a Dial, or the cause of an end: the peer was reached, and asks not to be dialled again before After has
// passed from then on. Trying sooner is of no use, and in the way of those whom the peer serves.
type Later struct { //nolint:errname // read as what it says: link.Later
	After time.Duration // 0 to MaxLater
	Err   error         // what the peer said
}

// MaxLater bounds how long a peer can keep a machine away.
const MaxLater = time.Hour

// Error implements error.
func (l *Later) Error() string { return fmt.Sprintf("%v (not before %v)", l.Err, l.After) }

// Unwrap returns what the peer said.
func (l *Later) Unwrap() error { return l.Err }

// A Dialer makes connections from a machine to the ground.
type Dialer interface {
	// Dial connects, or fails when ctx ends. The returned Conn outlives ctx.
	Dial(ctx context.Context) (Conn, error)
	// String names the link for logs and health, without secrets: "mqtt://ground.example:1883".
	String() string
}

// A Conn is one connection of a machine. Send and Recv may be called from two goroutines at once, each by one at a time.
type Conn interface {
	// Send hands a message to the transport. Nil means that it left this process's hands, not that it arrived.
	// It blocks while the transport pushes back, until ctx ends. The message's memory is the caller's again on return.
	Send(ctx context.Context, message []byte) error
	// Recv returns the next message from the ground. Its memory is the caller's. After the connection is cut, Recv
	// returns what had arrived and then an error that wraps ErrClosed.
	Recv(ctx context.Context) ([]byte, error)
	// Close cuts the connection and returns after everything the Conn started has ended. It may be called twice.
	Close() error
}

// A Receiver is the ground's end of a carrier; it serves all devices. It reconnects by itself when there is a broker
// in between. Recv and Send may be called from two goroutines at once, each by one at a time.
type Receiver interface {
	// Recv returns the next message from any device. Its memory is the caller's.
	Recv(ctx context.Context) (Inbound, error)
	// Send hands a message for a device to the transport; whether the device is there is not known. It never waits
	// for one device: what cannot be sent now is dropped with an error, for the machine asks again.
	Send(ctx context.Context, device string, message []byte) error
	// Close cuts the connections and returns after everything the Receiver started has ended. It may be called twice.
	Close() error
	// String names the link for logs, without secrets.
	String() string
}

// A Holder is a Receiver that can leave what a device sends unread for a while: the carrier's own flow control reaches the device. It may
// be called from any goroutine, and does not wait.
type Holder interface {
	Hold(device string, d time.Duration)
}

// Inbound is a message that came to the ground.
type Inbound struct {
	Device  string // as the carrier knows it: the topic, subject or certificate
	Message []byte
}
