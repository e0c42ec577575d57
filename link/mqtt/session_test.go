package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"

	"github.com/fulmar-io/fulmar/link"
)

func TestMemoryForgets(t *testing.T) {
	m := memory{expires: make(map[string]time.Time)}
	now := time.Unix(1000, 0)
	if v := m.at("a", now); v != V5 {
		t.Errorf("an unknown broker is tried with %s first", v)
	}
	m.old("a", now)
	if v := m.at("a", now.Add(rememberFor-1)); v != V311 {
		t.Errorf("a known broker is tried with %s first", v)
	}
	if v := m.at("b", now); v != V5 {
		t.Errorf("another broker is tried with %s first", v)
	}
	if v := m.at("a", now.Add(rememberFor)); v != V5 {
		t.Errorf("after the expiry %s is tried first: a broker that was upgraded is not noticed", v)
	}
	m.old("a", now)
	m.forget("a")
	if v := m.at("a", now); v != V5 {
		t.Errorf("after it failed %s is tried first", v)
	}
	for i := range 3 * maxKnown {
		m.old(fmt.Sprint(i), now)
	}
	if n := len(m.expires); n > maxKnown {
		t.Errorf("%d brokers are remembered", n)
	}
}

// stream is a connection that reads a fixed text.
type stream struct {
	net.Conn
	io.Reader
}

func (s stream) Read(p []byte) (int, error) { return s.Reader.Read(p) }
func (s stream) Close() error               { return nil }

// guarded returns all that passes of a text.
func guarded(v Version, text []byte) ([]byte, error) {
	g := newGuard(stream{Reader: bytes.NewReader(text)}, time.Hour, v)
	out, err := io.ReadAll(g)
	return out, errors.Join(err, g.Close())
}

func packetOf(first byte, n int) []byte {
	b := []byte{first}
	for length := n; ; {
		digit := byte(length & 0x7f)
		if length >>= 7; length > 0 {
			digit |= 0x80
		}
		if b = append(b, digit); length == 0 {
			return append(b, make([]byte, n)...)
		}
	}
}

func TestGuard(t *testing.T) {
	connack := []byte{typeConnack << 4, 2, 0, 0}
	small, long := packetOf(typePublish<<4, 300), packetOf(typePublish<<4, maxPacket+1)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name string
		v    Version
		in   []byte
		out  []byte // what passes; nil for an error before the end
	}{
		{"passes", V311, join(connack, small, small), join(connack, small, small)},
		{"longest passes", V5, join(connack, packetOf(typePublish<<4, maxPacket)), join(connack, packetOf(typePublish<<4, maxPacket))},
		{"long message is skipped", V5, join(connack, long, small), join(connack, small)},
		{"long message first", V5, long, nil},
		{"long packet of another type", V5, join(connack, packetOf(typeSuback<<4, maxPacket+1)), nil},
		{"no CONNACK", V5, small, nil},
		{"text", V5, []byte("HTTP/1.1 400 Bad Request"), nil},
		{"endless length", V5, join(connack, bytes.Repeat([]byte{0xff}, 100)), nil},
		{"unknown return code", V311, []byte{typeConnack << 4, 2, 0, 6}, nil},
		{"long CONNACK of 3.1.1", V311, packetOf(typeConnack<<4, 3), nil},
		{"SUBACK with more codes than filters", V311, join(connack, packetOf(typeSuback<<4, 4)), nil},
		{"SUBACK", V311, join(connack, packetOf(typeSuback<<4, 3)), join(connack, packetOf(typeSuback<<4, 3))},
	} {
		out, err := guarded(c.v, c.in)
		if c.out == nil && err == nil {
			t.Errorf("%s: no error", c.name)
		}
		if c.out != nil && (err != nil || !bytes.Equal(out, c.out)) {
			t.Errorf("%s: %d bytes, %v, want %d", c.name, len(out), err, len(c.out))
		}
	}
}

// FuzzGuard: whatever a broker sends, what passes is whole packets within the limits, but for the last.
func FuzzGuard(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte, v311 bool) {
		v := V5
		if v311 {
			v = V311
		}
		out, _ := guarded(v, b)
		if len(out) > len(b) {
			t.Fatal("more came out than went in")
		}
		if len(out) > 0 && out[0] != typeConnack<<4 {
			t.Fatalf("the first packet begins with %#x", out[0])
		}
		again, err := guarded(v, out)
		if !bytes.Equal(again, out) && err == nil {
			t.Fatal("what passed does not pass again")
		}
	})
}

// scripted is an MQTT 5 broker that answers a CONNECT, agrees to a SUBSCRIBE, and then says goodbye.
func scripted(t *testing.T, connack, goodbye []byte) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		for {
			p, err := packets.ReadPacket(c)
			if err != nil {
				return
			}
			switch p.Type {
			case packets.CONNECT:
				_, err = c.Write(connack)
			case packets.SUBSCRIBE:
				id := p.Content.(*packets.Subscribe).PacketID
				_, err = c.Write(append([]byte{0x90, 4, byte(id >> 8), byte(id), 0, 0}, goodbye...))
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

var accepted = []byte{0x20, 3, 0, 0, 0}

func TestABrokersReasonsAreTold(t *testing.T) {
	for code, want := range map[byte]string{0x8e: "took over", 0x8b: "shutting down", 0x95: "too large", 0x81: "0x81"} {
		d := Dialer{URL: "mqtt://" + scripted(t, accepted, []byte{0xe0, 2, code, 0}), Device: "rover", Version: V5}
		c, err := d.Dial(t.Context())
		if err == nil {
			_, err = c.Recv(t.Context())
		}
		if err == nil || !errors.Is(err, link.ErrClosed) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "without a reason") {
			t.Errorf("reason code %#x: %v", code, err)
		}
		if c != nil {
			_ = c.Close()
		}
	}
}

func TestRefusalsOfMQTT5(t *testing.T) {
	for code, lasting := range map[byte]bool{0x84: false, 0x85: true, 0x86: true, 0x87: true, 0x88: false, 0x89: false, 0x8a: true,
		0x97: false, 0x9f: false, 0x80: false} {
		d := Dialer{URL: "mqtt://" + scripted(t, []byte{0x20, 3, 0, code, 0}, nil), Device: "rover", Version: V5}
		_, err := d.Dial(t.Context())
		if err == nil || errors.Is(err, link.ErrRefused) != lasting {
			t.Errorf("reason code %#x: %v", code, err)
		}
	}
}

// TestAuthNobodyAskedFor: the library would call a handler that is not there.
func TestAuthNobodyAskedFor(t *testing.T) {
	withMethod := []byte{0x20, 3 + 4, 0, 0, 4, 0x15, 0, 1, 'x'}
	for _, connack := range [][]byte{withMethod, {0xf0, 2, 0x18, 0}} {
		d := Dialer{URL: "mqtt://" + scripted(t, connack, []byte{0xf0, 2, 0x18, 0, 0xe0, 0}), Device: "rover", Version: V5}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if c, err := d.Dial(ctx); err == nil {
			_, err = c.Recv(ctx)
			if !errors.Is(err, link.ErrClosed) {
				t.Error(err)
			}
			_ = c.Close()
		}
		cancel()
	}
}

func TestRefusalsAreLastingOrNot(t *testing.T) {
	for code, lasting := range map[byte]bool{1: false, 2: true, 3: false, 4: true, 5: true} {
		if err := refusedV311(code); errors.Is(err, link.ErrRefused) != lasting {
			t.Errorf("return code %d: %v", code, err)
		}
	}
}
