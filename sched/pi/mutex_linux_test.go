package pi_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/sched/pi"
)

// inherits skips where the kernel has no lock that does.
func inherits(t *testing.T) {
	t.Helper()
	if err := pi.Inherits(); err != nil {
		t.Skip(err)
	}
}

// panics returns what f panics with, or "".
func panics(f func()) (said string) {
	defer func() {
		if r := recover(); r != nil {
			said = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}

func expect(t *testing.T, said, want string) {
	t.Helper()
	if !strings.Contains(said, want) {
		t.Errorf("it panics with %q, want %q", said, want)
	}
}

// priority is what the kernel gives a thread at the moment: field 18 of stat in proc(5), -1 less the priority for a real-time one.
func priority(t *testing.T, tid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", tid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), ") ") // the name may have spaces
	n, err := strconv.Atoi(strings.Fields(after)[15])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// until waits for a condition that another thread brings about.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("in 20 s never: %s", what)
		}
	}
}

// waits reports whether a thread waits for a PI futex.
func waits(tid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", tid))
	f := strings.Fields(string(b))
	return err == nil && len(f) > 2 && f[0] == strconv.Itoa(unix.SYS_FUTEX) && f[2] == "0x86" // FUTEX_LOCK_PI, private
}

// realTime makes the calling goroutine's thread, which ends with it, a SCHED_FIFO one.
func realTime(priority int, cores ...int) error {
	runtime.LockOSThread()
	if len(cores) > 0 {
		var set unix.CPUSet
		for _, c := range cores {
			set.Set(c)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return err
		}
	}
	return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: uint32(priority), Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
}

