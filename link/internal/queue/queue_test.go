package queue_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/link/internal/queue"
)

// TestQueue compares the queue with a list.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count, limit := rapid.IntRange(1, 5).Draw(t, "count"), rapid.IntRange(1, 20).Draw(t, "bytes")
		q := queue.New[int](count, limit)
		var model []int
		var bytes int
		var lost uint64
		closed := false
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n := rapid.IntRange(0, 25).Draw(t, "n")
				want := !closed && len(model) < count && (len(model) == 0 || bytes+n <= limit)
				if got := q.Put(n, n); got != want {
					t.Fatalf("put: %v, want %v", got, want)
				}
				if want {
					model, bytes = append(model, n), bytes+n
				} else {
					lost++
				}
			},
			"get": func(t *rapid.T) {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				got, err := q.Get(ctx)
				switch {
				case len(model) > 0:
					if err != nil || got != model[0] {
						t.Fatal(got, err)
					}
					bytes -= model[0]
					model = model[1:]
				case closed && !errors.Is(err, queue.ErrClosed), !closed && !errors.Is(err, context.Canceled):
					t.Fatal(err)
				}
			},
			"close": func(*rapid.T) {
				if rapid.IntRange(0, 5).Draw(t, "really") == 0 {
					q.Close()
					closed = true
				}
			},
			"": func(t *rapid.T) {
				if q.Lost() != lost {
					t.Fatalf("%d are counted as lost, want %d", q.Lost(), lost)
				}
			},
		})
	})
}

// TestGettersWake: whoever waits is woken, by a value, by the end, by its context.
func TestGettersWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New[int](10, 10)
		var wg sync.WaitGroup
		got := make(chan int, 10)
		for range 3 {
			wg.Go(func() {
				for {
					v, err := q.Get(t.Context())
					if err != nil {
						if !errors.Is(err, queue.ErrClosed) {
							t.Error(err)
						}
						return
					}
					got <- v
				}
			})
		}
		synctest.Wait()
		for i := range 5 {
			q.Put(i, 1)
		}
		synctest.Wait()
		if len(got) != 5 {
			t.Errorf("%d of 5 values were taken", len(got))
		}
		q.Close()
		q.Close()
		wg.Wait()
		waiting := queue.New[int](1, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := waiting.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
