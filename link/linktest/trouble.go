package linktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/link"
)

func (s *suite) cut() {
	if s.c.Machine == nil {
		s.Skip("no network to cut")
	}
	c, r := s.pair("cut")
	const n, size = 20, 1000
	_, before := s.c.Machine.Forwarded()
	for i := range n {
		s.reply(r, "cut", noise(uint64(i), size))
	}
	if !eventually(func() bool { _, now := s.c.Machine.Forwarded(); return now >= before+n*size }) {
		s.Fatal("the messages do not come through")
	}
	s.c.Machine.Cut()
	for i := range n {
		if m := s.down(c); !bytes.Equal(m, noise(uint64(i), size)) {
			s.Fatalf("message %d differs", i)
		}
	}
	s.drained("machine", func(ctx context.Context) error { _, err := c.Recv(ctx); return err })
	if err := c.Send(s.ctx, hello); !errors.Is(err, link.ErrClosed) {
		s.Fatalf("send after the cut: %v, want ErrClosed", err)
	}
	s.closes("Conn", c.Close)
	again := s.dial("cut")
	s.meet(again, r, "cut")
}

func (s *suite) groundReconnects() {
	if s.c.Ground == nil {
		s.Skip("no network to cut")
	}
	c, r := s.pair("reconnect")
	for range 2 {
		s.c.Ground.Cut()
		s.meet(c, r, "reconnect")
	}
	s.send(c, []byte("after"))
	if m := s.up(r); string(m.Message) != "after" {
		s.Fatalf("got %q", m.Message)
	}
}

func (s *suite) contexts() {
	c, r := s.pair("context")
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	s.drainHello(c, r)
	if _, err := c.Recv(ended); !errors.Is(err, context.Canceled) {
		s.Errorf("machine: receive: %v, want context.Canceled", err)
	}
	if _, err := r.Recv(ended); !errors.Is(err, context.Canceled) {
		s.Errorf("ground: receive: %v, want context.Canceled", err)
	}
	if err := c.Send(ended, hello); !errors.Is(err, context.Canceled) {
		s.Errorf("machine: send: %v, want context.Canceled", err)
	}
	waiting, cancel := context.WithTimeout(s.ctx, 30*time.Millisecond)
	defer cancel()
	if _, err := c.Recv(waiting); !errors.Is(err, context.DeadlineExceeded) {
		s.Errorf("machine: receive: %v, want context.DeadlineExceeded", err)
	}
	s.send(c, []byte("goes on"))
	if m := s.up(r); string(m.Message) != "goes on" {
		s.Errorf("got %q", m.Message)
	}
	if _, err := s.c.Dialer("context").Dial(ended); err == nil {
		s.Error("dial: no error from a context that has ended")
	}
}

// drainHello receives the hellos that are still under way.
func (s *suite) drainHello(c link.Conn, r link.Receiver) {
	s.send(c, []byte("last"))
	for {
		if m := s.up(r); string(m.Message) == "last" {
			break
		}
	}
	s.reply(r, "context", []byte("last"))
	for {
		if m := s.down(c); string(m) == "last" {
			return
		}
	}
}

// stalled: a peer that takes nothing more blocks Send, which its context ends, and does not hold up Close.
func (s *suite) stalled() {
	if s.c.Machine == nil {
		s.Skip("no network to stall")
	}
	c, r := s.pair("stalled")
	s.c.Machine.Stall(true)
	if n := s.fill(func(ctx context.Context, m []byte) error { return c.Send(ctx, m) }); n > 64<<20 {
		s.Errorf("machine: %d MiB were taken while nothing went on", n>>20)
	}
	s.closes("Conn", c.Close)
	s.c.Machine.Stall(false)
	if s.c.Ground == nil {
		return
	}
	s.c.Ground.Stall(true)
	message := noise(1, s.c.MaxMessage)
	result := make(chan bool, 1)
	go func() {
		var dropped bool
		for range 128 { // 64 MiB
			dropped = r.Send(s.ctx, "stalled", message) != nil || dropped
		}
		result <- dropped
	}()
	select {
	case dropped := <-result:
		if !dropped {
			s.Error("ground: 64 MiB were taken while nothing went on")
		}
	case <-time.After(patience):
		s.Error("ground: Send waits for a network that takes nothing")
	}
	s.closes("Receiver", r.Close)
}

// fill sends until nothing is taken any more, and returns how many bytes were.
func (s *suite) fill(send func(context.Context, []byte) error) (taken int) {
	s.Helper()
	message := noise(1, s.c.MaxMessage)
	for taken <= 64<<20 {
		ctx, cancel := context.WithTimeout(s.ctx, 200*time.Millisecond)
		start := time.Now()
		err := send(ctx, message)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			if d := time.Since(start); d > patience/2 {
				s.Errorf("Send returned %v after its context had ended", d)
			}
			return taken
		}
		if err != nil {
			s.Fatalf("send: %v", err)
		}
		taken += len(message)
	}
	return taken
}

