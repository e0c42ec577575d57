package admission_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar/secure/admission"
)

// street is a listener whose connections the test makes.
type street struct{ arrivals chan net.Conn }

func (s *street) Accept() (net.Conn, error) {
	c, ok := <-s.arrivals
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (s *street) Close() error   { close(s.arrivals); return nil }
func (s *street) Addr() net.Addr { return &net.TCPAddr{} }

// from is a connection from an address.
type from struct {
	net.Conn
	address net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.address }

// rig is a door, its visitors, and the far ends of their connections.
type rig struct {
	t     *testing.T
	s     *street
	door  *admission.Door
	turns byte // of those who came for one that was turned away
}

func newRig(t *testing.T, l admission.Limits) *rig {
	s := &street{arrivals: make(chan net.Conn, 1)}
	return &rig{t: t, s: s, door: admission.New(s, l)}
}

// visit connects from an address. Visitor is nil if it was not let in.
func (r *rig) visit(ip string) (far net.Conn, v *admission.Visitor) {
	r.t.Helper()
	far, near := net.Pipe()
	r.s.arrivals <- from{Conn: near, address: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}
	accepted := make(chan *admission.Visitor, 1)
	go func() {
		if c, err := r.door.Accept(); err == nil {
			accepted <- c.(*admission.Visitor)
		}
	}()
	synctest.Wait()
	select {
	case v = <-accepted:
	default:
		if !isClosed(far) {
			r.t.Errorf("%s is neither let in nor turned away", ip)
		}
		other, end := net.Pipe() // for the Accept that waits
		r.turns++
		r.s.arrivals <- from{Conn: end, address: &net.TCPAddr{IP: net.IPv4(203, 0, 113, r.turns), Port: 1}}
		(<-accepted).Close()
		other.Close()
	}
	return far, v
}

// isClosed reports whether the other end has closed a connection.
func isClosed(c net.Conn) bool {
	if err := c.SetReadDeadline(time.Now().Add(time.Nanosecond)); err != nil {
		return true
	}
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func TestTheOldestOfTooManyStrangersGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Limits{Strangers: 3})
		var far []net.Conn
		var visitors []*admission.Visitor
		for _, ip := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"} {
			f, v := r.visit(ip)
			far, visitors = append(far, f), append(visitors, v)
			if len(visitors) == 2 && !v.Known() { // who is known is not counted
				t.Error("the second is not known")
			}
		}
		closed := make([]bool, len(far))
		for i, f := range far {
			closed[i] = isClosed(f)
		}
		if want := []bool{true, false, false, false, false}; !slices.Equal(closed, want) {
			t.Errorf("closed: %v", closed)
		}
		if visitors[0].Known() {
			t.Error("who was closed is known")
		}
		if c := r.door.Counts(); c != (admission.Counts{Strangers: 3, Admitted: 1, Displaced: 1}) {
			t.Errorf("%+v", c)
		}
		for _, v := range visitors {
			_ = v.Close()
		}
		if c := r.door.Counts(); c.Strangers != 0 {
			t.Errorf("%+v", c)
		}
	})
}

func TestOneAddressHasItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Limits{Strangers: 100, FromOne: 2, PerSecond: -1})
		let := func(ip string) *admission.Visitor { _, v := r.visit(ip); return v }
		a := let("2001:db8::1")
		if a == nil || let("2001:db8::ffff:2") == nil || let("2001:db8:0:1::1") == nil || let("::ffff:192.0.2.1") == nil || let("192.0.2.1") == nil {
			t.Error("turned away too early")
		}
		if let("2001:db8::3") != nil || let("192.0.2.1") != nil {
			t.Error("a third was let in")
		}
		a.Known()
		if let("2001:db8::4") == nil {
			t.Error("who is known still counts")
		}
		if c := r.door.Counts(); c.Refused != 2 {
			t.Errorf("%+v", c)
		}
	})
}

func TestOneAddressSendsSoManyASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Limits{FromOne: 4, PerSecond: 2})
		come := func(ip string, n int) (in int) {
			for range n {
				if _, v := r.visit(ip); v != nil {
					in++
					v.Known()
				}
			}
			return in
		}
		if in := come("192.0.2.1", 10); in != 4 {
			t.Errorf("%d at once", in)
		}
		if in := come("192.0.2.2", 3); in != 3 {
			t.Errorf("%d of another address", in)
		}
		time.Sleep(time.Second) //nolint:forbidigo // of synctest's clock
		if in := come("192.0.2.1", 10); in != 2 {
			t.Errorf("%d a second later", in)
		}
		time.Sleep(time.Hour) //nolint:forbidigo // of synctest's clock
		if in := come("192.0.2.1", 10); in != 4 {
			t.Errorf("%d an hour later", in)
		}
	})
}

// What is remembered of addresses has a bound, and nobody of whom a stranger is here is forgotten.
func TestAddressesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Limits{FromOne: 1, PerSecond: -1})
		r.visit("192.0.2.1") // who stays
		for i := range 5000 {
			if _, v := r.visit(fmt.Sprintf("198.51.%d.%d", i/256, i%256)); v == nil || v.Close() != nil {
				t.Fatal(i)
			}
		}
		if n := r.door.Sources(); n > 4096 {
			t.Errorf("%d addresses are remembered", n)
		}
		if _, v := r.visit("192.0.2.1"); v != nil {
			t.Error("a second of an address that may have one")
		}
	})
}

func TestAStrangerMayNotTakeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Limits{Patience: time.Minute})
		late, _ := r.visit("192.0.2.1")
		far, v := r.visit("192.0.2.2")
		v.Known()
		time.Sleep(59 * time.Second) //nolint:forbidigo // of synctest's clock
		if isClosed(late) {
			t.Error("closed too early")
		}
		time.Sleep(2 * time.Second) //nolint:forbidigo // of synctest's clock
		if !isClosed(late) || isClosed(far) {
			t.Errorf("closed: the stranger %t, who is known %t", isClosed(late), isClosed(far))
		}
		if c := r.door.Counts(); c != (admission.Counts{Admitted: 1, Late: 1}) {
			t.Errorf("%+v", c)
		}
	})
}

func TestAStrangerMayNotSendMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, admission.Limits{Bytes: 1000})
		talk := func(known bool) (int64, error) {
			far, v := r.visit("192.0.2.1")
			if known {
				v.Known()
			}
			go func() {
				_, _ = far.Write(make([]byte, 5000)) // it ends when the other end is closed
				_ = far.Close()
			}()
			n, err := io.Copy(io.Discard, v)
			_ = v.Close()
			return n, err
		}
		if n, err := talk(false); n != 1000 || !errors.Is(err, admission.ErrTooMuch) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if n, err := talk(true); n != 5000 || err != nil {
			t.Errorf("who is known: %d bytes, %v", n, err)
		}
		if c := r.door.Counts(); c.TooMuch != 1 {
			t.Errorf("%+v", c)
		}
	})
}
