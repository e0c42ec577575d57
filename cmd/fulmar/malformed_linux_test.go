package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/internal/extent"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/carrier"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// mangle makes something that was well formed into something that mostly is not.
func mangle(rng *rand.Rand, b []byte) []byte {
	b = append([]byte(nil), b...)
	for range 1 + rng.IntN(3) {
		at := rng.IntN(len(b))
		switch rng.IntN(6) {
		case 0:
			b[at] ^= 1 << rng.IntN(8)
		case 1:
			b[at] = []byte{0, 0xff, 0x7f, 0x80, '\r', '\n', ' ', '/'}[rng.IntN(8)]
		case 2:
			b = b[:max(1, at)]
		case 3: // a part twice
			b = append(b[:at:at], append(append([]byte(nil), b[at/2:at]...), b[at:]...)...)
		case 4: // noise
			noise := make([]byte, 1+rng.IntN(300))
			for i := range noise {
				noise[i] = byte(rng.Uint32())
			}
			b = slices.Insert(b, at, noise...)
		default: // far too much
			b = append(b, strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(200_000))...)
		}
		if len(b) == 0 {
			return []byte{0}
		}
	}
	return b
}

// mqttPacket is a packet of MQTT's, with its length.
func mqttPacket(first byte, body ...byte) []byte {
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

func mqttString(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func mqttInput(rng *rand.Rand) []byte {
	connect := append(mqttString("MQTT"), 4, 2, 0, 60)
	connect = append(connect, mqttString("broken-"+strconv.Itoa(rng.IntN(100)))...)
	b := mqttPacket(0x10, connect...)
	for range rng.IntN(3) {
		switch rng.IntN(4) {
		case 0:
			b = append(b, mqttPacket(0x30|byte(rng.IntN(8)), append(mqttString("fulmar/v1/broken/up"), "no message"...)...)...)
		case 1:
			b = append(b, mqttPacket(0x82, append([]byte{0, 1}, append(mqttString("fulmar/v1/+/#"), 1)...)...)...)
		case 2:
			b = append(b, mqttPacket(0xc0)...)
		default:
			b = append(b, 0x30, 0xff, 0xff, 0xff, 0x7f) // a quarter of a gigabyte follows
		}
	}
	return b
}

func natsInput(rng *rand.Rand) []byte {
	b := []byte("CONNECT {\"verbose\":false,\"name\":\"broken\",\"headers\":true}\r\nPING\r\n")
	for range rng.IntN(4) {
		b = append(b, []string{"PUB fulmar.v1.broken.up 10\r\n0123456789\r\n", "SUB fulmar.> 1\r\n", "PUB a 999999999999\r\n", "HPUB a 12 22\r\nNATS/1.0\r\n\r\n0123456789\r\n",
			"PUB " + strings.Repeat("a.", 3000) + " 0\r\n\r\n", "UNSUB 1\r\n", "MSG x 1 3\r\nabc\r\n", "INFO {}\r\n"}[rng.IntN(8)]...)
	}
	return b
}

func httpInput(rng *rand.Rand) []byte {
	return []byte([]string{
		"GET /api/v1/machines HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /api/v1/machines/rover/range?series=a&from=1&to=2&buckets=999999999 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /api/v1/machines/%2e%2e%2f%2e%2e/events?cursor=AAAA HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{\"name\":\"ada\",\"password\":\"xyz\"}",
		"POST /api/v1/machines/rover/commands HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n{\r\n0\r\n\r\n",
		"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nLast-Event-ID: 999999999999999999999\r\n\r\n",
		"GET /metrics HTTP/1.0\r\nX: " + strings.Repeat("y", 1<<rng.IntN(21)) + "\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00",
	}[rng.IntN(8)])
}

// grpcInput is a connection of HTTP/2 with a stream, or what would be one.
func grpcInput(rng *rand.Rand) []byte {
	var b, block bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	h := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/fulmar.v1.Link/Carry"}, {":authority", "x"},
		{"content-type", "application/grpc"}, {"te", "trailers"}, {"fulmar-device", "broken"}} {
		if rng.IntN(20) > 0 {
			_ = h.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // to memory, as all here
		}
	}
	_ = f.WriteSettings()
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: rng.IntN(10) > 0})
	for range rng.IntN(5) {
		switch rng.IntN(6) {
		case 0:
			_ = f.WriteData(1, false, append(binary.BigEndian.AppendUint32([]byte{0}, 12), "no message.."...))
		case 1:
			_ = f.WriteData(1, false, binary.BigEndian.AppendUint32([]byte{0}, 1<<30)) // a gigabyte follows
		case 2:
			_ = f.WriteData(uint32(rng.IntN(5)), true, make([]byte, rng.IntN(16<<10)))
		case 3:
			_ = f.WriteWindowUpdate(uint32(rng.IntN(3)), rng.Uint32()>>1)
		case 4:
			_ = f.WriteRSTStream(1, http2.ErrCodeCancel)
		default:
			_ = f.WriteRawFrame(http2.FrameType(rng.IntN(12)), http2.Flags(rng.IntN(256)), uint32(rng.IntN(4)), make([]byte, rng.IntN(100)))
		}
	}
	return b.Bytes()
}

