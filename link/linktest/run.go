package linktest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/link"
)

// Harness says how to get at a carrier.
type Harness struct {
	// Open prepares a carrier for one part of the suite. What it started is ended with the test.
	Open func(t *testing.T) Carrier
	// Libraries are import paths whose goroutines must be gone when both ends are closed.
	Libraries []string
}

// Carrier is a carrier that is ready for use.
type Carrier struct {
	// Dialer returns the machine's end.
	Dialer func(device string) link.Dialer
	// Listen opens the ground's end.
	Listen func(t *testing.T) link.Receiver
	// Machine and Ground are the networks on either side of the broker; nil where there is none.
	Machine, Ground *Proxy
	// MaxMessage is what this carrier takes. Default link.MaxMessage.
	MaxMessage int
	// Durable: the carrier keeps messages while nobody receives, so that no flood is lost and Recv after Close leaves them.
	Durable bool
}

// patience bounds every wait of the suite. It is only used up by a carrier that fails.
const patience = 20 * time.Second

// Run holds a carrier to what link promises.
func Run(t *testing.T, h Harness) {
	parts := []struct {
		name string
		run  func(*suite)
	}{
		{"sizes", (*suite).sizes}, {"too large", (*suite).tooLarge}, {"order", (*suite).order}, {"devices", (*suite).devices},
		{"close twice", (*suite).closeTwice}, {"cut", (*suite).cut}, {"ground reconnects", (*suite).groundReconnects},
		{"context", (*suite).contexts}, {"stalled", (*suite).stalled}, {"slow ground", (*suite).slowGround},
		{"slow network", (*suite).slowNetwork}, {"at once", (*suite).atOnce}, {"takeover", (*suite).dialAgain},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			s := &suite{T: t, h: h, c: h.Open(t)}
			if s.c.MaxMessage == 0 {
				s.c.MaxMessage = link.MaxMessage
			}
			var cancel context.CancelFunc
			s.ctx, cancel = context.WithTimeout(context.Background(), 3*patience)
			t.Cleanup(func() { cancel(); s.gone() })
			p.run(s)
		})
	}
}

type suite struct {
	*testing.T
	h   Harness
	c   Carrier
	ctx context.Context
}

// gone fails if a goroutine of the carrier's is left.
func (s *suite) gone() {
	var left string
	ok := eventually(func() bool {
		buf := make([]byte, 4<<20)
		left = ""
		for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			for _, library := range s.h.Libraries {
				if strings.Contains(stack, library) && !strings.Contains(stack, "linktest.(*suite).gone") {
					left = stack
				}
			}
		}
		return left == ""
	})
	if !ok {
		s.Errorf("a goroutine is left after Close:\n%s", left)
	}
}

// eventually waits for a condition.
func eventually(condition func() bool) bool {
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			return condition()
		}
	}
	return true
}

// hello is what both ends send until they hear each other: a subscription may take its time. It is passed over after that.
var hello = []byte("hello")

func (s *suite) dial(device string) link.Conn {
	s.Helper()
	c, err := s.c.Dialer(device).Dial(s.ctx)
	if err != nil {
		s.Fatalf("dial: %v", err)
	}
	s.Cleanup(func() { s.closes("Conn", c.Close) })
	return c
}

func (s *suite) listen() link.Receiver {
	s.Helper()
	r := s.c.Listen(s.T)
	s.Cleanup(func() { s.closes("Receiver", r.Close) })
	return r
}

// closes fails if Close does not return.
func (s *suite) closes(what string, f func() error) {
	s.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil {
			s.Errorf("%s: Close: %v", what, err)
		}
	case <-time.After(patience):
		s.Fatalf("%s: Close does not return", what)
	}
}

// pair opens both ends and waits until they hear each other.
func (s *suite) pair(device string) (link.Conn, link.Receiver) {
	s.Helper()
	r, c := s.listen(), s.dial(device)
	s.meet(c, r, device)
	return c, r
}

func (s *suite) meet(c link.Conn, r link.Receiver, device string) {
	s.Helper()
	if !eventually(func() bool {
		ctx, cancel := context.WithTimeout(s.ctx, 100*time.Millisecond)
		defer cancel()
		if err := c.Send(ctx, hello); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			s.Fatalf("send: %v", err)
		}
		for {
			m, err := r.Recv(ctx)
			if err != nil || m.Device == device {
				return err == nil
			}
		}
	}) {
		s.Fatal("the ground does not hear the machine")
	}
	if !eventually(func() bool {
		ctx, cancel := context.WithTimeout(s.ctx, 100*time.Millisecond)
		defer cancel()
		_ = r.Send(ctx, device, hello) // may be refused while the ground reconnects
		_, err := c.Recv(ctx)
		return err == nil
	}) {
		s.Fatal("the machine does not hear the ground")
	}
}

// up receives at the ground, down at the machine, past hellos.
func (s *suite) up(r link.Receiver) link.Inbound {
	s.Helper()
	for {
		m, err := r.Recv(s.ctx)
		if err != nil {
			s.Fatalf("ground: receive: %v", err)
		}
		if !bytes.Equal(m.Message, hello) {
			return m
		}
	}
}

func (s *suite) down(c link.Conn) []byte {
	s.Helper()
	for {
		m, err := c.Recv(s.ctx)
		if err != nil {
			s.Fatalf("machine: receive: %v", err)
		}
		if !bytes.Equal(m, hello) {
			return m
		}
	}
}

