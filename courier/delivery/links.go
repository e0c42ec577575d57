package delivery

import "time"

type linkState struct {
	state     LinkState
	busy      bool // a Transmit is under way
	failures  int  // in a row, until something is acknowledged
	failedAt  time.Duration
	dialAt    time.Duration // when Waiting: not before
	lastError string
	rtt, dev  time.Duration // smoothed, and its mean deviation

	sent, sentBytes, repeats uint64
}

// Up says that a Dial succeeded.
func (m *Machine) Up(now time.Duration, l int) {
	ls := &m.links[l]
	if ls.state == Dialling {
		ls.state, ls.busy = Connected, false
	}
	m.step(now)
}

// Down says that a Dial failed or that a connection was cut, and why.
func (m *Machine) Down(now time.Duration, l int, err error) {
	ls := &m.links[l]
	if err != nil {
		ls.lastError = err.Error()
	}
	if ls.state != Waiting {
		ls.failed(now)
		m.down(now, l)
	}
	m.step(now)
}

func (ls *linkState) failed(now time.Duration) {
	ls.failures++
	ls.failedAt = now
}

// down makes a link wait for its next attempt. What was in flight on it can be sent again at once: the cut says that it
// may be lost, not that it is late.
func (m *Machine) down(now time.Duration, l int) {
	ls := &m.links[l]
	ls.state, ls.busy = Waiting, false
	ls.dialAt = now + m.backoff(ls.failures)
	if ls.failures >= m.o.BreakAfter {
		// An open breaker rests at least half of the cap's share: a probe must not follow the failure at once.
		ls.dialAt = now + m.ceiling(ls.failures)/2 + m.upTo(m.ceiling(ls.failures)/2)
	}
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

// connect dials the most preferred link that may be dialled, unless a link at least as preferred is in use or under way.
// A link that waits out its failures does not keep the next one from being dialled.
func (m *Machine) connect(now time.Duration) {
	for i := range m.links {
		ls := &m.links[i]
		if ls.state != Waiting {
			return
		}
		if ls.dialAt > now {
			m.wakeAt(ls.dialAt)
			continue
		}
		ls.state = Dialling
		m.effects = append(m.effects, Dial{Link: i})
		return
	}
}

// active returns the most preferred link that is connected, or -1.
func (m *Machine) active() int {
	for i := range m.links {
		if m.links[i].state == Connected {
			return i
		}
	}
	return -1
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

func (m *Machine) upTo(d time.Duration) time.Duration {
	return time.Duration(m.rng.Int64N(int64(d) + 1))
}

// Links returns how the links are doing.
func (m *Machine) Links() []LinkStatus {
	list := make([]LinkStatus, len(m.links))
	for i := range m.links {
		ls := &m.links[i]
		list[i] = LinkStatus{State: ls.state, Open: ls.failures >= m.o.BreakAfter, Failures: ls.failures, LastError: ls.lastError,
			RTT: ls.rtt, Sent: ls.sent, SentBytes: ls.sentBytes, Repeats: ls.repeats}
	}
	return list
}
