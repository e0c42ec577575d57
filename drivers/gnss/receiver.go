package gnss

import (
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/drivers/gnss/nmea"
	"github.com/fulmar-io/fulmar/drivers/gnss/ubx"
	"github.com/fulmar-io/fulmar/hal"
)

const (
	readSize = 256
	// maxReads bounds what a Poll takes from the line: 1 KiB.
	maxReads = 4
	// defaultQuiet is longer than receivers pause within an epoch, and shorter than they pause between two of 10 Hz.
	defaultQuiet = 60 * time.Millisecond
)

// Options of a Receiver. The zero value is valid.
type Options struct {
	// Quiet is how long the line must be quiet until an epoch counts as complete, whatever it lacks. Default 60 ms. What is
	// shorter than the loop's period is one period.
	Quiet time.Duration
}

// Counts is what a Receiver has met since it was made.
type Counts struct {
	Bytes       uint64
	Sentences   uint64 // of NMEA, whole
	Frames      uint64 // of UBX, whole
	BadChecksum uint64
	Broken      uint64 // sentences that were cut off, frames that did not go on
	TooLong     uint64
	Garbage     uint64 // bytes that are in no sentence and no frame, CR and LF aside
	Unknown     uint64 // sentences and frames that nothing here reads
	Malformed   uint64 // right checksum, but a field cannot be read
	Late        uint64 // came after their epoch had ended
	Fixes       uint64
	Overruns    uint64 // fixes that nobody took, dropped for newer ones
}

// Status is how a Receiver is doing.
type Status struct {
	// Silent is how long nothing has arrived, since the first Poll at most.
	Silent time.Duration
	// Configuration is how Configure is getting on, and Err why it failed: a *ConfigureError.
	Configuration Progress
	Err           error
	Counts        Counts
}

// Receiver is a satellite receiver on a serial line.
type Receiver struct {
	line  hal.UART
	quiet time.Duration

	polled bool
	heard  time.Duration // when bytes came last, or the first Poll
	in     [readSize]byte

	ubx       ubx.Framer
	nmea      nmea.Framer
	frames    frames
	sentences sentences
	// framed is when a Fix came of frames, if one ever did.
	framed   time.Duration
	framedOK bool

	out       queue
	setup     setup
	bytes     uint64
	unknown   uint64
	malformed uint64
}

// New returns a Receiver on a line, which is its own from now on. It touches the line with Poll only.
func New(line hal.UART, o Options) *Receiver {
	if o.Quiet <= 0 {
		o.Quiet = defaultQuiet
	}
	return &Receiver{line: line, quiet: o.Quiet}
}

// Poll takes what has arrived, at most 1 KiB, and sends what Configure wants sent. now is monotonic: the step's. An error is
// the line's, wrapped; what had arrived before it is taken.
func (r *Receiver) Poll(now time.Duration) error {
	if !r.polled {
		r.polled, r.heard = true, now
	}
	before := r.bytes
	for range maxReads {
		n, err := r.line.Read(r.in[:])
		if n > 0 {
			r.bytes += uint64(n)
			r.heard = now
			r.take(r.in[:n], now)
		}
		if err != nil {
			return fmt.Errorf("gnss: read: %w", err)
		}
		if n < len(r.in) {
			break
		}
	}
	if r.bytes == before && now-r.heard >= r.quiet {
		r.hush(now)
	}
	if err := r.setup.run(r.line, now); err != nil {
		return fmt.Errorf("gnss: write: %w", err)
	}
	return nil
}

// Next returns the oldest fix that was not taken yet. At most 32 wait.
func (r *Receiver) Next() (f Fix, ok bool) { return r.out.pop() }

// Status returns how the receiver is doing.
func (r *Receiver) Status(now time.Duration) Status {
	s := Status{Configuration: r.setup.progress, Err: r.setup.err, Counts: r.counts()}
	if r.polled {
		s.Silent = now - r.heard
	}
	return s
}

func (r *Receiver) counts() Counts {
	n, u := r.nmea.Counts(), r.ubx.Counts()
	return Counts{
		Bytes: r.bytes, Sentences: n.Sentences, Frames: u.Frames,
		BadChecksum: n.BadChecksum + u.BadChecksum, Broken: n.Broken + u.GivenUp, TooLong: n.TooLong + u.TooLong,
		Garbage: n.Garbage, Unknown: r.unknown, Malformed: r.malformed,
		Late: r.sentences.late + r.frames.late, Fixes: r.out.total, Overruns: r.out.overruns,
	}
}

// take takes bytes from the line.
func (r *Receiver) take(p []byte, now time.Duration) {
	for len(p) > 0 {
		p = p[r.ubx.Push(p):]
		r.drain(now)
	}
}

// drain takes what the framer of UBX has, and hands the rest on to that of NMEA.
func (r *Receiver) drain(now time.Duration) {
	for {
		switch token, frame, rest := r.ubx.Next(); token {
		case ubx.More:
			return
		case ubx.Whole:
			r.frame(frame, now)
		case ubx.Rest:
			for len(rest) > 0 {
				s, n := r.nmea.Next(rest)
				if rest = rest[n:]; s != nil {
					r.sentence(s, now)
				}
			}
		}
	}
}

// hush is called when the line is quiet: nothing that has begun goes on.
func (r *Receiver) hush(now time.Duration) {
	r.ubx.GiveUp()
	r.drain(now)
	var f Fix
	if r.frames.hush(&f, now) {
		r.give(&f)
	}
	if r.sentences.hush(&f, now) {
		r.give(&f)
	}
}

func (r *Receiver) frame(f ubx.Frame, now time.Duration) {
	if known, err := r.setup.answer(f, now); known {
		if err != nil {
			r.malformed++
		}
		return
	}
	before, own, n, known, err := r.frames.take(f, now)
	switch {
	case err != nil:
		r.malformed++
	case !known:
		r.unknown++
	}
	if n > 0 {
		r.give(&before)
	}
	if n > 1 {
		r.give(&own)
	}
}

func (r *Receiver) sentence(s nmea.Sentence, now time.Duration) {
	if s.Type() == nmea.Other {
		r.unknown++
		return
	}
	var m report
	if m.read(s) != nil {
		r.malformed++
		return
	}
	before, own, n := r.sentences.take(&m, now)
	if n > 0 {
		r.give(&before)
	}
	if n > 1 {
		r.give(&own)
	}
}

// give queues a fix, unless it only repeats what frames have said.
func (r *Receiver) give(f *Fix) {
	if f.Protocol == UBX {
		r.framed, r.framedOK = f.At, true
	} else if r.framedOK && f.At-r.framed < hold {
		return
	}
	r.out.push(f)
}
