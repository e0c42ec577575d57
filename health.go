package fulmar

import (
	"slices"
	"sync"
)

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
	LastError  string
	ErrorAt    int64  // monotonic ns of the last error; 0 if there was none
	Restarts   uint64 // how often it was rebuilt
	Published  uint64
	Filtered   uint64 // records that a filter held back
	Dropped    uint64 // records for which there was no room
	ChangedSeq uint64 // counts changes of Status and Reason
}

// Monitor holds a component's health. Its methods may be called from any goroutine; a step that changes nothing takes an
// uncontended lock and allocates nothing.
type Monitor struct {
	mu   sync.Mutex // guards what is below
	h    Health
	late []string // what tasks that miss their deadlines have to say
}

// Set changes the status.
func (m *Monitor) Set(s Status, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.h.Status == StatusFailed && s != StatusStarting && s != StatusStopped {
		return // only a new start, or the end, leaves failed behind
	}
	if s == StatusStarting || s == StatusStopped {
		m.late = nil
	}
	if m.h.Status != s || m.h.Reason != reason {
		m.h.Status, m.h.Reason = s, reason
		m.h.ChangedSeq++
	}
}

// Health returns a copy. A component that says it is well counts as degraded while a task of it is late.
func (m *Monitor) Health() Health {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.h
	if h.Status == StatusOK && len(m.late) > 0 {
		h.Status, h.Reason = StatusDegraded, m.late[0]
	}
	return h
}

func (m *Monitor) tooLate(reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.late = append(m.late, reason)
	m.h.ChangedSeq++
}

func (m *Monitor) onTime(reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.late, reason); i >= 0 {
		m.late = slices.Delete(m.late, i, i+1)
		m.h.ChangedSeq++
	}
}

// Fail says that the component has failed, at a monotonic time.
func (m *Monitor) Fail(at int64, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.h.Status != StatusFailed || m.h.Reason != reason {
		m.h.ChangedSeq++
	}
	m.h.Status, m.h.Reason, m.h.LastError, m.h.ErrorAt = StatusFailed, reason, reason, at
}

// Restarted says that the component was rebuilt.
func (m *Monitor) Restarted() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.h.Restarts++
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
