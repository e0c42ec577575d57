package pipe

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Steady is a network connection that may be slow but not silent. It is cut when there is no sign of life for a time: no
// byte has come, and of a message that is under way the peer's system has confirmed nothing more. A client library's own
// deadline would cover a whole message, or its ping would wait behind one, and a slow link would be cut over and over. The
// library has to ping an idle peer twice in that time; that a ping was confirmed says nothing, for a system does that also
// for a program that hangs. All methods may be called from any goroutine.
type Steady struct {
	net.Conn
	raw      net.Conn // below TLS
	silence  time.Duration
	start    time.Time
	received atomic.Int64 // when something came last, ns since start
	written  atomic.Int64 // bytes that the system took

	mu      sync.Mutex // guards what follows
	closing bool
	cause   error // of the first failure
	timer   *time.Timer
	acked   int64 // most bytes that were confirmed
	backlog int64 // bytes that were not, at the last look
	alive   int64 // when there was a sign of life last, ns since start
}

const (
	// piece is what must be taken within the silence: with 60 s a link of 2.2 kbit/s is slow, not dead.
	piece = 16 << 10
	// underWay is more bytes than pings have.
	underWay = 1 << 10
	// goodbye is how long a connection that is being closed may still write.
	goodbye = 250 * time.Millisecond
)

// NewSteady wraps a connection. It is over when it is closed.
func NewSteady(c net.Conn, silence time.Duration) *Steady {
	s := &Steady{Conn: c, raw: c, silence: silence, start: time.Now()}
	if below, ok := c.(interface{ NetConn() net.Conn }); ok {
		s.raw = below.NetConn()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(silence/8, s.listen)
	return s
}

// listen looks for a sign of life, and cuts the connection when there was none for too long.
func (s *Steady) listen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	now := int64(time.Since(s.start))
	backlog := unacknowledged(s.raw)
	if acked := s.written.Load() - backlog; acked > s.acked {
		if s.backlog >= underWay || acked-s.acked >= underWay {
			s.alive = now
		}
		s.acked = acked
	}
	s.backlog = backlog
	s.alive = max(s.alive, s.received.Load())
	if now-s.alive > int64(s.silence) {
		if s.cause == nil {
			s.cause = fmt.Errorf("no sign of life from the peer for %v", s.silence)
		}
		s.closing = true
		_ = s.Conn.Close() // ends whatever waits
		return
	}
	s.timer.Reset(s.silence / 8)
}

// Close implements net.Conn.
func (s *Steady) Close() error {
	s.mu.Lock()
	s.closing = true
	s.timer.Stop()
	s.mu.Unlock()
	return s.Conn.Close()
}

// SetDeadline does nothing: see the type. So do its siblings.
func (s *Steady) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (s *Steady) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (s *Steady) SetWriteDeadline(time.Time) error { return nil }

// Read implements net.Conn.
func (s *Steady) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.received.Store(int64(time.Since(s.start)))
	}
	if err != nil {
		err = s.Failed(err)
	}
	return n, err
}

// Write implements net.Conn.
func (s *Steady) Write(p []byte) (n int, err error) {
	for n < len(p) {
		if err := s.deadline(); err != nil {
			return n, s.Failed(err)
		}
		m, err := s.Conn.Write(p[n:min(len(p), n+piece)])
		n += m
		s.written.Add(int64(m))
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				err = fmt.Errorf("the peer took nothing for %v", s.silence)
			}
			return n, s.Failed(err)
		}
	}
	return n, nil
}

func (s *Steady) deadline() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil // set by Hurry
	}
	return s.Conn.SetWriteDeadline(time.Now().Add(s.silence))
}

// Hurry ends soon what is being written, and all that follows: a library's farewell must not wait for a peer that takes
// nothing.
func (s *Steady) Hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.closing = true
		_ = s.Conn.SetWriteDeadline(time.Now().Add(goodbye)) // fails if it is closed, which is as good
	}
}

// Failed remembers the first failure and returns it, for what follows it is only talk of a closed connection: which one
// of the libraries does not take for a loss.
func (s *Steady) Failed(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil && !s.closing && !errors.Is(err, net.ErrClosed) {
		s.cause = err
	}
	if s.cause != nil {
		return s.cause
	}
	return err
}

// Cause returns the first failure, or nil.
func (s *Steady) Cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}
