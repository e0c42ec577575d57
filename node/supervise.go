package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/sched"
)

// trouble is a task that has ended by itself.
type trouble struct {
	task *task
	of   *sched.Task // in which of its lives
	err  error
}

// report takes note that a task has failed. It may be called from any goroutine.
func (n *Node) report(t trouble) {
	n.troubleMu.Lock()
	n.troubles = append(n.troubles, t)
	n.troubleMu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *Node) takeTroubles() []trouble {
	n.troubleMu.Lock()
	defer n.troubleMu.Unlock()
	list := n.troubles
	n.troubles = nil
	return list
}

// lookPeriod is how often it is looked whether a step hangs.
const lookPeriod = 100 * time.Millisecond

// Executor is what runs the components' tasks: sched's Executor, or its Virtual.
type Executor interface {
	Add(tasks ...*sched.Task) error
	Remove(ctx context.Context, tasks ...*sched.Task) error
	Abandon(t *sched.Task) bool
}

// Attend is for whoever drives a machine in virtual time, between steps: it does what is due of supervision, and returns when it
// should be called next, at the latest. The machine's tasks are in e.
func (n *Node) Attend(ctx context.Context, e Executor) time.Duration { return n.attend(ctx, e) }

// attend does what is due of supervision: it gives up steps that do not end, takes down what has failed with all that
// depends on it, and rebuilds it when it has waited long enough. It returns when it should be called next, at the latest;
// also when wake says so. The machine's tasks run in e meanwhile, but for those that it takes out and puts back.
func (n *Node) attend(ctx context.Context, e Executor) time.Duration {
	n.look(e)
	for _, t := range n.takeTroubles() {
		switch {
		case t.task.scheduled() != t.of: // it was rebuilt since
		case errors.Is(t.err, errMissed):
			n.safeState(ctx, e, fmt.Errorf("node: task %q of %q %w", t.task.name, t.task.part.name, t.err))
		default:
			n.fail(ctx, e, t.task.part, fmt.Errorf("task %s: %w", t.task.name, t.err))
		}
	}
	now := n.now()
	if n.version.set != nil && now > n.version.until {
		n.keep()
	}
	due := now + lookPeriod
	for _, p := range n.parts {
		switch {
		case p.state != waiting, ctx.Err() != nil: // nothing begins any more when the machine is to end
		case p.until > now:
			due = min(due, p.until)
		case n.dependenciesUp(p):
			if err := n.rebuild(ctx, e, p); err != nil && ctx.Err() == nil {
				n.fail(ctx, e, p, err)
			}
		}
	}
	return due
}

// look gives up steps that do not end.
func (n *Node) look(e Executor) {
	for _, t := range n.tasks {
		n.giveUp(e, t, t.spec.Patience())
	}
}

// giveUp gives up the task's step if it takes longer than that.
func (n *Node) giveUp(e Executor, t *task, patience time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d, busy := t.sched.Busy(n.now()); busy && d > patience && t.run.Revoke() {
		t.stuck = e.Abandon(t.sched) // which reports it; not if the step has ended just now
	}
}

// fail takes a component down that has failed, and what depends on it.
func (n *Node) fail(ctx context.Context, e Executor, p *part, cause error) {
	if p.state != up && p.state != starting {
		return // it is down already
	}
	now := n.now()
	p.monitor.Fail(int64(now), cause.Error())
	n.o.Logger.Error("component failed", "component", p.name, "error", cause)
	n.house.event(fulmar.Error, fmt.Sprintf("component %s failed: %v", p.name, cause))
	for _, q := range slices.Backward(n.dependants(p)) {
		n.takeDown(ctx, e, q)
		q.to(waiting)
		q.until = now
		if q != p {
			q.monitor.Set(fulmar.StatusStopped, "it depends on "+p.name+", which has failed")
		}
	}
	n.rollBack(ctx, e, p, cause)
	r := p.spec.Restart.WithDefaults()
	n.count(p, r)
	switch _, renews := p.component.(fulmar.Renewer); {
	case r.Never || !renews:
		n.lose(ctx, e, p, cause.Error())
	case len(p.failures) > r.Most:
		n.lose(ctx, e, p, fmt.Sprintf("%v; it failed %d times within %s and stays down", cause, len(p.failures), r.Window))
	default:
		p.until = n.backoff(p, r)
	}
}

