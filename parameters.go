package fulmar

import (
	"fmt"

	"github.com/fulmar-io/fulmar/config"
)

// Params are the parameters of a component: a struct T with a field for each, of the types that package config reads, with
// its tags: doc, min, max, choices; and unit for a UCUM unit. They are set by the machine's file and may be changed while the
// machine runs: each change is one version, which a task latches when its step begins. A parameter with the tag
// rebuild:"true" is only looked at when the component is made ready: for a change of it the component is rebuilt.
//
// If T has the method Validate() error, on its pointer, it decides which parameters fit together.
//
// The zero Params is ready for As.
type Params[T any] struct {
	defaults, value T
	cell            cell[T]
}

// Parameters are a component's parameters, as the machine sees them. Only Params implements it.
type Parameters interface {
	// Declared describes them, with their defaults.
	Declared() []config.Setting
	// Parse returns what base comes to under settings, later over earlier, to be given to Apply. Base is a *T, or nil for the
	// defaults. It changes nothing.
	Parse(base any, settings ...config.Raw) (values any, err error)
	// Apply makes values those in effect: a *T that Parse returned, of this or another component with the same parameters. It
	// is for one goroutine at a time.
	Apply(values any) error
	// Values returns a copy of those in effect, a *T.
	Values() any
}

// As declares the parameters, with their defaults.
func (p *Params[T]) As(defaults T) Parameters {
	p.defaults, p.value = defaults, defaults
	return p
}

// Get returns the parameters in effect, for Start and for what it calls. A task reads them through an In that is Of them.
func (p *Params[T]) Get() T { return p.value }

// Declared implements Parameters.
func (p *Params[T]) Declared() []config.Setting { return config.Describe(&p.defaults) }

// Parse implements Parameters.
func (p *Params[T]) Parse(base any, settings ...config.Raw) (any, error) {
	v := p.defaults
	if base != nil {
		b, ok := base.(*T)
		if !ok {
			return nil, fmt.Errorf("fulmar: %w: its parameters are %T, not %T", ErrSpec, &p.value, base)
		}
		v = *b
	}
	for _, r := range settings {
		if err := r.Decode(&v); err != nil {
			return nil, err
		}
	}
	return &v, nil
}

// Apply implements Parameters.
func (p *Params[T]) Apply(values any) error {
	v, ok := values.(*T)
	if !ok {
		return fmt.Errorf("fulmar: %w: its parameters are %T now, they were %T", ErrSpec, &p.value, values)
	}
	p.value = *v
	p.cell.init()
	p.cell.write(p.value)
	return nil
}

// Values implements Parameters.
func (p *Params[T]) Values() any {
	v := p.value
	return &v
}
