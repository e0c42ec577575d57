package node_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/node"
)

// ticker pushes a value every 10 ms.
type ticker struct {
	n   int64
	out fulmar.Queue[int64]
}

func (c *ticker) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "ticker", Tasks: []fulmar.Task{{Name: "push", Period: 10 * time.Millisecond, Writes: []fulmar.Output{c.out.As("tick", 4)},
		Step: func(*fulmar.Step) error { c.n++; c.out.Push(c.n); return nil }}}}
}

// reader takes what a ticker pushes, as seldom as it likes.
type reader struct {
	name   string
	period time.Duration
	in     fulmar.Each[int64]
}

func (c *reader) Spec() fulmar.Spec {
	return fulmar.Spec{Name: c.name, Tasks: []fulmar.Task{{Name: "take", Period: c.period, Reads: []fulmar.Input{c.in.From("ticker/tick")},
		Step: func(*fulmar.Step) error { return nil }}}}
}

// What waits in a queue, and what found no room there, is told of the task that reads it.
func TestQueuesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := node.New(options(&ticker{}, &reader{name: "quick", period: 20 * time.Millisecond}, &reader{name: "slow", period: 100 * time.Millisecond}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1085*time.Millisecond)
		defer cancel()
		var stats []node.TaskStats
		time.AfterFunc(1083*time.Millisecond, func() { stats = n.TaskStats() }) // between two releases
		if err := n.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for _, s := range stats {
			switch s.Component {
			case "quick":
				if s.QueueMissed != 0 || s.Queued > 1 {
					t.Errorf("the quick one missed %d, %d wait", s.QueueMissed, s.Queued)
				}
			case "slow": // of ten values in 100 ms four find room
				if s.QueueMissed < 60 || s.QueueMissed > 70 || s.Queued != 4 {
					t.Errorf("the slow one missed %d, %d wait", s.QueueMissed, s.Queued)
				}
			}
		}
		if len(stats) != 3 {
			t.Errorf("%d tasks", len(stats))
		}
	})
}

// A machine that has not begun, and perhaps never will, can be asked how it is.
func TestHealthBeforeTheStart(t *testing.T) {
	n, err := node.New(options(&ticker{}))
	if err != nil {
		t.Fatal(err)
	}
	if m, s := n.MachineHealth(), n.TaskStats(); m.Misses != 0 || len(s) != 1 || s[0].Runs != 0 {
		t.Errorf("%+v, %+v", m, s)
	}
}
