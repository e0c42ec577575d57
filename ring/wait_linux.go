package ring

import (
	"context"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The operations of futex(2), without the flag that says that the word is one process's alone.
const (
	futexWait = 0
	futexWake = 1
	everybody = 1<<31 - 1
)

// listen waits until another value than seen is in the word, which may have been so before, or until listenFor is over. That ctx ends is
// noticed then.
func listen(_ context.Context, word *atomic.Uint32, seen uint32) {
	most := unix.NsecToTimespec(int64(listenFor))
	// Whatever it returns (woken, another value, time is up, a signal) the caller looks again.
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(seen), uintptr(unsafe.Pointer(&most)), 0, 0)
}

// wake wakes who listens, in any process.
func wake(word *atomic.Uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, everybody, 0, 0, 0)
}
