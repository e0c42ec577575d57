package node_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func load(t *testing.T, content string) (node.Settings, error) {
	t.Helper()
	s, _, err := loadFile(t, content)
	return s, err
}

func loadFile(t *testing.T, content string) (node.Settings, *config.Loaded, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s := node.DefaultSettings()
	loaded, err := config.Load(path, &s, config.Options{})
	return s, loaded, err
}

// A file that says nothing makes the machine that no file makes.
func TestDefaultSettingsAreTheDefaults(t *testing.T) {
	s, err := load(t, "device: d\n")
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Options(nil)
	if err != nil {
		t.Fatal(err)
	}
	got = got.WithDefaults()
	got.Courier = got.Courier.WithDefaults()
	want := node.Options{Device: "d", RealTime: &sched.RealTime{Margin: sched.DefaultMargin, Top: sched.DefaultTop}}.WithDefaults()
	want.Courier = want.Courier.WithDefaults()
	if got.Filter() != nil {
		t.Error("there is a filter")
	}
	got.Filter, got.Logger, want.Logger, got.Rings, want.Rings = nil, nil, nil, nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEverySettingArrives(t *testing.T) {
	s, err := load(t, `
device: d
links: ["file:///x", {url: "mqtts://a", never: [bulk, normal], per_hour: 5MiB}]
ring: 2MiB
health_period: 3s
filters: [{match: "imu/*", one_of: 10}, {min_severity: info}]
stop_timeout: 4s
linger: 5s
courier:
  batch: {max_age: 6s, urgent_max_age: 7ms, max_records: 8, max_bytes: 9KiB}
  spool: {max_bytes: 10MiB, segment_bytes: 32KiB, min_free: 12}
  delivery: {in_flight_frames: 13, in_flight_bytes: 14MiB, ack_timeout: 15s, backoff_base: 16s, backoff_cap: 17s, reconnect_cap: 17500ms, break_after: 18}
  dead_letters: {max_bytes: 19MiB}
`)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Options(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Links) != 2 || o.Links[0].String() != "file:///x" || o.RingBytes != 2<<20 || o.HealthPeriod != 3*time.Second ||
		o.StopTimeout != 4*time.Second || o.Filter() == nil || o.Linger != 5*time.Second {
		t.Errorf("%+v", o)
	}
	var want courier.Options
	for i, age := range []time.Duration{7 * time.Millisecond, 6 * time.Second, 30 * time.Second} {
		want.Batch[i].Age, want.Batch[i].Records, want.Batch[i].Bytes = age, 8, 9<<10
	}
	want.Spool.MaxBytes, want.Spool.SegmentBytes, want.Spool.MinFree = 10<<20, 32<<10, 12
	d := &want.Delivery
	d.InFlightFrames, d.InFlightBytes, d.AckTimeout, d.BackoffBase, d.BackoffCap, d.BreakAfter = 13, 14<<20, 15*time.Second, 16*time.Second, 17*time.Second, 18
	d.ReconnectCap = 17500 * time.Millisecond
	d.Links = []delivery.Link{{}, {Never: [packet.Classes]bool{false, true, true}, PerHour: 5 << 20}}
	want.DeadBytes = 19 << 20
	if !reflect.DeepEqual(o.Courier, want) {
		t.Errorf("got  %+v\nwant %+v", o.Courier, want)
	}
}

func TestImpossibleSettings(t *testing.T) {
	for content, want := range map[string]string{
		"device: Rover 7\n": "m.yaml:1:9: device: ",
		"device: d\ncourier: {delivery: {backoff_cap: 1ms}}\n": "m.yaml:2:35: courier.delivery.backoff_cap: 1ms is less than backoff_base, 250ms",
		"linger: 1s\n": "m.yaml: device: missing",
		"device: d\nlinks: [\"mqtts://a\", \"mqtt://me:secret@b\"]\n":             "m.yaml:2:8: links: link 2, mqtt://me:xxxxx@b, is without TLS: write mqtts://, tls:// or grpcs://, or insecure: true for the bench",
		"device: d\nlinks: [{url: 'mqtts://a', never: [bulk, big]}]\n":            "m.yaml:2:42: links[0].never[1]: ",
		"device: d\nlinks: [{url: 'mqtts://a', never: [bulk, urgent, normal]}]\n": "m.yaml:2:35: links[0].never: a link that carries no class is none",
		"device: d\nlinks: [{url: 'mqtts://a', never: [bulk]}]\n":                 "m.yaml:2:8: links: no link carries records of class bulk",
		"device: d\nlinks: [{url: 'mqtts://a', per_hour: 100KiB}]\n":              "m.yaml:2:8: links: link 1, mqtts://a: a batch may have courier.batch.max_bytes, 512KiB, and a budget per hour of 100KiB has no room for it: at least 1MiB, or smaller batches",
		"device: d\nlinks: [{version: 5}]\n":                                      "m.yaml: links[0].url: missing",
		"device: d\nfilters:\n  - match: 'imu/['\n    drop: true\n":               "m.yaml:3:12: filters[0].match: ",
		"device: d\nfilters:\n  - drop: true\n":                                   "m.yaml:3:5: filters[0]: drop without match",
		"device: d\nfilters:\n  - match: x\n    deadband: {absolute: -1}\n":       "m.yaml:4:26: filters[0].deadband.absolute: -1 is less than 0",
		"device: d\nfilters: [{match: x, one_of: 10, kinds: [readings]}]\n":       "m.yaml:2:42: filters[0].kinds[0]: ",
	} {
		if _, err := load(t, content); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
}