// throw opens a connection, writes, listens for a moment, and goes.
func throw(rng *rand.Rand, address string, b []byte) error {
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	for len(b) > 0 { // a server may have had enough in the middle: no error of ours
		n := len(b)
		if rng.IntN(2) == 0 {
			n = 1 + rng.IntN(len(b))
		}
		if _, err := c.Write(b[:n]); err != nil {
			return nil
		}
		b = b[n:]
	}
	if rng.IntN(2) == 0 {
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = io.CopyN(io.Discard, c, 4096)
	}
	return nil
}

// terminal opens a pseudo-terminal: its master, and the path of its other side.
func terminal(t *testing.T) (master *os.File, path string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if e := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); e != nil || err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", errors.Join(e, err))
	}
	return master, fmt.Sprintf("/dev/pts/%d", n)
}

// neighbour is a machine that behaves, over one of the links of a ground.
type neighbour struct {
	c    link.Conn
	next uint64
	name string
}

func newNeighbour(t *testing.T, url, name string) *neighbour {
	t.Helper()
	d, err := carrier.Settings{URL: carrier.URL(url)}.Dialer(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := d.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &neighbour{c: c, name: name}
}

var voltage = &telemetry.Layout{Name: "battery", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "voltage", Type: packet.Float64}}}

// speaks has the neighbour send a frame, which is acknowledged before long.
func (n *neighbour) speaks(t *testing.T) {
	t.Helper()
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(voltage.ID()), Class: packet.Urgent, Seq: n.next, Mono: int64(n.next) + 1})
	w.Float64(12)
	p, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f := encoded(t, telemetry.Stream{Device: n.name, Boot: telemetry.Boot{1}, Class: packet.Urgent}, func(yield func(telemetry.Record) bool) {
		yield(telemetry.Record{Layout: voltage, Packet: p})
	})
	n.next++
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := n.c.Send(ctx, link.Append(nil, link.Frame{Data: f})); err != nil {
		t.Fatalf("%s: %v", n.name, err)
	}
	for {
		b, err := n.c.Recv(ctx)
		if err != nil {
			t.Fatalf("%s is not answered: %v", n.name, err)
		}
		m, err := link.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := m.(link.Ack); ok && a.Prefix == n.next {
			return
		}
	}
}

// Whatever comes to the ground's open ports, and over a serial line: it goes on, within its memory, and serves those who behave.
func TestServersOutliveMalformedInput(t *testing.T) {
	first, end := extent.Of(t, 300)
	natsAt, grpcAt := freePort(t), freePort(t)
	g := startGround(t, t.TempDir(), "--nats", natsAt, "--grpc", grpcAt)
	page, mqttAt := strings.TrimPrefix(g.url, "http://"), strings.TrimPrefix(g.mqtt, "mqtt://")
	neighbours := []*neighbour{newNeighbour(t, g.mqtt, "over-mqtt"), newNeighbour(t, "nats://"+natsAt, "over-nats"), newNeighbour(t, "grpc://"+grpcAt, "over-grpc")}
	broken := newNeighbour(t, g.mqtt, "broken") // connected well, and says what is none
	wire, port := terminal(t)
	serial := startGround(t, t.TempDir(), "--broker", "serial://"+port)
	go func() { _, _ = io.Copy(io.Discard, wire) }() // ends with the terminal
	good := link.Append(nil, link.Frame{Data: frameWith(t, "broken", voltage, func(w *packet.Writer) { w.Float64(12) })})
	for i := first; i < end; i++ {
		rng := rand.New(rand.NewPCG(i, 17))
		var err error
		switch i % 6 {
		case 0:
			err = throw(rng, mqttAt, mangle(rng, mqttInput(rng)))
		case 1:
			err = throw(rng, natsAt, mangle(rng, natsInput(rng)))
		case 2:
			err = throw(rng, page, mangle(rng, httpInput(rng)))
		case 3:
			err = throw(rng, grpcAt, mangle(rng, grpcInput(rng)))
		case 4:
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			m := mangle(rng, good)
			err = broken.c.Send(ctx, m[:min(len(m), 100_000)])
			cancel()
		default:
			m := mangle(rng, append([]byte{0}, good...))
			if err = wire.SetWriteDeadline(time.Now().Add(10 * time.Second)); err == nil {
				_, err = wire.Write(m[:min(len(m), 20_000)])
			}
		}
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		if i%25 == 24 {
			for _, n := range neighbours {
				n.speaks(t)
			}
			for _, ground := range []*runningGround{g, serial} {
				if code, body := ground.get(t, "/healthz"); code != 200 {
					t.Fatalf("case %d: healthy: %d %s", i, code, body)
				}
			}
		}
	}
	for _, n := range neighbours {
		n.speaks(t)
	}
	ends(t, map[string]*runningGround{"the ground": g, "the ground at the serial line": serial}, end-first)
	extent.Covered(t, end-first, "malformed inputs to running servers")
}

// residentMiB is how much memory a process has.
func residentMiB(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// ends stops grounds after so many inputs, of which they are to have kept nothing.
func ends(t *testing.T, grounds map[string]*runningGround, inputs uint64) {
	t.Helper()
	for what, ground := range grounds {
		mib := residentMiB(t, ground.cmd.Process.Pid)
		t.Logf("%s has %d MiB resident after %d inputs", what, mib, inputs)
		if mib > 400 {
			t.Errorf("%s has %d MiB resident", what, mib)
		}
		ground.stop(t)
	}
}
