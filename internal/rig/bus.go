package rig

import (
	"sync"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
)

// Bus is a host with one device on an I2C bus, which can be unplugged, and hangs and breaks when it is told. Its methods may be
// called from any goroutine.
type Bus struct {
	chip func() hal.I2C

	mu     sync.Mutex // guards what is below, and the model
	device hal.I2C    // the model, behind its faults
	faults *haltest.Faults
	owner  int  // counts pluggings: handles from before are dead
	gone   bool // it is unplugged
	hang   <-chan struct{}
	opened []hal.Resource
}

// NewBus returns a host with one device, which is made anew each time it is plugged in.
func NewBus(chip func() hal.I2C, faults ...haltest.Fault) *Bus {
	b := &Bus{chip: chip}
	b.plug(faults...)
	return b
}

func (b *Bus) plug(faults ...haltest.Fault) {
	b.faults = haltest.NewFaults(faults...)
	h, err := b.faults.Wrap(hal.KindI2C, b.chip())
	if err != nil {
		panic(err)
	}
	b.device = h.(hal.I2C)
}

// Set replaces what is wrong with the device.
func (b *Bus) Set(faults ...haltest.Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults.Set(faults...)
}

// Unplug takes the device away, or plugs in a new one.
func (b *Bus) Unplug(gone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone = gone; gone {
		b.owner++
		return
	}
	b.plug()
}

// Hang lets calls hang until the channel is closed; nil is the end of it.
func (b *Bus) Hang(until <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hang = until
}

// Opened returns what was opened.
func (b *Bus) Opened() []hal.Resource {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]hal.Resource(nil), b.opened...)
}

// Open implements hal.Host.
func (b *Bus) Open(r hal.Resource) (any, func() error, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return nil, nil, hal.ErrGone
	}
	b.opened = append(b.opened, r)
	return &handle{b, b.owner}, func() error { return nil }, nil
}

type handle struct {
	b     *Bus
	owner int
}

// Tx implements hal.I2C.
func (h *handle) Tx(w, r []byte) error {
	h.b.mu.Lock()
	hang := h.b.hang
	h.b.mu.Unlock()
	if hang != nil {
		<-hang
	}
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	if h.owner != h.b.owner {
		return hal.ErrGone
	}
	return h.b.device.Tx(w, r)
}
