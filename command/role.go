package command

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what a person, or a program, may do. Each role may do what those before it may.
type Role string

// The roles, the least first. They are part of orders, declarations and a ground's accounts.
const (
	Viewer   Role = "viewer"   // sees everything that machines tell
	Operator Role = "operator" // commands machines as well
	Admin    Role = "admin"    // does whatever can be done
)

// Roles are all of them, the least first.
func Roles() []Role { return []Role{Viewer, Operator, Admin} }

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// Allows reports whether r may do what needs the role need. What is no role allows nothing, and nothing allows it.
func (r Role) Allows(need Role) bool {
	have, want := slices.Index(Roles(), r), slices.Index(Roles(), need)
	return have >= 0 && want >= 0 && have >= want
}

// ParseRole reads a role as people write it.
func ParseRole(s string) (Role, error) {
	if r := Role(s); r.Valid() {
		return r, nil
	}
	names := make([]string, 0, len(Roles()))
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return "", fmt.Errorf("role %q: it is one of %s", s, strings.Join(names, ", "))
}

// Risk is what giving a command may cost. Whoever asks a person for it asks again accordingly.
type Risk string

// The risks.
const (
	Safe    Risk = "safe"    // can be undone, moves nothing: given at once
	Caution Risk = "caution" // something moves or stops: a person confirms it
	Danger  Risk = "danger"  // may do harm or cannot be undone: a person writes the machine's name to confirm it
)

// Valid reports whether r is one of the risks.
func (r Risk) Valid() bool { return r == Safe || r == Caution || r == Danger }
