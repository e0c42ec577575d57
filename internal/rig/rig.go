package rig

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/ring"
)

// clock is the time since it was made, in a bubble or out of one.
type clock struct{ from time.Time }

// Now implements env.Clock.
func (c clock) Now() env.Time {
	now := time.Now()
	return env.Time{Mono: int64(now.Sub(c.from)), Wall: now.UnixNano()}
}

// ownRings keeps a region in memory of its own.
type ownRings struct{}

func (ownRings) Create(_ string, o ring.Options) (*ring.Region, error) { return ring.Create("", o) }
func (ownRings) Leftovers(_, _ string) ([]*ring.Region, error)         { return nil, nil }

// Options are those of a machine of components on a host.
func Options(host hal.Host, components ...fulmar.Component) node.Options {
	random := rand.NewChaCha8([32]byte{})
	return node.Options{Device: "rig", Components: components, Hardware: host, Disk: simdisk.New(), Clock: clock{time.Now()}, Rings: ownRings{},
		Random: random, Rand: rand.New(random), Logger: slog.New(slog.DiscardHandler), StopTimeout: time.Second}
}

// Machine is one that runs.
type Machine struct {
	t     testing.TB
	node  *node.Node
	stop  context.CancelFunc
	ended chan error
}

// Run lets a machine run in this bubble until the test ends, or Stop.
func Run(t testing.TB, o node.Options) *Machine {
	t.Helper()
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	m := &Machine{t: t, node: n, stop: cancel, ended: make(chan error, 1)}
	go func() { m.ended <- n.Run(ctx) }()
	t.Cleanup(func() { _ = m.Stop() })
	return m
}

// Stop stops the machine and returns what it says of its run.
func (m *Machine) Stop() error {
	m.stop()
	return m.End()
}

// End waits until the machine has ended, by itself, and returns what it says of its run.
func (m *Machine) End() error {
	err := <-m.ended
	m.ended <- err
	return err
}

// Health returns a component's.
func (m *Machine) Health(name string) fulmar.Health {
	for _, h := range m.node.Health() {
		if h.Name == name {
			return h.Health
		}
	}
	m.t.Fatalf("no component %q", name)
	return fulmar.Health{}
}

// Until waits, looking each millisecond, until a component's health is so. If it does not come to that within the limit, the test
// has failed.
func (m *Machine) Until(name, what string, limit time.Duration, is func(fulmar.Health) bool) time.Duration {
	m.t.Helper()
	from := time.Now()
	for !is(m.Health(name)) {
		if time.Since(from) > limit {
			h := m.Health(name)
			m.t.Fatalf("%s is not %s within %s: it is %v: %q, made again %d times, last error %q", name, what, limit, h.Status, h.Reason, h.Restarts, h.LastError)
		}
		Pass(time.Millisecond)
	}
	return time.Since(from)
}

// Pass lets time of the bubble pass.
func Pass(d time.Duration) { <-time.After(d) }

// IsOK is a health to wait for.
func IsOK(h fulmar.Health) bool { return h.Status == fulmar.StatusOK }

// Reader is a component that keeps what a port had. It is none of those that go down with the port's.
type Reader[T any] struct {
	source string
	from   string
	in     fulmar.In[T]
	last   uint64

	mu     sync.Mutex // guards values
	values []T
}

// NewReader returns a reader of a component's port.
func NewReader[T any](component, port string) *Reader[T] {
	return &Reader[T]{source: component + "/" + port, from: component}
}

// Room makes room for values, so that taking them allocates nothing.
func (r *Reader[T]) Room(values int) {
	r.values = make([]T, 0, values)
}

// Spec implements fulmar.Component.
func (r *Reader[T]) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "reader", Optional: []string{r.from}, Tasks: []fulmar.Task{{
		Name: "read", Period: time.Millisecond, Reads: []fulmar.Input{r.in.From(r.source)}, Step: r.read}}}
}

func (r *Reader[T]) read(*fulmar.Step) error {
	if v := r.in.Version(); v != r.last {
		r.last = v
		r.mu.Lock()
		defer r.mu.Unlock()
		r.values = append(r.values, r.in.Get())
	}
	return nil
}

// Values returns what came so far.
func (r *Reader[T]) Values() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]T(nil), r.values...)
}

// neighbour is a component that has nothing to do with the others, and counts its steps.
type neighbour struct {
	mu    sync.Mutex // guards steps
	steps int
}

const neighbourPeriod = 5 * time.Millisecond

func (n *neighbour) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "neighbour", Tasks: []fulmar.Task{{Name: "count", Period: neighbourPeriod, Step: func(*fulmar.Step) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.steps++
		return nil
	}}}}
}

func (n *neighbour) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.steps
}

// keepsRate returns a function that says whether the neighbour has had all its steps since.
func (n *neighbour) keepsRate() func() error {
	before, from := n.count(), time.Now()
	return func() error {
		got, want := n.count()-before, int(time.Since(from)/neighbourPeriod)
		if got < want-1 || got > want+1 {
			return fmt.Errorf("the machine's other component had %d steps, want %d", got, want)
		}
		return nil
	}
}
