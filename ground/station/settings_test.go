package station_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/ground/station"
	"github.com/fulmar-io/fulmar/ground/store"
)

func load(t *testing.T, content string) (station.Settings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "g.toml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s := station.DefaultSettings()
	_, err := config.Load(path, &s, config.Options{})
	return s, err
}

func TestSettings(t *testing.T) {
	s, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Store.Frames(), (store.FramesOptions{}).WithDefaults(); got.SegmentBytes != want.SegmentBytes || got.MinFree != want.MinFree || got.MaxBytes != 0 {
		t.Errorf("%+v", got)
	}
	s, err = load(t, "brokers = ['tls://a']\nqueue = 'q'\nmqtt = 'not used'\n[store]\nmax_bytes = '1GiB'\nsegment_bytes = '1MiB'\nmin_free = 5\n")
	if err != nil {
		t.Fatal(err)
	}
	if f := s.Store.Frames(); len(s.Brokers) != 1 || f.MaxBytes != 1<<30 || f.SegmentBytes != 1<<20 || f.MinFree != 5 {
		t.Errorf("%+v", s)
	}
}

func TestImpossibleSettings(t *testing.T) {
	for content, want := range map[string]string{
		"http = '8080'":                       "http: \"8080\" is no address to listen on",
		"mqtt = ''":                           "mqtt: \"\" is no address to listen on",
		"nats = 'a:nats-is-none'":             "nats: ",
		"grpc = 'a'":                          "grpc: \"a\" is no address to listen on",
		"queue = 'q'":                         "queue: grounds share",
		"data = ''":                           "data: no folder",
		"http_key = 'k.pem'":                  "http_cert: a certificate and its key come together",
		"brokers = ['mqtt://a', 'ftp://b']":   "brokers[1].url: ",
		"brokers = ['mqtts://a', 'nats://b']": "brokers: broker 2, nats://b, is without TLS",
		"enroll = 'x'":                        "enroll: \"x\" is no address to listen on",
		"[store]\nsegment_bytes = 1":          "store.segment_bytes: 1 is less than 1MiB",
		"http = 'a:1'\nmqt = 'a:1'\n[broker]": "mqt: unknown key; did you mean mqtt?",
	} {
		if _, err := load(t, content); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
}
