package fulmar

import (
	"fmt"
	"time"

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

	published, filtered, dropped uint64 // of publisher's, as last told to the monitor
}

// NewTaskRun joins a task with its publisher and its component's monitor. The task's ports are bound and connected.
func NewTaskRun(t Task, p *Publisher, m *Monitor, events *Layout) *TaskRun {
	r := &TaskRun{task: t, publisher: p, monitor: m, events: events}
	r.step.task = r
	return r
}

// Run executes one step: inputs are latched, the step runs, outputs leave. A panic in the step is returned as an error.
// wall is ns since 1970, 0 if unknown.
func (r *TaskRun) Run(now, dt time.Duration, wall int64) (err error) {
	for _, in := range r.task.Reads {
		in.latch()
	}
	s := &r.step
	s.Now, s.Dt, s.Wall = now, dt, time.Time{}
	if wall != 0 {
		s.Wall = time.Unix(0, wall)
	}
	if err := r.call(s); err != nil {
		return err
	}
	s.Run++
	for _, out := range r.task.Writes {
		out.flush(s)
	}
	p, f, d := r.publisher.Counts()
	if p != r.published || f != r.filtered || d != r.dropped {
		r.monitor.count(int64(now), p-r.published, f-r.filtered, d-r.dropped)
		r.published, r.filtered, r.dropped = p, f, d
	}
	return nil
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
