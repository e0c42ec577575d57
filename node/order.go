package node

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/hal"
)

// ErrGraph is wrapped by every error about how components depend on each other.
var ErrGraph = errors.New("components do not fit together")

// order returns the indexes of specs such that each comes after what it depends on; among those that could come next,
// in the order given.
func order(specs []fulmar.Spec) ([]int, error) {
	byName := make(map[string]int, len(specs))
	for i, s := range specs {
		if _, dup := byName[s.Name]; dup {
			return nil, fmt.Errorf("node: %w: two components are named %q", ErrGraph, s.Name)
		}
		byName[s.Name] = i
	}
	names := slices.Sorted(maps.Keys(byName))
	for _, s := range specs {
		for _, d := range s.DependsOn {
			if _, ok := byName[d]; !ok {
				return nil, fmt.Errorf("node: %w: %q depends on %q, which this machine does not have: %s", ErrGraph, s.Name, d, meant(d, names))
			}
		}
	}
	placed := make([]bool, len(specs))
	var out []int
	for len(out) < len(specs) {
		had := len(out)
		for i, s := range specs {
			ready := !placed[i]
			for _, d := range before(s, byName) {
				ready = ready && placed[byName[d]]
			}
			if ready {
				placed[i] = true
				out = append(out, i)
			}
		}
		if len(out) == had {
			return nil, fmt.Errorf("node: %w: a cycle of dependencies: %s", ErrGraph, cycle(specs, byName, placed))
		}
	}
	return out, nil
}

// before returns what starts before a component: what it depends on, and what it can be without, if it is there.
func before(s fulmar.Spec, byName map[string]int) []string {
	list := slices.Clone(s.DependsOn)
	for _, o := range s.Optional {
		if _, ok := byName[o]; ok {
			list = append(list, o)
		}
	}
	return list
}

// owners looks whether a piece of hardware has two owners.
func owners(specs []fulmar.Spec) error {
	type owned struct {
		by string
		h  fulmar.Hardware
	}
	var all []owned
	for _, s := range specs {
		for _, h := range s.Hardware {
			r := h.Resource()
			for _, o := range all {
				if o.h.Resource().Same(r) {
					return fmt.Errorf("node: %w: %s %s belongs to both %q, as %s, and %q, as %s", ErrGraph, r.Kind, place(r), o.by, o.h.Name(), s.Name, h.Name())
				}
			}
			all = append(all, owned{s.Name, h})
		}
	}
	return nil
}

// place is a resource as a person would say it.
func place(r hal.Resource) string {
	if r.Kind == hal.KindI2C {
		return fmt.Sprintf("%s at %#02x", r.Path, r.Address)
	}
	return r.Path
}

// cycle walks from component to dependency until it meets one again, and names those in between.
func cycle(specs []fulmar.Spec, byName map[string]int, placed []bool) string {
	at := slices.Index(placed, false)
	var path []int
	for !slices.Contains(path, at) {
		path = append(path, at)
		for _, d := range before(specs[at], byName) {
			if !placed[byName[d]] {
				at = byName[d]
				break
			}
		}
	}
	var names []string
	for _, i := range append(path[slices.Index(path, at):], at) {
		names = append(names, specs[i].Name)
	}
	return strings.Join(names, " → ")
}
