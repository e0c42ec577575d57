package serial_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/serial"
	"github.com/fulmar-io/fulmar/wire"
)

// Either end may be there first, for as long as it likes. They find each other within what a few frames take.
func TestStartsInAnyOrder(t *testing.T) {
	for _, early := range []time.Duration{0, 50 * time.Millisecond, time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := newCable(t, 9600, luck{seed: 1})
			r := listen(t, c)
			wait(early)
			start := time.Now()
			p := pair{c, dial(t, dialer(c, "rover")), r}
			p.up(t, []byte("first"))
			if took := time.Since(start); took > 500*time.Millisecond {
				t.Errorf("ground %v earlier: the first message took %v", early, took)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			c := newCable(t, 9600, luck{seed: 1})
			connected := make(chan link.Conn, 1)
			go func() {
				conn, err := dialer(c, "rover").Dial(context.Background())
				if err != nil {
					t.Error(err)
				}
				connected <- conn
			}()
			wait(early)
			start := time.Now()
			r := listen(t, c)
			p := pair{c, <-connected, r}
			t.Cleanup(func() { p.conn.Close() })
			p.up(t, []byte("first"))
			if took := time.Since(start); took > time.Second {
				t.Errorf("machine %v earlier: the first message took %v", early, took)
			}
		})
	}
}

// wait lets a bubble's time pass.
func wait(d time.Duration) { <-time.After(d) }

// A port that is pulled is a connection that is closed, at once; the ground's opens again when it is back.
func TestUnplugged(t *testing.T) {
	for end, who := range []string{"machine", "ground"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := join(t, 57600, luck{seed: 2})
				start := time.Now()
				p.c.unplug(end)
				_, err := p.conn.Recv(t.Context())
				if took := time.Since(start); !errors.Is(err, link.ErrClosed) || took > 6*time.Second {
					t.Errorf("after %v: %v", took, err)
				}
				if end == 0 && !errors.Is(err, io.EOF) {
					t.Errorf("the reason is missing: %v", err)
				}
				if err := p.conn.Send(t.Context(), []byte("x")); !errors.Is(err, link.ErrClosed) {
					t.Errorf("send: %v", err)
				}
				p.conn.Close()
				p.conn = dial(t, dialer(p.c, "rover"))
				p.up(t, noise(1, 5000))
				p.down(t, noise(2, 5000))
			})
		})
	}
}

// A ground that is stopped and started again is noticed at once, and so is a machine; the other way round a message takes
// the new connection.
func TestRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := join(t, 57600, luck{seed: 3})
		start := time.Now()
		p.r.Close()
		if _, err := p.conn.Recv(t.Context()); !errors.Is(err, link.ErrClosed) || time.Since(start) > time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		p.conn.Close()
		p.r = listen(t, p.c)
		p.conn = dial(t, dialer(p.c, "rover"))
		p.up(t, []byte("again"))

		// The process of the machine is killed: no word of it. Its next one asks, and takes the place.
		start = time.Now()
		second := pair{p.c, dial(t, dialer(p.c, "rover")), p.r}
		second.up(t, []byte("second"))
		second.down(t, []byte("second"))
		if took := time.Since(start); took > time.Second {
			t.Errorf("the second took %v", took)
		}

		// Another machine is plugged in.
		p.conn = dial(t, dialer(p.c, "boat"))
		send(t, p.conn, []byte("ahoy"))
		if m, err := p.r.Recv(t.Context()); err != nil || m.Device != "boat" || string(m.Message) != "ahoy" {
			t.Errorf("%q from %q, %v", m.Message, m.Device, err)
		}
		if err := p.r.Send(t.Context(), "rover", []byte("x")); err == nil {
			t.Error("a message for a machine that is not there was taken")
		}
	})
}

// Garbage without end on a line that nobody speaks on, and on one where a machine does: the machine finds its ground through it.
func TestGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t, 57600, luck{seed: 4, garbage: 0.3})
		c.makeNoise(1, true)
		c.makeNoise(0, true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := dialer(c, "rover").Dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dial into noise: %v", err)
		}
		p := pair{c: c, r: listen(t, c)}
		p.conn = dial(t, dialer(c, "rover"))
		for i := range 20 {
			p.up(t, noise(uint64(i), 3000))
			p.down(t, noise(uint64(i), 3000))
		}
		wait(time.Minute)
		p.up(t, []byte("still there"))
		status, damaged := p.r.Status()
		if !status.Connected || status.Device != "rover" || damaged < 100 {
			t.Errorf("%+v, %d damaged frames", status, damaged)
		}
	})
}

// A line that goes silent without a word is cut by both ends.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := join(t, 57600, luck{seed: 5})
		wait(time.Hour) // idle is not silent
		p.up(t, []byte("still there"))
		p.c.mu.Lock()
		p.c.luck.lose = 1
		p.c.mu.Unlock()
		start := time.Now()
		_, err := p.conn.Recv(t.Context())
		if took := time.Since(start); !errors.Is(err, link.ErrClosed) || !strings.Contains(err.Error(), "no sign of life") ||
			took < serial.DefaultKeepAlive || took > 2*serial.DefaultKeepAlive+time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		wait(serial.DefaultKeepAlive) // the ends' silences began at different times
		if status, _ := p.r.Status(); status.Connected {
			t.Error("the ground believes to be connected")
		}
	})
}

