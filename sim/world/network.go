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
	down     []bool   // per link
	carried  []uint64 // messages, per link
	recorded [][]byte // what somebody on the way has seen, some of it
}

// partition cuts all connections over a link for a while, or over all of them.
func (n *network) partition() {
	first, end := 0, len(n.down)
	if end > 1 && n.w.rng.IntN(3) > 0 {
		first = n.w.rng.IntN(end)
		end = first + 1
	}
	for l := first; l < end; l++ {
		if n.down[l] {
			continue
		}
		n.down[l] = true
		for _, m := range n.w.machines {
			m.cut(l)
		}
		n.w.after(n.w.upTo(20*time.Second), func() { n.down[l] = false })
	}
}

func (n *network) heal() { clear(n.down) }

// send carries a message over a link to deliver, or loses, doubles or delays it. A message that is under way when the link goes
// down is lost.
func (n *network) send(l int, message []byte, deliver func(l int, message []byte)) {
	w := n.w
	if n.down[l] || !w.calm && w.chance(w.c.Loss) {
		return
	}
	n.carried[l]++
	n.attack(message)
	copies := 1
	if !w.calm && w.chance(w.c.Duplication) {
		copies = 2
	}
	for range copies {
		m := slices.Clone(message)
		w.after(w.upTo(w.c.Delay), func() {
			if !n.down[l] {
				deliver(l, m)
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
		l := 0
		if len(n.down) > 1 {
			l = w.rng.IntN(len(n.down))
		}
		w.after(w.upTo(w.c.Delay), func() { deliver(l, m) })
	}
}
