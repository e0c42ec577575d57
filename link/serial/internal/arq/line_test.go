package arq

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/wire"
)

// luck is what a line does to frames. The chances are from 0 to 1.
type luck struct {
	lose, damage, twice, reorder, garbage float64
}

// flight is bytes on their way.
type flight struct {
	at   time.Duration
	data []byte
}

// patient is a silence that no line here comes to by bad luck.
const patient = time.Minute

// nearWrap draws numbers for connections whose fragments soon wrap around.
type nearWrap struct{ env.Rand }

func (r nearWrap) Uint64() uint64 { return r.Rand.Uint64() | 0xfff0<<32 }

// end is one end of a line in virtual time.
type end struct {
	m       *Machine
	decoder wire.Decoder
	coming  []flight // by time
	free    time.Duration
	written time.Duration // when the Write under way is answered; -1 if none
	queue   [][]byte      // to be offered
	offered int

	got   [][]byte
	ups   int
	downs []error
	taken []time.Duration // when messages were
	deaf  bool            // nobody receives
}

// world is two ends and the line between them.
type world struct {
	t     testing.TB
	now   time.Duration
	rng   *rand.Rand
	luck  luck
	cut   bool
	delay time.Duration
	baud  int
	ends  [2]*end // the machine's, the ground's
}

func newEnd(now time.Duration, o Options, rng env.Rand) *end {
	e := &end{m: New(now, o, rng), written: -1}
	e.decoder.Reset(make([]byte, MaxPayload+4))
	return e
}

func newWorld(t testing.TB, baud int, seed uint64, l luck) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), luck: l, baud: baud, delay: 5 * time.Millisecond}
	w.ends[0] = newEnd(0, Options{Device: "rover", Baud: baud, KeepAlive: patient}, nearWrap{w.rng})
	w.ends[1] = newEnd(0, Options{Baud: baud, KeepAlive: patient}, nearWrap{w.rng})
	return w
}

// restart puts a new machine at an end, as when its process was killed.
func (w *world) restart(i int) {
	o := w.ends[i].m.o
	o.Held = 0
	old := w.ends[i]
	w.ends[i] = newEnd(w.now, o, nearWrap{w.rng})
	w.ends[i].coming = old.coming // what is on the line stays there
}

// perform does what an end's machine wants, and offers what is to be sent.
func (w *world) perform(i int) {
	e := w.ends[i]
	for {
		effects := e.m.Effects()
		for _, x := range effects {
			w.effect(i, e, x)
		}
		received := !e.deaf && e.m.held > 0
		if received {
			e.m.Consumed(w.now, e.m.held)
		}
		if e.offered < len(e.queue) && e.m.Offer(w.now, e.queue[e.offered]) {
			e.offered++
			continue
		}
		if len(effects) == 0 && !received {
			return
		}
	}
}

func (w *world) effect(i int, e *end, x Effect) {
	switch x.Kind {
	case Write:
		start := max(w.now, e.free)
		if start-w.now > Lead {
			w.t.Errorf("%v of the line's time wait in the system's buffer", start-w.now)
		}
		e.free = start + NewLine(w.baud).Time(len(x.Data))
		e.written = w.now // the system's buffer takes it
		w.carry(w.ends[1-i], e.free+w.delay, bytes.Clone(x.Data))
	case Up:
		e.ups++
	case Down:
		e.downs = append(e.downs, x.Err)
	case Taken:
		e.taken = append(e.taken, w.now)
	case Deliver:
		e.got = append(e.got, x.Data)
	}
}

// carry decides what becomes of a frame.
func (w *world) carry(to *end, at time.Duration, data []byte) {
	if w.cut || w.rng.Float64() < w.luck.lose {
		return
	}
	if w.rng.Float64() < w.luck.damage {
		data[w.rng.IntN(len(data))] ^= 1 << w.rng.IntN(8)
	}
	if w.rng.Float64() < w.luck.garbage {
		noise := make([]byte, w.rng.IntN(40))
		for i := range noise {
			noise[i] = byte(w.rng.Uint32())
		}
		to.coming = append(to.coming, flight{at, noise})
	}
	if w.rng.Float64() < w.luck.reorder {
		at += time.Duration(w.rng.Int64N(int64(300 * time.Millisecond)))
	}
	to.coming = append(to.coming, flight{at, data})
	if w.rng.Float64() < w.luck.twice {
		to.coming = append(to.coming, flight{at + time.Duration(w.rng.Int64N(int64(time.Second))), data})
	}
}

// run lets time pass until the condition holds, or the limit is reached, and reports whether it holds.
func (w *world) run(limit time.Duration, done func() bool) bool {
	deadline := w.now + limit
	for {
		for i := range w.ends {
			w.perform(i)
		}
		if done() {
			return true
		}
		next := time.Duration(-1)
		at := func(t time.Duration) {
			if next < 0 || t < next {
				next = t
			}
		}
		for _, e := range w.ends {
			if t, ok := e.m.Wake(); ok {
				at(t)
			}
			if e.written >= 0 {
				at(e.written)
			}
			for _, f := range e.coming {
				at(f.at)
			}
		}
		if next < 0 || next > deadline {
			w.now = deadline
			return done()
		}
		if next < w.now {
			next = w.now
		}
		w.now = next
		for i := range w.ends {
			w.events(i)
		}
	}
}

// events gives an end what is due.
func (w *world) events(i int) {
	e := w.ends[i]
	if e.written >= 0 && e.written <= w.now {
		e.written = -1
		e.m.Written(w.now)
		return
	}
	first := -1
	for k, f := range e.coming {
		if f.at <= w.now && (first < 0 || f.at < e.coming[first].at) {
			first = k
		}
	}
	if first >= 0 {
		data := e.coming[first].data
		e.coming = append(e.coming[:first], e.coming[first+1:]...)
		for len(data) > 0 {
			n, payload, ok := e.decoder.Feed(data)
			data = data[n:]
			if ok {
				e.m.Received(w.now, payload)
				w.perform(i)
			}
		}
		return
	}
	if t, ok := e.m.Wake(); ok && t <= w.now {
		e.m.Tick(w.now)
	}
}

func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
