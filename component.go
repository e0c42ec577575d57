package fulmar

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/spec"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// The nouns of telemetry, under the names a component's author uses.
type (
	Class    = packet.Class
	Severity = packet.Severity
	Layout   = telemetry.Layout
	Field    = telemetry.Field
)

// Classes, most urgent first.
const (
	Urgent = packet.Urgent
	Normal = packet.Normal
	Bulk   = packet.Bulk
)

// Severities of an event, mildest first.
const (
	Debug    = packet.Debug
	Info     = packet.Info
	Warning  = packet.Warning
	Error    = packet.Error
	Critical = packet.Critical
)

// Miss policies of a task.
const (
	Skip    = spec.Skip
	CatchUp = spec.CatchUp
)

// ErrSpec is wrapped by every error about a component's declaration.
var ErrSpec = errors.New("component's declaration is not valid")

// A Component is one part of a machine. Making one has no side effects: what it needs from outside is taken in Start.
type Component interface {
	// Spec declares the component. It is called once, before anything starts.
	Spec() Spec
}

// A Starter is a Component with something to do before its tasks run: open, calibrate, allocate. It is called after the
// components it depends on have started. An error stops the machine's start; what had started is stopped again.
type Starter interface {
	Start(ctx context.Context) error
}

// A Stopper is a Component with something to do after its tasks have ended: bring actuators to rest, close. It is called
// after the components that depend on it have stopped, also when its own Start failed half way. It must return when ctx
// ends.
type Stopper interface {
	Stop(ctx context.Context) error
}

// Spec is a component's declaration.
type Spec struct {
	// Name is the component's name on this machine: a-z, 0-9, '-' and '_'.
	Name string
	// DependsOn names the components that must have started before and stop after this one.
	DependsOn []string
	// Critical: the machine stops when this component fails.
	Critical bool
	Tasks    []Task
}

// Task is a periodic task of a component.
type Task struct {
	Name string
	// Period between releases, 100 µs to 1 h.
	Period time.Duration
	// Offset of the first release from the start. Default 0.
	Offset time.Duration
	// Deadline from the release within which a step must end. Default Period.
	Deadline time.Duration
	// OnMiss says what becomes of releases that have passed. Default Skip.
	OnMiss spec.MissPolicy
	// Reads are the inputs that are latched before each step, Writes the outputs that leave after it. A port belongs to
	// one task.
	Reads  []Input
	Writes []Output
	// Step is the task's work. An error fails the component: its tasks end and its health says why. What the component
	// can live with it reports with Step.Degraded instead.
	Step func(*Step) error
}

// Timing returns when the task runs, with the defaults filled in.
func (t Task) Timing() spec.Timing {
	return spec.Timing{Period: int64(t.Period), Offset: int64(t.Offset), Deadline: int64(t.Deadline), OnMiss: t.OnMiss}.WithDefaults()
}

// Validate reports the first thing that is wrong with the declaration by itself.
func (s Spec) Validate() error {
	if err := telemetry.ValidateDevice(s.Name); err != nil {
		return fmt.Errorf("fulmar: component %q: %w: its name must be 1 to %d of a-z, 0-9, '-' and '_'", s.Name, ErrSpec, telemetry.MaxDevice)
	}
	tasks := make(map[string]bool, len(s.Tasks))
	for _, t := range s.Tasks {
		if telemetry.ValidateDevice(t.Name) != nil {
			return fmt.Errorf("fulmar: component %q: %w: task name %q must be of a-z, 0-9, '-' and '_'", s.Name, ErrSpec, t.Name)
		}
		if tasks[t.Name] {
			return fmt.Errorf("fulmar: component %q: %w: two tasks named %q", s.Name, ErrSpec, t.Name)
		}
		tasks[t.Name] = true
		if t.Step == nil {
			return fmt.Errorf("fulmar: component %q: %w: task %q has no Step", s.Name, ErrSpec, t.Name)
		}
		if err := t.Timing().Validate(); err != nil {
			return fmt.Errorf("fulmar: component %q: %w: task %q: %w", s.Name, ErrSpec, t.Name, err)
		}
	}
	return nil
}
