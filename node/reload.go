package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/config"
)

// ErrRestart is wrapped by the error of Reload when something has changed that only another start can put into effect.
var ErrRestart = errors.New("it takes effect when the machine is started again")

// errEnded is what Reload returns when the machine does not run.
var errEnded = errors.New("node: the machine does not run")

// A Change is a parameter that got another value.
type Change struct{ Component, Parameter, From, To string }

// String returns component.parameter from → to.
func (c Change) String() string {
	return fmt.Sprintf("%s.%s %s → %s", c.Component, c.Parameter, c.From, c.To)
}

// version is a set of parameters in effect.
type version struct {
	number uint64
	until  time.Duration // the end of its probation
	before []values      // what it replaced, to go back to
	set    []values      // what is to be remembered on disk after the probation
}

// values are the parameters of one component.
type values struct {
	part    *part
	values  any // a pointer to what the component declared
	changes []Change
	rebuild bool // one of them is only looked at when the component is made ready
}

// request is a wish that the node's goroutine fulfils.
type request struct {
	prepare func() ([]values, error)
	set     bool // it is to be remembered on disk
	from    string
	done    chan result
}

type result struct {
	version uint64
	changes []Change
	err     error
}

// Reload puts the parameters that a machine's file, which read reads, says into effect: all of them as one version, or none. Before anything changes
// all are validated, and each component that is an Accepter is asked. What is only looked at when a component is made ready
// rebuilds it with its dependants; what is not leaves them running. It returns the version's number and what it changes; if that
// is nothing there is no new version. If a component that it changes, or that depends on one, fails within Probation it is rolled back.
//
// It may be called from any goroutine while Run or RunControl runs. From names the cause, for the event that tells of it.
func (n *Node) Reload(ctx context.Context, from string, read func() ([]Configured, error)) (uint64, []Change, error) {
	return n.request(ctx, request{from: from, prepare: func() ([]values, error) {
		configured, err := read()
		if err != nil {
			return nil, err
		}
		return n.compare(configured)
	}})
}

// Set is Reload of single parameters, by component and key, over what is in effect, each as a file would have it. Once their
// probation has passed they are remembered on disk, and are in effect after the next start too, until the machine's file says
// something else for them than now.
func (n *Node) Set(ctx context.Context, from string, parameters map[string]map[string]string) (uint64, []Change, error) {
	return n.request(ctx, request{from: from, set: true, prepare: func() ([]values, error) { return n.over(parameters, from) }})
}

func (n *Node) request(ctx context.Context, r request) (uint64, []Change, error) {
	r.done = make(chan result, 1)
	select {
	case n.requests <- r:
	case <-n.ended:
		return 0, nil, errEnded
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	select {
	case got := <-r.done:
		return got.version, got.changes, got.err
	case <-n.ended:
		return 0, nil, errEnded
	}
}

// compare returns the parameters that a file changes. It changes nothing.
func (n *Node) compare(configured []Configured) ([]values, error) {
	var list []values
	var errs []error
	seen := make(map[string]bool)
	kept := n.remembered()
	for _, c := range configured {
		p := n.part(c.Name)
		if p == nil || p.as == nil {
			errs = append(errs, fmt.Errorf("component %q is new: %w", c.Name, ErrRestart))
			continue
		}
		seen[c.Name] = true
		if err := p.as.same(c); err != nil {
			errs = append(errs, err)
			continue
		}
		if p.spec.Parameters == nil {
			continue
		}
		to, err := p.spec.Parameters.Parse(nil, c.Settings.Parameters)
		if err == nil && len(kept[p.name]) > 0 {
			to, err = p.overlay(to, kept[p.name])
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, p.changed(to)...)
	}
	for _, p := range n.parts {
		if p.as != nil && !seen[p.name] {
			errs = append(errs, fmt.Errorf("component %q is gone: %w", p.name, ErrRestart))
		}
	}
	return list, errors.Join(errs...)
}

// same says what of a component's settings other than its parameters has changed.
func (c *Configured) same(o Configured) error {
	now, then := o.Settings, c.Settings
	now.Parameters, then.Parameters = config.Raw{}, config.Raw{}
	if a, b := config.ValuesOf(&then), config.ValuesOf(&now); !slices.Equal(a, b) {
		for _, v := range b {
			if !slices.Contains(a, v) {
				return fmt.Errorf("components.%s.%s is another: %w", c.Name, v.Key, ErrRestart)
			}
		}
		return fmt.Errorf("components.%s is another: %w", c.Name, ErrRestart)
	}
	return nil
}

// over returns what single parameters change.
func (n *Node) over(parameters map[string]map[string]string, from string) ([]values, error) {
	var list []values
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		p := n.part(name)
		if p == nil || p.spec.Parameters == nil {
			errs = append(errs, fmt.Errorf("node: no component %q has parameters", name))
			continue
		}
		to, err := p.spec.Parameters.Parse(p.spec.Parameters.Values(), config.Text(parameters[name], from))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		changed := p.changed(to)
		for _, c := range changesOf(changed) {
			if strings.Contains(c.Parameter, "[") { // items of a list have no key of their own under which it could be remembered
				errs = append(errs, fmt.Errorf("node: %s.%s is of a list: it can be changed in the machine's file only", name, c.Parameter))
			}
		}
		list = append(list, changed...)
	}
	return list, errors.Join(errs...)
}

