package ring

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// A bell wakes whoever waits on the other side of a region: a word of it that changes at each ring, and the number of those who wait, so
// that ringing costs no system call while nobody does.
type bell struct {
	rings, waiters *atomic.Uint32
	shared         bool          // with another process
	here           chan struct{} // otherwise
}

const (
	offWantBell    = 2048
	offDurableBell = 2112
	// listenFor is how long a wait in the kernel lasts at most, which no context ends.
	listenFor = 20 * time.Millisecond
)

func (r *Region) bell(off int) bell {
	at := func(off int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&r.b[off : off+4][0])) }
	return bell{rings: at(off), waiters: at(off + 4), shared: r.Path() != "", here: make(chan struct{}, 1)}
}

// ring wakes who waits.
func (b *bell) ring() {
	b.rings.Add(1)
	switch {
	case b.waiters.Load() == 0:
	case b.shared:
		wake(b.rings)
	default:
		select {
		case b.here <- struct{}{}:
		default: // it is told already
		}
	}
}

// wait returns when the bell has rung since it had rung seen times, when ctx ends, or after listenFor; never mind which. Within a
// process there is one who waits.
func (b *bell) wait(ctx context.Context, seen uint32) {
	b.waiters.Add(1)
	defer b.waiters.Add(^uint32(0))
	if b.shared {
		listen(ctx, b.rings, seen)
		return
	}
	if b.rings.Load() != seen {
		return
	}
	select {
	case <-b.here:
	case <-ctx.Done():
	}
}

// waiting is of those in this process who wait until something is durable. One of them, the leader, waits for the bell, and tells the
// others.
type waiting struct {
	lead    chan struct{} // has room for the leader
	mu      sync.Mutex    // guards changed
	changed chan struct{} // closed by the leader when the bell has rung
}

func (w *waiting) next() chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

func (w *waiting) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

// AwaitDurable returns when the packet with a number is on disk, or when ctx ends. The courier learns that somebody waits, and brings
// what it has of the class to the disk at once. It may be called from any goroutine of the publishing half.
func (r *Region) AwaitDurable(ctx context.Context, c packet.Class, seq uint64) error {
	for wanted := r.class(c, 192); ; {
		before := wanted.Load()
		if before > seq || wanted.CompareAndSwap(before, seq+1) {
			break
		}
	}
	r.wanted.ring()
	for {
		changed, seen := r.waiting.next(), r.durable.rings.Load()
		if r.Durable(c) > seq {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case r.waiting.lead <- struct{}{}:
			r.durable.wait(ctx, seen)
			<-r.waiting.lead
			r.waiting.tell()
		}
	}
}

// Wanted returns the number below which somebody waits for packets of a class to be on disk.
func (r *Region) Wanted(c packet.Class) uint64 { return r.class(c, 192).Load() }

// AwaitWanted returns, with the number to give next time, when Wanted may have risen since it returned seen, and within 20 ms if the
// region is shared; 0 is for the first time. It is for one goroutine, of the half that takes.
func (r *Region) AwaitWanted(ctx context.Context, seen uint32) uint32 {
	r.wanted.wait(ctx, seen)
	return r.wanted.rings.Load()
}
