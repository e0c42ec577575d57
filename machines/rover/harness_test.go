package rover_test

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/telemetry"
)

// bench is a machine in virtual time, in one goroutine, with everything that ships but the links.
type bench struct {
	t     testing.TB
	now   time.Duration
	rng   *rand.Rand
	node  *node.Node
	tasks *sched.Virtual
	tally *tally
}

// Now, Create, Leftovers and Read make the bench its node's clock, shared memory and source of randomness.
func (b *bench) Now() env.Time { return env.Time{Mono: int64(b.now), Wall: 1e18 + int64(b.now)} }

func (b *bench) Create(_ string, o ring.Options) (*ring.Region, error)   { return ring.Create("", o) }
func (b *bench) Leftovers(_, _ string) (regions []*ring.Region, _ error) { return nil, nil }

func (b *bench) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b.rng.Uint32())
	}
	return len(p), nil
}

func newBench(t testing.TB, components []fulmar.Component, change ...func(*node.Options)) *bench {
	t.Helper()
	b := &bench{t: t, rng: rand.New(rand.NewPCG(1, 2)), tally: &tally{records: map[string]int{}}}
	o := node.Options{
		Device: "rover-1", Components: components, Disk: simdisk.New(), Clock: b, Rings: b, Random: b, Rand: b.rng,
		Filter: func() telemetry.Filter { return b.tally },
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, c := range change {
		c(&o)
	}
	n, err := node.New(o)
	if err == nil {
		err = n.Open()
	}
	if err == nil {
		err = n.Start(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	b.node, b.tasks = n, sched.NewVirtual(0, n.Tasks())
	t.Cleanup(func() {
		if err := n.Close(false); err != nil {
			t.Error(err)
		}
	})
	return b
}

// run lets virtual time pass. The courier looks at the ring every 20 ms.
func (b *bench) run(until time.Duration) {
	for poll := b.now; b.now < until; {
		at, ok := b.tasks.Next()
		if !ok || at > until {
			at = until
		}
		b.now = at
		b.tasks.Run(at)
		if b.now >= poll {
			poll += 20 * time.Millisecond
			b.poll()
		}
	}
}

func (b *bench) poll() {
	c := b.node.Courier()
	c.Poll(b.now)
	for effects := c.Effects(); len(effects) > 0; effects = c.Effects() {
		for _, e := range effects {
			if _, ok := e.(courier.Sync); ok {
				c.Synced(b.now, c.SyncSpool())
			}
		}
	}
}

func (b *bench) health(component string) fulmar.Health {
	for _, h := range b.node.Health() {
		if h.Name == component {
			return h.Health
		}
	}
	b.t.Fatalf("no component %q", component)
	return fulmar.Health{}
}

// tally passes every record and counts it. One serves all publishers: the bench has one goroutine.
type tally struct {
	records  map[string]int
	readings int
}

func (c *tally) Pass(r telemetry.Record) bool {
	c.records[r.Layout.Name]++
	if r.Layout.Kind == telemetry.Reading {
		for _, f := range r.Layout.Fields {
			c.readings += max(1, f.Len)
		}
	}
	return true
}
