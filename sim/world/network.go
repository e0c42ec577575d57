package world

import (
	"errors"
	"slices"
	"time"
)

var (
	errUnreachable = errors.New("no route")
	errCut         = errors.New("connection cut")
)

// network lies between the machines and the ground.
type network struct {
	w    *World
	down bool
}

// partition cuts all connections for a while.
func (n *network) partition() {
	if n.down {
		return
	}
	n.down = true
	for _, m := range n.w.machines {
		m.cut()
	}
	n.w.after(n.w.upTo(20*time.Second), n.heal)
}

func (n *network) heal() { n.down = false }

// send carries a message to deliver, or loses, doubles or delays it. A message that is under way when the network goes
// down is lost.
func (n *network) send(message []byte, deliver func([]byte)) {
	w := n.w
	if n.down || !w.calm && w.chance(w.c.Loss) {
		return
	}
	copies := 1
	if !w.calm && w.chance(w.c.Duplication) {
		copies = 2
	}
	for range copies {
		m := slices.Clone(message)
		w.after(w.upTo(w.c.Delay), func() {
			if !n.down {
				deliver(m)
			}
		})
	}
}
