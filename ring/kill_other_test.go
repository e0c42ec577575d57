//go:build !linux

package ring_test

import "testing"

func TestSIGKILLLosesNothingThatWasPublished(t *testing.T) {
	t.Skip("only Linux has /dev/shm, ptrace and the memory that these tests share with a process that they kill")
}
