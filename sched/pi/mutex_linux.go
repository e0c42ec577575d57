package pi

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of the kernel's linux/futex.h. Private: the word is of this process alone.
const (
	private  = 128
	lockPI   = 6 | private
	unlockPI = 7 | private

	ownerDied = 0x40000000
	tidMask   = 0x3fffffff
)

// Mutex is a lock that hands the priority of who waits on to the thread that has it. Its zero value is unlocked. It must
// not be copied after its first use, and may be locked by any goroutine, but is unlocked by the one that locked it. It
// guards nothing across processes.
//
// What can only be a bug panics: locking what one has, or in a circle with others; unlocking what one has not; and locking what a
// goroutine had that has ended with it. The last is noticed by the end of its thread, hence not if that was the process's main
// thread, which goes on, or if the kernel has given the thread's name to another. Where Inherits says no, a Mutex is a sync.Mutex,
// and notices as little.
type Mutex struct {
	word     atomic.Uint32 // of futex(2): 0, or the thread that has the lock, and a bit if others wait
	orphaned atomic.Bool   // an owner has ended; never reset
	plain    sync.Mutex    // the lock where the kernel has none that inherits
}

// Inherits reports why mutexes do not inherit here, or nil if they do. It says the same throughout the life of a process.
func Inherits() error { return inherits() }

var inherits = sync.OnceValue(func() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var m Mutex
	if errno := m.futex(lockPI); errno != 0 {
		return fmt.Errorf("pi: kernel without FUTEX_LOCK_PI: %w", errno)
	}
	if errno := m.futex(unlockPI); errno != 0 {
		return fmt.Errorf("pi: kernel without FUTEX_UNLOCK_PI: %w", errno)
	}
	return nil
})

// Lock takes the lock, and waits for it if another has it. The goroutine is locked to its thread until Unlock.
func (m *Mutex) Lock() {
	if Inherits() != nil {
		m.plain.Lock()
		return
	}
	runtime.LockOSThread() // first: until then the goroutine may move to another thread than the one it has asked
	tid := uint32(unix.Gettid())
	if !m.word.CompareAndSwap(0, tid) {
		m.wait(tid)
	}
	if m.orphaned.Load() {
		m.refuse(tid)
	}
}

// TryLock takes the lock if nobody has it, and reports whether it did.
func (m *Mutex) TryLock() bool {
	if Inherits() != nil {
		return m.plain.TryLock()
	}
	if m.word.Load() != 0 {
		return false
	}
	runtime.LockOSThread()
	tid := uint32(unix.Gettid())
	if !m.word.CompareAndSwap(0, tid) {
		runtime.UnlockOSThread()
		return false
	}
	if m.orphaned.Load() {
		m.refuse(tid)
	}
	return true
}

// Unlock gives the lock to the most urgent of those who wait, or to nobody.
func (m *Mutex) Unlock() {
	if Inherits() != nil {
		m.plain.Unlock()
		return
	}
	if tid := uint32(unix.Gettid()); !m.word.CompareAndSwap(tid, 0) {
		// Adding no bit changes nothing but what the race detector knows: it sees this, and not what the kernel writes. The
		// load in wait is the other end.
		if m.word.Or(0)&tidMask != tid {
			panic("pi: unlock: this goroutine does not have the lock")
		}
		m.hand()
	}
	runtime.UnlockOSThread()
}

// wait lets the kernel take the lock, or finds it orphaned.
func (m *Mutex) wait(tid uint32) {
	for !m.orphaned.Load() {
		switch errno := m.futex(lockPI); errno {
		case 0:
			if m.word.Load()&ownerDied != 0 { // and the kernel has let this thread inherit the lock itself
				m.orphaned.Store(true)
			}
			return
		case unix.EINTR, unix.EAGAIN: // a signal; an owner that is just ending
		case unix.ESRCH:
			m.orphaned.Store(true)
		case unix.EDEADLK:
			runtime.UnlockOSThread()
			if m.word.Load()&tidMask == tid {
				panic("pi: lock: this goroutine has the lock already")
			}
			panic("pi: lock: deadlock: who has the lock waits for one of this goroutine's")
		default:
			runtime.UnlockOSThread()
			panic("pi: lock: FUTEX_LOCK_PI: " + errno.Error())
		}
	}
}

// refuse ends a Lock of an orphan. Those who wait for it, if the kernel has given it to this thread, are told one after the other.
func (m *Mutex) refuse(tid uint32) {
	if m.word.Or(0)&tidMask == tid {
		m.hand()
	}
	runtime.UnlockOSThread()
	panic("pi: lock: a goroutine has ended that had the lock: what it guards may be half changed")
}

// hand lets the kernel unlock.
func (m *Mutex) hand() {
	for {
		switch errno := m.futex(unlockPI); errno {
		case 0:
			return
		case unix.EINTR, unix.EAGAIN: // another has just begun to wait
		default:
			panic("pi: unlock: FUTEX_UNLOCK_PI: " + errno.Error())
		}
	}
}

// futex asks the kernel, without a time limit.
func (m *Mutex) futex(op uintptr) unix.Errno {
	word := unsafe.Pointer(&m.word)
	if op == unlockPI { // it does not wait, so that the thread may keep the scheduler's processor
		_, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(word), op, 0, 0, 0, 0)
		return errno
	}
	// Not raw: the kernel restarts the call after each signal (ERESTARTNOINTR), so that the runtime could not stop this thread; and
	// if it had stopped the owner before, neither would go on ever again.
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(word), op, 0, 0, 0, 0)
	return errno
}
