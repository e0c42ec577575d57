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
	log   *slog.Logger
	ended sync.WaitGroup
	done  context.Context
	stop  func()

	mu    sync.Mutex                    // guards what follows
	ways  map[string]*admission.Visitor // by the address that the server sees
	links map[io.Closer]struct{}
	spoke time.Time // of strangers, to the log
}

func newFront(open bool, log *slog.Logger) *front {
	f := &front{open: open, log: log, ways: make(map[string]*admission.Visitor), links: make(map[io.Closer]struct{})}
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
				f.tell("no connection can be taken", "error", err)
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
			f.tell("the server takes no connection", "error", err)
		}
		return
	}
	defer func() { _ = s.Close() }()
	way := s.LocalAddr().String()
	if !f.enter(way, v, s) || f.open && !v.Known() {
		return
	}
	defer f.leave(way, v, s)
	var both sync.WaitGroup
	both.Add(1)
	go func() {
		defer both.Done()
		_, _ = io.Copy(v.Conn, s) // both are sockets: the kernel moves the bytes
		_ = v.Close()
	}()
	if err := upwards(s, v); errors.Is(err, admission.ErrTooMuch) {
		f.tell("connection cut", "from", v.RemoteAddr().String(), "error", err)
	}
	_ = s.Close()
	both.Wait()
}

// upwards passes on what a visitor sends.
func upwards(s net.Conn, v *admission.Visitor) error {
	b := make([]byte, 4096)
	for !v.IsKnown() {
		n, err := v.Read(b)
		if n > 0 {
			if _, err := s.Write(b[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	_, err := io.Copy(s, v.Conn)
	return err
}

func (f *front) enter(way string, v *admission.Visitor, s io.Closer) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done.Err() != nil {
		return false
	}
	f.ways[way] = v
	f.links[v], f.links[s] = struct{}{}, struct{}{}
	return true
}

func (f *front) leave(way string, v *admission.Visitor, s io.Closer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.ways, way)
	delete(f.links, v)
	delete(f.links, s)
}

// origin returns whose connection the server means by an address.
func (f *front) origin(way net.Addr) (*admission.Visitor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.ways[way.String()]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("broker: a connection from %s came past the front", way)
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

// tell logs what strangers do, a second's first only: one that does nothing else would fill a disk.
func (f *front) tell(text string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.spoke) >= time.Second {
		f.spoke = now
		f.log.Warn("broker: "+text, args...)
	}
}