// changed returns what is to be changed for a component's parameters to be others; nothing if they are.
func (p *part) changed(to any) []values {
	v := values{part: p, values: to}
	now := textsOf(p.spec.Parameters.Values())
	rebuilds := make(map[string]bool)
	for _, d := range p.spec.Parameters.Declared() {
		rebuilds[d.Key] = d.Tag.Get("rebuild") == "true"
	}
	note := func(c Change) {
		key, _, _ := strings.Cut(c.Parameter, "[") // of a list, for its items
		v.changes, v.rebuild = append(v.changes, c), v.rebuild || rebuilds[key]
	}
	for _, next := range config.ValuesOf(to) {
		from, had := now[next.Key]
		if delete(now, next.Key); !had || from != next.Value {
			note(Change{Component: p.name, Parameter: next.Key, From: from, To: next.Value})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(now)) { // items that a list has no more
		note(Change{Component: p.name, Parameter: key, From: now[key]})
	}
	if len(v.changes) == 0 {
		return nil
	}
	return []values{v}
}

// fulfil does what was asked for.
func (n *Node) fulfil(ctx context.Context, e Executor, r request) {
	var list []values
	err := guarded(func() (err error) { list, err = r.prepare(); return err }) // it may call a component's Validate
	for _, v := range list {
		a, ok := v.part.component.(fulmar.Accepter)
		if err == nil && ok {
			if err = n.bounded(ctx, func(context.Context) error { return a.Accept(v.values) }); err != nil {
				err = fmt.Errorf("component %q refuses: %w", v.part.name, err)
			}
		}
		if _, renews := v.part.component.(fulmar.Renewer); err == nil && v.rebuild && !renews {
			err = fmt.Errorf("%s: the component cannot be made again: %w", v.changes[0], ErrRestart)
		}
	}
	if err != nil {
		n.o.Logger.Error("settings refused; the ones before stay", "from", r.from, "error", err)
		n.house.event(fulmar.Error, fmt.Sprintf("settings of %s refused, version %d stays: %v", r.from, n.version.number, err))
		r.done <- result{version: n.version.number, err: err}
		return
	}
	if len(list) == 0 {
		r.done <- result{version: n.version.number}
		return
	}
	if n.version.set != nil {
		n.keep() // who changes more has accepted what was before
	}
	before := n.apply(ctx, e, list)
	n.version = version{number: n.version.number + 1, until: n.now() + n.o.Probation, before: before}
	changes := changesOf(list)
	if r.set {
		n.version.set = list
	} else {
		n.forget(changes)
	}
	n.o.Logger.Info("settings changed", "version", n.version.number, "from", r.from, "changes", texts(changes))
	n.house.event(fulmar.Info, fmt.Sprintf("settings version %d of %s: %s", n.version.number, r.from, texts(changes)))
	r.done <- result{version: n.version.number, changes: changes}
}

func changesOf(list []values) (all []Change) {
	for _, v := range list {
		all = append(all, v.changes...)
	}
	return all
}

func texts(changes []Change) string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.String()
	}
	return strings.Join(list, ", ")
}

// apply puts parameters into effect, takes down what has to be rebuilt for it, and returns how to go back.
func (n *Node) apply(ctx context.Context, e Executor, list []values) (before []values) {
	for _, v := range list {
		before = append(before, values{part: v.part, values: v.part.spec.Parameters.Values(), changes: reversed(v.changes), rebuild: v.rebuild})
		if err := v.part.spec.Parameters.Apply(v.values); err != nil {
			n.o.Logger.Error("parameters cannot be applied", "component", v.part.name, "error", err) // not reached: they are of its type
		}
	}
	for _, v := range list {
		if v.rebuild && v.part.state == up {
			n.takeOut(ctx, e, v.part, "it is made anew for version "+fmt.Sprint(n.version.number+1)+" of the settings")
		}
	}
	return before
}

func reversed(changes []Change) []Change {
	list := slices.Clone(changes)
	for i, c := range list {
		list[i].From, list[i].To = c.To, c.From
	}
	return list
}

// takeOut takes a component down, and what depends on it, to be rebuilt at once.
func (n *Node) takeOut(ctx context.Context, e Executor, p *part, reason string) {
	now := n.now()
	for _, q := range slices.Backward(n.dependants(p)) {
		n.takeDown(ctx, e, q)
		q.to(waiting)
		q.until = now
		q.monitor.Set(fulmar.StatusStopped, reason)
	}
}

// needs reports whether a component is, or depends on, another, directly or not.
func (n *Node) needs(p *part, name string) bool {
	return p.name == name || slices.ContainsFunc(p.spec.DependsOn, func(d string) bool { return n.needs(n.part(d), name) })
}

// rollBack goes back to the parameters before, if a component failed that the version in probation changed, or that depends on
// one. The component is down already.
func (n *Node) rollBack(ctx context.Context, e Executor, p *part, cause error) {
	v := n.version
	if v.before == nil || n.now() > v.until || !slices.ContainsFunc(v.before, func(b values) bool { return n.needs(p, b.part.name) }) {
		return
	}
	n.apply(ctx, e, v.before)
	n.version = version{number: v.number + 1}
	n.o.Logger.Error("settings rolled back", "version", n.version.number, "component", p.name, "error", cause)
	n.house.event(fulmar.Error, fmt.Sprintf("settings version %d rolled back, version %d is as before it: %s failed: %v; %s",
		v.number, n.version.number, p.name, cause, texts(changesOf(v.before))))
}
