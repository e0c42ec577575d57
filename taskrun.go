package fulmar

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fulmar-io/fulmar/spec"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// TaskRun is one task at run time: what an executor calls at each release. It is for one goroutine at a time.
type TaskRun struct {
	task      Task
	publisher *Publisher
	monitor   *Monitor
	events    *Layout
	event     packet.Writer
	step      Step
	commands  []Commanded // among what it reads

	published, filtered, dropped uint64 // of publisher's, as last told to the monitor

	state atomic.Int32
	late  int // steps that must end in time until the task is on time again
	// lateness is what the task says of itself meanwhile.
	lateness string
}

// The states of a TaskRun.
const (
	resting int32 = iota
	stepping
	leaving // something of it is being published: the step has ended and its outputs leave, or an event does
	revoked
)

// ErrRevoked is what Run returns of a task that was revoked.
var ErrRevoked = errors.New("the task was revoked")

// NewTaskRun joins a task with its publisher and its component's monitor. The task's ports are bound and connected.
func NewTaskRun(t Task, p *Publisher, m *Monitor, events *Layout) *TaskRun {
	r := &TaskRun{task: t, publisher: p, monitor: m, events: events, lateness: "task " + t.Name + " misses its deadline"}
	r.published, r.filtered, r.dropped = p.Counts()
	r.step.task = r
	for _, in := range t.Reads {
		if c, ok := in.(Commanded); ok {
			r.commands = append(r.commands, c)
		}
	}
	return r
}

// Run executes one step: inputs are latched, the step runs, outputs leave. A panic in the step is returned as an error.
// wall is ns since 1970, 0 if unknown.
func (r *TaskRun) Run(now, dt time.Duration, wall int64) error {
	if err := r.Step(now, dt, wall); err != nil {
		return err
	}
	if !r.Leave() {
		return ErrRevoked
	}
	return nil
}

// Step is the first part of Run: inputs are latched and the step runs. Leave is to follow, unless there was an error.
func (r *TaskRun) Step(now, dt time.Duration, wall int64) error {
	if !r.state.CompareAndSwap(resting, stepping) {
		return ErrRevoked
	}
	for _, in := range r.task.Reads {
		in.latch(now)
	}
	s := &r.step
	s.Now, s.Dt, s.Wall = now, dt, time.Time{}
	if wall != 0 {
		s.Wall = time.Unix(0, wall)
	}
	err := r.call(s)
	if err != nil && !r.state.CompareAndSwap(stepping, resting) {
		return ErrRevoked
	}
	return err
}

// Leave is the second part of Run: outputs leave. It reports false if the task was revoked meanwhile.
func (r *TaskRun) Leave() bool {
	if !r.state.CompareAndSwap(stepping, leaving) {
		return false
	}
	defer r.state.Store(resting)
	s := &r.step
	s.Run++
	for _, out := range r.task.Writes {
		out.flush(s)
	}
	for _, c := range r.commands {
		c.settle(s)
	}
	p, f, d := r.publisher.Counts()
	if p != r.published || f != r.filtered || d != r.dropped {
		r.monitor.count(int64(s.Now), p-r.published, f-r.filtered, d-r.dropped)
		r.published, r.filtered, r.dropped = p, f, d
	}
	if r.late > 0 {
		if r.late--; r.late == 0 {
			r.monitor.onTime(r.lateness)
		}
	}
	return true
}

// Missed says that the step which has just ended, or releases after it, missed their deadline. It is called between two
// Runs, by whoever calls Run.
func (r *TaskRun) Missed() {
	if r.task.OnMiss != Degrade {
		return
	}
	if r.late == 0 {
		r.monitor.tooLate(r.lateness)
	}
	r.late = spec.InTime
}

// Revoke takes from the task everything that it could write to, and reports whether it did: not while something is being
// published, which takes no time. What a step that is under way does from here on goes nowhere, no other begins, and the
// publisher is another's to use. It may be called from any goroutine.
func (r *TaskRun) Revoke() bool {
	return r.state.CompareAndSwap(stepping, revoked) || r.state.CompareAndSwap(resting, revoked) || r.state.Load() == revoked
}

func (r *TaskRun) call(s *Step) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return r.task.Step(s)
}

// publish sends a packet that was just built. That there was no room is counted by the publisher and declared by the
// ring; the loop goes on.
func (r *TaskRun) publish(s *Step, l *Layout, w *packet.Writer) {
	b, err := w.Bytes()
	if err != nil {
		r.monitor.Set(StatusDegraded, "a record exceeds 64 KiB")
		return
	}
	_ = r.publisher.Publish(telemetry.Record{Layout: l, Packet: b})
}

func (r *TaskRun) publishEvent(s *Step, severity Severity, text string) {
	r.event.Reset(nil, packet.Header{Layout: uint64(r.events.ID()), Mono: int64(s.Now), Wall: wallNS(s),
		Class: eventClass(severity), Severity: severity})
	r.event.String(text[:min(len(text), MaxEventText)])
	r.publish(s, r.events, &r.event)
}

func wallNS(s *Step) int64 {
	if s.Wall.IsZero() {
		return 0
	}
	return s.Wall.UnixNano()
}
