//go:build !linux

package ring

import (
	"context"
	"sync/atomic"
	"time"
)

// lookEvery is how often the word is looked at where no call of the system waits for it.
const lookEvery = time.Millisecond

// listen waits until another value than seen is in the word, or until listenFor is over.
func listen(ctx context.Context, word *atomic.Uint32, seen uint32) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for range listenFor / lookEvery {
		if word.Load() != seen {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func wake(*atomic.Uint32) {}
