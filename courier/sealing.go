package courier

import (
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/seal"
	"github.com/fulmar-io/fulmar/seglog"
)

// Transmit is an Effect: hand a message with a frame to a link. Answer with Sent. There is at most one Transmit per link at a time,
// and the message's memory is the Courier's again with its answer.
type Transmit struct {
	Link    int
	Key     delivery.Key
	Message []byte
}

// Say is an Effect: hand a message other than a frame to a link, before any Transmit that follows: the session's opening, or an answer. It has no
// answer itself; what a link loses is asked for again.
type Say struct {
	Link    int
	Message []byte // not to be changed
}

// Learn is an Effect: the ground has sent what is to be trusted from now on. Whoever keeps the keys looks whether it is signed by who
// may, and keeps it.
type Learn struct{ Trust []byte }

// ErrClear is wrapped by the error of Received for a message that is not sealed, where all are to be.
var ErrClear = errors.New("a message in the clear")

// announcePause is the least time between two openings over one link: whoever says that a session is not known need not be the ground.
const announcePause = time.Second

// wire is how messages look on the links: sealed in a session, or in the clear without one.
type wire struct {
	session   *seal.Session
	frame     []byte          // in the clear
	buffers   [][]byte        // per link, of the Transmit that is under way; nil where a connection that was given up may still use it
	announced []time.Duration // per link, when the opening went over it last
	forged    uint64
}

func newWire(s *seal.Session, links int) wire {
	return wire{session: s, buffers: make([][]byte, links), announced: make([]time.Duration, links)}
}

// overhead is how much longer a message is than the frame in it.
func (w *wire) overhead() int {
	n := len(link.Append(nil, link.Frame{}))
	if w.session != nil {
		n += seal.Overhead
	}
	return n
}

// transmit makes the message of a frame.
func (w *wire) transmit(e delivery.Transmit) (Transmit, error) {
	b := w.buffers[e.Link][:0]
	var err error
	if w.session == nil {
		b = link.Append(b, link.Frame{Data: e.Data})
	} else {
		w.frame = link.Append(w.frame[:0], link.Frame{Data: e.Data})
		b, err = w.session.Seal(b, w.frame)
	}
	w.buffers[e.Link] = b
	return Transmit{Link: e.Link, Key: e.Key, Message: b}, err
}

// open returns what a message of the ground's says. Nil without an error is nothing to act upon; unknown is that the ground does not
// know the session.
func (w *wire) open(message []byte) (m link.Message, unknown bool, err error) {
	switch kind := seal.KindOf(message); {
	case w.session == nil && kind != seal.Clear:
		return nil, false, errors.New("courier: a sealed message, and this machine has no keys")
	case w.session == nil:
	case kind == seal.Unknown:
		return nil, w.session.IsUnknown(message), nil
	case kind == seal.Clear:
		w.forged++
		return nil, false, fmt.Errorf("courier: %w", ErrClear)
	default:
		var earlier bool
		message, earlier, err = w.session.Open(message)
		switch {
		case errors.Is(err, seal.ErrReplayed), errors.Is(err, seal.ErrUnknown): // a link may repeat, and may bring what was for the process before
			return nil, false, nil
		case err != nil:
			w.forged++
			return nil, false, err
		}
		if earlier {
			return ofEarlier(message)
		}
	}
	m, err = link.Parse(message)
	return m, false, err
}

// ofEarlier is what is taken of what was said in an earlier session: that something is stored.
func ofEarlier(message []byte) (link.Message, bool, error) {
	m, err := link.Parse(message)
	if _, ok := m.(link.Ack); !ok {
		return nil, false, err
	}
	return m, false, nil
}

// keptSessions is how many of the device's sessions are kept, so that what grounds have said in them is understood.
const keptSessions = 16

// keepSession tells a session of those before, and keeps it for those to come. A disk that does not serve costs only that: what was
// acknowledged to the process before is sent again.
func (c *Courier) keepSession(s *seal.Session) (err error) {
	log, err := seglog.Open(c.o.Disk, c.o.Dir+"/sessions", seglog.Options{MaxRecord: seal.MaxKept, SegmentSize: 16 << 10})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	first := log.First()
	if log.Next() > first+keptSessions {
		first = log.Next() - keptSessions
	}
	for i := first; i < log.Next(); i++ {
		if b, err := log.ReadAt(i, nil); err == nil {
			_ = s.Recall(b) // one that is damaged, or of an identity that the device had before, is none
		}
	}
	b, err := s.Keep()
	if err != nil {
		return err
	}
	if _, err := log.Append(b); err != nil {
		return err
	}
	if err := log.Sync(); err != nil {
		return err
	}
	return log.TrimFront(first)
}

// Use goes on in another session: from here on everything is sealed in that one. The machine's trust names another key, say.
func (c *Courier) Use(now time.Duration, s *seal.Session) {
	c.failed(now, c.keepSession(s))
	c.wire.session = s
	c.failed(now, c.challenge())
	for l, status := range c.delivery.Links() {
		if status.State == delivery.Connected {
			c.announce(now, l)
		}
	}
}

// SealedTo reports whether the session is sealed to a key of the ground's.
func (c *Courier) SealedTo(key identity.KeyID) bool {
	return c.wire.session != nil && c.wire.session.Key() == key
}

// announce has a link carry the session's opening.
func (c *Courier) announce(now time.Duration, l int) {
	if c.wire.session != nil {
		c.wire.announced[l] = now
		c.tell(l, c.wire.session.Opening())
	}
}

// Received takes a message that came over a link. An error says that it was dropped, and why.
func (c *Courier) Received(now time.Duration, l int, message []byte) error {
	c.delivery.Said(now, l, len(message))
	m, unknown, err := c.wire.open(message)
	if err != nil {
		return err
	}
	if unknown && now-c.wire.announced[l] >= announcePause {
		c.announce(now, l)
	}
	switch m := m.(type) {
	case nil:
	case link.Trust:
		c.effects = append(c.effects, Learn{Trust: m.Encoded})
	case link.Hail, link.Order:
		return c.command(now, l, m)
	case link.Clock, link.Receipt:
		return errors.New("courier: a word of a machine's")
	default:
		c.delivery.Received(now, l, m)
		c.deliver(now)
	}
	return nil
}
