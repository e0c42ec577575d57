package fulmar_test

import (
	"errors"
	"testing"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/hal"
)

// slowHost opens when it is let, and counts what was given back.
type slowHost struct {
	let    chan struct{}
	closed int
}

func (h *slowHost) Open(hal.Resource) (any, func() error, error) {
	<-h.let
	return quietOutput{}, func() error { h.closed++; return nil }, nil
}

type quietOutput struct{}

func (quietOutput) Write(bool) error { return nil }

// A machine does not wait for hardware that is slow to open. What comes when nobody wants it any more is given back, or its next
// owner would never get it.
func TestHardwareThatOpensTooLate(t *testing.T) {
	var handle fulmar.Handle[hal.Output]
	h := handle.As("out", hal.Resource{Path: "GPIO17"})
	host := &slowHost{let: make(chan struct{})}
	opened := make(chan error)
	go func() { opened <- h.Open(host) }()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	close(host.let)
	if err := <-opened; !errors.Is(err, hal.ErrRevoked) {
		t.Errorf("%v, want ErrRevoked", err)
	}
	if host.closed != 1 {
		t.Errorf("given back %d times", host.closed)
	}
}

// What was opened is given back once, however often it is closed.
func TestHardwareIsClosedOnce(t *testing.T) {
	var handle fulmar.Handle[hal.Output]
	h := handle.As("out", hal.Resource{Path: "GPIO17"})
	host := &slowHost{let: make(chan struct{})}
	close(host.let)
	if err := h.Open(host); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	if host.closed != 1 {
		t.Errorf("given back %d times", host.closed)
	}
}
