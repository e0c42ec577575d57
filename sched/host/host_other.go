//go:build !linux

package host

import "runtime"

// Prepare takes nothing.
func Prepare() *Taken { return &Taken{Findings: Inspect("/")} }

// Raise does nothing.
func (t *Taken) Raise() error { return nil }

// Ordinary does nothing.
func Ordinary() error { return nil }

// Inspect says that there is nothing to be inspected.
func Inspect(string) []Finding {
	return []Finding{{What: "real time", Grade: Bad, Detail: runtime.GOOS + " has none that Go can use; tasks run in ordinary time"}}
}
