package linux

import (
	"fmt"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// Options say where the host's files are. The zero value is the real host.
type Options struct {
	Dev string // device files. Default /dev
	Sys string // sysfs. Default /sys
	// Now is the machine's monotonic clock, in ns, which the times of edges are given in. Default: that of env.SystemClock.
	Now func() int64
}

// Host is a hal.Host. Its methods may be called from any goroutine.
type Host struct {
	dev, sys string
	now      func() int64
}

// New returns the host. It opens nothing.
func New(o Options) *Host {
	h := &Host{dev: o.Dev, sys: o.Sys, now: o.Now}
	if h.dev == "" {
		h.dev = "/dev"
	}
	if h.sys == "" {
		h.sys = "/sys"
	}
	if h.now == nil {
		h.now = func() int64 { return env.SystemClock{}.Now().Mono }
	}
	return h
}

// Open implements hal.Host. An output is low when it is opened. A PWM output is as it was until it is set, and off when it is
// closed. A serial line has 8 data bits, no parity, 1 stop bit and no flow control, and belongs to its handle alone.
func (h *Host) Open(r hal.Resource) (handle any, closing func() error, err error) {
	handle, closing, err = h.open(r)
	if err != nil {
		return nil, nil, fmt.Errorf("linux: open %s: %w", name.Of(r), err)
	}
	return handle, closing, nil
}
