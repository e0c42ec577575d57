package pi_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/fulmar-io/fulmar/sched/pi"
)

var lockers = []struct {
	name string
	new  func() sync.Locker
}{
	{"pi", func() sync.Locker { return new(pi.Mutex) }},
	{"sync", func() sync.Locker { return new(sync.Mutex) }},
}

// BenchmarkFree is a lock and an unlock that nobody else wants; from a thread that is locked anyway, as a real-time one is.
func BenchmarkFree(b *testing.B) {
	for _, l := range lockers {
		b.Run(l.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			mu := l.new()
			for b.Loop() {
				mu.Lock()
				mu.Unlock() //nolint:staticcheck // the section is empty on purpose
			}
		})
	}
}

// BenchmarkWanted is a lock, a short section and an unlock, which as many goroutines as there are processors want at once.
func BenchmarkWanted(b *testing.B) {
	for _, l := range lockers {
		b.Run(l.name, func(b *testing.B) {
			mu := l.new()
			n := 0
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					mu.Lock()
					n++
					mu.Unlock()
				}
			})
		})
	}
}