// wait has a component that is down wait for its first rebuild.
func (n *Node) wait(p *part) {
	r := p.spec.Restart.WithDefaults()
	p.to(waiting)
	n.count(p, r)
	p.until = n.backoff(p, r)
}

// count counts a failure.
func (n *Node) count(p *part, r fulmar.Restart) {
	now := n.now()
	p.failures = slices.DeleteFunc(p.failures, func(at time.Duration) bool { return at < now-r.Window })
	p.failures = append(p.failures, now)
}

// backoff returns when a component may be rebuilt.
func (n *Node) backoff(p *part, r fulmar.Restart) time.Duration {
	wait := r.Backoff
	for i := 1; i < len(p.failures) && wait < r.MaxBackoff; i++ {
		wait *= 2
	}
	wait = min(wait, r.MaxBackoff)
	return n.now() + wait/2 + time.Duration(n.rand()*float64(wait/2))
}

// rand returns a number from 0 to 1.
func (n *Node) rand() float64 {
	if n.o.Rand == nil {
		return 1
	}
	return n.o.Rand.Float64()
}

// takeDown ends the tasks of a component, and then stops it.
func (n *Node) takeDown(ctx context.Context, e Executor, p *part) {
	ctx = context.WithoutCancel(ctx) // a step that is under way has its time also when the machine is to end
	started := p.state == up
	p.to(stopping)
	if started {
		n.endTasks(ctx, e, p)
	}
	if err := n.stop(ctx, p); err != nil {
		n.o.Logger.Error("component did not stop", "component", p.name, "error", err)
	}
}

