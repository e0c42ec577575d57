package world

import (
	"errors"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var (
	errUnreachable = errors.New("no route")
	errCut         = errors.New("connection cut")
)

// network lies between the machines and the ground.
type network struct {
	w        *World
	down     bool
	recorded [][]byte // what somebody on the way has seen, some of it
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
	n.attack(message)
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

// mostRecorded bounds what is kept for attacks.
const mostRecorded = 200

// attack has somebody on the way see a message, and perhaps send one of his own.
func (n *network) attack(message []byte) {
	w := n.w
	if w.c.Attacks == 0 || w.c.Keys == nil {
		return
	}
	if len(n.recorded) < mostRecorded {
		n.recorded = append(n.recorded, slices.Clone(message))
	} else if w.rng.IntN(4) == 0 {
		n.recorded[w.rng.IntN(mostRecorded)] = slices.Clone(message)
	}
	for w.chance(w.c.Attacks) {
		m := slices.Clone(n.recorded[w.rng.IntN(len(n.recorded))])
		for w.rng.IntN(3) == 0 {
			m[w.rng.IntN(len(m))] ^= 1 << w.rng.IntN(8)
		}
		if w.rng.IntN(10) == 0 {
			m = m[:w.rng.IntN(len(m))]
		}
		to := w.machines[w.rng.IntN(len(w.machines))]
		if len(to.boots) > 0 && w.rng.IntN(4) == 0 { // "all of it has arrived", as anybody can say it
			m = link.Append(nil, link.Ack{Boot: to.boots[len(to.boots)-1], Class: packet.ClassAt(w.rng.IntN(packet.Classes)), Prefix: 1 << 40})
		}
		deliver := to.up
		if w.rng.IntN(2) == 0 {
			deliver = to.receive
		}
		w.after(w.upTo(w.c.Delay), func() { deliver(m) })
	}
}
