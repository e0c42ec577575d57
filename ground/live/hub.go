package live

import (
	"context"
	"sync"

	"github.com/fulmar-io/fulmar/ground"
)

// Defaults and limits of a Hub.
const (
	DefaultMaxWatchers = 1024
	// MaxBuffer is the most updates a watcher may have waiting. An update is shared by all watchers, so a waiting one
	// costs a few words besides what it keeps alive.
	MaxBuffer = 4096
)

// Options configure a Hub. The zero value works.
type Options struct {
	// MaxWatchers is how many may watch at the same time; 0 means DefaultMaxWatchers. One more is turned away.
	MaxWatchers int
}

// Stats counts what a Hub did since it was made.
type Stats struct {
	Watchers  int    // now
	Published uint64 // updates
	Overflows uint64 // watchers that were closed because they did not keep up
	Refused   uint64 // watchers that were turned away
}

// A Hub is a ground.Tail. All its methods may be called concurrently.
type Hub struct {
	max int

	mu       sync.Mutex
	watchers map[*watcher]struct{} // guarded by mu
	stats    Stats                 // guarded by mu; Watchers is not kept there
}

// A watcher's channel is sent to and closed only with the hub's mutex held, and closed only when it leaves the set.
type watcher struct {
	updates chan ground.Update
	stop    func() bool // forgets the context
}

// New returns a hub without watchers. It has no goroutine of its own and need not be closed.
func New(o Options) *Hub {
	if o.MaxWatchers <= 0 {
		o.MaxWatchers = DefaultMaxWatchers
	}
	return &Hub{max: o.MaxWatchers, watchers: make(map[*watcher]struct{})}
}

// Publish gives u to every watcher that has room and closes those that have none. It never blocks, and it neither
// copies u nor keeps it: the caller must not change what u refers to afterwards.
func (h *Hub) Publish(u ground.Update) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Published++
	for w := range h.watchers {
		select {
		case w.updates <- u:
		default:
			h.stats.Overflows++
			h.remove(w)
		}
	}
}

// Missed says that there was something that Publish was not told of: every watcher loses its place, as if it had not kept
// up, and asks the store.
func (h *Hub) Missed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		h.stats.Overflows++
		h.remove(w)
	}
}

// Watch implements ground.Tail. The buffer holds size updates, at least one and at most MaxBuffer. When the hub has all
// the watchers it may have, the channel is returned closed, which a caller handles as it handles an overflow. What was
// buffered before an overflow can still be received; after it the channel is closed.
func (h *Hub) Watch(ctx context.Context, size int) <-chan ground.Update {
	w := &watcher{updates: make(chan ground.Update, min(max(size, 1), MaxBuffer))}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.watchers) >= h.max || ctx.Err() != nil {
		if ctx.Err() == nil {
			h.stats.Refused++
		}
		close(w.updates)
		return w.updates
	}
	h.watchers[w] = struct{}{}
	w.stop = context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.remove(w)
	})
	return w.updates
}

// remove needs h.mu. It does nothing for a watcher that has left already.
func (h *Hub) remove(w *watcher) {
	if _, here := h.watchers[w]; !here {
		return
	}
	delete(h.watchers, w)
	close(w.updates)
	w.stop()
}

// Stats returns the counts at this moment.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Watchers = len(h.watchers)
	return s
}

var _ ground.Tail = (*Hub)(nil)
