package arq

import (
	"time"

	"github.com/fulmar-io/fulmar/wire"
)

// Limits of the options.
const (
	MinBaud = 1200
	MaxBaud = 12_000_000
	// DefaultBaud is what radio modems for telemetry come with.
	DefaultBaud = 57600
	// DefaultKeepAlive is how long a line may be idle before it is tried.
	DefaultKeepAlive = 5 * time.Second
	// Lead is how much of the line's time may wait in the system's buffers. It covers a timer that is late.
	Lead = 10 * time.Millisecond
	// Inbox is how many bytes of whole messages may wait to be received, each with inboxEach on top; the message that
	// exceeds it is the last that is taken.
	Inbox     = 256 << 10
	inboxEach = 256
)

// Options of a Machine. The zero value of each field but Device means its default.
type Options struct {
	// Device is the machine's name at the machine's end, which asks for a connection. At the ground's, which answers, it is
	// empty.
	Device string
	// Baud is the line's rate in bits per second, of which a byte takes ten. Default DefaultBaud.
	Baud int
	// KeepAlive: silent for so long, the peer is asked for a sign of life; for twice as long, and the connection is cut.
	// Default DefaultKeepAlive; at least eight round trips, as at 1,200 baud 10 s.
	KeepAlive time.Duration
	// Held are bytes of messages that wait to be received already: see Consumed.
	Held int
}

// WithDefaults fills what was left 0.
func (o Options) WithDefaults() Options {
	if o.Baud <= 0 {
		o.Baud = DefaultBaud
	}
	o.Baud = min(max(o.Baud, MinBaud), MaxBaud)
	if o.KeepAlive <= 0 {
		o.KeepAlive = DefaultKeepAlive
	}
	o.KeepAlive = max(o.KeepAlive, 8*NewLine(o.Baud).trip()) // time for more than one try
	return o
}

// Weight is what a message that waits to be received counts for in Options.Held.
func Weight(message []byte) int { return len(message) + inboxEach }

// A Line is what follows from a line's rate.
type Line struct {
	Baud     int
	Fragment int // bytes of a message in a frame
	Window   int // fragments under way
}

const (
	// fragmentTime is how long a fragment takes: long enough that its frame's 15 other bytes are few, short enough that an
	// acknowledgement the other way, or an urgent message, gets its turn.
	fragmentTime = 80 * time.Millisecond
	// turnaround is how long the other end may take to answer beyond the time on the line: converters on USB hold bytes
	// back for 16 ms by default, radios for their slots.
	turnaround = 100 * time.Millisecond
)

// NewLine sizes the fragments and the window of a line. The window covers two round trips: the second is that of a repeat,
// for which the fragments behind it need not wait. A round trip is the fragment, one that the other end is in the midst of, and
// the turnaround.
func NewLine(baud int) Line {
	l := Line{Baud: baud}
	l.Fragment = min(max(int(int64(baud)*int64(fragmentTime)/int64(10*time.Second)), minFragment), MaxFragment)
	frame := l.Time(wire.MaxFrame(dataHeader + l.Fragment))
	trip := 2*frame + turnaround
	l.Window = min(max(int((2*trip+frame-1)/frame), 4), MaxWindow)
	return l
}

// Time is how long n bytes take, each with a start and a stop bit.
func (l Line) Time(n int) time.Duration {
	return time.Duration(int64(n) * 10 * int64(time.Second) / int64(l.Baud))
}

// trip is how long a round trip takes before one was measured.
func (l Line) trip() time.Duration {
	return 3*l.Time(wire.MaxFrame(dataHeader+l.Fragment)) + turnaround
}
