package rig

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
	"github.com/fulmar-io/fulmar/node"
)

// Device is a component of a device on an I2C bus, and what it must stand.
type Device struct {
	// New makes the component, with its defaults.
	New func() fulmar.Component
	// With makes what it needs beside it. Nil: nothing.
	With func() []fulmar.Component
	// Chip makes a model of the device, as it is when it gets its power.
	Chip func() hal.I2C
	// Wrong makes it another chip; WrongError is what the error says of it.
	Wrong      haltest.Fault
	WrongError string
	// Still lets it have nothing new. Without a Trouble: it is a device that has no news.
	Still haltest.Fault
}

// Test runs all of it.
func (d Device) Test(t *testing.T) {
	bubble := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
	}
	bubble("another chip", d.anotherChip)
	bubble("silent", d.silent)
	bubble("silent for long", d.silentForLong)
	bubble("a moment's trouble", d.momentary)
	bubble("unplugged", d.unplugged)
	bubble("hangs", d.hangs)
	if d.Still.Trouble != 0 {
		bubble("nothing new", d.still)
	}
	t.Run("takes no memory", d.allocates)
}

func (d Device) components() (name string, list []fulmar.Component) {
	c := d.New()
	list = []fulmar.Component{c}
	if d.With != nil {
		list = append(list, d.With()...)
	}
	return d.New().Spec().Name, list
}

// run returns a machine that is up and well, and its neighbour.
func (d Device) run(t *testing.T, bus *Bus) (m *Machine, name string, other *neighbour) {
	t.Helper()
	name, list := d.components()
	other = &neighbour{}
	m = Run(t, Options(bus, append(list, other)...))
	m.Until(name, "ok", 2*time.Second, func(h fulmar.Health) bool { return IsOK(h) && h.Published > 0 })
	return m, name, other
}

// anotherChip is told with which chip is wanted and what is there, and the machine starts without it; when the right one is put in its
// place, the component comes.
func (d Device) anotherChip(t *testing.T) {
	bus := NewBus(d.Chip, d.Wrong)
	name, list := d.components()
	other := &neighbour{}
	m := Run(t, Options(bus, append(list, other)...))
	m.Until(name, "failed", 2*time.Second, func(h fulmar.Health) bool {
		return h.Status == fulmar.StatusFailed && strings.HasPrefix(h.LastError, "start: ") && strings.Contains(h.LastError, d.WrongError)
	})
	kept := other.keepsRate()
	bus.Set()
	m.Until(name, "there", 2*time.Second, IsOK)
	d.end(t, m, kept)
}

// silent is told after a few errors, then a failure; made again while it is silent it fails again; when the device answers again, so
// does the component. Everything else notices nothing.
func (d Device) silent(t *testing.T) {
	bus := NewBus(d.Chip)
	m, name, other := d.run(t, bus)
	kept := other.keepsRate()
	bus.Set(haltest.Fault{Trouble: haltest.Silent})
	m.Until(name, "degraded", time.Second, func(h fulmar.Health) bool {
		return h.Status == fulmar.StatusDegraded && h.Reason == "the device does not answer" && h.Restarts == 0
	})
	m.Until(name, "failed", 2*time.Second, func(h fulmar.Health) bool {
		return h.Status == fulmar.StatusFailed && strings.HasPrefix(h.LastError, "task ") && strings.Contains(h.LastError, hal.ErrNoAnswer.Error()) &&
			strings.HasSuffix(h.LastError, "times in a row")
	})
	m.Until(name, "failed in its start", 2*time.Second, func(h fulmar.Health) bool { return strings.HasPrefix(h.LastError, "start: ") })
	bus.Set()
	before := m.Health(name)
	m.Until(name, "back", 2*time.Second, func(h fulmar.Health) bool {
		return IsOK(h) && h.Published > before.Published && h.Restarts == before.Restarts+1 && h.LastError != ""
	})
	d.end(t, m, kept)
}

func (d Device) end(t *testing.T, m *Machine, kept func() error) {
	t.Helper()
	if err := kept(); err != nil {
		t.Error(err)
	}
	if err := m.Stop(); err != nil {
		t.Error(err)
	}
}

// silentForLong is no reason to give up: what is silent for ten minutes is back within 11 s.
func (d Device) silentForLong(t *testing.T) {
	bus := NewBus(d.Chip)
	m, name, other := d.run(t, bus)
	kept := other.keepsRate()
	bus.Set(haltest.Fault{Trouble: haltest.Silent})
	Pass(10 * time.Minute)
	bus.Set()
	m.Until(name, "back", 11*time.Second, IsOK)
	d.end(t, m, kept)
}