// needRealTime skips where the kernel does not let this process have real-time threads.
func needRealTime(t *testing.T) {
	t.Helper()
	err := make(chan error)
	go func() { err <- realTime(1) }()
	if err := <-err; errors.Is(err, unix.EPERM) {
		t.Skipf("no right to real-time threads: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	procs := runtime.GOMAXPROCS(runtime.NumCPU() + 4) // a thread that wakes needs a processor of the scheduler's
	t.Cleanup(func() { runtime.GOMAXPROCS(procs) })
}

// held is a lock that a goroutine has until free is called.
type held struct {
	tid  int
	let  chan struct{}
	done chan struct{}
}

func hold(t *testing.T, mu *pi.Mutex, prepare func() error) *held {
	t.Helper()
	h := &held{let: make(chan struct{}), done: make(chan struct{})}
	err := make(chan error)
	go func() {
		defer close(h.done)
		runtime.LockOSThread() // and never unlock: the next goroutine is not to have this thread
		if e := prepare(); e != nil {
			err <- e
			return
		}
		mu.Lock()
		h.tid = unix.Gettid()
		err <- nil
		<-h.let
		mu.Unlock()
		<-h.let
	}()
	if err := <-err; err != nil {
		t.Fatal(err)
	}
	return h
}

// The kernel itself says at which priority the owner runs, along a chain of two locks.
func TestOwnersInherit(t *testing.T) {
	inherits(t)
	needRealTime(t)
	var first, second pi.Mutex
	low := hold(t, &first, func() error { return nil })
	before := priority(t, low.tid)
	if before < 0 {
		t.Fatalf("an ordinary thread has priority %d", before)
	}
	middle := make(chan int, 1)
	var wg sync.WaitGroup
	var failed [2]error
	wg.Go(func() {
		failed[0] = realTime(10)
		second.Lock()
		middle <- unix.Gettid()
		first.Lock()
		first.Unlock() //nolint:staticcheck // the section is empty on purpose
		second.Unlock()
	})
	mid := <-middle
	until(t, "the owner has 10 of the one that waits", func() bool { return priority(t, low.tid) == -11 })
	wg.Go(func() {
		failed[1] = realTime(30)
		second.Lock()
		second.Unlock() //nolint:staticcheck // the section is empty on purpose
	})
	until(t, "both owners have 30", func() bool { return priority(t, mid) == -31 && priority(t, low.tid) == -31 })
	low.let <- struct{}{}
	wg.Wait()
	until(t, "the owner has its own priority again", func() bool { return priority(t, low.tid) == before })
	close(low.let)
	<-low.done
	if err := errors.Join(failed[:]...); err != nil {
		t.Fatal(err)
	}
}

// The most urgent of those who wait is the next, whoever came first.
func TestTheMostUrgentIsNext(t *testing.T) {
	inherits(t)
	needRealTime(t)
	var mu pi.Mutex
	var order []int
	owner := hold(t, &mu, func() error { return nil })
	var wg sync.WaitGroup
	for _, p := range []int{5, 20, 10} {
		tid := make(chan int, 1)
		wg.Go(func() {
			if err := realTime(p); err != nil {
				t.Error(err)
			}
			tid <- unix.Gettid()
			mu.Lock()
			order = append(order, p)
			mu.Unlock()
		})
		id := <-tid
		until(t, "it waits", func() bool { return waits(id) })
	}
	close(owner.let)
	wg.Wait()
	if got := fmt.Sprint(order); got != "[20 10 5]" {
		t.Errorf("by priority they had it in the order %s", got)
	}
}

func TestBugsPanic(t *testing.T) {
	inherits(t)
	var mu pi.Mutex
	expect(t, panics(mu.Unlock), "does not have the lock")
	mu.Lock()
	expect(t, panics(mu.Lock), "has the lock already")
	said := make(chan string)
	go func() { said <- panics(mu.Unlock) }()
	expect(t, <-said, "does not have the lock")
	mu.Unlock()
	mu.Lock()
	mu.Unlock() //nolint:staticcheck // it must be as good as new
}

func TestACircleOfLocksPanics(t *testing.T) {
	inherits(t)
	var a, b pi.Mutex
	other := make(chan int)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Lock()
		other <- unix.Gettid()
		a.Lock()
		a.Unlock() //nolint:staticcheck // the section is empty on purpose
		b.Unlock()
	}()
	a.Lock()
	tid := <-other
	until(t, "the other waits", func() bool { return waits(tid) })
	expect(t, panics(b.Lock), "deadlock")
	a.Unlock()
	<-done
	b.Lock()
	b.Unlock() //nolint:staticcheck // it must be as good as new
}

// A goroutine ends with the lock: its thread does too, and the kernel tells whoever wants the lock.
func TestAnOrphanPanics(t *testing.T) {
	inherits(t)
	const orphan = "a goroutine has ended that had the lock"
	t.Run("later", func(t *testing.T) {
		var mu pi.Mutex
		gone := make(chan int)
		go func() {
			mu.Lock()
			gone <- unix.Gettid()
		}()
		tid := <-gone
		until(t, "the thread is gone", func() bool { return errors.Is(unix.Tgkill(os.Getpid(), tid, 0), unix.ESRCH) })
		expect(t, panics(mu.Lock), orphan)
		expect(t, panics(mu.Lock), orphan)
		if mu.TryLock() {
			t.Error("TryLock takes it")
		}
	})
	t.Run("meanwhile", func(t *testing.T) {
		var mu pi.Mutex
		let := make(chan struct{})
		locked := make(chan struct{})
		go func() {
			mu.Lock()
			close(locked)
			<-let
		}()
		<-locked
		const n = 3
		said := make(chan string, n)
		for range n {
			tid := make(chan int)
			go func() {
				runtime.LockOSThread()
				tid <- unix.Gettid()
				said <- panics(mu.Lock)
			}()
			id := <-tid
			until(t, "it waits", func() bool { return waits(id) })
		}
		close(let)
		for range n {
			expect(t, <-said, orphan)
		}
		expect(t, panics(mu.Lock), orphan)
		expect(t, panics(func() { mu.TryLock() }), orphan)
	})
}

const denied = "FULMAR_TEST_CHILD"

// Where the kernel has no PI futexes a Mutex is an ordinary one, and says so. A process of its own has such a kernel: it lets a
// filter refuse them.
func TestAKernelWithout(t *testing.T) {
	if os.Getenv(denied) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAKernelWithout$|^TestOneAtATime$|^TestTryLock$|^TestCollector", "-test.v")
		cmd.Env = append(os.Environ(), denied+"=1")
		out, err := cmd.CombinedOutput()
		switch {
		case strings.Contains(string(out), "no filter: "):
			t.Skipf("%s", out)
		case err != nil || strings.Count(string(out), "--- PASS") != 4:
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := pi.Inherits(); !errors.Is(err, unix.ENOSYS) {
		t.Errorf("it says %v", err)
	}
}

// The main thread does not end with the goroutine that is locked to it. So no test's goroutine is to have it.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if os.Getenv(denied) != "" {
		if err := denyPI(); err != nil {
			fmt.Println("no filter:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// denyPI makes all threads of this process see a kernel without FUTEX_LOCK_PI: seccomp(2).
func denyPI() error {
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		same = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K

		number, second = 0, 24 // of struct seccomp_data: nr, and args[1] where bytes are little-endian
		setFilter      = 1
		allThreads     = 1
	)
	filter := []unix.SockFilter{
		{Code: load, K: number},
		{Code: same, K: unix.SYS_FUTEX, Jf: 3},
		{Code: load, K: second},
		{Code: same, K: 6 | 128, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // both calls are of one thread
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, setFilter, allThreads, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return errno
	}
	return nil
}

// BenchmarkGettid is the system call of each Lock, and of each Unlock.
func BenchmarkGettid(b *testing.B) {
	for b.Loop() {
		unix.Gettid()
	}
}
