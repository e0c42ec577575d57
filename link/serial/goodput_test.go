package serial_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/serial"
)

// pair is both ends of a cable, connected.
type pair struct {
	c    *cable
	conn link.Conn
	r    *serial.Receiver
}

func dialer(c *cable, device string) serial.Dialer {
	return serial.Dialer{Path: "cable", Device: device, Options: serial.Options{Baud: c.baud, Open: c.open(0)}}
}

func listen(t testing.TB, c *cable) *serial.Receiver {
	t.Helper()
	r, err := serial.Listen("cable", serial.Options{Baud: c.baud, Open: c.open(1), Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func dial(t testing.TB, d link.Dialer) link.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := d.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// join connects both ends; what either says has come through once.
func join(t testing.TB, baud int, l luck) pair {
	t.Helper()
	p := pair{c: newCable(t, baud, l)}
	p.r = listen(t, p.c)
	p.conn = dial(t, dialer(p.c, "rover"))
	p.up(t, []byte("hello"))
	p.down(t, []byte("hello"))
	return p
}

func send(t testing.TB, conn link.Conn, m []byte) {
	t.Helper()
	if err := conn.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func recv(t testing.TB, r *serial.Receiver) []byte {
	t.Helper()
	m, err := r.Recv(t.Context())
	if err != nil || m.Device != "rover" {
		t.Fatalf("from %q: %v", m.Device, err)
	}
	return m.Message
}

func (p pair) up(t testing.TB, m []byte) {
	t.Helper()
	send(t, p.conn, m)
	if got := recv(t, p.r); !bytes.Equal(got, m) {
		t.Fatalf("%d bytes came as %d, or they differ", len(m), len(got))
	}
}

func (p pair) down(t testing.TB, m []byte) {
	t.Helper()
	if err := p.r.Send(t.Context(), "rover", m); err != nil {
		t.Fatal(err)
	}
	got, err := p.conn.Recv(t.Context())
	if err != nil || !bytes.Equal(got, m) {
		t.Fatalf("%d bytes came as %d, or they differ: %v", len(m), len(got), err)
	}
}

func noise(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// TestGoodput has the figures of docs/serial.md: how much of the line's rate arrives as messages of 4 KiB, one way and with as
// much the other way, one way over a line that holds everything back for 40 ms, and how long a message of 100 bytes takes that comes
// while the line is full. The line loses frames in both directions; time is a bubble's, the code is what ships.
func TestGoodput(t *testing.T) {
	t.Log("      baud  frames lost  one way  each of two  one way, 40 ms  100 bytes amid bulk, median  worst of 40")
	for _, c := range []struct {
		baud int
		lose float64
		want float64 // of the line's rate, at least
	}{
		{9600, 0, 0.80}, {9600, 0.01, 0.78}, {9600, 0.1, 0.65},
		{57600, 0, 0.93}, {57600, 0.01, 0.90}, {57600, 0.1, 0.75},
		{921600, 0, 0.93}, {921600, 0.01, 0.90}, {921600, 0.1, 0.75},
	} {
		if raceDetector && c.baud > 9600 {
			continue // takes a minute, and has the same goroutines
		}
		var oneWay, bothWays, held float64
		var late []time.Duration
		synctest.Test(t, func(t *testing.T) { oneWay = goodput(t, c.baud, luck{lose: c.lose}, false) })
		synctest.Test(t, func(t *testing.T) { bothWays = goodput(t, c.baud, luck{lose: c.lose}, true) })
		synctest.Test(t, func(t *testing.T) { held = goodput(t, c.baud, luck{lose: c.lose, delay: 40 * time.Millisecond}, false) })
		synctest.Test(t, func(t *testing.T) { late = amidBulk(t, c.baud, c.lose) })
		slices.Sort(late)
		median, worst := late[len(late)/2], late[len(late)-1]
		t.Logf("%10d %11.0f%% %7.1f%% %10.1f%% %14.1f%% %28v %12v", c.baud, 100*c.lose, 100*oneWay, 100*bothWays, 100*held,
			median.Round(time.Millisecond), worst.Round(time.Millisecond))
		if min(oneWay, held) < c.want {
			t.Errorf("%d baud, %v lost: %.1f %% of the line, want %.1f", c.baud, c.lose, 100*min(oneWay, held), 100*c.want)
		}
		if median > 1500*time.Millisecond || worst > 4*time.Second {
			t.Errorf("%d baud, %v lost: 100 bytes took %v, at worst %v", c.baud, c.lose, median, worst)
		}
	}
}

// goodput sends what takes the line two minutes, or 800 messages.
func goodput(t *testing.T, baud int, l luck, bothWays bool) float64 {
	l.seed = uint64(baud)
	p := join(t, baud, l)
	n := min(baud*12/4096, 800)
	start := time.Now()
	upwards := make(chan time.Duration, 1)
	go func() {
		for i := range n {
			if err := p.conn.Send(t.Context(), noise(uint64(i), 4096)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	go func() {
		for i := range n {
			if m, err := p.r.Recv(t.Context()); err != nil || !bytes.Equal(m.Message, noise(uint64(i), 4096)) {
				t.Errorf("message %d: %d bytes, or they differ: %v", i, len(m.Message), err)
				break
			}
		}
		upwards <- time.Since(start)
	}()
	took := time.Duration(0)
	if bothWays {
		for i := range n {
			p.keepFull(t, i, n)
			got, err := p.conn.Recv(t.Context())
			if err != nil || len(got) != 4096 {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
		}
		took = time.Since(start)
	}
	took = max(took, <-upwards)
	return float64(n*4096*10) / (float64(baud) * took.Seconds())
}

// keepFull sends down so that two messages wait, when i of n have been received.
func (p pair) keepFull(t *testing.T, i, n int) {
	from, to := i+1, i+2
	if i == 0 {
		from = 0
	}
	for k := from; k < min(to, n); k++ {
		if err := p.r.Send(t.Context(), "rover", noise(uint64(k), 4096)); err != nil {
			t.Fatal(err)
		}
	}
}

// amidBulk measures how long a message of 100 bytes takes that is sent as soon as a bulky one lets it.
func amidBulk(t *testing.T, baud int, lose float64) (late []time.Duration) {
	p := join(t, baud, luck{seed: 7, lose: lose})
	sent := make(chan time.Time, 100)
	go func() {
		for i := range 40 {
			if p.conn.Send(t.Context(), noise(uint64(i), 16<<10)) != nil {
				return
			}
			sent <- time.Now()
			if p.conn.Send(t.Context(), noise(uint64(i), 100)) != nil {
				return
			}
		}
	}()
	for len(late) < 40 {
		if m := recv(t, p.r); len(m) == 100 {
			late = append(late, time.Since(<-sent))
		}
	}
	return late
}
