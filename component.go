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
	Skip      = spec.Skip
	CatchUp   = spec.CatchUp
	Degrade   = spec.Degrade
	SafeState = spec.SafeState
)

// Core is the processor that a task runs on.
type Core = spec.Core

// OnCore pins a task to the processor with the kernel's number n.
func OnCore(n int) Core { return spec.OnCore(n) }

// ErrSpec is wrapped by every error about a component's declaration.
var ErrSpec = errors.New("component's declaration is not valid")

// A Component is one part of a machine. Making one has no side effects: what it needs from outside is taken in Start.
type Component interface {
	// Spec declares the component. It is called once, before anything starts.
	Spec() Spec
}

// A Starter is a Component with something to do before its tasks run: open, calibrate, allocate. It is called after the
// components it depends on have started. An error at the machine's start ends that, and what had started is stopped again, unless
// the component's Restart says FromStart. Later, when the component is rebuilt, it counts as another failure.
type Starter interface {
	Start(ctx context.Context) error
}

// A Stopper is a Component with something to do after its tasks have ended: bring actuators to rest, close. It is called
// after the components that depend on it have stopped, also when its own Start failed half way. It must return when ctx
// ends.
type Stopper interface {
	Stop(ctx context.Context) error
}

// A Renewer is a Component that can be made again after it has failed. One that cannot stays down.
type Renewer interface {
	// Renew returns a new component as this one was before its start, without side effects. Its declaration must have the
	// same tasks and ports. It may be called while a step of the old one hangs, and must not touch what that one may hold.
	Renew() Component
}

// A Safer is a Component that drives something which must come to rest when the component cannot do so itself.
type Safer interface {
	// Safe brings to rest what the component drives. It is called instead of Stop when a step does not end, from another
	// goroutine, while that step may still be under way.
	Safe() error
}

// An Accepter is a Component that has a say in what its parameters become.
type Accepter interface {
	// Accept is asked before other parameters, a pointer to what Params holds, take effect. An error refuses all that change with
	// them. It is called while steps run, from another goroutine, and must not touch what is theirs.
	Accept(parameters any) error
}

// Spec is a component's declaration.
type Spec struct {
	// Name is the component's name on this machine: a-z, 0-9, '-' and '_'.
	Name string
	// DependsOn names the components that must have started before and stop after this one, also when it is rebuilt.
	DependsOn []string
	// Optional names components that, if the machine has them, start before and stop after this one. It goes on without them: it
	// is not rebuilt with them, and an input from one that is not there stays at version 0.
	Optional []string
	// Critical: the machine goes to its safe state when this component stays down. Otherwise it goes on without it, and
	// without what depends on it.
	Critical bool
	// Restart says how often a component that failed is rebuilt.
	Restart Restart
	// Hardware is what the component may touch.
	Hardware []Hardware
	// Parameters are what can be set. Nil for none.
	Parameters Parameters
	Tasks      []Task
}

// Restart is a component's restart policy. The zero value of each field means its default.
type Restart struct {
	// Never: the component stays down when it has failed, as one that is no Renewer does.
	Never bool
	// FromStart: a Start that fails at the machine's start is a failure like any later one: the machine starts without the component,
	// and without what depends on it, until it can be made again. It is for what may be unplugged. Otherwise the machine does not
	// start.
	FromStart bool
	// Backoff is how long the first rebuild waits, and at most MaxBackoff; each further one within Window waits twice as
	// long as the one before. What is waited is drawn from the upper half of that. Defaults 100 ms and 10 s.
	Backoff, MaxBackoff time.Duration
	// Most is how many failures within Window are followed by a rebuild: after one more it stays down. Defaults 5 and 1 min.
	Most   int
	Window time.Duration
}

// WithDefaults fills what was left 0.
func (r Restart) WithDefaults() Restart {
	for _, f := range []struct {
		v *time.Duration
		d time.Duration
	}{{&r.Backoff, 100 * time.Millisecond}, {&r.MaxBackoff, 10 * time.Second}, {&r.Window, time.Minute}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	if r.Most <= 0 {
		r.Most = 5
	}
	return r
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
	// Budget is the longest that a step takes, for the analysis of response times; at most Deadline. Default: not known.
	Budget time.Duration
	// OnMiss says what becomes of releases that have passed. Default Skip.
	OnMiss spec.MissPolicy
	// Priority decides between tasks that are ready at once, 0 to 100: the higher runs. Of equal ones that with the shorter
	// period does. Default 0.
	Priority int
	// Core pins the task in real time. Default: any.
	Core Core
	// Stuck is how long a step may take until it counts as one that does not end: the component has failed then, and is
	// rebuilt without it. Default 10 periods, and at least 1 s.
	Stuck time.Duration
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
	return spec.Timing{Period: int64(t.Period), Offset: int64(t.Offset), Deadline: int64(t.Deadline), Budget: int64(t.Budget), OnMiss: t.OnMiss,
		Priority: t.Priority, Core: t.Core}.WithDefaults()
}

// Patience returns how long a step may take, with the default filled in.
func (t Task) Patience() time.Duration {
	if t.Stuck > 0 {
		return t.Stuck
	}
	return max(10*t.Period, time.Second)
}

func (s Spec) validateHardware() error {
	for i, h := range s.Hardware {
		switch {
		case telemetry.ValidateDevice(h.Name()) != nil:
			return fmt.Errorf("fulmar: component %q: %w: hardware %q must be named with a-z, 0-9, '-' and '_'", s.Name, ErrSpec, h.Name())
		case h.Resource().Kind == 0:
			return fmt.Errorf("fulmar: component %q: %w: hardware %q is none of hal's contracts", s.Name, ErrSpec, h.Name())
		case h.Resource().Path == "":
			return fmt.Errorf("fulmar: component %q: %w: hardware %q has no path", s.Name, ErrSpec, h.Name())
		}
		for _, o := range s.Hardware[:i] {
			if o.Name() == h.Name() {
				return fmt.Errorf("fulmar: component %q: %w: two pieces of hardware are named %q", s.Name, ErrSpec, h.Name())
			}
		}
	}
	return nil
}

// Validate reports the first thing that is wrong with the declaration by itself.
func (s Spec) Validate() error {
	if err := telemetry.ValidateDevice(s.Name); err != nil {
		return fmt.Errorf("fulmar: component %q: %w: its name must be 1 to %d of a-z, 0-9, '-' and '_'", s.Name, ErrSpec, telemetry.MaxDevice)
	}
	if err := s.validateHardware(); err != nil {
		return err
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
		if t.Stuck < 0 || t.Stuck > 0 && t.Stuck < t.Deadline {
			return fmt.Errorf("fulmar: component %q: %w: task %q counts as stuck after %s, before its deadline", s.Name, ErrSpec, t.Name, t.Stuck)
		}
		if err := t.Timing().Validate(); err != nil {
			return fmt.Errorf("fulmar: component %q: %w: task %q: %w", s.Name, ErrSpec, t.Name, err)
		}
	}
	return nil
}
