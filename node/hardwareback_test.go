package node_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/node"
)

// exclusive is a host whose hardware has one owner at a time, and of which the first to open it waits.
type exclusive struct {
	wires
	mu     sync.Mutex
	wait   time.Duration
	opened int
	busy   bool
}

func (x *exclusive) Open(r hal.Resource) (any, func() error, error) {
	x.mu.Lock()
	x.opened++
	first, busy := x.opened == 1, x.busy
	x.busy = true
	x.mu.Unlock()
	if busy {
		return nil, nil, errors.New("device or resource busy")
	}
	if first {
		<-time.After(x.wait)
	}
	h, _, err := x.wires.Open(r)
	return h, func() error { x.mu.Lock(); defer x.mu.Unlock(); x.busy = false; return nil }, err
}

// opener is a component with an output.
type opener struct {
	rest func(run int) error
	run  int
	pwm  fulmar.Handle[hal.PWM]
}

func (c *opener) Renew() fulmar.Component { return &opener{rest: c.rest, run: c.run + 1} }

func (c *opener) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "opener", Restart: fulmar.Restart{FromStart: true, Most: 100},
		Hardware: []fulmar.Hardware{c.pwm.AtRest(func(hal.PWM) error { return c.rest(c.run) }).As("out", hal.Resource{Path: "pwm0"})},
		Tasks: []fulmar.Task{{Name: "drive", Period: 10 * time.Millisecond, Step: func(s *fulmar.Step) error {
			if c.run == 0 && s.Run == 5 {
				return errors.New("it fails once")
			}
			return c.pwm.Get().Set(20, 7)
		}}}}
}

// Hardware of a component that has failed is another's to open, whatever became of it: it was opened too late, or does not come
// to rest.
func TestHardwareIsGivenBack(t *testing.T) {
	for name, c := range map[string]struct {
		wait time.Duration
		rest func(int) error
	}{
		"opened too late": {5 * time.Second, func(int) error { return nil }},
		"does not rest":   {0, func(int) error { return errors.New("stuck") }},
		"panics at its rest": {0, func(run int) error {
			if run == 0 {
				panic("stuck")
			}
			return nil
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := options(&opener{rest: c.rest})
			o.Hardware = &exclusive{wait: c.wait}
			n, err := node.New(o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- n.Run(ctx) }()
			<-time.After(29 * time.Second)
			if h := n.Health()[0]; h.Status != fulmar.StatusOK || h.Restarts != 1 {
				t.Errorf("%s: after 29 s it is %+v", name, h.Health)
			}
			<-ended
		})
	}
}
