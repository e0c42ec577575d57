package fulmar_test

import (
	"errors"
	"strings"
	"sync/atomic"
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

// heldOutput holds a write back until it is let.
type heldOutput struct {
	begun, let chan struct{}
	high       atomic.Bool
}

func (h *heldOutput) Write(high bool) error {
	if high {
		close(h.begun)
		<-h.let
	}
	h.high.Store(high)
	return nil
}

type outputHost struct{ hal.Output }

func (h outputHost) Open(hal.Resource) (any, func() error, error) {
	return h.Output, func() error { return nil }, nil
}

// A call that is under way when the handle is taken away does not have the last word: the hardware is at rest in the end.
func TestRestHasTheLastWord(t *testing.T) {
	var handle fulmar.Handle[hal.Output]
	rests := 0
	out := &heldOutput{begun: make(chan struct{}), let: make(chan struct{})}
	h := handle.AtRest(func(o hal.Output) error {
		if rests++; rests == 1 {
			close(out.let)
		}
		return o.Write(false)
	}).As("out", hal.Resource{Path: "GPIO17"})
	if err := h.Open(outputHost{out}); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error)
	go func() { wrote <- handle.Get().Write(true) }()
	<-out.begun
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if out.high.Load() || rests != 2 {
		t.Errorf("high: %v, brought to rest %d times", out.high.Load(), rests)
	}
	if err := handle.Get().Write(true); !errors.Is(err, hal.ErrRevoked) {
		t.Errorf("after the end: %v", err)
	}
}

// An output of which nothing else is said is low at rest.
func TestAnOutputIsLowAtRest(t *testing.T) {
	var handle fulmar.Handle[hal.Output]
	out := &heldOutput{begun: make(chan struct{}), let: make(chan struct{})}
	close(out.let)
	h := handle.As("out", hal.Resource{Path: "GPIO17"})
	if err := h.Open(outputHost{out}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(handle.Get().Write(true), h.Close()); err != nil {
		t.Fatal(err)
	}
	if out.high.Load() {
		t.Error("it is high")
	}
}

// Hardware whose rest panics is given back, and the panic is told.
func TestHardwareWhoseRestPanics(t *testing.T) {
	var handle fulmar.Handle[hal.Output]
	host := &slowHost{let: make(chan struct{})}
	close(host.let)
	h := handle.AtRest(func(hal.Output) error { panic("off the end") }).As("out", hal.Resource{Path: "GPIO17"})
	if err := h.Open(host); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err == nil || !strings.Contains(err.Error(), "rest: panic: off the end") {
		t.Errorf("%v", err)
	}
	if host.closed != 1 {
		t.Errorf("given back %d times", host.closed)
	}
}
