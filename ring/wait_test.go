package ring_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// halves returns a region as each half has it: the same one within a process, and two mappings of one file between processes.
func halves(t *testing.T, shared bool) (publishing, taking *ring.Region) {
	t.Helper()
	path := ""
	if shared {
		path = filepath.Join(sharedFolder(t), "region")
	}
	taking, err := ring.Create(path, ring.Options{Device: "rover", Boot: telemetry.Boot{1}, Producers: 1})
	if err != nil {
		t.Fatal(err)
	}
	publishing = taking
	if shared {
		if err = taking.Share(); err == nil {
			publishing, err = ring.Join(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { publishing.Close() })
	}
	t.Cleanup(func() { taking.Close() })
	return publishing, taking
}

// commit does what a courier does, as soon as it is told, until ctx ends: what is wanted is durable.
func commit(ctx context.Context, r *ring.Region) {
	for seen := uint32(0); ctx.Err() == nil; {
		seen = r.AwaitWanted(ctx, seen)
		for i := range packet.Classes {
			if c := packet.ClassAt(i); r.Wanted(c) > r.Durable(c) {
				r.SetDurable(c, r.Wanted(c))
			}
		}
	}
}

// Whoever waits for a packet to be on disk is told, and at once: nobody polls, which a thousand times in a row would take many seconds.
func TestWhoWaitsIsWoken(t *testing.T) {
	for name, shared := range waitable() {
		t.Run(name, func(t *testing.T) {
			publishing, taking := halves(t, shared)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { commit(ctx, taking) })
			begun := time.Now()
			for seq := range uint64(1000) {
				if err := publishing.AwaitDurable(ctx, packet.Normal, seq); err != nil {
					t.Fatal(err)
				}
				if d := publishing.Durable(packet.Normal); d <= seq {
					t.Fatalf("packet %d is said to be durable, which those below %d are", seq, d)
				}
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("1000 times in a row took %s", took)
			}
			cancel()
			wg.Wait()
		})
	}
}

// Many wait at once, for packets of every class; all of them come back, and none before its own is durable.
func TestManyWaitAtOnce(t *testing.T) {
	for name, shared := range waitable() {
		t.Run(name, func(t *testing.T) {
			publishing, taking := halves(t, shared)
			ctx, cancel := context.WithCancel(t.Context())
			var committing, waiting sync.WaitGroup
			committing.Go(func() { commit(ctx, taking) })
			for i := range uint64(64) {
				waiting.Go(func() {
					class := packet.ClassAt(int(i % packet.Classes))
					for n := range uint64(50) {
						seq := n*64 + i
						if err := publishing.AwaitDurable(ctx, class, seq); err != nil || publishing.Durable(class) <= seq {
							t.Errorf("packet %d: %v", seq, err)
						}
					}
				})
			}
			waiting.Wait()
			cancel()
			committing.Wait()
		})
	}
}

// Without a courier nothing becomes durable: whoever waits stops when told to.
func TestWhoWaitsCanGiveUp(t *testing.T) {
	for name, shared := range waitable() {
		t.Run(name, func(t *testing.T) {
			publishing, taking := halves(t, shared)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 2)
			for seq := range uint64(2) { // one of them waits for the other
				go func() { ended <- publishing.AwaitDurable(ctx, packet.Bulk, seq) }()
			}
			for taking.Wanted(packet.Bulk) < 2 {
				taking.AwaitWanted(ctx, 0)
			}
			cancel()
			for range 2 {
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		})
	}
}
