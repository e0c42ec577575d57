package serial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/queue"
	"github.com/fulmar-io/fulmar/link/serial/internal/arq"
	"github.com/fulmar-io/fulmar/telemetry"
)

// What waits to be sent to the machine: what the line carries in outboxTime, within these bounds. More is dropped.
const (
	outboxTime  = 10 * time.Second
	outboxLeast = 16 << 10
	outboxMost  = 1 << 20
	outboxCount = 1024
)

// retryMax bounds the pause before a port that is not there is tried again.
const retryMax = 5 * time.Second

// Receiver is the ground's end of one line, and of whatever machine is at the other. Several lines have several Receivers.
type Receiver struct {
	path   string
	o      Options
	outbox int // bytes
	inbox  *queue.Queue[link.Inbound]
	cancel context.CancelFunc
	ended  chan struct{}
	told   string // of a port that cannot be opened, to the log; of the goroutine that opens it

	mu   sync.Mutex // guards what follows. It is taken after a line's, never before
	s    *session   // of the port that is open; nil while there is none
	held int        // weight of what is in the inbox

	talk  sync.Mutex // guards spoke
	spoke time.Time  // of machines, to the log, last
}

// Listen serves the line at a path. A port that is not there yet, for its converter is to be plugged in, is no error: it is
// tried again and again, and the log tells.
func Listen(path string, o Options) (*Receiver, error) {
	o, err := o.withDefaults(path)
	if err != nil {
		return nil, fmt.Errorf("serial: listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Receiver{path: path, o: o, inbox: queue.New[link.Inbound](inboxCount, inboxBytes), cancel: cancel, ended: make(chan struct{})}
	r.outbox = min(max(int(int64(o.Baud/10)*int64(outboxTime/time.Second)), outboxLeast), outboxMost)
	go r.run(ctx)
	return r, nil
}

// String implements link.Receiver.
func (r *Receiver) String() string { return name(r.path, r.o.Baud) }

// run opens the port, again whenever it is gone.
func (r *Receiver) run(ctx context.Context) {
	defer close(r.ended)
	defer r.inbox.Close()
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := r.serve(ctx)
		if time.Since(began) > retryMax {
			failures = 0
		}
		if ctx.Err() != nil {
			return
		}
		if text := err.Error(); text != r.told {
			r.told = text
			r.o.Logger.Warn("serial line is not there; trying again", "link", r.String(), "error", err)
		}
		failures = min(failures+1, 8)
		pause := time.NewTimer(time.Duration(r.o.Rand.Uint64() % uint64(min(50*time.Millisecond<<failures, retryMax))))
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// serve opens the port and serves it until it fails, or ctx ends.
func (r *Receiver) serve(ctx context.Context) error {
	port, err := r.o.Open(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	s := &session{r: r, gone: make(chan struct{})}
	s.l = newLine(port, s, arq.Options{Baud: r.o.Baud, KeepAlive: r.o.KeepAlive, Held: r.held}, r.o.Rand)
	r.s = s
	r.mu.Unlock()
	r.told = ""
	s.l.run()
	select {
	case <-s.gone:
	case <-ctx.Done():
	}
	err = s.l.close()
	r.mu.Lock()
	r.s = nil
	r.mu.Unlock()
	return errors.Join(s.err, err)
}

// session is one opening of the port.
type session struct {
	r    *Receiver
	l    *line
	gone chan struct{}
	err  error // set before gone is closed

	// Of the line's mutex.
	device string // that is connected; empty if none is
	outbox [][]byte
	bytes  int
}

// tell logs that machines come and go, a second's first only: a peer that does nothing else would fill a disk.
func (r *Receiver) tell(text string, args ...any) {
	r.talk.Lock()
	defer r.talk.Unlock()
	if now := time.Now(); now.Sub(r.spoke) >= time.Second {
		r.spoke = now
		r.o.Logger.Info(text, args...)
	}
}

func (s *session) up(device string) {
	s.device = device
	s.r.tell("machine connected", "link", s.r.String(), "device", device)
}

func (s *session) down(err error) {
	s.r.tell("machine gone", "link", s.r.String(), "device", s.device, "error", err)
	s.device, s.outbox, s.bytes = "", nil, 0
}

func (s *session) failed(err error) {
	s.device, s.outbox, s.bytes = "", nil, 0
	s.err = err
	close(s.gone)
}

// taken offers the next message. The one that is being taken stays first until it is.
func (s *session) taken() {
	for len(s.outbox) > 0 && s.l.offer(s.outbox[0]) {
		s.bytes -= len(s.outbox[0])
		s.outbox[0] = nil // the machine has it
		s.outbox = s.outbox[1:]
	}
}

func (s *session) deliver(message []byte) {
	s.r.mu.Lock()
	s.r.held += arq.Weight(message)
	s.r.mu.Unlock()
	s.r.inbox.Put(link.Inbound{Device: s.device, Message: message}, len(message))
}

// Recv implements link.Receiver.
func (r *Receiver) Recv(ctx context.Context) (link.Inbound, error) {
	m, err := r.inbox.Get(ctx)
	if errors.Is(err, queue.ErrClosed) {
		return m, fmt.Errorf("serial: receive: %w", link.ErrClosed)
	}
	if err != nil {
		return m, err
	}
	weight := arq.Weight(m.Message)
	r.mu.Lock()
	r.held -= weight
	s := r.s
	r.mu.Unlock()
	if s != nil {
		s.l.do(func(now time.Duration) { s.l.m.Consumed(now, weight) })
	}
	return m, nil
}

// Send implements link.Receiver. What exceeds what the line carries in ten seconds is dropped with an error, and so is
// what is for a machine that is not at the other end.
func (r *Receiver) Send(_ context.Context, device string, message []byte) error {
	if err := telemetry.ValidateDevice(device); err != nil {
		return fmt.Errorf("serial: send: %w", err)
	}
	if len(message) > link.MaxMessage {
		return fmt.Errorf("serial: send %d bytes: %w", len(message), link.ErrTooLarge)
	}
	select {
	case <-r.ended:
		return fmt.Errorf("serial: send: %w", link.ErrClosed)
	default:
	}
	r.mu.Lock()
	s := r.s
	r.mu.Unlock()
	err := fmt.Errorf("the line %s is not there", r.String())
	if s != nil {
		s.l.do(func(time.Duration) { err = s.send(device, message) })
	}
	if err != nil {
		return fmt.Errorf("serial: send: %w", err)
	}
	return nil
}

func (s *session) send(device string, message []byte) error {
	if device != s.device {
		return fmt.Errorf("the machine at the line is not %s: this message is dropped", device)
	}
	full := len(s.outbox) >= outboxCount || len(s.outbox) > 0 && s.bytes+len(message) > s.r.outbox
	if full {
		return fmt.Errorf("%d messages wait for the line already: this one is dropped", len(s.outbox))
	}
	s.outbox = append(s.outbox, bytes.Clone(message))
	s.bytes += len(message)
	s.taken()
	return nil
}

// Status returns how the line is doing, and how many damaged frames came over it since the port was opened.
func (r *Receiver) Status() (status Status, damaged uint64) {
	r.mu.Lock()
	s := r.s
	r.mu.Unlock()
	if s == nil {
		return Status{}, 0
	}
	return s.l.status()
}

// Close implements link.Receiver. It tells the machine.
func (r *Receiver) Close() error {
	r.cancel()
	<-r.ended
	return nil
}
