package admission

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Hold keeps what somebody sends from being read for a while. The zero value holds nothing; it may be used from several goroutines.
type Hold struct {
	mu    sync.Mutex // guards until
	until time.Time
}

// For holds from now on for that long, or longer if it does so already.
func (h *Hold) For(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if until := time.Now().Add(d); h.until.Before(until) {
		h.until = until
	}
}

// Wait returns when nothing is held, or with ctx's error when that ends.
func (h *Hold) Wait(ctx context.Context) error {
	for {
		h.mu.Lock()
		wait := time.Until(h.until)
		h.mu.Unlock()
		if wait <= 0 {
			return nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Log logs what strangers do, of each second the first alone: one that does nothing else would fill a disk. It may be used from several
// goroutines.
type Log struct {
	*slog.Logger

	mu    sync.Mutex // guards spoke
	spoke time.Time
}

// Tell warns, unless it has done so within the last second.
func (l *Log) Tell(text string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.spoke) >= time.Second {
		l.spoke = now
		l.Warn(text, args...)
	}
}
