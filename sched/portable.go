package sched

import (
	"context"
	"sync"
	"time"
)

// Portable runs each task in a goroutine of its own until ctx ends or the task fails, and returns when all have ended.
// now is the machine's monotonic clock.
func Portable(ctx context.Context, now func() time.Duration, tasks []*Task) {
	var wg sync.WaitGroup
	for _, t := range tasks {
		wg.Add(1)
		go func() {
			defer wg.Done()
			t.loop(ctx, now)
		}()
	}
	wg.Wait()
}

func (t *Task) loop(ctx context.Context, now func() time.Duration) {
	t.clock.Start(t.Timing, int64(now()))
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for !t.ended {
		if wait := time.Duration(t.clock.Next()) - now(); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		} else if ctx.Err() != nil {
			return
		}
		t.run(now(), now)
	}
}
