package seglog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/internal/extent"
)

// A point of crash: the disk as it was, the model, and what is to happen.
type crash struct {
	d          *driver
	rng        *rand.Rand
	recovering int // how often the call that was the last one was one of Open's
}

// TestCrashAfterEveryOperation stops a log after each call of the disk, by a power cut or by SIGKILL, opens what is left,
// checks it, writes on, and stops it again at a random call, up to three times.
func TestCrashAfterEveryOperation(t *testing.T) {
	first, end := extent.Of(t, 40)
	var all struct{ points, recovering int }
	for seed := first + 1; seed <= end; seed++ {
		points, recovering := crashRun(t, seed)
		all.points, all.recovering = all.points+points, all.recovering+recovering
	}
	extent.Covered(t, uint64(all.points), "crash points")
	extent.Covered(t, uint64(all.recovering), "crashes within a recovery")
	if !extent.Long() && (all.points < 2000 || all.recovering < 500) {
		t.Error("too few")
	}
}

// crashRun drives a log through several lives and crashes a copy of it after every operation.
func crashRun(t *testing.T, seed uint64) (points, recovering int) {
	d := newDriver(t, seed)
	luck := rand.New(rand.NewPCG(seed, 3))
	hook := func(op simdisk.Op, name string) {
		if op&simdisk.OpChange == 0 {
			return
		}
		points++
		c := crash{d: d, rng: rand.New(rand.NewPCG(seed, uint64(points)))}
		if err := c.strike(d.disk.Clone(), d.model.clone(), 0); err != nil {
			t.Fatalf("seed %d, crash point %d, after %s %s: %v", seed, points, op, name, err)
		}
		recovering += c.recovering
	}
	killed := false
	for life := 0; life < 4; life++ {
		d.disk.OnOp = hook
		d.open()
		d.check(d.log, d.model, false)
		d.model.settle(d.log, killed)
		for range 12 + luck.IntN(30) {
			d.step()
		}
		d.disk.OnOp = nil
		killed = false
		switch luck.IntN(3) {
		case 0:
			d.disk.OnOp = hook
			if err := d.log.Close(); err != nil {
				t.Fatal(err)
			}
			d.model.durable = d.model.next() - 1
		case 1:
			killed = true
			d.disk.Kill()
		default:
			d.disk.Crash(luck, simdisk.Mode(luck.IntN(simdisk.Modes)))
			d.model.returned = int(d.model.durable)
		}
	}
	return points, recovering
}

// strike crashes the disk, opens it and compares. Often it then goes on: a few records, and the next crash, in the middle
// of any call, recovery included.
func (c *crash) strike(disk *simdisk.Disk, m *model, depth int) error {
	kill := c.rng.IntN(4) == 0
	if kill {
		disk.Kill()
	} else {
		disk.Crash(c.rng, simdisk.Mode(c.rng.IntN(simdisk.Modes)))
		m.returned = int(m.durable) // what else Append returned may be gone
	}
	var again *simdisk.Disk
	var before *model
	if depth < 3 && c.rng.IntN(2) == 0 {
		at := c.rng.IntN(30)
		disk.OnOp = func(op simdisk.Op, _ string) {
			if at--; at == 0 {
				again, before = disk.Clone(), m.clone()
			}
		}
	}
	opt := c.d.opt
	opt.Checkpoint = func() []byte { return m.state(m.returned) }
	l, err := Open(disk, "log", opt)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if again != nil {
		c.recovering++
	}
	if kill && l.Next() <= uint64(m.returned) {
		return fmt.Errorf("depth %d: Append of %d had returned, the process was killed, next is %d", depth, m.returned, l.Next())
	}
	if err := compare(l, m, false); err != nil {
		return fmt.Errorf("depth %d, kill %v: %w", depth, kill, err)
	}
	if disk.OnOp == nil {
		return nil
	}
	m.settle(l, kill)
	if err := c.goOn(l, m); err != nil {
		return fmt.Errorf("depth %d: going on: %w", depth, err)
	}
	if again == nil {
		again, before = disk.Clone(), m
	}
	return c.strike(again, before, depth+1)
}

// goOn writes a little after a crash. The records differ from those that were cut.
func (c *crash) goOn(l *Log, m *model) error {
	for range c.rng.IntN(8) {
		p := make([]byte, c.rng.IntN(200))
		for i := range p {
			p[i] = byte(c.rng.Uint32())
		}
		m.recs = append(m.recs, p)
		_, err := l.Append(p)
		if errors.Is(err, ErrFull) {
			if err := l.Sync(); err != nil {
				return err
			}
			m.durable = uint64(m.returned)
			_, err = l.Append(p)
		}
		if err != nil {
			return err
		}
		m.returned++
		switch c.rng.IntN(4) {
		case 0:
			if err := l.Sync(); err != nil {
				return err
			}
			m.durable = m.next() - 1
		case 1:
			m.cursor += c.rng.Uint64N(m.next() - m.cursor + 1)
			if err := l.TrimFront(m.cursor); err != nil {
				return err
			}
		}
	}
	return compare(l, m, false)
}