// slowGround: nobody receives. What is sent is lost or pushed back, but does not pile up, and both ends still work.
func (s *suite) slowGround() {
	if s.c.Durable {
		s.Skip("what nobody receives is on disk")
	}
	c, r := s.pair("slow")
	before := heap()
	message := noise(2, 256<<10)
	// 256 MiB. The ground's inbox holds 64 MiB, an embedded broker's queue as much, and then there is what is in flight.
	flood, bound := 1024, uint64(160<<20)
	if raceDetector {
		flood = 64
	}
	for range flood {
		ctx, cancel := context.WithTimeout(s.ctx, time.Second)
		err := c.Send(ctx, message)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break // pushed back: as good
		}
		if err != nil {
			s.Fatalf("send: %v", err)
		}
	}
	if now := heap(); now > before+bound {
		s.Errorf("the heap grew by %d MiB", (now-before)>>20)
	}
	if !eventually(func() bool {
		ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
		defer cancel()
		_ = c.Send(ctx, []byte("end"))
		for {
			m, err := r.Recv(ctx)
			if err != nil {
				return false
			}
			if string(m.Message) == "end" {
				return true
			}
		}
	}) {
		s.Fatal("nothing comes through after a flood")
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what the libraries' pools hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// slowNetwork: a message that takes long is not mistaken for a dead peer.
func (s *suite) slowNetwork() {
	if s.c.Machine == nil {
		s.Skip("no network")
	}
	c, r := s.pair("slownet")
	s.c.Machine.Delay(20 * time.Millisecond)
	s.c.Machine.Limit(1_500_000)
	want := noise(3, s.c.MaxMessage)
	s.send(c, want)
	if m := s.up(r); !bytes.Equal(m.Message, want) {
		s.Error("the message differs")
	}
	s.c.Machine.Limit(0)
	s.reply(r, "slownet", want)
	if m := s.down(c); !bytes.Equal(m, want) {
		s.Error("the message differs")
	}
}

// atOnce: Send, Recv and Close from three goroutines.
func (s *suite) atOnce() {
	r := s.listen()
	for round := range 5 {
		device := fmt.Sprintf("once-%d", round)
		c := s.dial(device)
		s.meet(c, r, device)
		var wg sync.WaitGroup
		begun := make(chan struct{}, 2)
		run := func(f func() error) {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := 0; ; i++ {
					if i == 3 {
						begun <- struct{}{}
					}
					if err := f(); err != nil {
						if !errors.Is(err, link.ErrClosed) {
							s.Errorf("error at Close: %v, want ErrClosed", err)
						}
						return
					}
				}
			}()
		}
		run(func() error { return c.Send(s.ctx, hello) })
		run(func() error {
			_ = r.Send(s.ctx, device, hello) // may be dropped
			_, err := c.Recv(s.ctx)
			return err
		})
		<-begun
		<-begun
		s.closes("Conn", c.Close)
		wg.Wait()
	}
	waiting := make(chan error, 1)
	go func() {
		for {
			if _, err := r.Recv(s.ctx); err != nil {
				waiting <- err
				return
			}
		}
	}()
	s.closes("Receiver", r.Close)
	if err := <-waiting; !errors.Is(err, link.ErrClosed) {
		s.Errorf("ground: receive at Close: %v, want ErrClosed", err)
	}
}

// dialAgain: a machine whose former connection the broker does not yet know to be dead dials again.
func (s *suite) dialAgain() {
	first, r := s.pair("again")
	second := s.dial("again")
	s.meet(second, r, "again")
	s.send(second, []byte("second"))
	if m := s.up(r); string(m.Message) != "second" {
		s.Errorf("got %q", m.Message)
	}
	s.closes("Conn", first.Close)
	s.meet(second, r, "again")
}

// DialErrors checks that a Dialer over TCP says within its time what is wrong with whatever is at an address.
func DialErrors(t *testing.T, dialer func(address string) link.Dialer) {
	const limit = 400 * time.Millisecond
	cases := []struct {
		name    string
		address func(t *testing.T) string
	}{
		{"nobody", func(t *testing.T) string { return Unused(t) }},
		{"silent", func(t *testing.T) string { return Silent(t, "", false) }},
		{"hangs up", func(t *testing.T) string { return Silent(t, "", true) }},
		{"http", func(t *testing.T) string {
			return Silent(t, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request", true)
		}},
		{"noise", func(t *testing.T) string { return Silent(t, string(noise(7, 100_000)), false) }},
		{"long packet", func(t *testing.T) string { return Silent(t, "\x20\xff\xff\xff\x7f", false) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := dialer(c.address(t))
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			start := time.Now()
			conn, err := d.Dial(ctx)
			if err == nil {
				_ = conn.Close()
				t.Fatal("no error")
			}
			if errors.Is(err, link.ErrRefused) {
				t.Errorf("nobody refused: %v", err)
			}
			if took := time.Since(start); took > limit+patience/4 {
				t.Errorf("it took %v", took)
			}
			t.Log(err)
		})
	}
}
