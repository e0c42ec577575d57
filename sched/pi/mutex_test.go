package pi_test

import (
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/fulmar-io/fulmar/sched/pi"
)

var _ sync.Locker = (*pi.Mutex)(nil)

// The counter is an ordinary variable: the race detector must find it guarded, also where the kernel hands the lock over.
func TestOneAtATime(t *testing.T) {
	const goroutines, rounds = 16, 2000
	var (
		mu    pi.Mutex
		n     int
		tried int
		wg    sync.WaitGroup
	)
	for i := range goroutines {
		wg.Go(func() {
			for r := range rounds {
				if i%4 == 3 && mu.TryLock() {
					tried++
				} else {
					mu.Lock()
				}
				n++
				if r%8 == 0 {
					runtime.Gosched() // so that others come to wait in the kernel
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if n != goroutines*rounds {
		t.Errorf("counted %d, want %d", n, goroutines*rounds)
	}
	if !mu.TryLock() {
		t.Error("it is locked still")
	}
	t.Logf("%d of %d by TryLock", tried, goroutines*rounds/4)
}

func TestTryLock(t *testing.T) {
	var mu pi.Mutex
	if !mu.TryLock() {
		t.Fatal("a new one is locked")
	}
	got := make(chan bool)
	go func() { got <- mu.TryLock() }()
	if <-got {
		t.Error("two have it")
	}
	mu.Unlock()
	go func() {
		ok := mu.TryLock()
		if ok {
			mu.Unlock()
		}
		got <- ok
	}()
	if !<-got {
		t.Error("nobody can have it")
	}
}

// The world is stopped again and again while threads have the lock and wait for it: neither may hold up the other.
func TestCollectorStopsWhoWaits(t *testing.T) {
	var (
		mu  pi.Mutex
		wg  sync.WaitGroup
		end = make(chan struct{})
	)
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				mu.Lock()
				runtime.Gosched()
				mu.Unlock()
			}
		})
	}
	for range 50 {
		runtime.GC()
	}
	close(end)
	wg.Wait()
}

func TestAllocatesNothing(t *testing.T) {
	var mu pi.Mutex
	if n := testing.AllocsPerRun(1000, func() {
		mu.Lock()
		mu.Unlock() //nolint:staticcheck // the section is empty on purpose
		if mu.TryLock() {
			mu.Unlock()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	// AllocsPerRun leaves one processor, which the other gives up in its section.
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			mu.Lock()
			runtime.Gosched()
			mu.Unlock()
		}
	})
	if n := testing.AllocsPerRun(200, func() {
		mu.Lock()
		runtime.Gosched()
		mu.Unlock()
	}); n != 0 {
		t.Errorf("%v allocations when another wants it", n)
	}
	close(end)
	wg.Wait()
}

func TestVetFindsCopies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "vet", "./testdata/copied").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "copies lock value") {
		t.Errorf("go vet says %v:\n%s", err, out)
	}
}
