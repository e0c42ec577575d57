package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/seal"
)

// A Runner drives a Courier on a machine: clocks, goroutines, real links.
type Runner struct {
	Courier *Courier
	Links   []link.Dialer // most preferred first; as many as delivery.Options.Links says
	// Now is the machine's monotonic clock.
	Now func() time.Duration
	// Poll is how often the ring is looked at. Default 5 ms.
	Poll time.Duration
	// DialTimeout bounds one attempt to connect. Default 10 s.
	DialTimeout time.Duration
	// Linger is how long Run goes on after its context has ended for the ground to acknowledge what was published.
	// Default 0: what is in the spool is delivered after the next start.
	Linger time.Duration
	// Keys are those that the Courier's session is of, to be kept up to date by what the ground sends; nil without a session.
	Keys *identity.Keyring
	// Carry hands an order to the components. It is called from one goroutine, and does not block.
	Carry  func(command.Order)
	Logger *slog.Logger

	events chan func(now time.Duration)
	wanted chan struct{} // somebody waits for what is in the ring to be durable
	wg     sync.WaitGroup
	conns  []*connection // of the loop
	disk   error         // what was told of the disk last; of the loop
	status atomic.Pointer[Status]
}

// connection is one link's, from Dial until it is cut.
type connection struct {
	cancel context.CancelFunc
	send   chan Transmit // what is said too, which has no frame's key
}

// connectionRoom is for one Transmit and, before it, what is said: openings and answers. What finds no room is asked for again.
const connectionRoom = 16

// Status returns the courier's status as of at most a quarter of a second ago. It may be called from any goroutine.
func (r *Runner) Status() Status {
	if s := r.status.Load(); s != nil {
		return *s
	}
	return Status{}
}

// Run takes, stores and delivers until ctx ends; then, the producers having ended before, it brings everything that was
// published to the spool, lingers for the ground, ends the boot and returns after everything it started has ended.
func (r *Runner) Run(ctx context.Context) error {
	if r.Poll <= 0 {
		r.Poll = 5 * time.Millisecond
	}
	if r.DialTimeout <= 0 {
		r.DialTimeout = 10 * time.Second
	}
	r.events, r.wanted = make(chan func(time.Duration), 64), make(chan struct{})
	r.conns = make([]*connection, len(r.Links))
	r.publish()
	background, stop := context.WithCancel(context.Background())
	if region := r.Courier.region; region != nil {
		r.wg.Go(func() { r.listen(background, region) })
	}
	r.loop(ctx, background, func() bool { return false })
	r.finish(background)
	stop()
	ended := make(chan struct{})
	go func() { r.wg.Wait(); close(ended) }()
	for waiting := true; waiting; {
		select {
		case <-r.events: // of connections that end
		case <-ended:
			waiting = false
		}
	}
	err := r.Courier.End(r.Now())
	r.publish()
	return err
}

// finish drains and lingers.
func (r *Runner) finish(background context.Context) {
	drained := func() bool { return r.Courier.Drained() }
	limit, cancel := context.WithTimeout(context.Background(), max(r.Linger, 10*time.Second))
	defer cancel()
	r.Courier.Flush(r.Now())
	r.loop(limit, background, func() bool { r.Courier.Flush(r.Now()); return drained() })
	if r.Linger > 0 {
		linger, cancel := context.WithTimeout(context.Background(), r.Linger)
		defer cancel()
		r.loop(linger, background, r.Courier.Delivered)
	}
}

// loop is the one goroutine that touches the Courier. It returns when ctx ends or enough reports true, and never while a
// Sync is under way.
func (r *Runner) loop(ctx, background context.Context, enough func() bool) {
	ticker := time.NewTicker(r.Poll)
	defer ticker.Stop()
	published := r.Now()
	for {
		wanted := r.wanted
		if r.Courier.syncing { // what comes meanwhile is looked at after it, together
			wanted = nil
		}
		select {
		case <-ctx.Done():
			if !r.Courier.syncing {
				return
			}
			f := <-r.events
			f(r.Now())
		case f := <-r.events:
			f(r.Now())
		case <-ticker.C:
			r.Courier.Poll(r.Now())
		case <-wanted:
			r.Courier.Poll(r.Now())
		}
		r.perform(background)
		if now := r.Now(); now-published >= 250*time.Millisecond {
			published = now
			r.publish()
		}
		if !r.Courier.syncing && enough() {
			r.perform(background)
			r.publish()
			return
		}
	}
}

// listen tells the loop when somebody waits, until ctx ends.
func (r *Runner) listen(ctx context.Context, region *ring.Region) {
	for seen := uint32(0); ctx.Err() == nil; {
		rung := region.AwaitWanted(ctx, seen)
		if rung == seen {
			continue
		}
		seen = rung
		select {
		case r.wanted <- struct{}{}:
		case <-ctx.Done():
		}
	}
}