// endTasks returns when no step of the component runs, or those that do are given up.
func (n *Node) endTasks(ctx context.Context, e Executor, p *part) {
	patience := time.Duration(0)
	for _, t := range p.tasks {
		patience = max(patience, t.spec.Patience())
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if e.Remove(ctx, p.schedules()...) == nil {
		return
	}
	for _, t := range p.tasks {
		n.giveUp(e, t, 0)
	}
}

// dependants returns a component and those that are up and depend on it, directly or not, in the order of their start.
func (n *Node) dependants(p *part) []*part {
	names := map[string]bool{p.name: true}
	list := []*part{p}
	for _, q := range n.parts {
		if q != p && slices.ContainsFunc(q.spec.DependsOn, func(d string) bool { return names[d] }) {
			names[q.name] = true
			if q.state == up {
				list = append(list, q)
			}
		}
	}
	return list
}

func (n *Node) dependenciesUp(p *part) bool {
	return !slices.ContainsFunc(n.parts, func(q *part) bool {
		return q.state != up && slices.Contains(p.spec.DependsOn, q.name)
	})
}

// lose leaves a component down for good, and what depends on it, and takes the machine to its safe state if it is nothing
// without them.
func (n *Node) lose(ctx context.Context, e Executor, p *part, reason string) {
	now := int64(n.now())
	critical := ""
	names := make(map[string]bool)
	for _, q := range n.parts {
		if q != p && !slices.ContainsFunc(q.spec.DependsOn, func(d string) bool { return names[d] }) || q.state != waiting {
			continue
		}
		names[q.name] = true
		q.to(lost)
		if q == p {
			q.monitor.Fail(now, reason)
		} else {
			q.monitor.Fail(now, "it depends on "+p.name+", which stays down")
		}
		if q.critical && critical == "" {
			critical = q.name
		}
	}
	if critical == "" {
		n.house.event(fulmar.Error, fmt.Sprintf("component %s stays down: the machine goes on without it", p.name))
		return
	}
	err := fmt.Errorf("node: critical component %q failed: %s", critical, reason)
	if critical != p.name {
		err = fmt.Errorf("node: critical component %q cannot be without %q, which failed: %s", critical, p.name, reason)
	}
	n.safeState(ctx, e, err)
}

// safeState ends all tasks and stops all components, last first: each brings what it drives to rest. The courier goes on, so
// that the ground hears why.
func (n *Node) safeState(ctx context.Context, e Executor, cause error) {
	if !n.safe.CompareAndSwap(nil, &cause) {
		return
	}
	n.o.Logger.Error("the machine goes to its safe state", "error", cause)
	n.house.event(fulmar.Critical, "safe state: "+cause.Error())
	for _, p := range slices.Backward(n.parts) {
		switch p.state {
		case up:
			n.takeDown(ctx, e, p)
			p.to(down)
			p.monitor.Set(fulmar.StatusStopped, "the machine is in its safe state")
		case waiting:
			p.to(down)
			p.monitor.Set(fulmar.StatusStopped, "the machine is in its safe state")
		}
	}
}

// rebuild makes a component anew, starts it, and lets its tasks run.
func (n *Node) rebuild(ctx context.Context, e Executor, p *part) error {
	p.to(starting)
	if err := guarded(func() error { return n.renew(p) }); err != nil {
		return err
	}
	for _, t := range p.tasks {
		if err := n.prepare(t); err != nil {
			return err
		}
	}
	if err := n.start(ctx, p); err != nil {
		return err
	}
	p.to(up)
	if err := e.Add(p.schedules()...); err != nil {
		return fmt.Errorf("its tasks: %w", err)
	}
	p.monitor.Restarted()
	n.o.Logger.Info("component rebuilt", "component", p.name)
	n.house.event(fulmar.Info, "component "+p.name+" is up again")
	return nil
}

var errChanged = errors.New("the component that it renewed to has other tasks or ports")

// renew puts a new component in the place of an old one, between the same ports.
func (n *Node) renew(p *part) error {
	r, ok := p.component.(fulmar.Renewer)
	if !ok {
		return errors.New("it cannot be made again")
	}
	c := r.Renew()
	_, s, err := p.as.declare(c)
	if err != nil {
		return err
	}
	if s.Name != p.name || len(s.Tasks) != len(p.spec.Tasks) || !slices.Equal(s.DependsOn, p.spec.DependsOn) {
		return errChanged
	}
	for i, t := range s.Tasks {
		old := p.spec.Tasks[i]
		if t.Name != old.Name || len(t.Writes) != len(old.Writes) || len(t.Reads) != len(old.Reads) {
			return errChanged
		}
		for k, out := range t.Writes {
			if _, err := out.Bind(s.Name, old.Writes[k]); err != nil {
				return err
			}
			n.outputs[out.Port()] = out
		}
	}
	for i, t := range s.Tasks {
		for k, in := range t.Reads {
			if in.Source() != p.spec.Tasks[i].Reads[k].Source() {
				return errChanged
			}
			if err := n.connect(p, in, p.spec.Tasks[i].Reads[k]); err != nil {
				return err
			}
		}
	}
	if s.Parameters != nil { // what was changed meanwhile stays changed
		if p.spec.Parameters == nil {
			return errChanged
		}
		if err := s.Parameters.Apply(p.spec.Parameters.Values()); err != nil {
			return err
		}
	}
	p.component, p.spec = c, s
	for i, t := range p.tasks {
		t.spec = s.Tasks[i]
	}
	return nil
}

// prepare makes a task ready to run. In the place of one whose step was given up it goes on in the same ring, which that one was
// revoked from.
func (n *Node) prepare(t *task) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stuck = false
	if t.publisher == nil {
		p, err := fulmar.NewPublisher(n.region, taskProducers+slices.Index(n.tasks, t), n.filter())
		if err != nil {
			return err
		}
		t.publisher = p
	}
	t.inputs = t.spec.Reads
	t.run = fulmar.NewTaskRun(t.spec, t.publisher, &t.part.monitor, t.part.events)
	run, policy := t.run, t.spec.OnMiss
	s := sched.NewTask(t.part.name+"/"+t.name, t.spec.Timing(), t.sched, func(now, dt time.Duration) error {
		return run.Step(now, dt, n.o.Clock.Now().Wall)
	})
	s.Leave = func() { run.Leave() }
	s.Failed = func(err error) { n.report(trouble{task: t, of: s, err: err}) }
	s.Missed = func(uint64, uint64) {
		run.Missed()
		if policy == fulmar.SafeState {
			n.report(trouble{task: t, of: s, err: errMissed})
		}
	}
	t.sched = s
	return nil
}

var errMissed = errors.New("missed a deadline that it must not miss")
