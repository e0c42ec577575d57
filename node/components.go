package node

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/spec"
)

// ComponentSettings are what a machine's file says of one component.
type ComponentSettings struct {
	Type       string                      `required:"true" doc:"what it is, as fulmar check --types lists them"`
	Uses       map[string]string           `doc:"which component of this machine stands for one that the type names, among its dependencies and inputs"`
	Parameters config.Raw                  `doc:"what its type lets be set"`
	Hardware   map[string]ResourceSettings `doc:"which hardware stands behind each name that the type uses"`
	Tasks      map[string]TaskSettings     `doc:"when its tasks run, where that is to differ from the type's own"`
	Critical   *bool                       `doc:"the machine goes to its safe state when this component stays down"`
	Restart    RestartSettings             `doc:"how often it is rebuilt when it has failed; what is left out is as the type says"`
}

// ResourceSettings name a piece of hardware. What is left out is as the type says.
type ResourceSettings struct {
	Path    string `doc:"the host's name of the pin, bus or line, as i2c-1 or ttyACM0"`
	Address uint16 `doc:"of the device on an I2C bus" max:"127"`
	RateHz  uint32 `doc:"bit rate of a serial line, or fastest clock of an SPI device"`
	Mode    *uint8 `doc:"of an SPI device" max:"3"`
	PullUp  *bool  `doc:"holds an open input high"`
}

// TaskSettings say when a task runs. What is left out is as the type says.
type TaskSettings struct {
	Period   time.Duration  `doc:"between releases" min:"100us" max:"1h"`
	Offset   *time.Duration `doc:"of the first release" min:"0s" max:"1h"`
	Deadline time.Duration  `doc:"from the release" min:"1us" max:"1h"`
	Budget   time.Duration  `doc:"longest that a step takes" min:"1us" max:"1h"`
	OnMiss   string         `doc:"what becomes of releases that have passed" choices:"skip,catch-up,degrade,safe-state"`
	Priority *int           `doc:"the higher runs first" min:"0" max:"100"`
	Core     *int           `doc:"processor that it runs on" min:"0" max:"1023"`
	Stuck    time.Duration  `doc:"how long a step may take until it is given up" min:"1ms" max:"1h"`
}

// RestartSettings are a restart policy. What is left out is as the type says.
type RestartSettings struct {
	Never      bool          `doc:"it stays down when it has failed"`
	FromStart  *bool         `doc:"the machine starts without it when it cannot be made ready at the start, and goes on trying"`
	Backoff    time.Duration `doc:"how long the first rebuild waits" min:"1ms" max:"1h"`
	MaxBackoff time.Duration `doc:"and each further one at most" min:"1ms" max:"1h"`
	Most       int           `doc:"failures within window that are followed by a rebuild" min:"1" max:"1000"`
	Window     time.Duration `doc:"in which failures count" min:"1s" max:"24h"`
}

// Configured is a component with what its machine's file says of it.
type Configured struct {
	Name      string // of the component on this machine
	Component fulmar.Component
	Settings  ComponentSettings
}

// NewComponents makes the components that a machine's file names, of the types that the program knows, sorted by name.
// What is wrong with all of them is in the error, an *config.Error, with its places; nothing has side effects.
func (s *Settings) NewComponents(types *fulmar.Types, loaded *config.Loaded) ([]Configured, error) {
	var list []Configured
	var problems config.Error
	for _, name := range slices.Sorted(maps.Keys(s.Components)) {
		c := Configured{Name: name, Settings: s.Components[name]}
		key := "components." + name
		t, ok := types.Get(c.Settings.Type)
		if !ok {
			problems.Add(loaded.Wrong(key+".type", meant(c.Settings.Type, types.Names()), "no type is named %q", c.Settings.Type))
			continue
		}
		c.Component = t.New()
		if _, _, err := c.declare(c.Component); err != nil {
			if !problems.Add(err) {
				problems.Add(loaded.Wrong(key, "", "%s", err))
			}
			continue
		}
		c.Component = t.New() // that one was asked for its declaration, which a component is once
		list = append(list, c)
	}
	if len(problems.Problems) > 0 {
		return nil, &problems
	}
	return list, nil
}

func meant(name string, known []string) string {
	if near := config.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return "known are " + strings.Join(known, ", ")
}

