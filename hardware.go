package fulmar

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/hal"
)

// Handle is a component's way to one piece of hardware, and to no other: it is opened before Start and works until the
// component has stopped, or until a step of it is given up. T is one of hal's contracts. The zero Handle is ready for As.
type Handle[T any] struct {
	name     string
	resource hal.Resource
	value    T
	raw      T
	lease    hal.Lease
	rest     func(T) error

	mu      sync.Mutex // guards closing: Close does not wait for an Open that takes too long
	closing func() error
}

// Hardware is a handle, as the machine sees it. Only Handle implements it.
type Hardware interface {
	// Name is the component's name for it.
	Name() string
	// Resource returns which piece of hardware it is.
	Resource() hal.Resource
	// Use names another one, of the same kind.
	Use(hal.Resource)
	// Open gets the handle from the host.
	Open(hal.Host) error
	// Close revokes the handle, brings the hardware to rest, and gives it back. It may be called from another goroutine than
	// that of a step which uses the handle, when it was not opened, and while it is being opened: Open then gives back itself what
	// it gets. After a call that was under way, and ends within 100 ms, the hardware is brought to rest once more.
	Close() error
}

// As declares the hardware: the component's name for it, and which it is unless the machine's file says otherwise. Its kind
// follows from T.
func (h *Handle[T]) As(name string, r hal.Resource) Hardware {
	h.name, h.resource = name, r
	h.resource.Kind = kindOf[T]()
	return h
}

// AtRest says what brings the hardware to rest. Rest is called when the component's tasks have ended, before the handle is
// closed, and also when a step of them does not end: by then that one's handle is revoked. It must touch nothing but what
// it is given. Without one, an output is low at rest, as when it is opened; pulses end with their handle.
func (h *Handle[T]) AtRest(rest func(T) error) *Handle[T] {
	h.rest = rest
	return h
}

// Get returns what was opened. It is called in Start at the earliest.
func (h *Handle[T]) Get() T { return h.value }

// Name implements Hardware.
func (h *Handle[T]) Name() string { return h.name }

// Resource implements Hardware.
func (h *Handle[T]) Resource() hal.Resource { return h.resource }

// Use implements Hardware.
func (h *Handle[T]) Use(r hal.Resource) {
	r.Kind = h.resource.Kind
	h.resource = r
}

// Open implements Hardware.
func (h *Handle[T]) Open(host hal.Host) error {
	raw, closing, err := host.Open(h.resource)
	if err != nil {
		return fmt.Errorf("open %s %s %s: %w", h.name, h.resource.Kind, h.resource.Path, err)
	}
	leased, _ := h.lease.Let(h.resource.Kind, raw)
	value, ok := leased.(T)
	if !ok {
		return errors.Join(fmt.Errorf("open %s: the host's handle of %s is a %T, which is no %s", h.name, h.resource.Path, raw, h.resource.Kind), closing())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lease.Revoked() { // nobody waits for it any more
		return errors.Join(fmt.Errorf("open %s %s %s: %w", h.name, h.resource.Kind, h.resource.Path, hal.ErrRevoked), closing())
	}
	h.raw, _ = raw.(T)
	h.value, h.closing = value, closing
	return nil
}

// Close implements Hardware.
func (h *Handle[T]) Close() error {
	h.mu.Lock()
	h.lease.Revoke()
	closing := h.closing
	h.closing = nil
	h.mu.Unlock()
	if closing == nil {
		return nil
	}
	var err error
	rest := h.rest
	if out, ok := any(h.raw).(hal.Output); ok && rest == nil {
		rest = func(T) error { return out.Write(false) }
	}
	if rest != nil {
		late := h.lease.Busy()
		err = h.bring(rest)
		if late && h.settled() { // that call may have come after
			err = errors.Join(err, h.bring(rest))
		}
	}
	if err = errors.Join(err, closing()); err != nil {
		return fmt.Errorf("close %s %s %s: %w", h.name, h.resource.Kind, h.resource.Path, err)
	}
	return nil
}

// bring brings the hardware to rest. Also one whose rest panics is given back.
func (h *Handle[T]) bring(rest func(T) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("rest: panic: %v", p)
		}
	}()
	return rest(h.raw)
}

// settled waits for calls that are under way, and reports whether they have ended.
func (h *Handle[T]) settled() bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 100 {
		if !h.lease.Busy() {
			return true
		}
		<-tick.C
	}
	return false
}

// kindOf returns the kind of a contract, 0 of anything else.
func kindOf[T any]() hal.Kind {
	switch any((*T)(nil)).(type) {
	case *hal.Input:
		return hal.KindInput
	case *hal.Output:
		return hal.KindOutput
	case *hal.PWM:
		return hal.KindPWM
	case *hal.ADC:
		return hal.KindADC
	case *hal.Counter:
		return hal.KindCounter
	case *hal.I2C:
		return hal.KindI2C
	case *hal.SPI:
		return hal.KindSPI
	case *hal.UART:
		return hal.KindUART
	case *hal.CAN:
		return hal.KindCAN
	}
	return 0
}
