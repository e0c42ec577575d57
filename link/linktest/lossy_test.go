package linktest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/linktest"
)

// record is a link that keeps what is sent and gives out numbers.
type record struct {
	sent [][]byte
	next int
}

func (r *record) Dial(context.Context) (link.Conn, error) { return r, nil }
func (r *record) String() string                          { return "record" }
func (r *record) Close() error                            { return nil }
func (r *record) Send(_ context.Context, m []byte) error {
	r.sent = append(r.sent, bytes.Clone(m))
	return nil
}
func (r *record) Recv(context.Context) ([]byte, error) {
	r.next++
	return fmt.Append(nil, r.next), nil
}

// luck counts what became of n messages.
func luck(t *testing.T, l linktest.Luck, n int) (lost, twice, swapped int, sent string) {
	var r record
	c, err := linktest.Lossy(&r, l).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1)
	for i := range n {
		buf[0] = byte(i) // the same memory again
		if err := c.Send(t.Context(), buf); err != nil {
			t.Fatal(err)
		}
	}
	times := make([]int, n)
	last := -1
	for _, m := range r.sent {
		times[m[0]]++
		if int(m[0]) < last {
			swapped++
		}
		last = int(m[0])
	}
	for _, k := range times {
		if k == 0 {
			lost++
		} else if k > 1 {
			twice++
		}
	}
	return lost, twice, swapped, string(bytes.Join(r.sent, nil))
}

func TestLossy(t *testing.T) {
	const n = 256
	if lost, twice, swapped, _ := luck(t, linktest.Luck{}, n); lost+twice+swapped != 0 {
		t.Errorf("without luck %d were lost, %d doubled, %d swapped", lost, twice, swapped)
	}
	if lost, _, _, _ := luck(t, linktest.Luck{Lose: 1}, n); lost != n {
		t.Errorf("%d of %d were lost", lost, n)
	}
	if _, twice, _, _ := luck(t, linktest.Luck{Duplicate: 1}, n); twice != n {
		t.Errorf("%d of %d were doubled", twice, n)
	}
	half := linktest.Luck{Seed: 3, Lose: 0.3, Duplicate: 0.3, Reorder: 0.5}
	lost, twice, swapped, first := luck(t, half, n)
	if lost < n/20 || twice < n/20 || swapped < n/20 {
		t.Errorf("%d were lost, %d doubled, %d swapped", lost, twice, swapped)
	}
	if _, _, _, again := luck(t, half, n); again != first {
		t.Error("the same seed had another outcome")
	}
	half.Seed++
	if _, _, _, other := luck(t, half, n); other == first {
		t.Error("another seed had the same outcome")
	}
	var r record
	c, err := linktest.Lossy(&r, linktest.Luck{Reorder: 1}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2", "1", "4", "3"} {
		if m, err := c.Recv(t.Context()); err != nil || string(m) != want {
			t.Errorf("received %q, %v, want %q", m, err, want)
		}
	}
}

// echo returns a connection through a proxy to a server that sends everything back.
func echo(t *testing.T) (*linktest.Proxy, net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(c, c)
		_ = c.Close()
	}()
	p := linktest.NewProxy(t, l.Addr().String())
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = l.Close(); p.Cut(); <-ended })
	return p, c
}

func TestProxy(t *testing.T) {
	p, c := echo(t)
	there := func(n int) time.Duration {
		t.Helper()
		start := time.Now()
		if _, err := c.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	there(100_000)
	if up, down := p.Forwarded(); up != 100_000 || down != 100_000 {
		t.Errorf("%d and %d bytes are counted, want 100000", up, down)
	}
	p.Delay(30 * time.Millisecond)
	if took := there(1); took < 60*time.Millisecond {
		t.Errorf("there and back took %v, want 60 ms or more", took)
	}
	p.Delay(0)
	p.Limit(1_000_000)
	if took := there(50_000); took < 50*time.Millisecond {
		t.Errorf("50,000 bytes at 1 MB/s took %v", took)
	}
	p.Limit(0)
	p.Stall(true)
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := c.Read(b[:]); err == nil {
		t.Error("a stalled network forwarded")
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	p.Stall(false)
	if _, err := c.Read(b[:]); err != nil || b[0] != 'x' {
		t.Errorf("after the stall: %q, %v", b, err)
	}
	p.Cut()
	if _, err := c.Read(b[:]); err == nil {
		t.Error("a network that was cut forwarded")
	}
}

func ExampleLossy() {
	var r record
	c, err := linktest.Lossy(&r, linktest.Luck{Duplicate: 1}).Dial(context.Background())
	if err == nil {
		err = c.Send(context.Background(), []byte("twice"))
	}
	fmt.Printf("%q %v\n", r.sent, err)
	// Output: ["twice" "twice"] <nil>
}
