package fulmar

import "sync"

// Status grades how a component is, best first.
type Status uint8

// The statuses.
const (
	StatusStopped Status = iota
	StatusStarting
	StatusOK
	StatusDegraded
	StatusFailed
)

// String returns the status in a word.
func (s Status) String() string {
	switch s {
	case StatusStopped:
		return "stopped"
	case StatusStarting:
		return "starting"
	case StatusOK:
		return "ok"
	case StatusDegraded:
		return "degraded"
	case StatusFailed:
		return "failed"
	}
	return "invalid"
}

// Health is how a component is.
type Health struct {
	Status     Status
	Reason     string // why it is not ok
	LastEvent  string
	EventAt    int64 // monotonic ns of the last event; 0 if there was none
	PacketAt   int64 // monotonic ns of the last record; 0 if there was none
	Published  uint64
	Filtered   uint64 // records that a filter held back
	Dropped    uint64 // records for which there was no room
	ChangedSeq uint64 // counts changes of Status and Reason
}

// Monitor holds a component's health. Its methods may be called from any goroutine; a step that changes nothing takes an
// uncontended lock and allocates nothing.
type Monitor struct {
	mu sync.Mutex
	h  Health // guarded by mu
}

// Set changes the status.
func (m *Monitor) Set(s Status, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.h.Status == StatusFailed && s != StatusStarting && s != StatusStopped {
		return // only a new start, or the end, leaves failed behind
	}
	if m.h.Status != s || m.h.Reason != reason {
		m.h.Status, m.h.Reason = s, reason
		m.h.ChangedSeq++
	}
}

// Health returns a copy.
func (m *Monitor) Health() Health {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.h
}

func (m *Monitor) event(text string, at int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.h.LastEvent, m.h.EventAt = text, at
}

func (m *Monitor) count(at int64, published, filtered, dropped uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if published > 0 {
		m.h.PacketAt = at
	}
	m.h.Published += published
	m.h.Filtered += filtered
	m.h.Dropped += dropped
}
