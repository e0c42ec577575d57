package broker_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/mqtt"
	"github.com/fulmar-io/fulmar/secure/admission"
)

// stubborn is a connection over which no more than so many bytes are sent: then it is silent.
type stubborn struct {
	net.Conn
	left int
}

func (s *stubborn) Write(p []byte) (int, error) {
	n := min(len(p), s.left)
	s.left -= n
	if _, err := s.Conn.Write(p[:n]); err != nil {
		return 0, err
	}
	if n < len(p) {
		return n, errors.New("that is all")
	}
	return n, nil
}

// endless is a certificate of a few hundred KiB, which nobody issued.
func endless(t *testing.T) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 1000)
	for i := range names {
		names[i] = strings.Repeat("a", 200) + ".example"
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// held is the memory that is in use, of heap and stacks.
func held() int64 {
	runtime.GC()
	runtime.GC() // what pools hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// echo answers what devices send until the test ends.
func (g *guarded) echo() {
	g.t.Helper()
	r, err := g.Receiver()
	if err != nil {
		g.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m, err := r.Recv(context.Background())
			if err != nil {
				return
			}
			_ = r.Send(context.Background(), m.Device, m.Message) // who has gone is not answered
		}
	}()
	g.t.Cleanup(func() { _ = r.Close(); <-done })
}

// roundTrips returns how long n messages took there and back, sorted.
func roundTrips(t *testing.T, c link.Conn, n int) []time.Duration {
	t.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		began := time.Now()
		message := fmt.Sprintf("frame %d", i)
		err := c.Send(ctx, []byte(message))
		var got []byte
		if err == nil {
			got, err = c.Recv(ctx)
		}
		if err == nil && string(got) != message {
			err = fmt.Errorf("%q came back for %q", got, message)
		}
		took[i] = time.Since(began)
		cancel()
		if err != nil {
			t.Fatalf("the neighbour: %v", err)
		}
	}
	slices.Sort(took)
	return took
}

// Strangers come in any number and send whatever they like: those who are at the door at once have a bound, in number, in memory and in
// time, a device of the fleet still gets in, and one that is there already hardly notices.
func TestStrangersAreBounded(t *testing.T) {
	const most = 128
	g := startGuardedWith(t, broker.Options{Strangers: admission.Limits{Strangers: most, FromOne: 2 * most, PerSecond: 10, Patience: time.Minute}})
	g.echo()
	k := g.fleet.Device("rover")
	neighbour, err := mqtt.Dialer{URL: g.MQTT(), Device: "rover", TLS: toGround(k)}.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer neighbour.Close()
	address := strings.TrimPrefix(g.MQTT(), "mqtts://")
	certificate := endless(t)
	// stranger sends as much of a handshake as it may, and stays.
	stranger := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			return nil
		}
		s := &stubborn{Conn: c, left: 60 << 10}
		_ = tls.Client(s, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate}}).Handshake() // of which the rest is not sent
		return c
	}
	_ = stranger().Close()
	roundTrips(t, neighbour, 50)
	calm := roundTrips(t, neighbour, 300)
	before := held()

	conns := make([]net.Conn, most)
	for i := range conns {
		conns[i] = stranger()
	}
	eventuallyCounts(t, g, func(c admission.Counts) bool { return c.Strangers == most }, "all are at the door")
	each := (held() - before) / most
	t.Logf("%d KiB for each of %d strangers, both ends of each connection and its client's TLS counted", each>>10, most)
	if each > 512<<10 {
		t.Errorf("a stranger holds %d KiB", each>>10)
	}
	ratio := math.Inf(1)
	for try := 0; try < 5 && ratio > 2; try++ { // a host that does something else meanwhile shows in one of them
		crowded := roundTrips(t, neighbour, 300)
		ratio = float64(crowded[150]) / float64(calm[150])
		t.Logf("the neighbour's messages take %s there and back, %s among strangers: %.2f times", calm[150], crowded[150], ratio)
	}
	if ratio > 2 {
		t.Errorf("a neighbour is %.2f times slower", ratio)
	}

	// The oldest makes room for a device of the fleet, and more who do the same change nothing.
	other, err := mqtt.Dialer{URL: g.MQTT(), Device: "boat", TLS: toGround(g.fleet.Device("boat"))}.Dial(t.Context())
	if err != nil {
		t.Fatalf("a device of the fleet is kept out: %v", err)
	}
	other.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 200 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
				_, _ = io.Copy(io.Discard, c) // until it is closed
				c.Close()
			}
		}()
	}
	besieged := roundTrips(t, neighbour, 100)
	wg.Wait()
	t.Logf("%s while 800 more come", besieged[50])
	if c := g.Strangers(); c.Strangers > most || c.Displaced == 0 || c.Refused < 500 {
		t.Errorf("%+v", c)
	}
	for _, c := range conns {
		c.Close()
	}
	eventuallyCounts(t, g, func(c admission.Counts) bool { return c.Strangers == 0 }, "none is left")
}

// One that says nothing is closed in time, and one that sends more than a handshake at once.
func TestStrangersThatStayOrTalk(t *testing.T) {
	g := startGuardedWith(t, broker.Options{Strangers: admission.Limits{Patience: 100 * time.Millisecond, Bytes: 1 << 10}})
	for _, url := range []string{g.MQTT(), g.NATS()} {
		_, address, _ := strings.Cut(url, "://")
		for name, message := range map[string][]byte{"silence": nil, "noise": make([]byte, 1<<20)} {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write(message)
			if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
				t.Errorf("%s: %s is listened to", url, name)
			}
			c.Close()
		}
	}
	eventuallyCounts(t, g, func(c admission.Counts) bool { return c.Late >= 2 && c.Strangers == 0 }, "those who are silent are late")
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func eventuallyCounts(t *testing.T, g *guarded, holds func(admission.Counts) bool, what string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); !holds(g.Strangers()); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: it does not hold: %+v", what, g.Strangers())
		}
	}
}

// What a device sends while it is held stays where it is, and comes afterwards; others are served.
func TestADeviceIsHeld(t *testing.T) {
	g := startGuarded(t)
	r, err := g.Receiver()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var conns []link.Conn
	for _, name := range []string{"rover", "boat"} {
		c, err := mqtt.Dialer{URL: g.MQTT(), Device: name, TLS: toGround(g.fleet.Device(name))}.Dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	const held = 500 * time.Millisecond
	began := time.Now()
	r.(link.Holder).Hold("rover", held)
	message := make([]byte, 100<<10) // more than is on its way already
	for range 3 {
		if err := conns[0].Send(ctx, message); err != nil {
			t.Fatal(err)
		}
	}
	if err := conns[1].Send(ctx, []byte("boat")); err != nil {
		t.Fatal(err)
	}
	boat := false
	for got := 0; got < 3; {
		m, err := r.Recv(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m.Device == "boat" {
			boat = true
			continue
		}
		if got++; got == 3 && (!boat || time.Since(began) < held) {
			t.Errorf("the last came after %s, that of the boat before: %t", time.Since(began), boat)
		}
	}
}
