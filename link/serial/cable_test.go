package serial_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// luck is what a cable does. The chances are from 0 to 1.
type luck struct {
	seed    uint64
	lose    float64 // a frame
	damage  float64 // a byte of a frame, which becomes another
	garbage float64 // up to 40 bytes before a frame
	delay   time.Duration
}

// cable is a line in memory with a rate: bytes take their time, in real time or in a bubble's. What no plug is there for is
// lost, as on any line.
type cable struct {
	baud int
	done chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	luck  luck
	rng   *rand.Rand
	plugs [2]*plug
	sent  [2][]byte // what each end wrote and the line has not taken yet: its system's buffer
	noisy [2]bool   // towards each end there is garbage for ever
	wake  [2]chan struct{}
	room  [2]chan struct{}
}

const (
	systemBuffer = 4096    // of a line's end, for what is written; Linux has as much
	readBuffer   = 1 << 16 // for what nobody reads; beyond it bytes are lost
)

func newCable(t testing.TB, baud int, l luck) *cable {
	c := &cable{baud: baud, luck: l, rng: rand.New(rand.NewPCG(l.seed, 3)), done: make(chan struct{})}
	for i := range 2 {
		c.wake[i], c.room[i] = make(chan struct{}, 1), make(chan struct{}, 1)
		c.wg.Go(func() { c.carry(i) })
	}
	t.Cleanup(func() {
		close(c.done)
		c.wg.Wait()
	})
	return c
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// carry brings what an end writes to the other, frame by frame, at the line's rate.
func (c *cable) carry(from int) {
	free := time.Now()
	for {
		b := c.take(from)
		if b == nil {
			select {
			case <-c.wake[from]:
				continue
			case <-c.done:
				return
			}
		}
		if now := time.Now(); free.Before(now) {
			free = now
		}
		free = free.Add(time.Duration(int64(len(b)) * 10 * int64(time.Second) / int64(c.baud)))
		wait := time.NewTimer(time.Until(free))
		select {
		case <-wait.C:
		case <-c.done:
			wait.Stop()
			return
		}
		if c.luck.delay == 0 {
			c.arrive(1-from, b)
			continue
		}
		time.AfterFunc(c.luck.delay, func() { c.arrive(1-from, b) })
	}
}

// take removes up to a frame, or garbage, from what an end has to write.
func (c *cable) take(from int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.sent[from]) && c.sent[from][n] == 0 {
		n++ // a delimiter that goes before a frame
	}
	if k := bytes.IndexByte(c.sent[from][n:], 0); k >= 0 {
		n += k + 1
	} else {
		n = len(c.sent[from])
	}
	b := bytes.Clone(c.sent[from][:n])
	c.sent[from] = c.sent[from][n:]
	signal(c.room[from])
	if len(b) == 0 {
		if !c.noisy[1-from] {
			return nil
		}
		return c.noise(200)
	}
	if c.rng.Float64() < c.luck.garbage {
		b = append(c.noise(1+c.rng.IntN(40)), b...)
	}
	if c.rng.Float64() < c.luck.damage {
		b[c.rng.IntN(len(b))] ^= byte(1 + c.rng.IntN(255))
	}
	if c.rng.Float64() < c.luck.lose && len(b) > 1 {
		clear(b) // it took its time, and arrives as nothing
	}
	return b
}

func (c *cable) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(c.rng.Uint32())
	}
	return b
}

func (c *cable) arrive(to int, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.plugs[to]
	if p == nil {
		return
	}
	p.coming = append(p.coming, b[:min(len(b), readBuffer-len(p.coming))]...)
	signal(p.arrived)
}

// makeNoise lets garbage come to an end for as long as nothing else does.
func (c *cable) makeNoise(to int, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noisy[to] = on
	signal(c.wake[1-to])
}

// open opens an end. A plug that was there is pulled without a word: what it writes goes nowhere.
func (c *cable) open(i int) func(context.Context) (io.ReadWriteCloser, error) {
	return func(context.Context) (io.ReadWriteCloser, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		p := &plug{c: c, end: i, arrived: make(chan struct{}, 1), closed: make(chan struct{})}
		c.plugs[i] = p
		return p, nil
	}
}

// unplug takes the port from under an end, as when its converter is pulled.
func (c *cable) unplug(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.plugs[i]; p != nil {
		c.plugs[i], p.gone = nil, true
		signal(p.arrived)
		signal(c.room[i])
	}
}

// plug is an open end.
type plug struct {
	c       *cable
	end     int
	arrived chan struct{}
	closed  chan struct{}
	once    sync.Once

	coming []byte // of the cable's mutex, as is gone
	gone   bool
}

func (p *plug) Read(b []byte) (int, error) {
	for {
		p.c.mu.Lock()
		n := copy(b, p.coming)
		p.coming = p.coming[n:]
		gone := p.gone
		p.c.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		if gone {
			return 0, io.EOF
		}
		select {
		case <-p.arrived:
		case <-p.closed:
			return 0, os.ErrClosed
		}
	}
}

func (p *plug) Write(b []byte) (int, error) {
	for {
		p.c.mu.Lock()
		mine, full := p.c.plugs[p.end] == p, len(p.c.sent[p.end]) > systemBuffer
		gone := p.gone
		if mine && !full {
			p.c.sent[p.end] = append(p.c.sent[p.end], b...)
			signal(p.c.wake[p.end])
		}
		p.c.mu.Unlock()
		if gone {
			return 0, syscall.EIO
		}
		if !mine || !full {
			return len(b), nil
		}
		select {
		case <-p.c.room[p.end]:
		case <-p.closed:
			return 0, os.ErrClosed
		}
	}
}

func (p *plug) Close() error {
	p.once.Do(func() {
		p.c.mu.Lock()
		if p.c.plugs[p.end] == p {
			p.c.plugs[p.end] = nil
		}
		p.c.mu.Unlock()
		close(p.closed)
	})
	return nil
}
