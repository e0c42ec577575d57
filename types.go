package fulmar

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fulmar-io/fulmar/telemetry"
)

// Type is a kind of component that a machine's file can name.
type Type struct {
	// Name is room/kind, each of a-z, 0-9, '-' and '_': "rover/drive".
	Name string
	// Doc says in a line what it is for.
	Doc string
	// New makes one with the defaults, without side effects.
	New func() Component
}

// Types are the kinds of components that a program knows. The zero Types knows none.
type Types struct{ types map[string]Type }

// Register adds types. It is called in main. A name that is not valid or that two types have is a bug, and it panics.
func (t *Types) Register(list ...Type) {
	if t.types == nil {
		t.types = make(map[string]Type)
	}
	for _, n := range list {
		if _, dup := t.types[n.Name]; dup || !validType(n.Name) || n.New == nil {
			panic(fmt.Sprintf("fulmar: type %q cannot be registered: its name must be room/kind, and it must have a New and no namesake", n.Name))
		}
		t.types[n.Name] = n
	}
}

func validType(name string) bool {
	i := slices.Index([]byte(name), '/')
	return i >= 0 && telemetry.ValidateDevice(name[:i]) == nil && telemetry.ValidateDevice(name[i+1:]) == nil
}

// Get returns the type with a name.
func (t *Types) Get(name string) (Type, bool) {
	found, ok := t.types[name]
	return found, ok
}

// Names returns the names of all types, sorted.
func (t *Types) Names() []string { return slices.Sorted(maps.Keys(t.types)) }
