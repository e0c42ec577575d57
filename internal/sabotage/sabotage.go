package sabotage

import (
	"context"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar"
)

// Failure is what a step does instead of its work.
type Failure struct {
	At  time.Duration // since the component's first step; in the first step that begins after it
	How func() error
}

// saboteur is a component whose first task fails.
type saboteur struct {
	fulmar.Component
	plan *plan
}

// plan is shared by all lives of a component.
type plan struct {
	mu       sync.Mutex // guards what follows: a step that hangs may still be there when the next life begins
	begun    bool
	first    time.Duration // when the first step was
	failures []Failure
}

func (p *plan) due(now time.Duration) func() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun {
		p.begun, p.first = true, now
	}
	if len(p.failures) == 0 || now-p.first <= p.failures[0].At {
		return nil
	}
	how := p.failures[0].How
	p.failures = p.failures[1:]
	return how
}

// Wrap returns the component with failures, in the order of their times, each of which comes once in all its lives. It can be made
// again if the component can, and has the same Start; the components that are wrapped have no Stop.
func Wrap(c fulmar.Component, failures ...Failure) fulmar.Component {
	return wrap(c, &plan{failures: failures})
}

func wrap(c fulmar.Component, p *plan) fulmar.Component {
	if _, ok := c.(fulmar.Stopper); ok {
		panic("sabotage: a component with a Stop would lose it")
	}
	s := saboteur{Component: c, plan: p}
	if _, ok := c.(fulmar.Renewer); ok {
		return &renewable{s}
	}
	return &s
}

type renewable struct{ saboteur }

// Renew implements fulmar.Renewer.
func (r *renewable) Renew() fulmar.Component {
	return wrap(r.Component.(fulmar.Renewer).Renew(), r.plan)
}

// Spec implements fulmar.Component.
func (s *saboteur) Spec() fulmar.Spec {
	spec := s.Component.Spec()
	step := spec.Tasks[0].Step
	spec.Tasks[0].Step = func(st *fulmar.Step) error {
		if fail := s.plan.due(st.Now); fail != nil {
			return fail()
		}
		return step(st)
	}
	return spec
}

// Start implements fulmar.Starter.
func (s *saboteur) Start(ctx context.Context) error {
	if c, ok := s.Component.(fulmar.Starter); ok {
		return c.Start(ctx)
	}
	return nil
}