// declare returns what a component calls itself, and what it declares, with what the file says over it.
func (c *Configured) declare(component fulmar.Component) (own string, s fulmar.Spec, err error) {
	s = component.Spec()
	own = s.Name
	if c == nil {
		return own, s, errors.Join(s.Validate(), parametersOf(&s, nil))
	}
	s.Name = c.Name
	s.DependsOn, s.Optional = slices.Clone(s.DependsOn), slices.Clone(s.Optional)
	for _, list := range [][]string{s.DependsOn, s.Optional} {
		for i, d := range list {
			list[i] = c.standsFor(own, d)
		}
	}
	if c.Settings.Critical != nil {
		s.Critical = *c.Settings.Critical
	}
	s.Restart = c.Settings.Restart.over(s.Restart)
	if err = errors.Join(c.hardware(&s), c.tasks(&s), parametersOf(&s, &c.Settings.Parameters)); err == nil {
		err = s.Validate()
	}
	return own, s, err
}

// standsFor returns which component stands for one that a type, which calls itself own, names.
func (c *Configured) standsFor(own, name string) string {
	if c == nil {
		return name
	}
	if other, ok := c.Settings.Uses[name]; ok {
		return other
	}
	if name == own {
		return c.Name
	}
	return name
}

// parametersOf puts a component's parameters into effect.
func parametersOf(s *fulmar.Spec, settings *config.Raw) error {
	if s.Parameters == nil {
		if settings != nil && !settings.IsZero() {
			return settings.Wrong("", "", "components of this type have no parameters")
		}
		return nil
	}
	var list []config.Raw
	if settings != nil {
		list = append(list, *settings)
	}
	values, err := s.Parameters.Parse(nil, list...)
	if err != nil {
		return err
	}
	return s.Parameters.Apply(values)
}

func (c *Configured) hardware(s *fulmar.Spec) error {
	for name, r := range c.Settings.Hardware {
		i := slices.IndexFunc(s.Hardware, func(h fulmar.Hardware) bool { return h.Name() == name })
		if i < 0 {
			var names []string
			for _, h := range s.Hardware {
				names = append(names, h.Name())
			}
			return fmt.Errorf("it has no hardware named %q; it has %s", name, listed(names))
		}
		s.Hardware[i].Use(r.over(s.Hardware[i].Resource()))
	}
	return nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (r ResourceSettings) over(h hal.Resource) hal.Resource {
	if r.Path != "" {
		h.Path = r.Path
	}
	if r.Address != 0 {
		h.Address = r.Address
	}
	if r.RateHz != 0 {
		h.RateHz = r.RateHz
	}
	if r.Mode != nil {
		h.Mode = *r.Mode
	}
	if r.PullUp != nil {
		h.PullUp = *r.PullUp
	}
	return h
}

func (c *Configured) tasks(s *fulmar.Spec) error {
	s.Tasks = slices.Clone(s.Tasks)
	for name, t := range c.Settings.Tasks {
		i := slices.IndexFunc(s.Tasks, func(t fulmar.Task) bool { return t.Name == name })
		if i < 0 {
			var names []string
			for _, t := range s.Tasks {
				names = append(names, t.Name)
			}
			return fmt.Errorf("it has no task named %q; it has %s", name, listed(names))
		}
		s.Tasks[i] = t.over(s.Tasks[i])
	}
	return nil
}

func (t TaskSettings) over(f fulmar.Task) fulmar.Task {
	for _, d := range []struct {
		from time.Duration
		to   *time.Duration
	}{{t.Period, &f.Period}, {t.Deadline, &f.Deadline}, {t.Budget, &f.Budget}, {t.Stuck, &f.Stuck}} {
		if d.from > 0 {
			*d.to = d.from
		}
	}
	if t.Offset != nil {
		f.Offset = *t.Offset
	}
	if t.Priority != nil {
		f.Priority = *t.Priority
	}
	if t.Core != nil {
		f.Core = fulmar.OnCore(*t.Core)
	}
	for p := spec.Skip; p <= spec.SafeState; p++ {
		if t.OnMiss == p.String() {
			f.OnMiss = p
		}
	}
	return f
}

func (r RestartSettings) over(f fulmar.Restart) fulmar.Restart {
	f.Never = f.Never || r.Never
	if r.FromStart != nil {
		f.FromStart = *r.FromStart
	}
	for _, d := range []struct {
		from time.Duration
		to   *time.Duration
	}{{r.Backoff, &f.Backoff}, {r.MaxBackoff, &f.MaxBackoff}, {r.Window, &f.Window}} {
		if d.from > 0 {
			*d.to = d.from
		}
	}
	if r.Most > 0 {
		f.Most = r.Most
	}
	return f
}
