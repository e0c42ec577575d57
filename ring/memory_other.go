//go:build !unix

package ring

import (
	"errors"
	"unsafe"
)

// memory is the process's own here: what the ring holds is lost with the process.
type memory struct{ b []byte }

func createMemory(_ string, size int) (memory, error) {
	words := make([]uint64, (size+7)/8) // for the alignment of the atomics
	return memory{b: unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size)}, nil
}

func openMemory(string, bool) (memory, error) {
	return memory{}, errors.New("ring: open: this system has no shared memory that Fulmar can use")
}

func (m memory) name() string   { return "" }
func (m memory) share() error   { return nil }
func (m memory) bytes() []byte  { return m.b }
func (m memory) survives() bool { return false }
func (m memory) close() error   { return nil }
func (m memory) remove() error  { return nil }
