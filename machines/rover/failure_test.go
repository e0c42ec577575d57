package rover_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/internal/sabotage"
	"github.com/fulmar-io/fulmar/machines/rover"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/sched"
)

// ownRings keeps a region in memory of its own.
type ownRings struct{}

func (ownRings) Create(_ string, o ring.Options) (*ring.Region, error) { return ring.Create("", o) }
func (ownRings) Leftovers(_, _ string) ([]*ring.Region, error)         { return nil, nil }

// bubbleClock is the clock of a synctest bubble.
type bubbleClock struct{ from time.Time }

func (c bubbleClock) Now() env.Time {
	now := time.Now()
	return env.Time{Mono: int64(now.Sub(c.from)), Wall: now.UnixNano()}
}

// dependants are the components that go down with each, itself included, as their declarations say.
func dependants(list []fulmar.Component, name string) map[string]bool {
	down := map[string]bool{name: true}
	for range list {
		for _, c := range list {
			s := c.Spec()
			for _, d := range s.DependsOn {
				if down[d] {
					down[s.Name] = true
				}
			}
		}
	}
	return down
}

// Killing, stalling and panicking each component of a rover that runs, under its node with everything that ships but the
// links, ends as its policy says: what can be made again is, with what depends on it, everything else keeps its rate, and the
// rover drives on along its course; without its world it goes to its safe state. The clock is virtual.
func TestEachComponentFailsAsItsPolicySays(t *testing.T) {
	const failsAt, runs = 20 * time.Second, 80 * time.Second
	for _, name := range []string{"world", "imu", "encoders", "gnss", "battery", "motors", "navigator", "drive", "mission"} {
		for i, how := range []string{"killed", "stalled", "panicked"} {
			if testing.Short() && (i+len(name))%3 != 0 {
				continue // one of the three: the race detector takes its time
			}
			t.Run(name+" is "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					hang := make(chan struct{})
					defer close(hang)
					fail := map[string]func() error{
						"killed":   func() error { return errors.New("killed") },
						"stalled":  func() error { <-hang; return nil },
						"panicked": func() error { panic("for the test") },
					}[how]
					down := dependants(rover.Components(1), name)
					list := rover.Components(1)
					for i, c := range rover.Components(1) {
						if c.Spec().Name == name {
							list[i] = sabotage.Wrap(list[i], sabotage.Failure{At: failsAt, How: fail})
						}
					}
					j := newJudge(t)
					health, err := drive(t, runs, append(list, &witness{judge: j, after: failsAt + 10*time.Second}))
					if name == "world" {
						if err == nil || !strings.Contains(err.Error(), `critical component "world" failed`) {
							t.Fatalf("without its world the machine's end is %v", err)
						}
						for n, h := range health {
							if n != "world" && (h.Status != fulmar.StatusFailed || h.Reason != "it depends on world, which stays down") {
								t.Errorf("%s is %v in the safe state: %s", n, h.Status, h.Reason)
							}
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					for n, h := range health {
						want := uint64(0)
						if down[n] {
							want = 1
						}
						if h.Restarts != want || h.Status != fulmar.StatusOK && h.Status != fulmar.StatusDegraded {
							t.Errorf("%s was made again %d times, want %d; it is %v: %s", n, h.Restarts, want, h.Status, h.Reason)
						}
						if rate := map[string]uint64{"world": 200, "imu": 200, "encoders": 200}[n]; want == 0 && h.Published < rate*uint64(runs/time.Second)*99/100 {
							t.Errorf("%s published %d records in %s at %d Hz", n, h.Published, runs, rate)
						}
					}
					if h := health[name]; h.LastError == "" {
						t.Errorf("the last error of %s is not told", name)
					}
					t.Logf("off the course afterwards: rms %.3f, worst %.3f m; heading rms %.4f rad; %.1f m driven", j.track.value(), j.track.worst, j.angle.value(), j.way)
					if j.track.worst > 0.6 || j.way < 40 {
						t.Errorf("afterwards it is %.2f m off its course at worst, and drives %.1f m", j.track.worst, j.way)
					}
				})
			})
		}
	}
}

// witness judges from some time on.
type witness struct {
	*judge
	after time.Duration
}

func (w *witness) Spec() fulmar.Spec {
	s := w.judge.Spec()
	s.DependsOn = []string{"world"}
	s.Tasks[0].Step = func(st *fulmar.Step) error {
		if st.Now < w.after { // but the way along the course it follows from the start
			v := w.truth.Get()
			w.course.Follow(&w.progress, v.East, v.North)
			w.last = v
			return nil
		}
		return w.watch(st)
	}
	return s
}

// drive runs a machine in a bubble and returns its health shortly before the end.
func drive(t *testing.T, d time.Duration, components []fulmar.Component) (map[string]node.ComponentHealth, error) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	n, err := node.New(node.Options{Device: "rover-1", Components: components, Disk: simdisk.New(), Clock: bubbleClock{time.Now()},
		Rings: ownRings{}, Random: random, Rand: rand.New(random), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	found := make(chan map[string]node.ComponentHealth, 1)
	time.AfterFunc(d-5*time.Millisecond, func() {
		health := make(map[string]node.ComponentHealth)
		for _, h := range n.Health() {
			health[h.Name] = h
		}
		found <- health
	})
	if err := n.Run(ctx); err != nil {
		return <-found, fmt.Errorf("run: %w", err)
	}
	return <-found, nil
}

// Supervision works in virtual time too, in one goroutine: a step that hangs is given up, its component is made again, and a run
// is the same each time.
func TestSupervisionInVirtualTime(t *testing.T) {
	var runs []map[string]int
	for range 2 {
		b := newBench(t, rover.Components(1))
		hung := false
		v := sched.VirtualOptions{Cores: 2, Cost: func(task *sched.Task) time.Duration {
			if task.Name == "imu/read" && b.now > 5*time.Second && !hung {
				hung = true
				return sched.Forever
			}
			return 150 * time.Microsecond
		}}.New(0)
		if err := v.Add(b.node.Tasks()...); err != nil {
			t.Fatal(err)
		}
		attend := time.Duration(0)
		for poll := b.now; b.now < 12*time.Second; {
			at, _ := v.Next()
			b.now = min(at, attend)
			v.Run(b.now)
			if b.now >= attend {
				attend = b.node.Attend(t.Context(), v)
			}
			if b.now >= poll {
				poll += 20 * time.Millisecond
				b.poll()
			}
		}
		for name, want := range map[string]uint64{"imu": 1, "navigator": 1, "drive": 1, "mission": 1, "gnss": 0, "motors": 0} {
			if h := b.health(name); h.Restarts != want || h.Status == fulmar.StatusFailed {
				t.Errorf("%s was made again %d times, want %d; it is %v: %s", name, h.Restarts, want, h.Status, h.Reason)
			}
		}
		if n := b.tally.records["encoders/wheels"]; n < 200*12-3 {
			t.Errorf("the encoders published %d records in 12 s", n)
		}
		runs = append(runs, b.tally.records)
	}
	if !maps.Equal(runs[0], runs[1]) {
		t.Errorf("two runs differ: %v and %v", runs[0], runs[1])
	}
}
