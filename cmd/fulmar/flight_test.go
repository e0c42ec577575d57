package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/ground/export"
	"github.com/fulmar-io/fulmar/internal/testbroker"
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
				fly(t, data, link, flight, messages)
			}
		})
	}
}

func fly(t *testing.T, data, link, flight string, messages int) {
	t.Helper()
	path := flightPath(t, flight)
	var out, log strings.Builder
	if status := run(t.Context(), []string{"replay", path, "--to", link, "--speed", "0", "--json"}, &out, &log); status != exitHeld {
		t.Fatalf("replay of %s: status %d\n%s%s", flight, status, out.String(), log.String())
	}
	file := filepath.Join(t.TempDir(), flight+".csv")
	args := []string{"export", "--data", data, "--format", "csv", "--device", deviceOf(path), "--out", file}
	if status := run(t.Context(), args, &out, &log); status != exitHeld {
		t.Fatalf("export of %s: status %d\n%s", flight, status, log.String())
	}
	got := exported(t, file)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ulog.NewReader(f, ulog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != ulog.Data {
			continue
		}
		packet.SetSeq(e.Record.Packet, 0)
		key := e.Record.Layout.Name + "\x00" + string(e.Record.Packet)
		if got[key] == 0 {
			t.Fatalf("%s: message %d, of %s, has not arrived as it was", flight, n, e.Record.Layout.Name)
		}
		got[key]--
		n++
	}
	left := 0
	for _, k := range got {
		left += k
	}
	if n != messages || left != 0 {
		t.Errorf("%s: %d messages of %d, %d records that were not sent", flight, n, messages, left)
	}
}

// exported counts the records of an export by their layout and packet, without number; layouts themselves are left out.
func exported(t *testing.T, file string) map[string]int {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := export.NewCSVReader(f)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int)
	for {
		e, err := r.Next()
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
