package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/secure/admission"
)

// front takes connections for the server, which itself listens for this host alone: the server has no limits of its own for who has not
// authenticated yet. It passes on what they send, and sees nothing of it.
type front struct {
	open  bool // nobody is a stranger: for the bench
	doors []*admission.Door
	log   *admission.Log
	ended sync.WaitGroup
	done  context.Context
	stop  func()

	mu    sync.Mutex      // guards what follows
	ways  map[string]*way // by the address that the server sees
	links map[io.Closer]struct{}
}

// way is a connection that the front passes on.
type way struct {
	*admission.Visitor
	device string // empty until it is known; of a bench always
	hold   admission.Hold
}

func newFront(open bool, log *slog.Logger) *front {
	f := &front{open: open, log: &admission.Log{Logger: log}, ways: make(map[string]*way), links: make(map[io.Closer]struct{})}
	f.done, f.stop = context.WithCancel(context.Background())
	return f
}

// listen opens an address.
func (f *front) listen(what, address string, limits admission.Limits) (*admission.Door, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, &PortError{What: what, Address: address, Err: err}
	}
	d := admission.New(l, limits)
	f.doors = append(f.doors, d)
	return d, nil
}

// serve passes on what comes through a door to the server's address.
func (f *front) serve(d *admission.Door, to string) {
	f.ended.Add(1)
	go func() {
		defer f.ended.Done()
		for {
			c, err := d.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // as when there are no descriptors left
				f.log.Tell("broker: no connection can be taken", "error", err)
				select {
				case <-time.After(100 * time.Millisecond):
					continue
				case <-f.done.Done():
					return
				}
			}
			f.ended.Add(1)
			go func() { defer f.ended.Done(); f.pass(c.(*admission.Visitor), to) }()
		}
	}()
}

// pass connects a visitor with the server until one of them ends.
func (f *front) pass(v *admission.Visitor, to string) {
	defer func() { _ = v.Close() }() // how it ended is of no interest
	s, err := (&net.Dialer{}).DialContext(f.done, "tcp", to)
	if err != nil {
		if f.done.Err() == nil {
			f.log.Tell("broker: the server takes no connection", "error", err)
		}
		return
	}
	defer func() { _ = s.Close() }()
	at := s.LocalAddr().String()
	w := &way{Visitor: v}
	if !f.enter(at, w, s) || f.open && !v.Known() {
		return
	}
	defer f.leave(at, w, s)
	var both sync.WaitGroup
	both.Add(1)
	go func() {
		defer both.Done()
		_, _ = io.Copy(v.Conn, s) // both are sockets: the kernel moves the bytes
		_ = v.Close()
	}()
	if err := f.upwards(s, w); errors.Is(err, admission.ErrTooMuch) {
		f.log.Tell("broker: connection cut", "from", v.RemoteAddr().String(), "error", err)
	}
	_ = s.Close()
	both.Wait()
}

// upwardsAtOnce is how much of a visitor is passed on before it is looked whether it is held.
const upwardsAtOnce = 64 << 10

// upwards passes on what a visitor sends.
func (f *front) upwards(s net.Conn, w *way) error {
	b := make([]byte, 4096)
	for !w.IsKnown() {
		n, err := w.Read(b)
		if n > 0 {
			if _, err := s.Write(b[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	for {
		if _, err := io.CopyN(s, w.Conn, upwardsAtOnce); err != nil {
			return err
		}
		if err := w.hold.Wait(f.done); err != nil {
			return err
		}
	}
}

// hold has nothing read of a device for a while.
func (f *front) hold(device string, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.ways {
		if w.device == device {
			w.hold.For(d)
		}
	}
}

func (f *front) enter(at string, w *way, s io.Closer) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done.Err() != nil {
		return false
	}
	f.ways[at] = w
	f.links[w], f.links[s] = struct{}{}, struct{}{}
	return true
}

func (f *front) leave(at string, w *way, s io.Closer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.ways, at)
	delete(f.links, w)
	delete(f.links, s)
}

// origin returns whose connection the server means by an address.
func (f *front) origin(at net.Addr) (*way, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.ways[at.String()]; w != nil {
		return w, nil
	}
	return nil, fmt.Errorf("broker: a connection from %s came past the front", at)
}

// admit says that a way is a device's, and reports whether it is still there.
func (f *front) admit(w *way, device string) bool {
	f.mu.Lock()
	w.device = device
	f.mu.Unlock()
	return w.Known()
}

// close closes everything and returns when it has ended.
func (f *front) close() {
	f.stop()
	for _, d := range f.doors {
		_ = d.Close() // it was not written to
	}
	f.mu.Lock()
	for c := range f.links {
		_ = c.Close() // the server has ended, or is about to
	}
	f.mu.Unlock()
	f.ended.Wait()
}
