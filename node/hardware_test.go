package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/node"
)

// wires is a host with PWM outputs, which notes what becomes of them.
type wires struct {
	mu      sync.Mutex
	log     []string
	missing string // a path that is not there
}

func (w *wires) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *wires) Open(r hal.Resource) (any, func() error, error) {
	if r.Path == w.missing {
		return nil, nil, hal.ErrGone
	}
	w.note("open %s", r.Path)
	return &wire{w: w, path: r.Path}, func() error { w.note("close %s", r.Path); return nil }, nil
}

type wire struct {
	w    *wires
	path string
	high int64
}

func (x *wire) Set(_, high int64) error {
	if high != x.high {
		x.high = high
		x.w.note("%s to %d", x.path, high)
	}
	return nil
}

// motor is an actuator that hangs when it is told.
type motor struct {
	name, path string
	hang       <-chan struct{}
	late       chan error // what a step that hung found of its handle
	pwm        fulmar.Handle[hal.PWM]
}

func (m *motor) Renew() fulmar.Component { return &motor{name: m.name, path: m.path} }

func (m *motor) Spec() fulmar.Spec {
	return fulmar.Spec{Name: m.name, Critical: true,
		Hardware: []fulmar.Hardware{m.pwm.AtRest(func(p hal.PWM) error { return p.Set(20, 0) }).As("out", hal.Resource{Path: m.path})},
		Tasks:    []fulmar.Task{{Name: "drive", Period: 10 * time.Millisecond, Step: m.step}}}
}

func (m *motor) step(s *fulmar.Step) error {
	if m.hang != nil && s.Run == 5 {
		<-m.hang
		m.late <- m.pwm.Get().Set(20, 19)
		return nil
	}
	return m.pwm.Get().Set(20, 7)
}

// The actuator of a step that hangs comes to rest without it, its handle is taken from it, and the component is made anew.
func TestHardwareComesToRestWithoutItsStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		late := make(chan error, 1)
		host := &wires{}
		o := options(&motor{name: "motor", path: "pwm0", hang: hang, late: late})
		o.Hardware = host
		n, err := node.New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		time.AfterFunc(2500*time.Millisecond, func() { close(hang) })
		if err := n.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if err := <-late; !errors.Is(err, hal.ErrRevoked) {
			t.Errorf("the step that hung set the motor in motion again: %v", err)
		}
		if got, want := strings.Join(host.log, ", "), "open pwm0, pwm0 to 7, pwm0 to 0, close pwm0, open pwm0, pwm0 to 7, pwm0 to 0, close pwm0"; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}

// Hardware is refused clearly: two owners of one pin, a machine that has none, and one that is not there.
func TestHardwareIsRefused(t *testing.T) {
	for want, change := range map[string]func(*node.Options){
		`pwm pwm0 belongs to both "left", as out, and "right", as out`: func(o *node.Options) {
			o.Components = []fulmar.Component{&motor{name: "left", path: "pwm0"}, &motor{name: "right", path: "pwm0"}}
		},
		`"left" needs hardware, and this machine has none`: func(o *node.Options) {
			o.Components, o.Hardware = []fulmar.Component{&motor{name: "left", path: "pwm0"}}, nil
		},
		`hardware "out" has no path`: func(o *node.Options) {
			o.Components = []fulmar.Component{&motor{name: "left"}}
		},
	} {
		o := options()
		o.Hardware = &wires{}
		change(&o)
		if _, err := node.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		host := &wires{missing: "pwm1"}
		o := options(&motor{name: "a", path: "pwm0"}, &motor{name: "b", path: "pwm1"})
		o.Hardware = host
		n, err := node.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Run(t.Context()); !errors.Is(err, hal.ErrGone) || !strings.Contains(err.Error(), `component "b": open out pwm pwm1: the device is gone`) {
			t.Errorf("%v", err)
		}
		if got, want := strings.Join(host.log, ", "), "open pwm0, close pwm0"; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}

// The file says which hardware stands behind a name, and what else a component's own declaration is to differ in.
func TestTheFileConfiguresComponents(t *testing.T) {
	types := new(fulmar.Types)
	types.Register(fulmar.Type{Name: "test/motor", New: func() fulmar.Component { return &motor{name: "motor", path: "pwm0"} }})
	s, loaded, err := loadFile(t, `
device: rover
components:
  left: {type: test/motor}
  right: {type: test/motor, critical: false, hardware: {out: {path: pwm1}}, restart: {never: true},
    tasks: {drive: {period: 50ms, deadline: 20ms, budget: 2ms, priority: 9, core: 1, on_miss: catch-up}}}
`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.NewComponents(types, loaded)
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Configured, o.Hardware = list, &wires{}
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := n.WriteGraph(&b, true); err != nil || !strings.Contains(b.String(), `c_left[["left<br/>test/motor<br/>drive 10ms"]]`) ||
		!strings.Contains(b.String(), `c_right["right<br/>test/motor<br/>drive 50ms"]`) {
		t.Errorf("%v\n%s", err, b.String())
	}
	bounds := n.Analyze()
	if b := bounds[0]; b.Name != "right/drive" || b.Timing.Priority != 9 || b.Timing.Core != fulmar.OnCore(1) || b.Timing.OnMiss != fulmar.CatchUp || b.Timing.Deadline != int64(20*time.Millisecond) {
		t.Errorf("%+v", b)
	}
	for text, want := range map[string]string{
		"a: {type: test/motr}":                                "m.yaml:4:13: components.a.type: no type is named \"test/motr\"; did you mean test/motor?",
		"a: {type: test/motor, hardware: {in: {path: x}}}":    `it has no hardware named "in"; it has out`,
		"a: {type: test/motor, tasks: {turn: {period: 1s}}}":  `it has no task named "turn"; it has drive`,
		"a: {type: test/motor, tasks: {drive: {budget: 1s}}}": "budget must be no longer than the deadline",
		"a: {type: test/motor, tasks: {drive: {period: 0s}}}": "0s is less than 100us",
		"a: {type: test/motor, parameters: {speed: 1}}":       "components of this type have no parameters",
		"a: {type: test/motor, critcal: true}":                "did you mean critical?",
	} {
		s, loaded, err := loadFile(t, "\ndevice: rover\ncomponents:\n  "+text+"\n")
		if err == nil {
			_, err = s.NewComponents(types, loaded)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// An optional component is started before, if it is there, and is no condition; its outputs stay at version 0 if it is not.
func TestOptionalComponents(t *testing.T) {
	for _, there := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var log journal
			drive := newGauge(&log, "drive", "")
			drive.optional = "imu"
			parts := []fulmar.Component{drive}
			imu := newGauge(&log, "imu", "")
			imu.step = func(g *gauge, _ *fulmar.Step) error {
				if g.n == 50 {
					return errors.New("no answer")
				}
				return nil
			}
			if there {
				parts = append(parts, imu)
			}
			health, err := live(t, 2*time.Second, parts...)
			if err != nil {
				t.Fatal(err)
			}
			if started := log.all()[0]; there && started != "start imu" {
				t.Errorf("first came %q", started)
			}
			if got := drive.seen.Load(); there != (got > 0) || drive.lives.Load() != 1 || health["drive"].Status != fulmar.StatusOK {
				t.Errorf("with it: %v; drive read %d, lived %d times, is %v", there, got, drive.lives.Load(), health["drive"].Status)
			}
			if there && imu.lives.Load() < 2 {
				t.Errorf("imu lived %d times", imu.lives.Load())
			}
		})
	}
}
