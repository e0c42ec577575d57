package linktest

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/fulmar-io/fulmar/link"
)

// Luck is what a Lossy link does to messages, each way. The chances are from 0 to 1.
type Luck struct {
	Seed      uint64
	Lose      float64
	Duplicate float64
	Reorder   float64 // the message is held back until the next one has gone
}

// Lossy returns a dialer whose connections lose, duplicate and reorder whole messages. The same seed and the same messages
// give the same luck, connection by connection.
func Lossy(d link.Dialer, luck Luck) link.Dialer { return &lossyDialer{Dialer: d, luck: luck} }

type lossyDialer struct {
	link.Dialer
	luck Luck

	mu    sync.Mutex // guards dials
	dials uint64
}

// Dial implements link.Dialer.
func (d *lossyDialer) Dial(ctx context.Context) (link.Conn, error) {
	c, err := d.Dialer.Dial(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dials++
	seed := d.luck.Seed ^ d.dials<<32
	return &lossyConn{Conn: c, up: newFate(d.luck, seed, 1), down: newFate(d.luck, seed, 2)}, nil
}

type lossyConn struct {
	link.Conn
	up   *fate // of the sending goroutine
	down *fate // of the receiving goroutine
	due  [][]byte
}

// Send implements link.Conn.
func (c *lossyConn) Send(ctx context.Context, message []byte) error {
	for _, m := range c.up.befalls(message) {
		if err := c.Conn.Send(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// Recv implements link.Conn.
func (c *lossyConn) Recv(ctx context.Context) ([]byte, error) {
	for len(c.due) == 0 {
		m, err := c.Conn.Recv(ctx)
		if err != nil {
			return nil, err
		}
		c.due = c.down.befalls(m)
	}
	m := c.due[0]
	c.due = c.due[1:]
	return m, nil
}

// fate decides about the messages of one direction.
type fate struct {
	luck Luck
	rng  *rand.Rand
	held [][]byte
}

func newFate(luck Luck, seed, direction uint64) *fate {
	return &fate{luck: luck, rng: rand.New(rand.NewPCG(seed, direction))}
}

// befalls returns what goes on now instead of a message. The results' memory is their own.
func (f *fate) befalls(message []byte) [][]byte {
	lose, twice, hold := f.rng.Float64() < f.luck.Lose, f.rng.Float64() < f.luck.Duplicate, f.rng.Float64() < f.luck.Reorder
	var now [][]byte
	if !lose {
		now = append(now, append([]byte(nil), message...))
	}
	if twice {
		now = append(now, append([]byte(nil), message...))
	}
	if hold && len(f.held) == 0 {
		f.held = now
		return nil
	}
	now = append(now, f.held...)
	f.held = nil
	return now
}
