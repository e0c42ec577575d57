package haltest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// Player is a host that plays a recording back. On each resource the calls must be those of the recording, in its order and
// with the same bytes; resources are independent of each other. What asks whether there is news (Edges, and Read and Receive
// of a UART and a CAN bus) may do so as often as it likes: it gets what the recording has next, unless something else is to
// be called first, and then nothing.
//
// The first call that differs fails, and all that follow on that handle fail with it. Many drivers swallow errors: a test asks
// Done at its end.
//
// Its handles may be used from several goroutines, each handle from one; a call that fits allocates nothing.
type Player struct {
	now   func() int64
	start int64

	mu    sync.Mutex // guards what is below
	reels map[string]*reel
	first error
}

// reel is one resource's part of a recording. Its mutex guards it against Done.
type reel struct {
	p    *Player
	name string

	mu   sync.Mutex
	next []transaction
	err  error
}

// NewPlayer reads a recording, of at most 64 MiB. If now is not nil, it is a clock of monotonic nanoseconds, and news comes
// when it is due, counted from here; else each comes as soon as it is asked for. Edges carry the recording's times, counted
// from here too, or from 0 without a clock.
func NewPlayer(r io.Reader, now func() int64) (*Player, error) {
	all, err := parse(r)
	if err != nil {
		return nil, err
	}
	p := &Player{now: now, reels: make(map[string]*reel, len(all))}
	if now != nil {
		p.start = now()
	}
	for n, ts := range all {
		p.reels[n] = &reel{p: p, name: n, next: ts}
	}
	return p, nil
}

// Open implements hal.Host. The recording must have an open of the resource next, set up alike.
func (p *Player) Open(r hal.Resource) (any, func() error, error) {
	n := name.Of(r)
	p.mu.Lock()
	x := p.reels[n]
	p.mu.Unlock()
	if x == nil {
		var have []string
		for n := range p.reels {
			have = append(have, n)
		}
		err := fmt.Errorf("haltest: play back: open %s: it is not in the recording: %s", n, name.Listed(n, have))
		p.fail(err)
		return nil, nil, err
	}
	t, err := x.take("open", func(t *transaction) bool { return t.opened == r }, func(b []byte) []byte { return appendOpen(b, r) })
	if err != nil {
		return nil, nil, err
	}
	if t.err != nil {
		return nil, nil, t.err
	}
	return x.handle(r.Kind), x.close, nil
}

func (x *reel) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err == nil && len(x.next) > 0 && x.next[0].call == "close" {
		t := x.next[0]
		x.next = x.next[1:]
		return t.err
	}
	return nil
}

// Done returns the first call that differed from the recording; or else what of it was not called, closing excepted; or nil.
func (p *Player) Done() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first != nil {
		return p.first
	}
	var errs []error
	for _, x := range p.reels {
		if err := x.left(); err != nil {
			errs = append(errs, err)
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return bytes.Compare([]byte(a.Error()), []byte(b.Error())) })
	return errors.Join(errs...)
}

func (x *reel) left() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.next) == 0 || len(x.next) == 1 && x.next[0].call == "close" {
		return nil
	}
	t := &x.next[0]
	return fmt.Errorf("haltest: play back: %s: %d calls of the recording were not made, the first is of line %d: %s",
		x.name, len(x.next), t.line, t)
}

func (p *Player) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == nil {
		p.first = err
	}
}

// String writes a transaction as its line has it, without time, resource and what it brought.
func (t *transaction) String() string {
	b := []byte(t.call)
	switch {
	case t.call == "open":
		b = appendOpen(b, t.opened)
	case t.call == "set":
		b = strconv.AppendInt(append(b, " w "...), t.n, 10)
		b = strconv.AppendInt(append(b, ' '), t.high, 10)
	case t.call == "send":
		b = appendFrame(append(b, " w"...), t.frames[0])
	case len(t.out) > 0:
		b = appendBytes(append(b, " w"...), t.out)
	case t.call == "write":
		b = append(append(b, " w "...), levelWord(t.level)...)
	}
	if t.call == "tx" && t.asked > 0 {
		b = strconv.AppendInt(append(b, " r *"...), int64(t.asked), 10)
	}
	return string(b)
}

// take returns the next transaction if it is this call and fits; got writes the call's arguments for the error otherwise.
func (x *reel) take(call string, fits func(*transaction) bool, got func([]byte) []byte) (*transaction, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return nil, x.err
	}
	if len(x.next) == 0 {
		return nil, x.differ(fmt.Errorf("haltest: play back: %s: got %s, but the recording has ended", x.name, got([]byte(call))))
	}
	t := &x.next[0]
	if t.call != call || !fits(t) {
		return nil, x.differ(fmt.Errorf("haltest: play back: line %d: %s: want %s, got %s", t.line, x.name, t, got([]byte(call))))
	}
	x.next = x.next[1:]
	return t, nil
}

// news returns the next transaction if it is this call and due, or nil. When all of it was passed on, pop takes it away.
func (x *reel) news(call string) (*transaction, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return nil, x.err
	}
	if len(x.next) == 0 || x.next[0].call != call {
		return nil, nil
	}
	t := &x.next[0]
	if x.p.now != nil && x.p.now()-x.p.start < t.at {
		return nil, nil
	}
	return t, nil
}

func (x *reel) pop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.next = x.next[1:]
}

func (x *reel) differ(err error) error {
	x.err = err
	x.p.fail(err)
	return err
}
