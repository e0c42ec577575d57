package tinygo

import (
	"errors"

	"github.com/fulmar-io/fulmar/hal"
)

// ErrFull is of bytes that the line did not take.
var ErrFull = errors.New("the line's queue is full")

// UART is what drivers of tinygo.org/x/drivers take for a serial line. It belongs to one goroutine, allocates nothing, and is
// contained as a Bus is: each Read, Write and Buffered counts as a transaction.
type UART struct {
	contained
	dev   hal.UART
	buf   []byte
	first int
	n     int
}

// NewUART returns the line of a handle. Up to depth bytes wait in it, beyond those in the host's queue; at least 1.
func NewUART(dev hal.UART, depth int) *UART { return &UART{dev: dev, buf: make([]byte, max(depth, 1))} }

// fill takes what has arrived, as far as there is room.
func (u *UART) fill() error {
	u.begin()
	var err error
	for err == nil && u.n < len(u.buf) {
		end := (u.first + u.n) % len(u.buf)
		room := u.buf[end:min(len(u.buf), end+len(u.buf)-u.n)]
		var n int
		n, err = u.dev.Read(room)
		u.n += n
		if n < len(room) {
			break
		}
	}
	return u.end(err)
}

// Buffered returns how many bytes can be read. An error is kept for Err.
func (u *UART) Buffered() int {
	_ = u.fill()
	return u.n
}

// Read returns what has arrived; 0 and no error if there is nothing. What came before an error is read first.
func (u *UART) Read(p []byte) (int, error) {
	err := u.fill()
	n := 0
	for n < len(p) && u.n > 0 {
		k := copy(p[n:], u.buf[u.first:min(len(u.buf), u.first+u.n)])
		n, u.n, u.first = n+k, u.n-k, (u.first+k)%len(u.buf)
	}
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// Write implements io.Writer: what the line does not take now is ErrFull, and lost.
func (u *UART) Write(p []byte) (int, error) {
	u.begin()
	n, err := u.dev.Write(p)
	if err == nil && n < len(p) {
		err = ErrFull
	}
	return n, u.end(err)
}
