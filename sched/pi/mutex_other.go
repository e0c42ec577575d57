//go:build !linux

package pi

import (
	"errors"
	"sync"
)

// Mutex is a sync.Mutex on this system, and inherits nothing. Its zero value is unlocked. It must not be copied after its
// first use.
type Mutex struct {
	plain sync.Mutex
}

var errNone = errors.New("pi: this system has no lock that inherits priorities and that Go can use")

// Inherits reports why mutexes do not inherit here, or nil if they do. It says the same throughout the life of a process.
func Inherits() error { return errNone }

// Lock takes the lock, and waits for it if another has it.
func (m *Mutex) Lock() { m.plain.Lock() }

// TryLock takes the lock if nobody has it, and reports whether it did.
func (m *Mutex) TryLock() bool { return m.plain.TryLock() }

// Unlock gives the lock to one of those who wait, or to nobody.
func (m *Mutex) Unlock() { m.plain.Unlock() }