// momentary trouble, two calls, is not even told.
func (d Device) momentary(t *testing.T) {
	bus := NewBus(d.Chip)
	m, name, other := d.run(t, bus)
	kept := other.keepsRate()
	before := m.Health(name)
	bus.Set(haltest.Fault{Trouble: haltest.Silent, For: 2})
	for range 500 {
		Pass(time.Millisecond)
		if h := m.Health(name); h.Status != before.Status || h.ChangedSeq != before.ChangedSeq {
			t.Fatalf("two errors, and it is %v: %s", h.Status, h.Reason)
		}
	}
	d.end(t, m, kept)
}

// unplugged fails at once, and is back when it is plugged in again.
func (d Device) unplugged(t *testing.T) {
	bus := NewBus(d.Chip)
	m, name, other := d.run(t, bus)
	kept := other.keepsRate()
	period := d.New().Spec().Tasks[0].Period
	bus.Unplug(true)
	// The node looks after it as soon as it is told.
	took := m.Until(name, "failed", time.Second, func(h fulmar.Health) bool { return h.Status == fulmar.StatusFailed })
	if h := m.Health(name); took > 2*period || !strings.Contains(h.LastError, hal.ErrGone.Error()) {
		t.Errorf("after %s: %s", took, h.LastError)
	}
	m.Until(name, "failed in opening", time.Second, func(h fulmar.Health) bool { return strings.HasPrefix(h.LastError, "open bus i2c ") })
	bus.Unplug(false)
	m.Until(name, "back", 2*time.Second, func(h fulmar.Health) bool { return IsOK(h) && h.Restarts == 1 })
	d.end(t, m, kept)
}

// hangs: a call that does not end is given up, and another component takes the hung one's place when calls end again.
func (d Device) hangs(t *testing.T) {
	bus := NewBus(d.Chip)
	m, name, other := d.run(t, bus)
	kept := other.keepsRate()
	until := make(chan struct{})
	bus.Hang(until)
	m.Until(name, "failed", 3*time.Second, func(h fulmar.Health) bool { return h.Status == fulmar.StatusFailed })
	Pass(5 * time.Second)
	if err := kept(); err != nil {
		t.Error(err)
	}
	bus.Hang(nil)
	close(until)
	m.Until(name, "back", 15*time.Second, IsOK)
	d.end(t, m, kept)
}

// still: a device that answers and has nothing new is told, and set up anew.
func (d Device) still(t *testing.T) {
	bus := NewBus(d.Chip)
	m, name, other := d.run(t, bus)
	kept := other.keepsRate()
	before := m.Health(name)
	bus.Set(d.Still)
	m.Until(name, "degraded", 2*time.Second, func(h fulmar.Health) bool {
		return h.Status == fulmar.StatusDegraded && h.Reason == "nothing new"
	})
	m.Until(name, "set up anew", 2*time.Second, func(h fulmar.Health) bool { return h.Restarts == 1 })
	if h := m.Health(name); !strings.Contains(h.LastError, "the device has nothing new for 1s") || h.Published > before.Published+1 {
		t.Errorf("published %d, before %d; %s", h.Published, before.Published, h.LastError)
	}
	bus.Set()
	m.Until(name, "back", 2*time.Second, func(h fulmar.Health) bool { return IsOK(h) && h.Published > before.Published+1 })
	d.end(t, m, kept)
}

// allocates calls the steps as an executor does, in this goroutine.
func (d Device) allocates(t *testing.T) {
	for what, fault := range map[string]*haltest.Fault{"well": nil, "silent": {Trouble: haltest.Silent}, "still": &d.Still} {
		if fault == &d.Still && d.Still.Trouble == 0 {
			continue
		}
		t.Run(what, func(t *testing.T) {
			bus := NewBus(d.Chip)
			_, list := d.components()
			Allocates(t, Options(bus, list...), func() {
				if fault != nil {
					bus.Set(*fault)
				}
			}, func() { bus.Set() })
		})
	}
}

// Allocates says how much memory ten steps of a machine's tasks take, after it has run for 200 and then something has happened. It
// must be none. At the end of it the machine stops. That is fewer steps than a device may be silent or still.
func Allocates(t *testing.T, o node.Options, happens, ends func()) {
	t.Helper()
	o.RingBytes = 8 << 20 // nobody empties it
	n, err := node.New(o)
	if err == nil {
		err = errors.Join(n.Open(), n.Start(context.Background()))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ends()
		if err := errors.Join(n.Stop(context.Background()), n.Close(false)); err != nil {
			t.Error(err)
		}
	}()
	tasks := n.Tasks()
	tasks = tasks[:len(tasks)-1] // the last is the node's own
	now := time.Duration(0)
	step := func() {
		now += 20 * time.Millisecond
		for _, task := range tasks {
			if err := task.Step(now, 20*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			task.Leave()
		}
	}
	for range 200 {
		step()
	}
	happens()
	step() // an error's text is made once
	if got := testing.AllocsPerRun(8, step); got != 0 {
		t.Errorf("a step takes %v allocations", got)
	}
}
