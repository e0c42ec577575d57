package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/node"
)

// tuned is a component with parameters.
type tuned struct {
	name, before string
	lives        *atomic.Int64
	seen         *atomic.Value // tuning, of the last step
	fails        func(tuning) error
	refuses      func(tuning) error

	params fulmar.Params[tuning]
	in     fulmar.In[tuning]
}

type tuning struct {
	Gain  float64 `doc:"of the loop" min:"0" max:"10" unit:"1"`
	Limit float64 `doc:"at least gain" min:"0" max:"100"`
	Port  string  `doc:"of the device" rebuild:"true"`
}

func (t *tuning) Validate() error {
	if t.Limit < t.Gain {
		return config.Wrong("limit", "%v is less than gain, %v", t.Limit, t.Gain)
	}
	return nil
}

func newTuned(name, before string) *tuned {
	return &tuned{name: name, before: before, lives: new(atomic.Int64), seen: new(atomic.Value)}
}

func (c *tuned) Renew() fulmar.Component {
	return &tuned{name: c.name, before: c.before, lives: c.lives, seen: c.seen, fails: c.fails, refuses: c.refuses}
}

func (c *tuned) Spec() fulmar.Spec {
	s := fulmar.Spec{Name: c.name, Parameters: c.params.As(tuning{Gain: 1, Limit: 5, Port: "a"}), Tasks: []fulmar.Task{{
		Name: "loop", Period: 10 * time.Millisecond, Reads: []fulmar.Input{c.in.Of(&c.params)}, Step: c.loop}}}
	if c.before != "" {
		s.DependsOn = []string{c.before}
	}
	return s
}

func (c *tuned) Start(context.Context) error { c.lives.Add(1); return nil }

func (c *tuned) Accept(p any) error {
	if c.refuses != nil {
		return c.refuses(*p.(*tuning))
	}
	return nil
}

func (c *tuned) loop(*fulmar.Step) error {
	c.seen.Store(c.in.Get())
	if c.fails != nil {
		return c.fails(c.in.Get())
	}
	return nil
}

// reloading runs a machine in a bubble and does something to it while it runs.
func reloading(t *testing.T, do func(n *node.Node), change func(*node.Options), parts ...fulmar.Component) {
	t.Helper()
	o := options(parts...)
	if change != nil {
		change(&o)
	}
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	<-time.After(time.Second)
	do(n)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func set(n *node.Node, component string, keysAndValues ...string) (uint64, []node.Change, error) {
	m := make(map[string]string)
	for i := 0; i < len(keysAndValues); i += 2 {
		m[keysAndValues[i]] = keysAndValues[i+1]
	}
	return n.Set(context.Background(), "the test", map[string]map[string]string{component: m})
}

// A change takes effect in the next step. What must be made anew for it is, with what depends on it; nothing else is.
func TestParametersChangeWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, drive, other := newTuned("bus", ""), newTuned("drive", "bus"), newTuned("other", "")
		reloading(t, func(n *node.Node) {
			v, changes, err := set(n, "bus", "gain", "2", "limit", "7")
			if err != nil || v != 1 || fmt.Sprint(changes) != "[bus.gain 1 → 2 bus.limit 5 → 7]" {
				t.Fatalf("version %d, %v, %v", v, changes, err)
			}
			<-time.After(11 * time.Millisecond)
			if got := bus.seen.Load(); got != (tuning{2, 7, "a"}) {
				t.Errorf("a step saw %+v", got)
			}
			if got := drive.seen.Load(); got != (tuning{1, 5, "a"}) {
				t.Errorf("another component's step saw %+v", got)
			}
			if v, changes, err := set(n, "bus", "gain", "2"); v != 1 || len(changes) != 0 || err != nil {
				t.Errorf("what changes nothing is version %d: %v, %v", v, changes, err)
			}
			if bus.lives.Load() != 1 {
				t.Error("a parameter that is latched by each step rebuilt its component")
			}
			if v, _, err := set(n, "bus", "port", "b"); err != nil || v != 2 {
				t.Fatalf("version %d, %v", v, err)
			}
			<-time.After(300 * time.Millisecond)
			if bus.lives.Load() != 2 || drive.lives.Load() != 2 || other.lives.Load() != 1 {
				t.Errorf("lives: bus %d, drive, which depends on it, %d, other %d", bus.lives.Load(), drive.lives.Load(), other.lives.Load())
			}
			if got := bus.seen.Load(); got != (tuning{2, 7, "b"}) {
				t.Errorf("after the rebuild a step saw %+v", got)
			}
		}, nil, bus, drive, other)
	})
}

