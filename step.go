package fulmar

import (
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Step is what a task's step gets. It is valid during the step only; what comes of a step that was given up as stuck goes
// nowhere.
type Step struct {
	// Now is the monotonic time at which the step began, since the boot's origin.
	Now time.Duration
	// Wall is the wall time then, or the zero Time if the machine does not know it.
	Wall time.Time
	// Dt is the measured time since the task's previous step began; for the first step, the period.
	Dt time.Duration
	// Run counts the task's steps from 0.
	Run uint64

	task *TaskRun
}

// OK says that the component works as it should. That is what is assumed until a step says otherwise.
func (s *Step) OK() {
	if s.task.state.Load() == stepping {
		s.task.monitor.Set(StatusOK, "")
	}
}

// Degraded says that the component works, but not as it should, and why. It stays so until OK. reason should be a
// constant: a new text in each step would cost an allocation each.
func (s *Step) Degraded(reason string) {
	if s.task.state.Load() == stepping {
		s.task.monitor.Set(StatusDegraded, reason)
	}
}

// Event publishes that something happened. Warnings and worse are urgent. text is at most 1 KiB; what is longer is cut.
func (s *Step) Event(severity Severity, text string) {
	if !s.task.state.CompareAndSwap(stepping, leaving) {
		return
	}
	defer s.task.state.Store(stepping)
	s.task.monitor.event(text, int64(s.Now))
	s.task.publishEvent(s, severity, text)
}

// EventLayout returns the layout of a component's events.
func EventLayout(component string) *Layout {
	return &Layout{Name: component + "/event", Kind: telemetry.Event, Fields: []Field{{Name: "text", Type: packet.String}}}
}

// MaxEventText bounds an event's text, in bytes.
const MaxEventText = 1 << 10

func eventClass(s Severity) Class {
	if s >= Warning {
		return Urgent
	}
	return Normal
}
