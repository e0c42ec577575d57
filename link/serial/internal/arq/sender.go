package arq

import (
	"time"

	"github.com/fulmar-io/fulmar/env"
)

// slot is a fragment that is under way.
type slot struct {
	data  []byte // its memory is used again
	flags byte
	due   bool // to be transmitted, for the first time or again
	sent  bool // at least once
	acked bool
	stamp uint16 // of its last transmission
	at    time.Duration
}

type ping struct {
	due, sent bool
	stamp     uint16
	at        time.Duration
}

// sender is the outgoing direction of a connection. Numbers of fragments and of transmissions wrap around; of both far
// fewer than half are ever under way.
type sender struct {
	line Line // as both ends agreed
	rng  env.Rand

	message []byte // being cut, from at on; the caller's until it is taken
	at      int
	offered bool

	base, next uint16 // the fragments under way are base to next-1
	slots      [MaxWindow]slot

	stamp  uint16 // of the next transmission
	echoed uint16 // the latest that was acknowledged
	ping   ping   // the last one

	srtt, rttvar time.Duration
	misses       int           // timers in a row that ran out
	timer        time.Duration // when to give up waiting for an acknowledgement; -1 if none is waited for

	fragments, repeats uint64
}

// begin begins a connection. first is the number of its first fragment.
func (s *sender) begin(line Line, first uint16) {
	s.line, s.message, s.at, s.offered = line, nil, 0, false
	s.base, s.next, s.stamp, s.echoed = first, first, 0, 0xffff
	s.ping = ping{}
	s.srtt, s.rttvar, s.misses, s.timer = 0, 0, 0, -1
}

func (s *sender) slot(seq uint16) *slot { return &s.slots[seq%MaxWindow] }

// fill cuts the message while the window has room, and reports whether the last of it went in.
func (s *sender) fill() bool {
	for s.offered && int(s.next-s.base) < s.line.Window {
		n := min(len(s.message)-s.at, s.line.Fragment)
		x := s.slot(s.next)
		*x = slot{data: append(x.data[:0], s.message[s.at:s.at+n]...), due: true}
		if s.at == 0 {
			x.flags |= flagFirst
		}
		s.at += n
		s.next++
		if s.at == len(s.message) {
			x.flags |= flagLast
			s.message, s.at, s.offered = nil, 0, false
			return true
		}
	}
	return false
}

// pick returns the fragment to transmit next, the oldest that is due, or false.
func (s *sender) pick() (seq uint16, ok bool) {
	for seq = s.base; seq != s.next; seq++ {
		if x := s.slot(seq); x.due && !x.acked {
			return seq, true
		}
	}
	return 0, false
}

// transmitted notes that a fragment goes out now, as the transmission s.stamp.
func (s *sender) transmitted(now time.Duration, seq uint16) {
	x := s.slot(seq)
	s.fragments++
	if x.sent {
		s.repeats++
	}
	x.due, x.sent, x.stamp, x.at = false, true, s.stamp, now
	s.stamp++
	if s.timer < 0 {
		s.timer = now + s.patience()
	}
}

// pinged notes that a ping goes out now.
func (s *sender) pinged(now time.Duration) {
	s.ping = ping{sent: true, stamp: s.stamp, at: now}
	s.stamp++
}

// acknowledged takes an acknowledgement. One that is older than others that came repeats what they said; one that speaks of
// what was never sent is ignored.
func (s *sender) acknowledged(now time.Duration, a ack) {
	if before(s.next, a.next) || !before(a.stamp, s.stamp) {
		return
	}
	s.measure(now, a.stamp)
	progress := false
	for seq := s.base; seq != s.next; seq++ {
		x := s.slot(seq)
		switch {
		case x.acked:
		case before(seq, a.next), a.bits>>(seq-a.next)&1 != 0:
			x.acked, x.due = true, false
			progress = true
		case x.sent && before(x.stamp, a.stamp):
			x.due = true // what was transmitted after it has arrived
		}
	}
	if before(s.base, a.next) { // and not beyond: the window is where the other end has it
		s.base = a.next
	}
	if progress {
		s.misses = 0
		s.timer = now + s.patience()
	}
	if s.base == s.next {
		s.timer = -1
	}
}

// measure takes the round trip of a transmission into the smoothed one.
func (s *sender) measure(now time.Duration, stamp uint16) {
	if !before(s.echoed, stamp) {
		return
	}
	s.echoed = stamp
	at := s.ping.at
	if !s.ping.sent || s.ping.stamp != stamp {
		seq, ok := s.find(stamp)
		if !ok {
			return
		}
		at = s.slot(seq).at
	}
	rtt := now - at
	if s.srtt == 0 {
		s.srtt, s.rttvar = rtt, rtt/2
		return
	}
	s.rttvar += ((rtt - s.srtt).Abs() - s.rttvar) / 4
	s.srtt += (rtt - s.srtt) / 8
}

// find returns the fragment whose last transmission that was.
func (s *sender) find(stamp uint16) (seq uint16, ok bool) {
	for seq = s.base; seq != s.next; seq++ {
		if x := s.slot(seq); x.sent && x.stamp == stamp {
			return seq, true
		}
	}
	return 0, false
}

const (
	granularity = 10 * time.Millisecond // of timers, RFC 6298's G
	maxWait     = 5 * time.Second
)

// patience is how long to wait for an acknowledgement. It is never less than a round trip may take at this rate: RFC 6298's
// second is for networks whose least is not known.
func (s *sender) patience() time.Duration {
	rto := max(time.Second, 2*s.line.trip())
	if s.srtt > 0 {
		rto = max(s.srtt+max(granularity, 4*s.rttvar), s.line.trip())
	}
	if s.misses == 0 {
		return min(rto, maxWait)
	}
	spread := rto<<min(s.misses, 10) - rto
	return min(rto, maxWait) + upTo(s.rng, max(0, min(spread, maxWait-rto)))
}

// upTo draws evenly from 0 to d.
func upTo(rng env.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Uint64() % (uint64(d) + 1))
}

// expire handles a timer that ran out: the oldest fragment goes again, and its acknowledgement will tell of the others. When
// everything has arrived and the other end has no room for it, it is asked whether it has now: its word may be lost.
func (s *sender) expire(now time.Duration) {
	if s.timer < 0 || now < s.timer {
		return
	}
	if _, waits := s.pick(); !waits {
		s.misses++
		s.ping.due = true
		for seq := s.base; seq != s.next; seq++ {
			if x := s.slot(seq); !x.acked {
				x.due, s.ping.due = true, false
				break
			}
		}
	}
	s.timer = now + s.patience()
}
