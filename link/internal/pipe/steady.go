package pipe

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Steady is a network connection on which a write may take as long as it makes progress. A client library's own deadline
// would cover a whole message, and cut a slow link over and over. All methods may be called from any goroutine.
type Steady struct {
	net.Conn
	stall time.Duration

	mu      sync.Mutex // guards what follows
	closing bool
	cause   error // of the first failure
}

const (
	// piece is what must be written within the stall time: with 60 s a link of 2.2 kbit/s is slow, not dead.
	piece = 16 << 10
	// goodbye is how long a connection that is being closed may still write.
	goodbye = 250 * time.Millisecond
)

// NewSteady wraps a connection whose peer may take nothing for so long.
func NewSteady(c net.Conn, stall time.Duration) *Steady { return &Steady{Conn: c, stall: stall} }

// SetDeadline does nothing: see the type. So do its siblings.
func (s *Steady) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (s *Steady) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (s *Steady) SetWriteDeadline(time.Time) error { return nil }

// Read implements net.Conn.
func (s *Steady) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
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
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				err = fmt.Errorf("the peer took nothing for %v", s.stall)
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
	return s.Conn.SetWriteDeadline(time.Now().Add(s.stall))
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

// Failed remembers the first failure, for what follows it is only talk of a closed connection, and returns err.
func (s *Steady) Failed(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil && !s.closing && !errors.Is(err, net.ErrClosed) {
		s.cause = err
	}
	return err
}

// Cause returns the first failure, or nil.
func (s *Steady) Cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}