// Of a version of which one value is wrong, or which a component refuses, nothing takes effect.
func TestAVersionIsWholeOrNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, drive := newTuned("bus", ""), newTuned("drive", "bus")
		drive.refuses = func(p tuning) error {
			if p.Gain == 3 {
				return errors.New("not while it turns")
			}
			return nil
		}
		reloading(t, func(n *node.Node) {
			for want, with := range map[string]map[string]map[string]string{
				"gain: 11 is more than 10":                {"bus": {"gain": "2"}, "drive": {"gain": "11"}},
				"limit: 5 is less than gain, 6":           {"bus": {"gain": "6"}},
				"did you mean gain?":                      {"bus": {"gian": "2"}},
				`component "drive" refuses: not while it`: {"bus": {"gain": "2"}, "drive": {"gain": "3"}},
				`no component "wheel" has parameters`:     {"bus": {"gain": "2"}, "wheel": {"gain": "2"}},
				"want a number, got a string \"fast\"":    {"bus": {"gain": "fast"}},
			} {
				v, _, err := n.Set(t.Context(), "the test", with)
				if err == nil || !strings.Contains(err.Error(), want) || v != 0 {
					t.Errorf("%v: version %d, %v", with, v, err)
				}
			}
			<-time.After(11 * time.Millisecond)
			if got := bus.seen.Load(); got != (tuning{1, 5, "a"}) {
				t.Errorf("a step saw %+v of a version that was refused", got)
			}
		}, nil, bus, drive)
	})
}

// A component that fails within the probation of its new parameters gets the old ones back; later its failure is its own.
func TestAFailureInProbationRollsBack(t *testing.T) {
	for _, within := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var bad atomic.Bool
			bus, drive := newTuned("bus", ""), newTuned("drive", "bus")
			drive.fails = func(p tuning) error {
				if p.Gain == 4 && bad.Load() {
					bad.Store(false)
					return errors.New("it swings")
				}
				return nil
			}
			reloading(t, func(n *node.Node) {
				if _, _, err := n.Set(t.Context(), "the test", map[string]map[string]string{"bus": {"gain": "2"}, "drive": {"gain": "4"}}); err != nil {
					t.Fatal(err)
				}
				<-time.After(500 * time.Millisecond)
				if !within {
					<-time.After(10 * time.Second)
				}
				bad.Store(true)
				<-time.After(500 * time.Millisecond)
				want := map[bool]tuning{true: {1, 5, "a"}, false: {4, 5, "a"}}[within]
				if got := drive.seen.Load(); got != want || drive.lives.Load() != 2 {
					t.Errorf("failed within its probation: %v; it has %+v in its life %d", within, got, drive.lives.Load())
				}
				want = map[bool]tuning{true: {1, 5, "a"}, false: {2, 5, "a"}}[within]
				if got := bus.seen.Load(); got != want || bus.lives.Load() != 1 {
					t.Errorf("failed within its probation: %v; what was changed with it has %+v in its life %d", within, got, bus.lives.Load())
				}
			}, nil, bus, drive)
		})
	}
}

// What a change breaks may be what depends on the component that is changed.
func TestAFailureOfWhatDependsOnItRollsBackToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, drive := newTuned("bus", ""), newTuned("drive", "bus")
		broken := func(tuning) error {
			if got, ok := bus.seen.Load().(tuning); ok && got.Gain == 4 {
				return errors.New("it swings")
			}
			return nil
		}
		drive.fails = broken
		reloading(t, func(n *node.Node) {
			if _, _, err := set(n, "bus", "gain", "4"); err != nil {
				t.Fatal(err)
			}
			<-time.After(500 * time.Millisecond)
			if got := bus.seen.Load(); got != (tuning{1, 5, "a"}) || bus.lives.Load() != 1 || drive.lives.Load() != 2 {
				t.Errorf("the bus has %+v in its life %d, the drive is in its %d", got, bus.lives.Load(), drive.lives.Load())
			}
		}, nil, bus, drive)
	})
}

