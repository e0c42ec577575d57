package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fulmar-io/fulmar"
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
	for _, s := range specs {
		for _, d := range s.DependsOn {
			if _, ok := byName[d]; !ok {
				return nil, fmt.Errorf("node: %w: %q depends on %q, which this machine does not have", ErrGraph, s.Name, d)
			}
		}
	}
	placed := make([]bool, len(specs))
	var out []int
	for len(out) < len(specs) {
		before := len(out)
		for i, s := range specs {
			ready := !placed[i]
			for _, d := range s.DependsOn {
				ready = ready && placed[byName[d]]
			}
			if ready {
				placed[i] = true
				out = append(out, i)
			}
		}
		if len(out) == before {
			return nil, fmt.Errorf("node: %w: a cycle of dependencies: %s", ErrGraph, cycle(specs, byName, placed))
		}
	}
	return out, nil
}

// cycle walks from component to dependency until it meets one again, and names those in between.
func cycle(specs []fulmar.Spec, byName map[string]int, placed []bool) string {
	at := slices.Index(placed, false)
	var path []int
	for !slices.Contains(path, at) {
		path = append(path, at)
		for _, d := range specs[at].DependsOn {
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
