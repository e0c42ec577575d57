package arq

import (
	"errors"

	"github.com/fulmar-io/fulmar/link"
)

// arrival is a fragment that has arrived and is not part of a message yet.
type arrival struct {
	data  []byte // its memory is used again
	flags byte
	full  bool
}

// receiver is the incoming direction of a connection.
type receiver struct {
	line  Line // as this end announced
	next  uint16
	slots [MaxWindow]arrival

	message []byte // being put together
	begun   bool

	stamp  uint16 // the latest transmission that arrived
	owed   int    // fragments that arrived since the last acknowledgement
	urgent bool   // an acknowledgement must not wait
	passed bool   // a fragment of ours went first already

	fragments, again uint64
}

func (r *receiver) begin(line Line, first uint16) {
	r.line, r.next, r.stamp = line, first, 0xffff
	r.message, r.begun, r.owed, r.urgent, r.passed = nil, false, 0, false, false
	for i := range r.slots {
		r.slots[i].full = false
	}
}

// transmission notes which transmission has arrived.
func (r *receiver) transmission(stamp uint16) {
	if before(r.stamp, stamp) {
		r.stamp = stamp
	}
}

// data takes a fragment. One that is there, or outside of the window, is only acknowledged.
func (r *receiver) data(flags byte, seq, stamp uint16, b []byte) {
	r.transmission(stamp)
	r.fragments++
	r.owed++
	if seq != r.next {
		r.urgent = true
	}
	x := &r.slots[seq%MaxWindow]
	if int(seq-r.next) >= r.line.Window || x.full {
		r.again++
		return
	}
	x.data, x.flags, x.full = append(x.data[:0], b...), flags, true
}

var (
	errProtocol = errors.New("the peer breaks the protocol: a fragment that continues no message, or begins one within another")
	errLength   = errors.New("the peer breaks the protocol: a message that is too long")
)

// take puts the next fragments together until a message is whole, and returns that, the caller's from here on. Without room
// the end of a message stays where it is, and the window stays closed.
func (r *receiver) take(room bool) (message []byte, whole bool, err error) {
	for {
		x := &r.slots[r.next%MaxWindow]
		last := x.flags&flagLast != 0
		if !x.full || last && !room {
			return nil, false, nil
		}
		if first := x.flags&flagFirst != 0; first == r.begun {
			return nil, false, errProtocol
		}
		if len(r.message)+len(x.data) > link.MaxMessage {
			return nil, false, errLength
		}
		r.message, r.begun, x.full = append(r.message, x.data...), !last, false
		r.next++
		if last {
			message, r.message = r.message, nil
			if message == nil {
				message = []byte{}
			}
			return message, true, nil
		}
	}
}

// ack returns what is to be acknowledged, which is then not owed any more.
func (r *receiver) ack() ack {
	a := ack{next: r.next, stamp: r.stamp}
	for i := range uint16(r.line.Window) {
		if r.slots[(r.next+i)%MaxWindow].full {
			a.bits |= 1 << i
		}
	}
	r.owed, r.urgent, r.passed = 0, false, false
	return a
}

// due reports whether an acknowledgement is to go now: at once if it matters, else after two fragments, or after one if there
// is nothing else to send or something else went first.
func (r *receiver) due(others bool) bool {
	return r.urgent || r.owed >= 2 || r.owed > 0 && (!others || r.passed)
}