// touchy is a component whose Validate panics, and whose Accept does not return, for some values.
type touchy struct{ params fulmar.Params[touchyParams] }

type touchyParams struct{ Gain int }

func (p *touchyParams) Validate() error {
	if p.Gain == 3 {
		panic("three")
	}
	return nil
}

func (c *touchy) Accept(p any) error {
	if p.(*touchyParams).Gain == 4 {
		<-time.After(time.Minute)
	}
	return nil
}

func (c *touchy) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "touchy", Parameters: c.params.As(touchyParams{Gain: 1}), Tasks: []fulmar.Task{{Name: "rest", Period: time.Second,
		Step: func(*fulmar.Step) error { return nil }}}}
}

// A component that panics or hangs when it is asked about its parameters refuses them. The machine goes on.
func TestAComponentFailsWhenItIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reloading(t, func(n *node.Node) {
			for value, want := range map[string]string{"3": "panic: three", "4": "refuses: took longer than 1s"} {
				if v, _, err := set(n, "touchy", "gain", value); v != 0 || err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("gain %s: version %d, %v", value, v, err)
				}
			}
			if v, _, err := set(n, "touchy", "gain", "2"); v != 1 || err != nil {
				t.Errorf("version %d, %v", v, err)
			}
			<-time.After(time.Minute) // Accept returns
		}, nil, &touchy{})
	})
}

const machineText = `
device: rover
components:
  bus: {type: test/tuned, parameters: {gain: 2}}
  drive: {type: test/tuned, uses: {one: bus}, tasks: {loop: {period: 20ms}}}
`

// A machine's file is reloaded: parameters take effect, what only a start can put into effect is named.
func TestTheFileIsReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := newTuned("tuned", "")
		types := new(fulmar.Types)
		types.Register(fulmar.Type{Name: "test/tuned", New: func() fulmar.Component { return bus.Renew() }})
		read := func(text string) ([]node.Configured, error) {
			s, loaded, err := loadFile(t, text)
			if err != nil {
				return nil, err
			}
			return s.NewComponents(types, loaded)
		}
		first, err := read(machineText)
		if err != nil {
			t.Fatal(err)
		}
		reloading(t, func(n *node.Node) {
			reload := func(old, other string) (uint64, []node.Change, error) {
				return n.Reload(t.Context(), "the file", func() ([]node.Configured, error) { return read(strings.Replace(machineText, old, other, 1)) })
			}
			if v, changes, err := reload("gain: 2", "gain: 3"); v != 1 || fmt.Sprint(changes) != "[bus.gain 2 → 3]" || err != nil {
				t.Errorf("version %d, %v, %v", v, changes, err)
			}
			if v, changes, err := reload(", parameters: {gain: 2}", ""); v != 2 || fmt.Sprint(changes) != "[bus.gain 3 → 1]" || err != nil {
				t.Errorf("what is left out: version %d, %v, %v", v, changes, err)
			}
			for _, c := range []struct{ old, other, want string }{
				{"20ms", "30ms", "components.drive.tasks.loop.period is another"},
				{"uses: {one: bus}, ", "", "components.drive is another"},
				{"  drive:", "  steer:", `component "steer" is new`},
				{"  drive:", "  steer:", `component "drive" is gone`},
				{"test/tuned, p", "test/tune, p", "did you mean test/tuned?"},
				{"gain: 2", "gain: 20", "m.yaml:4:46: components.bus.parameters.gain: 20 is more than 10"},
			} {
				if v, _, err := reload(c.old, c.other); err == nil || !strings.Contains(err.Error(), c.want) || v != 2 {
					t.Errorf("%s for %s: version %d, %v", c.other, c.old, v, err)
				}
			}
		}, func(o *node.Options) { o.Configured = first })
	})
}

