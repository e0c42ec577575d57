package mqtt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/link"
)

// A guard is the network connection as the client libraries see it. It holds to what they do not:
//
//   - A packet's length is checked before they take memory for it; both allocate what the header claims, up to 256 MiB.
//     A message that is too long is skipped as if the network had lost it; any other such packet ends the connection.
//   - The first packet is a CONNACK, and a SUBACK answers one filter: the 3.1.1 client indexes by the broker's count.
//   - A write that makes no progress for a while ends the connection; a slow one does not.
//   - They may not set deadlines.
type guard struct {
	net.Conn
	r     *bufio.Reader
	left  int  // bytes of the current packet that were not read yet
	begun bool // the CONNACK came

	// writing is held while a packet is written; the MQTT 5 library writes one in several pieces.
	writing sync.Mutex
	stall   time.Duration // how long a piece may take

	mu      sync.Mutex // guards what follows
	closing bool
	cause   error // of the first failure
	skipped int   // messages that were too long
}

const (
	// maxPacket bounds what is read: a message with its topic and properties.
	maxPacket = link.MaxMessage + 8<<10
	// piece is what must be written within the stall time: with 60 s a link of 2.2 kbit/s is slow, not dead.
	piece = 16 << 10

	typeConnack    = 2
	typePublish    = 3
	typeSuback     = 9
	typeDisconnect = 14
)

func newGuard(c net.Conn, keepAlive time.Duration) *guard {
	return &guard{Conn: c, r: bufio.NewReaderSize(c, 32<<10), stall: max(2*keepAlive, 10*time.Second)}
}

// Lock and Unlock make the MQTT 5 library's writes whole: it looks for a sync.Locker.
func (g *guard) Lock() { g.writing.Lock() }

// Unlock ends what Lock began.
func (g *guard) Unlock() { g.writing.Unlock() }

// SetDeadline does nothing: see the type. So do its siblings.
func (g *guard) SetDeadline(time.Time) error      { return nil }
func (g *guard) SetReadDeadline(time.Time) error  { return nil }
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

// Read implements net.Conn. It never crosses a packet's end.
func (g *guard) Read(p []byte) (int, error) {
	for g.left == 0 {
		if err := g.header(); err != nil {
			return 0, g.failed(err)
		}
	}
	n, err := g.r.Read(p[:min(len(p), g.left)])
	g.left -= n
	if err != nil {
		err = g.failed(err)
	}
	return n, err
}

// header looks at the next packet's fixed header and sets how long the packet is, or skips it.
func (g *guard) header() error {
	kind, header, length, err := g.peek()
	if err != nil {
		return err
	}
	switch {
	case kind == typePublish && g.begun && length > maxPacket:
		g.mu.Lock()
		g.skipped++
		g.mu.Unlock()
		_, err := io.CopyN(io.Discard, g.r, int64(header+length))
		return err
	case length > maxPacket:
		return fmt.Errorf("the broker sent a packet of type %d of %d bytes", kind, length)
	case kind == typeSuback && length > 8<<10:
		return fmt.Errorf("the broker answered a subscription with %d bytes", length)
	}
	g.begun = true
	g.left = header + length
	return nil
}

// peek decodes the fixed header without consuming it.
func (g *guard) peek() (kind byte, header, length int, err error) {
	for header = 1; header <= 5; header++ {
		b, err := g.r.Peek(header)
		if err != nil {
			return 0, 0, 0, err
		}
		kind = b[0] >> 4
		if header == 1 {
			if !g.begun && b[0] != typeConnack<<4 {
				return 0, 0, 0, fmt.Errorf("%w: it began with %q", errNotMQTT, g.some())
			}
			continue
		}
		last := b[header-1]
		length |= int(last&0x7f) << (7 * (header - 2))
		if last&0x80 == 0 {
			return kind, header, length, nil
		}
	}
	return 0, 0, 0, errors.New("the broker sent a packet without a length")
}

// errNotMQTT: whatever listens there speaks something else.
var errNotMQTT = errors.New("what answers is not an MQTT broker")

// some returns a little of what has arrived, for a person.
func (g *guard) some() []byte {
	b, err := g.r.Peek(min(g.r.Buffered(), 24))
	if err != nil {
		return nil
	}
	return b
}

// Write implements net.Conn.
func (g *guard) Write(p []byte) (n int, err error) {
	for n < len(p) || len(p) == 0 {
		part := p[n:min(len(p), n+piece)]
		if err := g.deadline(); err != nil {
			return n, err
		}
		m, err := g.Conn.Write(part)
		n += m
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				err = fmt.Errorf("the broker took nothing for %v", g.stall)
			}
			return n, g.failed(err)
		}
		if len(p) == 0 {
			return 0, nil
		}
	}
	return n, nil
}

// goodbye is how long a connection that is being closed may still write.
const goodbye = 250 * time.Millisecond

func (g *guard) deadline() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing {
		return nil // set by hurry
	}
	return g.Conn.SetWriteDeadline(time.Now().Add(g.stall))
}

// hurry ends a write that is under way soon, and all that follow.
func (g *guard) hurry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closing {
		g.closing = true
		if err := g.Conn.SetWriteDeadline(time.Now().Add(goodbye)); err != nil && g.cause == nil {
			g.cause = err
		}
	}
}

// failed remembers the first failure; what follows it is only the libraries' talk of a closed connection.
func (g *guard) failed(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause == nil && !errors.Is(err, net.ErrClosed) {
		g.cause = err
	}
	return err
}

// failure returns the first failure, or nil.
func (g *guard) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause
}