// What the ground has to say is dropped when the line does not keep up, and never waited for.
func TestOutboxIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := join(t, 9600, luck{seed: 6})
		start := time.Now()
		taken := 0
		for range 1000 {
			if p.r.Send(t.Context(), "rover", make([]byte, 1000)) == nil {
				taken++
			}
		}
		if time.Since(start) != 0 {
			t.Errorf("Send waited for %v", time.Since(start))
		}
		if taken < 15 || taken > 20 {
			t.Errorf("%d KB were taken", taken)
		}
		for range taken {
			if m, err := p.conn.Recv(t.Context()); err != nil || len(m) != 1000 {
				t.Fatalf("%d bytes, %v", len(m), err)
			}
		}
	})
}

// An interrupted Send goes on, and the next waits for it.
func TestInterruptedSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := join(t, 9600, luck{seed: 7})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		mine := noise(1, 9600)
		if err := p.conn.Send(ctx, mine); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		clear(mine)
		send(t, p.conn, []byte("second"))
		if got := recv(t, p.r); string(got) != string(noise(1, 9600)) {
			t.Errorf("the first message has %d bytes, or it differs", len(got))
		}
		if got := recv(t, p.r); string(got) != "second" {
			t.Errorf("%q", got)
		}
	})
}

// mute is a port that takes what is written and never says a word; or hands out something for ever.
type mute struct {
	say    []byte
	closed chan struct{}
}

func (m *mute) Read(b []byte) (int, error) {
	if m.say != nil {
		select {
		case <-m.closed:
		case <-time.After(time.Millisecond):
			return copy(b, m.say), nil
		}
	}
	<-m.closed
	return 0, io.ErrClosedPipe
}
func (m *mute) Write(b []byte) (int, error) { return len(b), nil }
func (m *mute) Close() error                { close(m.closed); return nil }

// Dial fails within its time, and says why.
func TestDialErrors(t *testing.T) {
	refuse := func() []byte {
		b := make([]byte, 100)
		n, _ := wire.Encode(b, []byte{7, 0, 0, 0, 0, 1, 2}) // of another nonce
		return b[:n]
	}()
	for _, c := range []struct {
		name string
		d    serial.Dialer
		want string
	}{
		{"no port", serial.Dialer{Device: "rover"}, "no serial port is named"},
		{"missing port", serial.Dialer{Path: "/dev/no-such-port", Device: "rover"}, "dial /dev/no-such-port: "},
		{"bad name", serial.Dialer{Path: "x", Device: "Rover"}, "device name"},
		{"slow", serial.Dialer{Path: "x", Device: "rover", Options: serial.Options{Baud: 300}}, "baud 300: want 1200 to 12000000"},
		{"fast", serial.Dialer{Path: "x", Device: "rover", Options: serial.Options{Baud: 13_000_000}}, "want 1200 to 12000000"},
		{"silent", serial.Dialer{Path: "x", Device: "rover", Options: serial.Options{Open: opens(nil)}}, "no ground answers"},
		{"noise", serial.Dialer{Path: "x", Device: "rover", Options: serial.Options{Open: opens(noise(1, 4096))}}, "no ground answers"},
		{"refuses others", serial.Dialer{Path: "x", Device: "rover", Options: serial.Options{Open: opens(refuse)}}, "no ground answers"},
		{"nothing", serial.Dialer{Path: "x", Device: "rover", Options: serial.Options{Open: opens([]byte{})}}, "multiple Read calls return no data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				_, err := c.d.Dial(ctx)
				if err == nil || !strings.HasPrefix(err.Error(), "serial: dial ") || !strings.Contains(err.Error(), c.want) || errors.Is(err, link.ErrRefused) {
					t.Errorf("%v", err)
				}
				if took := time.Since(start); took > 5500*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
	if _, err := serial.Listen("", serial.Options{}); err == nil {
		t.Error("listen: no error without a port")
	}
}

func opens(say []byte) func(context.Context) (io.ReadWriteCloser, error) {
	return func(context.Context) (io.ReadWriteCloser, error) {
		return &mute{say: say, closed: make(chan struct{})}, nil
	}
}

// A ground whose port is not there yet tries again, and not without end in a second.
func TestPortThatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCable(t, 57600, luck{seed: 8})
		tries, there := 0, false
		r, err := serial.Listen("cable", serial.Options{Logger: quiet(), Open: func(ctx context.Context) (io.ReadWriteCloser, error) {
			if tries++; !there {
				return nil, errors.New("not there")
			}
			return c.open(1)(ctx)
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		wait(time.Minute)
		synctest.Wait()
		if tries < 12 || tries > 200 {
			t.Errorf("%d tries in a minute", tries)
		}
		there = true
		p := pair{c, dial(t, dialer(c, "rover")), r}
		p.up(t, []byte("there"))
	})
}
