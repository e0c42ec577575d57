//go:build !linux

package sched

import (
	"context"
	"errors"
	"time"

	"github.com/fulmar-io/fulmar/spec"
)

type thread struct{}

var errNoThreads = errors.New("this system has no real-time threads that Go can use")

func (r *RealTime) thread(spec.Timing, int, func() time.Duration) (*thread, started) {
	return nil, started{err: errNoThreads}
}

func (r *RealTime) prioritize(int, spec.Timing, int) error { return errNoThreads }

func (th *thread) wait(context.Context, time.Duration) bool { return true }