// What was set stays set when the file is read again and says for it what it did, also while what was set is on its probation.
func TestWhatIsSetStaysWhenTheFileIsReloaded(t *testing.T) {
	for _, wait := range []time.Duration{time.Second, 15 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			bus := newTuned("tuned", "")
			types := new(fulmar.Types)
			types.Register(fulmar.Type{Name: "test/tuned", New: func() fulmar.Component { return bus.Renew() }})
			read := func(text string) ([]node.Configured, error) {
				s, loaded, err := loadFile(t, text)
				if err != nil {
					return nil, err
				}
				return s.NewComponents(types, loaded)
			}
			first, err := read(machineText)
			if err != nil {
				t.Fatal(err)
			}
			reloading(t, func(n *node.Node) {
				if _, _, err := set(n, "bus", "gain", "4"); err != nil {
					t.Fatal(err)
				}
				<-time.After(wait)
				for _, c := range []struct{ text, want string }{
					{machineText, "[]"},
					{strings.Replace(machineText, "gain: 2", "gain: 2, limit: 7", 1), "[bus.limit 5 → 7]"},
					{strings.Replace(machineText, "gain: 2", "gain: 3, limit: 7", 1), "[bus.gain 4 → 3]"},
				} {
					_, changes, err := n.Reload(t.Context(), "the file", func() ([]node.Configured, error) { return read(c.text) })
					if fmt.Sprint(changes) != c.want || err != nil {
						t.Errorf("%s after it was set, the file changes %v, want %s; %v", wait, changes, c.want, err)
					}
				}
			}, func(o *node.Options) { o.Configured = first })
		})
	}
}

func TestWhatDoesNotRunIsNotReloaded(t *testing.T) {
	n, err := node.New(options(newTuned("bus", "")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := n.Set(ctx, "the test", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// course is a component whose parameters are a list.
type course struct {
	lives  *atomic.Int64
	params fulmar.Params[waypoints]
}

type waypoints struct {
	Way []string `rebuild:"true"`
}

func (c *course) Renew() fulmar.Component     { return &course{lives: c.lives} }
func (c *course) Start(context.Context) error { c.lives.Add(1); return nil }

func (c *course) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "course", Parameters: c.params.As(waypoints{Way: []string{"home"}}),
		Tasks: []fulmar.Task{{Name: "go", Period: time.Second, Step: func(*fulmar.Step) error { return nil }}}}
}

// A list is compared item by item, and changed in the machine's file only.
func TestListsAreReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lives atomic.Int64
		types := new(fulmar.Types)
		types.Register(fulmar.Type{Name: "test/course", New: func() fulmar.Component { return &course{lives: &lives} }})
		read := func(way string) ([]node.Configured, error) {
			s, loaded, err := loadFile(t, "device: rover\ncomponents: {course: {type: test/course, parameters: {way: "+way+"}}}\n")
			if err != nil {
				return nil, err
			}
			return s.NewComponents(types, loaded)
		}
		first, err := read("[gate, pier]")
		if err != nil {
			t.Fatal(err)
		}
		reloading(t, func(n *node.Node) {
			want := int64(1)
			for _, c := range []struct{ way, changes string }{
				{"[gate, pier]", "[]"},
				{"[gate, pier, home]", "[course.way[2]  → home]"},
				{"[pier]", "[course.way[0] gate → pier course.way[1] pier →  course.way[2] home → ]"},
			} {
				_, changes, err := n.Reload(t.Context(), "the file", func() ([]node.Configured, error) { return read(c.way) })
				if err != nil || fmt.Sprint(changes) != c.changes {
					t.Errorf("%s: %v, %v", c.way, changes, err)
				}
				if len(changes) > 0 {
					want++
				}
				<-time.After(time.Second)
				if lives.Load() != want {
					t.Errorf("%s: it is in its life %d, want %d", c.way, lives.Load(), want)
				}
			}
			if _, _, err := set(n, "course", "way", "home"); err == nil || !strings.Contains(err.Error(), "can be changed in the machine's file only") {
				t.Error(err)
			}
		}, func(o *node.Options) { o.Configured = first })
	})
}
