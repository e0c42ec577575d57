package delivery

import (
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Options bound the machine. The zero value of each field means its default.
type Options struct {
	// Links to the ground, most preferred first. With none, everything stays in the spool.
	Links []Link
	// InFlightFrames and InFlightBytes bound what is sent and not yet acknowledged, over all classes. Default 256
	// frames and 4 MiB. Urgent frames may exceed both by a quarter.
	InFlightFrames int
	InFlightBytes  int
	// AckTimeout is the least time to wait for an acknowledgement before a frame is sent again. Default 2 s; the
	// measured round trip raises it.
	AckTimeout time.Duration
	// BackoffBase and BackoffCap shape the waits after failures: the nth is drawn evenly from 0 to
	// min(cap, base × 2ⁿ). Default 250 ms and 60 s.
	BackoffBase, BackoffCap time.Duration
	// ReconnectCap bounds the waits after attempts to connect that failed, instead of BackoffCap: such an attempt carries no frame, and
	// the ground is to have something new soon after it is there again. Default 1.5 s.
	ReconnectCap time.Duration
	// BreakAfter is how many failures in a row open a link's breaker. Default 5.
	BreakAfter int
	// Overhead is how much longer a message is than the frame in it, in bytes, for the links' budgets.
	Overhead int
}

// Link is what one link is used for. The zero value carries everything.
type Link struct {
	// Name is by which the courier knows after a restart what was spent of the budget.
	Name string
	// Never are the classes that it does not carry, by Class.Index.
	Never [packet.Classes]bool
	// PerHour bounds the bytes of messages, both ways together, in any hour; 0 is no bound. A tenth of it is for urgent frames
	// alone. What the ground says is counted and not held back.
	PerHour int64
}

// WithDefaults fills what was left 0, but for Links.
func (o Options) WithDefaults() Options {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	dur := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.InFlightFrames, 256)
	def(&o.InFlightBytes, 4<<20)
	def(&o.BreakAfter, 5)
	dur(&o.AckTimeout, 2*time.Second)
	dur(&o.BackoffBase, 250*time.Millisecond)
	dur(&o.BackoffCap, time.Minute)
	dur(&o.ReconnectCap, 1500*time.Millisecond)
	return o
}

// For returns what the links of the dialers are used for: what list says, as far as it goes, by the dialers' names.
func For(list []Link, dialers []link.Dialer) []Link {
	links := make([]Link, len(dialers))
	copy(links, list)
	for i, d := range dialers {
		links[i].Name = d.String()
	}
	return links
}

// Key names a frame in the spool.
type Key struct {
	Class packet.Class
	Index uint64
}

// Frame is a frame of the spool as the machine needs it.
type Frame struct {
	Key
	Boot  telemetry.Boot
	Range ledger.Range
	Data  []byte // kept until the frame is done; not changed
}

// Effect is something to be done.
type Effect interface{ isEffect() }

// Load asks for the committed frames of a class from the index From up: at most Frames of them, and no more after they
// have Bytes together. Answer with Loaded.
type Load struct {
	Class  packet.Class
	From   uint64
	Frames int
	Bytes  int
}

// Dial asks for a connection over a link. Answer with Up or Down.
type Dial struct{ Link int }

// HangUp asks to cut a link's connection, which is not waited for: the link counts as down from here on, and nothing
// is to be reported for its old connection.
type HangUp struct{ Link int }

// Transmit asks to hand a frame to a link. Answer with Sent. There is at most one Transmit per link at a time.
type Transmit struct {
	Link int
	Key  Key
	Data []byte
}

// Done says that a frame need not be kept any more: the ground has it.
type Done struct{ Frame Frame }

// Dead says that the ground refused a frame for good. It is to be kept with the dead letters and declared lost.
type Dead struct {
	Frame  Frame
	Reason link.Refuse
}

// Wanted says that the ground asks for layouts.
type Wanted struct{ Layouts []telemetry.LayoutID }

func (Load) isEffect()     {}
func (Dial) isEffect()     {}
func (HangUp) isEffect()   {}
func (Transmit) isEffect() {}
func (Done) isEffect()     {}
func (Dead) isEffect()     {}
func (Wanted) isEffect()   {}

// LinkState is what a link is doing.
type LinkState uint8

// The states of a link.
const (
	Waiting LinkState = iota // for its time to be dialled, or for a more preferred link to fail
	Dialling
	Connected
)

// String returns the state in a word.
func (s LinkState) String() string {
	switch s {
	case Waiting:
		return "waiting"
	case Dialling:
		return "dialling"
	case Connected:
		return "connected"
	}
	return "invalid"
}

// PauseStatus is that the ground asked to be left alone with the frames of a class.
type PauseStatus struct {
	Class packet.Class
	Left  time.Duration
	Text  string // why, for a person
}

// LinkStatus is how a link is doing, for health.
type LinkStatus struct {
	Name      string
	State     LinkState
	Open      bool  // the breaker: failing, and probed with one frame at a time
	Budget    int64 // bytes an hour; 0 for none
	Spent     int64 // of it, in the last hour
	Failures  int   // in a row
	LastError string
	RTT       time.Duration // smoothed time from Transmit to acknowledgement; 0 until measured
	Sent      uint64        // frames handed over, repeats included
	SentBytes uint64
	Repeats   uint64 // frames that were sent before
}
