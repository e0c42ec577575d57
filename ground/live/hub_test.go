package live_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/live"
)

func ExampleHub() {
	hub := live.New(live.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	updates := hub.Watch(ctx, 16)
	hub.Publish(ground.Update{Device: "rover"})
	fmt.Println((<-updates).Device)
	cancel()
	_, open := <-updates
	fmt.Println("open:", open)
	// Output:
	// rover
	// open: false
}

func drain(c <-chan ground.Update) (got []string, open bool) {
	for {
		select {
		case u, ok := <-c:
			if !ok {
				return got, false
			}
			got = append(got, u.Device)
		default:
			return got, true
		}
	}
}

// A watcher sees every update between its Watch and its end, in order; an overflow ends it after exactly what fitted.
func TestWatchersSeeAPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hub := live.New(live.Options{})
		type model struct {
			c      <-chan ground.Update
			size   int
			want   []string
			closed bool
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var all []*model
		published := 0
		t.Repeat(map[string]func(*rapid.T){
			"watch": func(t *rapid.T) {
				size := rapid.IntRange(1, 4).Draw(t, "size")
				all = append(all, &model{c: hub.Watch(ctx, size), size: size})
			},
			"publish": func(t *rapid.T) {
				name := strconv.Itoa(published)
				published++
				hub.Publish(ground.Update{Device: name})
				for _, m := range all {
					switch {
					case m.closed:
					case len(m.want) == m.size:
						m.closed = true
					default:
						m.want = append(m.want, name)
					}
				}
			},
			"drain": func(t *rapid.T) {
				if len(all) == 0 {
					t.Skip("no watcher yet")
				}
				m := all[rapid.IntRange(0, len(all)-1).Draw(t, "watcher")]
				got, open := drain(m.c)
				if fmt.Sprint(got) != fmt.Sprint(m.want) || open == m.closed {
					t.Fatalf("got %v open %v, want %v closed %v", got, open, m.want, m.closed)
				}
				m.want = nil
			},
			"": func(t *rapid.T) {
				open := 0
				for _, m := range all {
					if !m.closed {
						open++
					}
				}
				s := hub.Stats()
				if s.Watchers != open || s.Overflows != uint64(len(all)-open) || s.Published != uint64(published) {
					t.Fatalf("stats %+v, want %d watchers of %d, %d published", s, open, len(all), published)
				}
			},
		})
	})
}

func TestEndOfContextClosesAndForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := live.New(live.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		c := hub.Watch(ctx, 1)
		cancel()
		synctest.Wait()
		if got, open := drain(c); open || len(got) != 0 {
			t.Fatalf("after the end: got %v, open %v", got, open)
		}
		if n := hub.Stats().Watchers; n != 0 {
			t.Fatalf("%d watchers are kept after the end", n)
		}
		hub.Publish(ground.Update{}) // must not send on the closed channel
	})
}

func TestTooManyWatchersAreTurnedAway(t *testing.T) {
	hub := live.New(live.Options{MaxWatchers: 1})
	hub.Watch(t.Context(), 1)
	if _, open := drain(hub.Watch(t.Context(), 1)); open {
		t.Fatal("a second watcher was let in")
	}
	if s := hub.Stats(); s.Refused != 1 || s.Watchers != 1 {
		t.Fatalf("stats %+v", s)
	}
}

func TestBufferIsBounded(t *testing.T) {
	hub := live.New(live.Options{})
	if n := cap(hub.Watch(t.Context(), 1<<30)); n != live.MaxBuffer {
		t.Fatalf("buffer of %d", n)
	}
	if n := cap(hub.Watch(t.Context(), -1)); n != 1 {
		t.Fatalf("buffer of %d", n)
	}
}

// For the race detector: publishers, watchers that end and watchers that overflow at the same time.
func TestConcurrentUse(t *testing.T) {
	hub := live.New(live.Options{MaxWatchers: 8})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 2000 {
				hub.Publish(ground.Update{Device: "rover"})
			}
		})
	}
	for i := range 16 {
		wg.Go(func() {
			for range 50 {
				ctx, cancel := context.WithCancel(t.Context())
				c := hub.Watch(ctx, 1+i%3)
				if i%2 == 0 {
					drain(c)
				}
				cancel()
				for range c {
				}
			}
		})
	}
	wg.Wait()
	if n := hub.Stats().Watchers; n != 0 {
		t.Fatalf("%d watchers left", n)
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{0, 1, 64} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			hub := live.New(live.Options{})
			for range n {
				c := hub.Watch(b.Context(), 1024)
				go func() {
					for range c {
					}
				}()
			}
			u := ground.Update{Device: "rover"}
			for b.Loop() {
				hub.Publish(u)
			}
		})
	}
}

// Who watches when something was missed loses its place, and can take another.
func TestMissedClosesEveryWatcher(t *testing.T) {
	hub := live.New(live.Options{})
	first, second := hub.Watch(t.Context(), 4), hub.Watch(t.Context(), 4)
	hub.Publish(ground.Update{Device: "rover"})
	hub.Missed()
	for _, w := range []<-chan ground.Update{first, second} {
		if u, open := <-w; !open || u.Device != "rover" {
			t.Errorf("what was published before: %v, %v", u, open)
		}
		if _, open := <-w; open {
			t.Error("a watcher was not closed")
		}
	}
	hub.Watch(t.Context(), 4)
	if s := hub.Stats(); s.Watchers != 1 || s.Overflows != 2 {
		t.Errorf("stats %+v", s)
	}
}
