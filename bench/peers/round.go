package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// A way brings readings from producers to the ground.
type way interface {
	name() string
	// begin starts all of it, with what it keeps in a folder, and returns when it is ready for the load.
	begin(ctx context.Context, dir string) (*course, error)
}

// course is a way under way.
type course struct {
	producer  *process
	sender    int // process that has what is not delivered yet, and delivers it
	receiver  int // process on the ground
	link      *link
	committed func(context.Context) (uint64, error) // readings that are durable on the ground
	ground    *fulmarGround                         // of fulmar's
	stops     []func()                              // in reverse
}

// through puts a link before the ground's address.
func (c *course) through(ctx context.Context, address string) (err error) {
	if c.link, err = newLink(ctx, address); err == nil {
		c.stops = append(c.stops, c.link.close)
	}
	return err
}

// produce starts the producing process: this program again.
func (c *course) produce(ctx context.Context, s shape, kind string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if c.producer, err = start(ctx, "producer", true, self, append([]string{"child", kind, string(text)}, args...)...); err != nil {
		return err
	}
	c.stops = append(c.stops, func() { c.producer.stop(syscall.SIGTERM) })
	var r ready
	if err := c.producer.hear(&r); err != nil {
		return err
	}
	if r.Sender != 0 {
		c.sender = r.Sender
	}
	return nil
}

// pause is how long lies between two looks at how far things are.
const pause = 100 * time.Millisecond

// until waits until something holds.
func (c *course) until(ctx context.Context, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 4*patience)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("it does not come to its end: %w", ctx.Err())
		}
	}
}

// end stops everything.
func (c *course) end() {
	for _, stop := range slices.Backward(c.stops) {
		stop()
	}
	c.stops = nil
}

// endAfter stops everything after an error.
func (c *course) endAfter(err *error) {
	if *err != nil {
		c.end()
	}
}

// measured is what one round came to.
type measured struct {
	produced
	whole            time.Duration // from the first request until everything was durable on the ground
	sender, receiver usage         // processor time of the round; the most memory
	carried          int64         // over the link
}

func (m measured) rate() float64        { return float64(m.Readings) / m.whole.Seconds() }
func (m measured) millions() float64    { return float64(m.Readings) / 1e6 }
func (m measured) senderCPU() float64   { return m.sender.cpu.Seconds() / m.millions() }
func (m measured) receiverCPU() float64 { return m.receiver.cpu.Seconds() / m.millions() }
func (m measured) bytesEach() float64   { return float64(m.carried) / float64(m.Readings) }
func (m measured) senderMiB() float64   { return float64(m.sender.rss) / (1 << 20) }
func (m measured) receiverMiB() float64 { return float64(m.receiver.rss) / (1 << 20) }

// meter watches the two processes.
type meter struct {
	c      *course
	before [2]usage
	most   [2]int64
}

func (c *course) meter() (*meter, error) {
	m := &meter{c: c}
	var err error
	m.before, err = m.look()
	return m, err
}

// look reads what the processes have used, and keeps the most memory.
func (m *meter) look() (now [2]usage, err error) {
	for i, pid := range []int{m.c.sender, m.c.receiver} {
		if now[i], err = usageOf(pid); err != nil {
			return now, fmt.Errorf("process %s: %w", strconv.Itoa(pid), err)
		}
		m.most[i] = max(m.most[i], now[i].rss)
	}
	return now, nil
}

// since returns what they have used since the meter was made.
func (m *meter) since() (sender, receiver usage, err error) {
	now, err := m.look()
	return usage{now[0].cpu - m.before[0].cpu, m.most[0]}, usage{now[1].cpu - m.before[1].cpu, m.most[1]}, err
}

// round lets a way carry the load for a while, in a folder of its own, and measures it.
func round(ctx context.Context, w way, dir string, length time.Duration) (m measured, err error) {
	if dir, err = os.MkdirTemp(dir, "round-"); err != nil {
		return m, err
	}
	c, err := w.begin(ctx, dir)
	if err != nil {
		return m, fmt.Errorf("%s: %w", w.name(), err)
	}
	defer c.end()
	if m, err = c.carry(ctx, order{For: length}); err != nil {
		return m, fmt.Errorf("%s: %w", w.name(), err)
	}
	return m, nil
}

// carry has the producers do what the order says, and waits until all of it is on the ground.
func (c *course) carry(ctx context.Context, o order) (m measured, err error) {
	meter, err := c.meter()
	if err != nil {
		return m, err
	}
	before, err := c.committed(ctx)
	if err != nil {
		return m, err
	}
	carried := c.link.carried.Load()
	begun := time.Now()
	if err := c.producer.tell(o); err != nil {
		return m, err
	}
	heard := make(chan error, 1)
	go func() { heard <- c.producer.hear(&m.produced) }()
	told := false
	err = c.until(ctx, func() (bool, error) {
		if _, err := meter.look(); err != nil {
			return false, err
		}
		if !told {
			select {
			case err := <-heard:
				told = true
				if err != nil {
					return false, err
				}
			default:
				return false, nil
			}
		}
		n, err := c.committed(ctx)
		return n-before >= m.Readings, err
	})
	m.whole = time.Since(begun)
	m.carried = c.link.carried.Load() - carried
	if err == nil {
		m.sender, m.receiver, err = meter.since()
	}
	return m, err
}
