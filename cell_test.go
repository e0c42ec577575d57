package fulmar

import (
	"testing"
	"time"
)

// state is of the size that a port's value mostly has.
type state struct {
	Position, Velocity, Accel [3]float64
	Valid                     bool
}

// A value is written and read within 60 ns: the least of many rounds, for other work on the host delays some of them.
func TestAPortIsFast(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector is what takes the time")
	}
	var c cell[state]
	for range 3 {
		c.addReader()
	}
	const writes = 10_000
	least := time.Hour
	var sum float64
	for range 50 {
		began := time.Now()
		for i := range writes {
			c.write(state{Valid: i&1 == 0})
			v, _ := c.read()
			sum += v.Position[0]
		}
		least = min(least, time.Since(began))
	}
	each := float64(least.Nanoseconds()) / writes
	t.Logf("%.1f ns for a write and a read of %d bytes, %v", each, 80, sum)
	if each > 60 {
		t.Errorf("%.1f ns for a write and a read, at most 60", each)
	}
}

func BenchmarkPort(b *testing.B) {
	var c cell[state]
	c.addReader()
	for b.Loop() {
		c.write(state{})
		c.read()
	}
}

func BenchmarkQueue(b *testing.B) {
	p := newPipe[state](16)
	items := make([]state, 0, 16)
	for b.Loop() {
		p.put(state{})
		items = p.take(items[:0])
	}
}
