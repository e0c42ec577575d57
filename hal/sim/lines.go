package sim

import (
	"slices"

	"github.com/fulmar-io/fulmar/hal"
)

// queue is a ring of fixed size.
type queue[T any] struct {
	buf      []T
	first, n int
}

func (q *queue[T]) push(v T) bool {
	if q.n == len(q.buf) {
		return false
	}
	q.buf[(q.first+q.n)%len(q.buf)] = v
	q.n++
	return true
}

func (q *queue[T]) pop(into []T) int {
	n := min(len(into), q.n)
	for i := range n {
		into[i] = q.buf[q.first]
		q.first = (q.first + 1) % len(q.buf)
	}
	q.n -= n
	return n
}

// edgeDepth is how many edges a pin holds, as many as Linux does for one line by default.
const edgeDepth = 16

// Pin is the plant's end of a digital input.
type Pin struct {
	level  func() bool
	high   bool
	driven bool
	pullUp bool
	edges  queue[hal.Edge]
	missed uint32
	open   bool
}

// Input connects a digital input. If level is not nil, reading calls it; edges are then to be found by Sample. Else the plant
// drives the pin; until it does, the pin is open, and reads low, or high with a pull-up.
func (w *Wires) Input(path string, level func() bool) *Pin {
	p := &Pin{level: level, driven: level != nil, edges: queue[hal.Edge]{buf: make([]hal.Edge, edgeDepth)}}
	w.connect(hal.Resource{Kind: hal.KindInput, Path: path}, func(r hal.Resource) any {
		p.pullUp, p.open, p.edges.n, p.missed = r.PullUp, true, 0, 0
		p.high = p.now()
		return input{p}
	})
	return p
}

func (p *Pin) now() bool {
	switch {
	case p.level != nil:
		return p.level()
	case !p.driven:
		return p.pullUp
	}
	return p.high
}

// Drive sets the level at a time, in monotonic ns of the machine's clock. Where that is a change, it is an edge. A pin that
// reads a function is not to be driven.
func (p *Pin) Drive(at int64, high bool) { p.change(at, true, high) }

// Release lets go of a pin that was driven.
func (p *Pin) Release(at int64) { p.change(at, false, false) }

func (p *Pin) change(at int64, driven, high bool) {
	if p.level != nil {
		panic("sim: a pin reads a function and is driven")
	}
	was := p.now()
	p.driven, p.high = driven, high
	if now := p.now(); was != now {
		p.edge(at, now)
	}
}

// Sample looks whether the function's level has changed since the last time, and makes it an edge at a time if it has. A plant
// calls it in each of its steps. A pin without a function has nothing to sample.
func (p *Pin) Sample(at int64) {
	if now := p.now(); p.level != nil && now != p.high {
		p.high = now
		p.edge(at, now)
	}
}

func (p *Pin) edge(at int64, high bool) {
	if !p.open {
		return // nobody has asked the host for edges yet
	}
	if !p.edges.push(hal.Edge{At: at, High: high, Missed: p.missed}) {
		p.missed++
		return
	}
	p.missed = 0
}

type input struct{ p *Pin }

func (i input) Read() (bool, error) { return i.p.now(), nil }

// Edges returns as many as there is room for; the others wait.
func (i input) Edges(buf []hal.Edge) (int, error) { return i.p.edges.pop(buf), nil }

// Line is the plant's end of a UART. It is a hal.UART itself.
type Line struct {
	toComponent, toPlant queue[byte]
	rateHz               uint32
	lost                 uint64
	unplugged            bool
	owners               uint64 // counts who had it: each unplugging and each closing makes the handle before it invalid
}

// Read returns what the component has written.
func (l *Line) Read(p []byte) (int, error) { return l.toPlant.pop(p), nil }

// Write sends bytes to the component. Those for which there is no room are lost; it never fails.
func (l *Line) Write(p []byte) (int, error) {
	for _, b := range p {
		if l.unplugged || !l.toComponent.push(b) {
			l.lost++
		}
	}
	return len(p), nil
}

// Lost returns how many of the plant's bytes were lost.
func (l *Line) Lost() uint64 { return l.lost }

// RateHz returns the bit rate that the component has opened the line with; 0 before that.
func (l *Line) RateHz() uint32 { return l.rateHz }

// Unplug takes the component's end away, or plugs it in again. A handle from before fails with ErrGone for good; while it is
// unplugged, opening fails too.
func (l *Line) Unplug(unplugged bool) {
	if unplugged && !l.unplugged {
		l.owners++
	}
	l.unplugged = unplugged
}

func (l *Line) open(r hal.Resource) (any, error) {
	if l.unplugged {
		return nil, hal.ErrGone
	}
	l.rateHz, l.toComponent.n = r.RateHz, 0
	if l.rateHz == 0 {
		l.rateHz = 9600
	}
	return &near{l, l.owners}, nil
}

// near is the component's end.
type near struct {
	l     *Line
	owner uint64
}

func (h *near) Read(p []byte) (int, error) {
	if h.owner != h.l.owners {
		return 0, hal.ErrGone
	}
	return h.l.toComponent.pop(p), nil
}

func (h *near) Write(p []byte) (int, error) {
	if h.owner != h.l.owners {
		return 0, hal.ErrGone
	}
	for i, b := range p {
		if !h.l.toPlant.push(b) {
			return i, nil
		}
	}
	return len(p), nil
}

// Bus is a CAN bus. A frame that a node sends arrives at each other node, in the order of sending.
type Bus struct {
	depth int
	nodes []*Node
}

// NewBus returns a bus whose nodes hold up to depth frames each.
func NewBus(depth int) *Bus { return &Bus{depth: depth} }

// Node connects a node: the plant's own, or a component's that opens it.
func (b *Bus) Node() *Node {
	n := &Node{bus: b, in: queue[hal.Frame]{buf: make([]hal.Frame, b.depth)}}
	b.nodes = append(b.nodes, n)
	return n
}

// Node is a hal.CAN.
type Node struct {
	bus  *Bus
	in   queue[hal.Frame]
	lost uint64
}

// Send implements hal.CAN. A frame that is not valid is ErrRange, one on a bus where nobody else acknowledges ErrNoAnswer.
func (n *Node) Send(f hal.Frame) error {
	if !f.Valid() {
		return hal.ErrRange
	}
	if len(n.bus.nodes) < 2 {
		return hal.ErrNoAnswer
	}
	for _, o := range n.bus.nodes {
		if o != n && !o.in.push(f) {
			o.lost++
		}
	}
	return nil
}

// Receive implements hal.CAN.
func (n *Node) Receive(buf []hal.Frame) (int, error) { return n.in.pop(buf), nil }

// Lost returns how many frames did not fit.
func (n *Node) Lost() uint64 { return n.lost }

// Leave takes the node off the bus.
func (n *Node) Leave() {
	n.bus.nodes = slices.DeleteFunc(n.bus.nodes, func(o *Node) bool { return o == n })
}
