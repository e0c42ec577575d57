package serial

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/link/serial/internal/arq"
	"github.com/fulmar-io/fulmar/wire"
)

// user is whose line it is. Its methods are called one at a time, with the line's mutex held: they must not wait.
type user interface {
	up(device string)
	down(err error)
	taken()
	deliver(message []byte)
	// failed says that the port is gone. Nothing is called after it.
	failed(err error)
}

// line drives one machine of package arq over an open port: a goroutine reads, one writes, a timer ticks.
type line struct {
	port  io.ReadWriteCloser
	start time.Time
	user  user
	write chan []byte // holds one frame at most
	over  chan struct{}
	wg    sync.WaitGroup

	mu      sync.Mutex // guards what follows
	m       *arq.Machine
	timer   *time.Timer // nil before run
	ended   bool
	closing chan struct{} // not nil while Close waits for the farewell to be written
	damaged uint64
}

var errClosedHere = errors.New("closed here")

// newLine takes over a port. Nothing happens before run.
func newLine(port io.ReadWriteCloser, u user, o arq.Options, rng env.Rand) *line {
	l := &line{port: port, start: time.Now(), user: u, write: make(chan []byte, 1), over: make(chan struct{})}
	l.m = arq.New(0, o, rng)
	return l
}

// run starts what is ended by close.
func (l *line) run() {
	l.mu.Lock()
	l.timer = time.AfterFunc(time.Hour, l.tick)
	l.mu.Unlock()
	l.wg.Add(2)
	go l.reads()
	go l.writes()
	l.tick()
}

func (l *line) tick() { l.do(func(now time.Duration) { l.m.Tick(now) }) }

// do gives the machine an event and does what it wants.
func (l *line) do(event func(now time.Duration)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	event(time.Since(l.start))
	if l.timer != nil {
		l.perform()
	}
}

// perform does what the machine wants. What that leads to, such as the next message, is an event again.
func (l *line) perform() {
	for effects := l.m.Effects(); len(effects) > 0; effects = l.m.Effects() {
		again := false
		for _, e := range effects {
			switch e.Kind {
			case arq.Write:
				l.write <- e.Data // has room: there is at most one
			case arq.Up:
				l.user.up(e.Device)
				again = true
			case arq.Down:
				l.user.down(e.Err)
			case arq.Taken:
				again = true
			case arq.Deliver:
				l.user.deliver(e.Data)
			}
		}
		if again {
			l.user.taken()
		}
	}
	if l.closing != nil && l.m.Quiet() {
		close(l.closing)
		l.closing = nil
	}
	if at, ok := l.m.Wake(); ok {
		l.timer.Reset(max(0, at-time.Since(l.start)))
	} else {
		l.timer.Stop()
	}
}

// offer gives the machine a message to send. The mutex is held, and effects are performed by whoever holds it.
func (l *line) offer(message []byte) bool { return l.m.Offer(time.Since(l.start), message) }

// maxEmpty is how many reads in a row may return neither bytes nor an error before the port counts as gone.
const maxEmpty = 100

func (l *line) reads() {
	defer l.wg.Done()
	var d wire.Decoder
	d.Reset(make([]byte, arq.MaxPayload+4))
	buf := make([]byte, 4096)
	for empty := 0; empty < maxEmpty; empty++ {
		n, err := l.port.Read(buf)
		for b := buf[:n]; len(b) > 0; empty = 0 {
			k, payload, ok := d.Feed(b)
			b = b[k:]
			if ok {
				l.do(func(now time.Duration) { l.m.Received(now, payload) })
			}
		}
		l.mu.Lock()
		l.damaged = d.Damaged
		l.mu.Unlock()
		if err != nil {
			l.fail(fmt.Errorf("read: %w", err))
			return
		}
	}
	l.fail(fmt.Errorf("read: %w", io.ErrNoProgress))
}

func (l *line) writes() {
	defer l.wg.Done()
	for {
		select {
		case b := <-l.write:
			if _, err := l.port.Write(b); err != nil {
				l.fail(fmt.Errorf("write: %w", err))
				return
			}
			l.do(l.m.Written)
		case <-l.over:
			return
		}
	}
}

// fail ends the line, for the first reason that is given.
func (l *line) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	l.timer.Stop()
	close(l.over)
	l.user.failed(err)
}

// goodbye is how long a line that is being closed may still write that it is.
const goodbye = 250 * time.Millisecond

// close tells the other end, if the port takes it, and returns when everything the line started has ended. It may be called once.
func (l *line) close() error {
	told := make(chan struct{})
	l.do(func(now time.Duration) {
		l.closing = told
		l.m.Close(now)
	})
	wait := time.NewTimer(goodbye)
	defer wait.Stop()
	select {
	case <-told:
	case <-l.over:
	case <-wait.C:
	}
	l.fail(errClosedHere)
	err := l.port.Close()
	l.wg.Wait()
	return err
}

func (l *line) status() (Status, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.m.Status(), l.damaged
}
