package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/internal/testbroker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/carrier"
	"github.com/fulmar-io/fulmar/recording/ulog/ulogtest"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// runningGround is a ground in a process of its own.
type runningGround struct {
	*process
	data, url, mqtt string
	stopped         bool
}

func startGround(t *testing.T, data string, args ...string) *runningGround {
	t.Helper()
	page, mqtt := freePort(t), freePort(t)
	g := &runningGround{data: data, url: "http://" + page, mqtt: "mqtt://" + mqtt}
	g.process = startChild(t, "fulmar", append([]string{"ground", "--data", data, "--http", page, "--mqtt", mqtt}, args...)...)
	t.Cleanup(func() {
		if !g.stopped {
			_ = g.end(syscall.SIGTERM)
		}
		if t.Failed() {
			t.Logf("the ground said:\n%.4000s", g.out.String())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := waitReady(ctx, g.url); err != nil {
		t.Fatal(err)
	}
	return g
}

// stop ends the ground and returns what it said.
func (g *runningGround) stop(t *testing.T) string {
	t.Helper()
	g.stopped = true
	if err := g.end(syscall.SIGTERM); err != nil {
		t.Errorf("the ground ended with %v", err)
	}
	said := g.out.String()
	if strings.Contains(said, "panic") {
		t.Errorf("the ground panicked:\n%s", said)
	}
	return said
}

// get returns what the ground answers.
func (g *runningGround) get(t *testing.T, path string) (int, string) {
	t.Helper()
	res, err := http.Get(g.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// waitFor waits until the ground's metrics have a line.
func (g *runningGround) waitFor(t *testing.T, line string) {
	t.Helper()
	eventually(t, func() bool {
		_, metrics := g.get(t, "/metrics")
		return strings.Contains(metrics, "\n"+line+"\n")
	}, "the metrics never had the line %s", line)
}

// eventually waits for a condition.
func eventually(t *testing.T, holds func() bool, format string, args ...any) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf(format, args...)
		}
	}
}

// flight writes a recording and returns its path.
func flight(t *testing.T, messages int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flight.ulg")
	if err := os.WriteFile(path, flightLog(messages), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// replayed runs a replay in this process and returns its summary.
func replayed(t *testing.T, want int, args ...string) (s replaySummary, stderr string) {
	t.Helper()
	var out, log bytes.Buffer
	if status := run(t.Context(), append([]string{"replay", "--insecure", "--json", "--speed", "0"}, args...), &out, &log); status != want {
		t.Fatalf("replay: status %d, want %d\n%.4000s", status, want, log.String())
	}
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return s, log.String()
}

// frameWith makes a frame that holds one record.
func frameWith(t *testing.T, device string, l *telemetry.Layout, fill func(*packet.Writer)) []byte {
	t.Helper()
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Class: packet.Urgent, Mono: 1})
	fill(&w)
	p, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return encoded(t, telemetry.Stream{Device: device, Boot: telemetry.Boot{1}, Class: packet.Urgent},
		slices.Values([]telemetry.Record{{Layout: l, Packet: p}}))
}

// encoded is a frame of records.
func encoded(t *testing.T, s telemetry.Stream, records iter.Seq[telemetry.Record]) []byte {
	t.Helper()
	e := frame.NewEncoder()
	e.Reset(s)
	for r := range records {
		if err := e.Append(r.Layout, r.Packet); err != nil {
			t.Fatal(err)
		}
	}
	b, err := e.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a broken or hostile machine sends over MQTT costs the ground nothing: it tells and counts it, and the machine beside
// is served.
func TestWhatAMachineMustNotSend(t *testing.T) {
	g := startGround(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := carrier.Settings{URL: carrier.URL(g.mqtt)}.Dialer("broken", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(message []byte) {
		t.Helper()
		if err := c.Send(ctx, message); err != nil {
			t.Fatal(err)
		}
	}
	voltage := &telemetry.Layout{Name: "battery", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "voltage", Type: packet.Float64}}}
	good := frameWith(t, "broken", voltage, func(w *packet.Writer) { w.Float64(12) })

	// A wrong checksum. It may have been damaged on its way: it is not refused for good, and not acknowledged.
	damaged := bytes.Clone(good)
	damaged[len(damaged)-1] ^= 1
	send(link.Append(nil, link.Frame{Data: damaged}))
	g.waitFor(t, `fulmar_ground_frames_total{result="damaged"} 1`)
	// A version that this ground does not know.
	newer := bytes.Clone(good)
	newer[4]++
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Checksum(newer[:12], castagnoli), castagnoli, newer[16:])
	binary.LittleEndian.PutUint32(newer[12:], sum)
	send(link.Append(nil, link.Frame{Data: newer}))
	g.waitFor(t, `fulmar_ground_frames_total{result="shed"} 1`)
	// Nothing at all, noise, and a message that only a ground sends.
	send([]byte{})
	send(bytes.Repeat([]byte{0xa5}, 1000))
	send(link.Append(nil, link.Ack{Class: packet.Normal}))
	// The frame itself is taken after all of that.
	send(link.Append(nil, link.Frame{Data: good}))
	g.waitFor(t, `fulmar_ground_frames_total{result="stored"} 1`)
	if b, err := c.Recv(ctx); err != nil {
		t.Fatal(err)
	} else if m, err := link.Parse(b); err != nil {
		t.Fatal(err)
	} else if a, ok := m.(link.Ack); !ok || a.Prefix != 1 {
		t.Errorf("%+v, want an acknowledgement of the good frame and nothing before", m)
	}

	if s, _ := replayed(t, exitHeld, flight(t, 1000), "--to", g.mqtt); s.Delivered != s.Produced || s.Messages != 1000 {
		t.Errorf("the machine beside: %+v", s)
	}
	said := g.stop(t)
	for _, want := range []string{`why=damaged frames=1 device=broken error="frame: `, `why=newer frames=1 device=broken error="frame: `, fmt.Sprintf("version %d", newer[4]),
		`msg="message dropped" link=nats://embedded device=broken error="link: malformed message: 0 bytes"`, `device=broken error="ingest: message of type link.Ack`} {
		if !strings.Contains(said, want) {
			t.Errorf("the ground did not say %q", want)
		}
	}
}

// longName is a megabyte. Nothing that carries a name may be as long; what only says so must cost no more than it is.
const longName = 1 << 20

// A layout whose name is said to have a megabyte, in a frame that is otherwise sound.
func TestALayoutWithAnEndlessName(t *testing.T) {
	g := startGround(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := carrier.Settings{URL: carrier.URL(g.mqtt)}.Dialer("broken", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	filler := strings.Repeat("n", telemetry.MaxLayoutBinary-100)
	for i, length := range []uint64{longName, uint64(len(filler)), 1 << 63} {
		definition := binary.AppendUvarint([]byte{1, byte(telemetry.Reading)}, length)
		definition = append(definition, filler...)
		definition = append(definition, 0)
		b := frameWith(t, "broken", telemetry.LayoutRecords, func(w *packet.Writer) { w.String(string(definition)) })
		// Each in a boot of its own, so that the numbers are new.
		b = inBoot(t, b, byte(i+1))
		if err := c.Send(ctx, link.Append(nil, link.Frame{Data: b})); err != nil {
			t.Fatal(err)
		}
	}
	g.waitFor(t, `fulmar_ground_frames_total{result="stored"} 3`)
	g.waitFor(t, `fulmar_ground_index_behind_frames 0`)
	if s, _ := replayed(t, exitHeld, flight(t, 1000), "--to", g.mqtt); s.Delivered != s.Produced {
		t.Errorf("the machine beside: %+v", s)
	}
	if code, body := g.get(t, "/api/v1/machines"); code != http.StatusOK || !strings.Contains(body, `"flight"`) || len(body) > 20_000 {
		t.Errorf("machines: %d, %d bytes", code, len(body))
	}
	for line := range strings.Lines(g.stop(t)) {
		if len(line) > 2000 {
			t.Errorf("the ground wrote a line of %d bytes: %.200s", len(line), line)
		}
	}
	// And it opens again, with the index built anew.
	var out bytes.Buffer
	if status := run(t.Context(), []string{"inspect", g.data, "--reindex", "--verify"}, &out, &out); status != exitHeld {
		t.Errorf("inspect: status %d\n%.2000s", status, out.String())
	}
}

// inBoot puts a frame of one record into another boot.
func inBoot(t *testing.T, b []byte, boot byte) []byte {
	t.Helper()
	catalog := new(telemetry.Catalog)
	catalog.Add(telemetry.LayoutRecords)
	dec := frame.NewDecoder(frame.Limits{})
	if _, err := dec.Decode(b, catalog); err != nil {
		t.Fatal(err)
	}
	s := dec.Header().Stream
	s.Boot = telemetry.Boot{boot}
	return encoded(t, s, dec.Records())
}

// A log whose names fill their messages: told in a line that can be read, and the rest is sent.
func TestARecordingWithEndlessNames(t *testing.T) {
	g := startGround(t, t.TempDir())
	name := strings.Repeat("n", 65_000)
	b := flightLog(100)
	b = ulogtest.AppendMessage(b, 'F', name+":uint64_t timestamp;float x;")
	b = ulogtest.AppendMessage(b, 'F', "format:uint64_t timestamp;float "+name+";")
	b = ulogtest.AppendMessage(b, 'A', byte(0), uint16(9), name)
	b = ulogtest.AppendMessage(b, 'I', byte(255), strings.Repeat("k", 255), "value")
	b = ulogtest.AppendMessage(b, 'D', uint16(2), uint64(200_000), float32(1), uint8(1))
	path := filepath.Join(t.TempDir(), "names.ulg")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, stderr := replayed(t, exitNot, path, "--to", g.mqtt)
	if s.Messages != 101 || s.Delivered != s.Produced || len(s.Damaged) != 4 {
		t.Errorf("%+v", s)
	}
	for _, said := range append(s.Damaged, stderr) {
		if len(said) > 2000 {
			t.Errorf("%d bytes are said of a name: %.200s", len(said), said)
		}
	}
}

// Mosquitto dies while a replay is under way, and comes back: everything arrives, once.
func TestABrokerThatDies(t *testing.T) {
	m := testbroker.StartMosquitto(t)
	g := startGround(t, t.TempDir(), "--broker", m.URL())
	path := flight(t, 4000)
	p := startChild(t, "fulmar", "replay", "--insecure", path, "--to", m.URL(), "--speed", "1", "--json")
	ended := false
	defer func() {
		if !ended {
			_ = p.end(syscall.SIGKILL)
		}
	}()
	eventually(t, func() bool { return delivered(t, g, "flight") > 0 }, "nothing arrived")
	m.Stop()
	before := delivered(t, g, "flight")
	if before >= 4000 {
		t.Fatal("the broker died too late")
	}
	m.Start()
	err := p.cmd.Wait()
	ended = true
	if err != nil {
		t.Fatalf("replay: %v\n%s", err, p.out.String())
	}
	if n := delivered(t, g, "flight"); n != 4002 {
		t.Errorf("%d records are at the ground, want 4002", n)
	}
	if !strings.Contains(p.out.String(), `msg="link down"`) {
		t.Errorf("it did not say that the link was down:\n%s", p.out.String())
	}
}

// delivered returns how many records of a device the ground has.
func delivered(t *testing.T, g *runningGround, device string) int {
	t.Helper()
	_, metrics := g.get(t, "/metrics")
	_, rest, ok := strings.Cut(metrics, `fulmar_ground_records_delivered_total{device="`+device+`"} `)
	if !ok {
		return 0
	}
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