func (s *suite) send(c link.Conn, m []byte) {
	s.Helper()
	if err := c.Send(s.ctx, m); err != nil {
		s.Fatalf("machine: send %d bytes: %v", len(m), err)
	}
}

func (s *suite) reply(r link.Receiver, device string, m []byte) {
	s.Helper()
	if err := r.Send(s.ctx, device, m); err != nil {
		s.Fatalf("ground: send %d bytes: %v", len(m), err)
	}
}

// noise is a message that does not compress and is not like another.
func noise(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
	}
	return b[:n]
}

func (s *suite) sizes() {
	c, r := s.pair("sizes")
	for i, n := range []int{0, 1, 2, 127, 128, 1000, 16383, 16384, 65535, 65536, 256 << 10, s.c.MaxMessage - 1, s.c.MaxMessage} {
		want := noise(uint64(i), n)
		mine := bytes.Clone(want)
		s.send(c, mine)
		clear(mine) // the caller's again
		got := s.up(r)
		if got.Device != "sizes" || !bytes.Equal(got.Message, want) {
			s.Fatalf("up: %d bytes from %q, want %d bytes, or they differ", len(got.Message), got.Device, n)
		}
		mine = bytes.Clone(want)
		s.reply(r, "sizes", mine)
		clear(mine)
		if got := s.down(c); !bytes.Equal(got, want) {
			s.Fatalf("down: %d bytes, want %d bytes, or they differ", len(got), n)
		}
	}
}

func (s *suite) tooLarge() {
	c, r := s.pair("large")
	for _, n := range []int{s.c.MaxMessage + 1, link.MaxMessage + 1, 4 * link.MaxMessage} {
		if err := c.Send(s.ctx, make([]byte, n)); !errors.Is(err, link.ErrTooLarge) {
			s.Errorf("machine: send %d bytes: %v, want ErrTooLarge", n, err)
		}
		if err := r.Send(s.ctx, "large", make([]byte, n)); !errors.Is(err, link.ErrTooLarge) && n > link.MaxMessage {
			s.Errorf("ground: send %d bytes: %v, want ErrTooLarge", n, err)
		}
	}
	s.send(c, []byte("still there"))
	if m := s.up(r); string(m.Message) != "still there" {
		s.Errorf("got %q", m.Message)
	}
}

func (s *suite) order() {
	c, r := s.pair("order")
	const n = 300
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			if err := c.Send(s.ctx, fmt.Appendf(nil, "up %d", i)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range n {
		if m := s.up(r); string(m.Message) != fmt.Sprintf("up %d", i) {
			s.Fatalf("message %d is %q", i, m.Message)
		}
	}
	if err := <-sent; err != nil {
		s.Fatal(err)
	}
	for i := range n {
		s.reply(r, "order", fmt.Appendf(nil, "down %d", i))
	}
	for i := range n {
		if m := s.down(c); string(m) != fmt.Sprintf("down %d", i) {
			s.Fatalf("message %d is %q", i, m)
		}
	}
}

func (s *suite) devices() {
	const n = 12
	r := s.listen()
	conns := make([]link.Conn, n)
	name := func(i int) string { return fmt.Sprintf("device-%d", i) }
	for i := range conns {
		conns[i] = s.dial(name(i))
		s.meet(conns[i], r, name(i))
	}
	for i, c := range conns {
		s.send(c, []byte("from "+name(i)))
	}
	heard := make(map[string]bool)
	for range conns {
		m := s.up(r)
		if string(m.Message) != "from "+m.Device || heard[m.Device] {
			s.Fatalf("%q came as %q's", m.Message, m.Device)
		}
		heard[m.Device] = true
	}
	for i := range conns {
		s.reply(r, name(i), []byte("to "+name(i)))
	}
	for i, c := range conns {
		if m := s.down(c); string(m) != "to "+name(i) {
			s.Fatalf("%q came to %s", m, name(i))
		}
	}
	if err := r.Send(s.ctx, "no/such+device", hello); err == nil {
		s.Error("a device name that would be a wildcard was taken")
	}
}

func (s *suite) closeTwice() {
	c, r := s.pair("twice")
	for range 2 {
		s.closes("Conn", c.Close)
	}
	if err := c.Send(s.ctx, hello); !errors.Is(err, link.ErrClosed) {
		s.Errorf("machine: send after Close: %v, want ErrClosed", err)
	}
	s.drained("machine", func(ctx context.Context) error { _, err := c.Recv(ctx); return err })
	for range 2 {
		s.closes("Receiver", r.Close)
	}
	if err := r.Send(s.ctx, "twice", hello); !errors.Is(err, link.ErrClosed) {
		s.Errorf("ground: send after Close: %v, want ErrClosed", err)
	}
	s.drained("ground", func(ctx context.Context) error { _, err := r.Recv(ctx); return err })
}

// drained receives what had arrived, which may be hellos, and expects ErrClosed after it.
func (s *suite) drained(who string, recv func(context.Context) error) {
	s.Helper()
	for {
		err := recv(s.ctx)
		if errors.Is(err, link.ErrClosed) {
			return
		}
		if err != nil {
			s.Fatalf("%s: receive after the end: %v, want ErrClosed", who, err)
		}
	}
}
