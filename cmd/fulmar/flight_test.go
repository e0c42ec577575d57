package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/ground/export"
	"github.com/fulmar-io/fulmar/internal/testbroker"
	"github.com/fulmar-io/fulmar/recording/mcap"
	"github.com/fulmar-io/fulmar/recording/mcap/records"
	"github.com/fulmar-io/fulmar/recording/ulog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// flights are the recordings, and how many messages each has.
var flights = map[string]int{"sample": 64_542, "sample_px4_events": 29_480, "sample_log_small": 14_604}

func flightPath(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("FULMAR_TEST_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	path := filepath.Join(dir, "px4-pyulog", name+".ulg")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("FULMAR_REQUIRE_DATA") == "1" {
			t.Fatal(err)
		}
		t.Skipf("the recordings are not here: %v", err)
	}
	return path
}

// Each flight goes through a real ground in a process of its own, over each carrier, and comes out of the export as it was.
func TestFlightsArriveBitForBit(t *testing.T) {
	for name, start := range map[string]func(*testing.T) (ground []string, link string){
		"embedded MQTT": func(t *testing.T) ([]string, string) {
			at := freePort(t)
			return []string{"--mqtt", at}, "mqtt://" + at
		},
		"NATS": func(t *testing.T) ([]string, string) {
			at := freePort(t)
			return []string{"--mqtt", freePort(t), "--nats", at}, "nats://" + at
		},
		"Mosquitto": func(t *testing.T) ([]string, string) {
			m := testbroker.StartMosquitto(t)
			return []string{"--broker", m.URL()}, m.URL()
		},
	} {
		t.Run(name, func(t *testing.T) {
			data, page := t.TempDir(), freePort(t)
			args, link := start(t)
			g := startChild(t, "fulmar", append([]string{"ground", "--data", data, "--http", page}, args...)...)
			defer func() { _ = g.end(syscall.SIGTERM) }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := waitReady(ctx, "http://"+page); err != nil {
				t.Fatal(err)
			}
			for flight, messages := range flights {
				fly(t, data, link, flight, messages, name == "embedded MQTT")
			}
		})
	}
}

// fly sends a flight and holds both exports against it; with others, the format's own library reads the MCAP file too.
func fly(t *testing.T, data, link, flight string, messages int, others bool) {
	t.Helper()
	path := flightPath(t, flight)
	var out, log strings.Builder
	if status := run(t.Context(), []string{"replay", "--insecure", path, "--to", link, "--speed", "0", "--json"}, &out, &log); status != exitHeld {
		t.Fatalf("replay of %s: status %d\n%s%s", flight, status, out.String(), log.String())
	}
	want, topics := flown(t, path)
	for format, open := range map[string]func(*testing.T, io.Reader) func() (records.Entry, error){"csv": openCSV, "mcap": openMCAP} {
		file := filepath.Join(t.TempDir(), flight+"."+format)
		args := []string{"export", "--data", data, "--format", format, "--device", deviceOf(path), "--out", file}
		if status := run(t.Context(), args, &out, &log); status != exitHeld {
			t.Fatalf("export of %s: status %d\n%s", flight, status, log.String())
		}
		if n := hold(t, flight+"."+format, exported(t, file, open), want); n != messages {
			t.Errorf("%s as %s: %d messages of %d", flight, format, n, messages)
		}
		if others && format == "mcap" {
			countWithJS(t, file, deviceOf(path), topics)
		}
	}
}

// flown counts a flight's records by their layout and packet, without number, and its messages by topic.
func flown(t *testing.T, path string) (want, topics map[string]int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ulog.NewReader(f, ulog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, topics = make(map[string]int), make(map[string]int)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return want, topics
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == ulog.Data {
			packet.SetSeq(e.Record.Packet, 0)
			want[e.Record.Layout.Name+"\x00"+string(e.Record.Packet)]++
			topics[e.Record.Layout.Name]++
		}
	}
}

// hold compares what came out with what went in, and returns how many messages there are.
func hold(t *testing.T, name string, got, want map[string]int) (n int) {
	t.Helper()
	for key, k := range want {
		if got[key] != k {
			layout, _, _ := strings.Cut(key, "\x00")
			t.Fatalf("%s: a message of %s has arrived %d times as it was, want %d", name, layout, got[key], k)
		}
		n += k
	}
	for key, k := range got {
		if want[key] == 0 {
			layout, _, _ := strings.Cut(key, "\x00")
			t.Fatalf("%s: %d records of %s that were not sent", name, k, layout)
		}
	}
	return n
}

// exported counts the records of an export by their layout and packet, without number; layouts themselves are left out.
func exported(t *testing.T, file string, open func(*testing.T, io.Reader) func() (records.Entry, error)) map[string]int {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	next := open(t, f)
	got := make(map[string]int)
	for {
		e, err := next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Record.Layout.Kind == telemetry.Definition {
			continue
		}
		packet.SetSeq(e.Record.Packet, 0)
		got[e.Record.Layout.Name+"\x00"+string(e.Record.Packet)]++
	}
}

func openCSV(t *testing.T, in io.Reader) func() (records.Entry, error) {
	t.Helper()
	r, err := export.NewCSVReader(in)
	if err != nil {
		t.Fatal(err)
	}
	return r.Next
}

func openMCAP(t *testing.T, in io.Reader) func() (records.Entry, error) {
	t.Helper()
	r, err := mcap.NewReader(in, mcap.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dec := new(records.Decoder)
	return func() (records.Entry, error) {
		m, err := r.Next()
		if errors.Is(err, io.EOF) && !r.Complete() {
			t.Error("the file is not complete")
		}
		if err != nil {
			return records.Entry{}, err
		}
		return dec.Decode(m)
	}
}

// countWithJS counts an MCAP file's messages by topic with the format's own library.
func countWithJS(t *testing.T, file, device string, want map[string]int) {
	t.Helper()
	js, err := filepath.Abs("../../recording/mcap/testdata/js")
	if err != nil {
		t.Fatal(err)
	}
	nodeJS, err := exec.LookPath("node")
	needs(t, "node", err == nil)
	_, err = os.Stat(filepath.Join(js, "node_modules", ".package-lock.json"))
	needs(t, "@mcap/core (npm ci in recording/mcap/testdata/js)", err == nil)
	cmd := exec.CommandContext(t.Context(), nodeJS, "read.mjs", "topics", file)
	cmd.Dir, cmd.Stderr = js, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]int
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %.200s", err, out)
	}
	for topic, n := range got {
		layout, ours := strings.CutPrefix(topic, "/"+device+"/")
		if layout == telemetry.LayoutRecords.Name {
			continue
		}
		if !ours || n != want[layout] {
			t.Errorf("%s: @mcap/core finds %d messages of %s, the flight has %d", file, n, topic, want[layout])
		}
	}
	for layout := range want {
		if got["/"+device+"/"+layout] == 0 {
			t.Errorf("%s: @mcap/core finds no %s", file, layout)
		}
	}
}