func (r *Runner) publish() {
	s := r.Courier.Status()
	r.status.Store(&s)
	switch {
	case s.DiskError != nil && r.disk == nil:
		r.Logger.Error("the spool cannot be written; records wait in memory, and those that find no room there are lost", "error", s.DiskError)
	case s.DiskError == nil && r.disk != nil:
		r.Logger.Info("the spool can be written again")
	}
	r.disk = s.DiskError
}

func (r *Runner) perform(background context.Context) {
	for {
		effects := r.Courier.Effects()
		if len(effects) == 0 {
			return
		}
		for _, e := range effects {
			switch e := e.(type) {
			case Sync:
				r.wg.Add(1)
				go func() {
					defer r.wg.Done()
					err := r.Courier.SyncSpool()
					r.events <- func(now time.Duration) { r.Courier.Synced(now, err) }
				}()
			case delivery.Dial:
				r.dial(background, e.Link)
			case delivery.HangUp:
				r.hangUp(e.Link)
			case Say:
				if conn := r.conns[e.Link]; conn != nil && len(conn.send) < connectionRoom-1 {
					conn.send <- Transmit{Link: e.Link, Message: e.Message} // otherwise the ground asks again
				}
			case Carry:
				if r.Carry != nil {
					r.Carry(e.Order)
				}
			case Learn:
				r.learn(e.Trust)
			case Transmit:
				if conn := r.conns[e.Link]; conn != nil {
					conn.send <- e // has room for it: there is one at a time
				}
			}
		}
	}
}

// learn takes what the ground says is to be trusted. If that names another key to seal to, another session begins.
func (r *Runner) learn(trust []byte) {
	if r.Keys == nil {
		return
	}
	if err := r.Keys.Learn(trust); err != nil {
		if !errors.Is(err, identity.ErrOlder) {
			r.Logger.Warn("the ground sent what is to be trusted, and it is not", "error", err)
		}
		return
	}
	r.Logger.Info("what is trusted is renewed", "number", r.Keys.Trust().Number())
	if key, ok := r.Keys.Trust().Sealing(); !ok || r.Courier.SealedTo(key.ID) {
		return
	}
	s, err := seal.Begin(r.Keys, time.Now())
	if err != nil {
		r.Logger.Error("no session with the ground's new key", "error", err)
		return
	}
	r.Courier.Use(r.Now(), s)
}

func (r *Runner) hangUp(l int) {
	if conn := r.conns[l]; conn != nil {
		conn.cancel()
		r.conns[l] = nil
	}
}

func (r *Runner) dial(background context.Context, l int) {
	ctx, cancel := context.WithCancel(background)
	conn := &connection{cancel: cancel, send: make(chan Transmit, connectionRoom)}
	r.conns[l] = conn
	// report runs an event unless the connection was given up meanwhile.
	report := func(f func(now time.Duration)) {
		r.events <- func(now time.Duration) {
			if r.conns[l] == conn {
				f(now)
			}
		}
	}
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		defer cancel()
		err := r.serve(ctx, l, conn, report)
		report(func(now time.Duration) {
			r.conns[l] = nil
			if ctx.Err() == nil || err != nil {
				r.Logger.Warn("link down", "link", r.Links[l].String(), "error", err)
			}
			r.Courier.Down(now, l, err)
		})
	}()
}

// serve dials and then sends and receives until the connection is cut.
func (r *Runner) serve(ctx context.Context, l int, conn *connection, report func(func(time.Duration))) error {
	dialCtx, cancel := context.WithTimeout(ctx, r.DialTimeout)
	c, err := r.Links[l].Dial(dialCtx)
	cancel()
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	r.Logger.Info("link up", "link", r.Links[l].String())
	report(func(now time.Duration) { r.Courier.Up(now, l) })
	received := make(chan error, 1)
	go func() { received <- r.receive(ctx, l, c, report) }()
	for {
		select {
		case e := <-conn.send:
			err := c.Send(ctx, e.Message)
			if e.Key != (delivery.Key{}) {
				report(func(now time.Duration) { r.Courier.Sent(now, l, e.Key, err) })
			}
			if errors.Is(err, link.ErrClosed) {
				return errors.Join(c.Close(), <-received)
			}
		case err := <-received:
			return errors.Join(err, c.Close())
		case <-ctx.Done():
			err := c.Close()
			if ended := <-received; !errors.Is(ended, context.Canceled) && !errors.Is(ended, link.ErrClosed) {
				err = errors.Join(err, ended)
			}
			return err
		}
	}
}

func (r *Runner) receive(ctx context.Context, l int, c link.Conn, report func(func(time.Duration))) error {
	for {
		m, err := c.Recv(ctx)
		if err != nil {
			return err
		}
		report(func(now time.Duration) {
			if err := r.Courier.Received(now, l, m); err != nil {
				r.Logger.Warn("message from the ground dropped", "link", r.Links[l].String(), "error", err)
			}
		})
	}
}
