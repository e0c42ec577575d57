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
	"github.com/fulmar-io/fulmar/link/internal/pipe"
)

// A guard is the network connection as the client libraries see it. It holds to what they do not:
//
//   - A packet's length is checked before they take memory for it; both allocate what the header claims, up to 256 MiB.
//     A message that is too long is skipped as if the network had lost it; any other such packet ends the connection.
//   - The first packet is a CONNACK, and a SUBACK answers one filter: the 3.1.1 client indexes by the broker's count.
//   - A broker that gives no sign of life ends the connection; a slow one does not. See pipe.Steady.
type guard struct {
	*pipe.Steady
	v311  bool
	r     *bufio.Reader
	left  int  // bytes of the current packet that were not read yet
	begun bool // the CONNACK came

	// writing is held while a packet is written; the MQTT 5 library writes one in several pieces.
	writing sync.Mutex
}

const (
	// maxPacket bounds what is read: a message with its topic and properties.
	maxPacket = link.MaxMessage + 8<<10

	typeConnack = 2
	typePublish = 3
	typeSuback  = 9
)

func newGuard(c net.Conn, keepAlive time.Duration, v Version) *guard {
	s := pipe.NewSteady(c, 2*keepAlive)
	return &guard{Steady: s, v311: v == V311, r: bufio.NewReaderSize(s, 32<<10)}
}

// Lock and Unlock make the MQTT 5 library's writes whole: it looks for a sync.Locker.
func (g *guard) Lock() { g.writing.Lock() }

// Unlock ends what Lock began.
func (g *guard) Unlock() { g.writing.Unlock() }

// Read implements net.Conn. It never crosses a packet's end.
func (g *guard) Read(p []byte) (int, error) {
	for g.left == 0 {
		if err := g.header(); err != nil {
			return 0, g.Failed(err)
		}
	}
	n, err := g.r.Read(p[:min(len(p), g.left)])
	g.left -= n
	if err != nil {
		err = g.Failed(err)
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
		_, err := io.CopyN(io.Discard, g.r, int64(header+length))
		return err
	case length > maxPacket:
		return fmt.Errorf("the broker sent a packet of type %d of %d bytes", kind, length)
	case g.v311 && kind == typeSuback && length != 3:
		return fmt.Errorf("the broker answered a subscription with %d bytes", length)
	case g.v311 && !g.begun:
		if err := g.knownAnswer(header, length); err != nil {
			return err
		}
	}
	g.begun = true
	g.left = header + length
	return nil
}

// knownAnswer refuses return codes that 3.1.1 does not know: the library takes them for success.
func (g *guard) knownAnswer(header, length int) error {
	if length != 2 {
		return fmt.Errorf("%w: its CONNACK has %d bytes", errNotMQTT, length)
	}
	b, err := g.r.Peek(header + length)
	if err == nil && b[header+1] > 5 {
		err = fmt.Errorf("the broker refused with the unknown return code %d", b[header+1])
	}
	return err
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
