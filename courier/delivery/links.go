package delivery

import (
	"errors"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

type linkState struct {
	Link
	budget    budget
	state     LinkState
	busy      bool // a Transmit is under way
	flight    int  // frames sent over it and not acknowledged
	failures  int  // in a row, until something is acknowledged
	missed    int  // of them, those that were frames without an acknowledgement
	failedAt  time.Duration
	upAt      time.Duration // when Connected: since when
	cuts      int           // connections in a row that did not last
	idleSince time.Duration // when Connected and of no use: since when; -1 while it is of use
	dialAt    time.Duration // when Waiting: not before
	lastError string
	rtt, dev  time.Duration // smoothed, and its mean deviation

	sent, sentBytes, repeats uint64
}

// Up says that a Dial succeeded.
func (m *Machine) Up(now time.Duration, l int) {
	ls := &m.links[l]
	if ls.state == Dialling {
		ls.state, ls.busy, ls.upAt, ls.idleSince = Connected, false, now, -1
		for i := range m.queues {
			for _, f := range m.queues[i].frames {
				if f.state == ready {
					f.due = min(f.due, now) // what kept it from being sent was another connection
				}
			}
		}
	}
	m.step(now)
}

// Down says that a Dial failed or that a connection was cut, and why. A link.Later in it is heeded.
func (m *Machine) Down(now time.Duration, l int, err error) {
	ls := &m.links[l]
	if err != nil {
		ls.lastError = err.Error()
	}
	var later *link.Later
	switch asked := errors.As(err, &later); {
	case ls.state == Waiting:
	case asked:
		m.down(now, l)
		ls.dialAt = max(ls.dialAt, now+m.spread(later.After))
	default:
		ls.failed(now)
		m.down(now, l)
	}
	m.step(now)
}

func (ls *linkState) failed(now time.Duration) {
	ls.failures++
	ls.failedAt = now
}

// Of connections that do not last: how long one has to, and up to which failure they are counted as such when it is about waiting. A
// link that comes and goes is used while it is there, and dialled every few seconds at most.
const (
	lasting = 30 * time.Second
	maxCuts = 5
)

// down makes a link wait for its next attempt. What was in flight on it can be sent again at once: the cut says that it
// may be lost, not that it is late.
func (m *Machine) down(now time.Duration, l int) {
	ls := &m.links[l]
	if ls.state == Connected && now-ls.upAt < lasting {
		ls.cuts = min(ls.cuts+1, maxCuts)
	} else {
		ls.cuts = 0
	}
	most := m.ceiling(max(ls.failures, ls.cuts))
	if ls.state == Dialling || ls.missed == 0 { // what comes next costs no frame that nobody acknowledges
		most = min(most, max(m.o.ReconnectCap, m.ceiling(ls.cuts)))
	}
	switch {
	case m.open(ls): // it rests at least half of that: a probe must not follow the failure at once
		ls.dialAt = now + most/2 + m.upTo(most/2)
	case ls.failures > 0 || ls.cuts > 0:
		ls.dialAt = now + m.upTo(most)
	default:
		ls.dialAt = now
	}
	m.leave(now, l)
}

// leave makes a link wait, and what is in flight on it ready.
func (m *Machine) leave(now time.Duration, l int) {
	m.links[l].state, m.links[l].busy = Waiting, false
	for i := range m.queues {
		for _, f := range m.queues[i].frames {
			switch {
			case (f.state == sending || f.state == sent) && f.link == l:
				m.again(f, now)
			case f.state == ready && f.link == l:
				f.due = min(f.due, now) // the cut explains why the link did not take it
			}
		}
	}
}

// open reports whether a link's breaker is.
func (m *Machine) open(ls *linkState) bool { return ls.failures >= m.o.BreakAfter }

// connect sees to it that each class has a link: the most preferred one that carries it, has budget left for it and is connected with
// its breaker closed, or is being dialled. A link that waits out its failures does not keep the next one from being dialled. One that
// is of no use to any class beside more preferred ones is left after a while.
func (m *Machine) connect(now time.Duration) {
	var wanted uint64
	for i := range m.queues {
		m.queues[i].link = -1
		m.connectClass(now, i, &wanted)
	}
	better := false
	for l := range m.links {
		ls := &m.links[l]
		switch {
		case ls.state != Connected:
		case wanted&(1<<l) != 0 || !better:
			ls.idleSince = -1
			better = better || !m.open(ls)
		case ls.idleSince < 0:
			ls.idleSince = now
			m.wakeAt(now + lasting)
		case now-ls.idleSince < lasting:
			m.wakeAt(ls.idleSince + lasting)
		default:
			m.effects = append(m.effects, HangUp{Link: l})
			ls.cuts, ls.dialAt = 0, now
			m.leave(now, l)
		}
	}
}

// connectClass finds a class's link among those that are connected, dials a better one if there may be one, and marks all that are
// wanted.
func (m *Machine) connectClass(now time.Duration, class int, wanted *uint64) {
	q := &m.queues[class]
	broken := -1
	defer func() {
		if q.link < 0 { // then one that is being probed is better than none
			q.link = broken
		}
	}()
	dialling := false
	for l := range m.links {
		ls := &m.links[l]
		if ls.Never[class] || !m.affordable(now, ls, class) {
			continue
		}
		if ls.state == Waiting && ls.dialAt > now {
			m.wakeAt(ls.dialAt)
			continue
		}
		if ls.state == Waiting && !dialling {
			ls.state = Dialling
			m.effects = append(m.effects, Dial{Link: l})
		}
		switch {
		case ls.state == Dialling:
			dialling = true
			*wanted |= 1 << l
		case ls.state == Connected && m.open(ls):
			*wanted |= 1 << l
			if broken < 0 {
				broken = l
			}
		case ls.state == Connected:
			*wanted |= 1 << l
			q.link = l
			return
		}
	}
}

// affordable reports whether a link's budget has room for the next frame of a class that it can ever have room for.
func (m *Machine) affordable(now time.Duration, ls *linkState, class int) bool {
	urgent := packet.ClassAt(class) == packet.Urgent
	at, ok := ls.budget.room(now, 1, urgent)
	for _, f := range m.queues[class].frames {
		if f.state != ready {
			continue
		}
		if at, ok = ls.budget.room(now, int64(len(f.Data)+m.o.Overhead), urgent); ok {
			break
		}
		ls.lastError = "a frame is larger than what may be sent in an hour"
	}
	if ok && at > now {
		m.wakeAt(at)
	}
	return ok && at <= now
}

// Said counts a message against a link's budget that is not a Transmit's: either way.
func (m *Machine) Said(now time.Duration, l, bytes int) { m.links[l].budget.spend(now, int64(bytes)) }

// Spent returns what was spent of a link's budget, by age, for Recall after a restart.
func (m *Machine) Spent(now time.Duration, l int) History { return m.links[l].budget.history(now) }

// Recall takes what was spent, so long ago, before the process.
func (m *Machine) Recall(now time.Duration, l int, ago time.Duration, h *History) {
	m.links[l].budget.recall(now, ago, h)
}

// measure takes a round trip into the smoothed one (Jacobson and Karels; RFC 6298, section 2).
func (ls *linkState) measure(rtt time.Duration) {
	if ls.rtt == 0 {
		ls.rtt, ls.dev = rtt, rtt/2
		return
	}
	ls.dev += ((rtt - ls.rtt).Abs() - ls.dev) / 4
	ls.rtt += (rtt - ls.rtt) / 8
}

// patience is how long an acknowledgement may take.
func (m *Machine) patience(ls *linkState) time.Duration {
	return max(m.o.AckTimeout, ls.rtt+4*ls.dev)
}

// ceiling is min(cap, base × 2ⁿ).
func (m *Machine) ceiling(n int) time.Duration {
	d := m.o.BackoffBase
	for ; n > 0 && d < m.o.BackoffCap; n-- {
		d *= 2
	}
	return min(d, m.o.BackoffCap)
}

// backoff draws a wait with full jitter; none before the first failure.
func (m *Machine) backoff(failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	return m.upTo(m.ceiling(failures))
}

// spread draws a wait that is asked for, up to a quarter longer: others were asked at the same moment.
func (m *Machine) spread(d time.Duration) time.Duration {
	d = min(max(d, 0), link.MaxLater)
	return d + m.upTo(d/4)
}

func (m *Machine) upTo(d time.Duration) time.Duration {
	return time.Duration(m.rng.Int64N(int64(d) + 1))
}

// Pauses returns the classes that the ground asked to be left alone with.
func (m *Machine) Pauses(now time.Duration) []PauseStatus {
	var list []PauseStatus
	for i := range m.queues {
		if q := &m.queues[i]; q.pausedUntil > now {
			list = append(list, PauseStatus{Class: packet.ClassAt(i), Left: q.pausedUntil - now, Text: q.pauseText})
		}
	}
	return list
}

// Links returns how the links are doing.
func (m *Machine) Links() []LinkStatus {
	list := make([]LinkStatus, len(m.links))
	for i := range m.links {
		ls := &m.links[i]
		list[i] = LinkStatus{Name: ls.Name, State: ls.state, Open: m.open(ls), Budget: ls.PerHour, Spent: ls.budget.sum, Failures: ls.failures, LastError: ls.lastError,
			RTT: ls.rtt, Sent: ls.sent, SentBytes: ls.sentBytes, Repeats: ls.repeats}
	}
	return list
}
