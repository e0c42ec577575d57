package station

import (
	"sync"

	"github.com/fulmar-io/fulmar/link"
)

// turns hold messages that have arrived until it is their device's turn: one message of each device that has any, round after round. So a
// device waits for one message of each other, however many those have sent.
type turns struct {
	most, share int           // bytes in all, and of one device
	wake        chan struct{} // holds a token while there may be a message

	mu    sync.Mutex // guards what follows
	lines map[string]*line
	order []*line // of those that wait for their turn, the next one first
	bytes int
}

// line is what one device has waiting.
type line struct {
	device  string
	waiting []arrival
	bytes   int
}

// arrival is a message and where it came from.
type arrival struct {
	from link.Receiver
	link.Inbound
}

// What may wait. A machine has some 4 MiB on its way, if it is not told otherwise; a message costs more than its bytes.
const (
	turnsMost  = 64 << 20
	turnsShare = 16 << 20
	perArrival = 256
)

func newTurns(most, share int) *turns {
	return &turns{most: most, share: share, wake: make(chan struct{}, 1), lines: make(map[string]*line)}
}

// put adds a message, and returns whose was dropped for it, if one was: its own, or the last of the device that has most waiting.
func (t *turns) put(a arrival) (dropped string) {
	size := len(a.Message) + perArrival
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[a.Device]
	if l == nil {
		l = &line{device: a.Device}
	}
	if len(l.waiting) > 0 && l.bytes+size > t.share {
		return a.Device
	}
	if t.bytes+size > t.most {
		longest, most := l, l.bytes+size
		for _, o := range t.order {
			if o.bytes > most {
				longest, most = o, o.bytes
			}
		}
		if longest == l {
			return a.Device
		}
		t.dropLast(longest)
		dropped = longest.device
	}
	if len(l.waiting) == 0 {
		t.lines[a.Device] = l
		t.order = append(t.order, l)
	}
	l.waiting = append(l.waiting, a)
	l.bytes += size
	t.bytes += size
	t.signal()
	return dropped
}

// dropLast drops the message of a line that came last. It leaves one at least: the line has more waiting than another one.
func (t *turns) dropLast(l *line) {
	last := len(l.waiting) - 1
	size := len(l.waiting[last].Message) + perArrival
	l.waiting[last] = arrival{}
	l.waiting = l.waiting[:last]
	l.bytes -= size
	t.bytes -= size
}

// next removes and returns the message whose turn it is.
func (t *turns) next() (a arrival, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		return a, false
	}
	l := t.order[0]
	t.order = t.order[1:]
	a = l.waiting[0]
	l.waiting[0] = arrival{}
	l.waiting = l.waiting[1:]
	size := len(a.Message) + perArrival
	l.bytes -= size
	t.bytes -= size
	if len(l.waiting) == 0 {
		delete(t.lines, l.device)
	} else {
		t.order = append(t.order, l)
	}
	if len(t.order) > 0 {
		t.signal()
	}
	return a, true
}

// count returns how many messages wait.
func (t *turns) count() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.order {
		n += len(l.waiting)
	}
	return n
}

// signal is called with mu held.
func (t *turns) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}
