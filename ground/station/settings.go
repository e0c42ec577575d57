package station

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/ground/ingest"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link/carrier"
)

// Settings are what a ground's file says: kind: ground. DefaultSettings has the defaults; config.Load reads it.
type Settings struct {
	Kind     string             `choices:"ground" doc:"what the file is for"`
	Data     string             `doc:"folder of frames and index"`
	HTTP     string             `config:"http" doc:"address of the page and the API; 127.0.0.1:0 is any port that is free"`
	HTTPCert string             `config:"http_cert" doc:"file of the page's certificate for TLS (PEM), with those that lead to its authority; it is read again when it is renewed"`
	HTTPKey  string             `config:"http_key" doc:"file of the certificate's key (PEM)"`
	Hosts    []string           `doc:"names, besides localhost and addresses, under which a browser may reach the page over loopback, a proxy's say; with any, no other name is taken on other interfaces either"`
	MQTT     string             `config:"mqtt" doc:"address on which the embedded broker takes machines over MQTT"`
	NATS     string             `config:"nats" doc:"address on which the embedded broker takes machines over NATS; empty for none"`
	GRPC     string             `config:"grpc" doc:"address on which the ground takes machines over gRPC, beside whatever else it has; empty for none"`
	Brokers  []carrier.Settings `doc:"brokers that are there, or folders, lines or addresses for gRPC, instead of the embedded broker: URLs, or mappings with url"`
	Keys     string             `doc:"folder of the ground's identity, and of the authority where devices are enrolled here, as fulmar keys makes it; empty for keys below data"`
	Enroll   string             `doc:"address on which devices that have a token get their identity, if the authority is here; empty for none"`
	Insecure bool               `doc:"for the bench: anybody may connect, without TLS, and frames are not sealed"`
	Queue    string             `doc:"share the machines with other grounds of this queue group; only with brokers"`
	Profiles bool               `doc:"serve /debug/pprof beside /metrics"`
	Store    StoreSettings      `doc:"the log of what has arrived"`
	Limits   LimitsSettings     `doc:"what machines may use; one that uses more is told, and waits or keeps what is refused with its dead letters"`
}

// KeysDir is the folder of the ground's keys.
func (s *Settings) KeysDir() string { return cmp.Or(s.Keys, filepath.Join(s.Data, "keys")) }

// StoreSettings bound the log of frames.
type StoreSettings struct {
	MaxBytes     config.Size `doc:"beyond it the oldest go; 0 keeps everything" max:"1024TiB"`
	SegmentBytes config.Size `doc:"size of a file; what goes at once" min:"1MiB" max:"1GiB"`
	MinFree      config.Size `doc:"left on the disk for others; with less, frames are not taken and stay on their machines" min:"1B" max:"1TiB"`
}

// LimitsSettings are what machines may use.
type LimitsSettings struct {
	Devices         int           `doc:"machines that this ground knows" min:"1" max:"1000000"`
	FramesPerSecond int           `doc:"of each machine" min:"1" max:"1000000"`
	BytesPerSecond  config.Size   `doc:"of each machine, in frames" min:"1KiB" max:"1TiB"`
	Burst           time.Duration `doc:"for how long a machine that was quiet may send at a higher rate: it has what its rates give in this time at once" min:"1s" max:"1h"`
	Layouts         int           `doc:"of each machine" min:"1" max:"100000"`
	Series          int           `doc:"of each machine, over its layouts" min:"1" max:"1000000"`
	Backlog         config.Size   `doc:"bytes of frames that wait for the disk, of all machines: with half of it records of class bulk are not taken any more, with three quarters those of class normal, then all" min:"1MiB" max:"64GiB"`
}

// Ingest returns the options of the intake that the settings say.
func (l LimitsSettings) Ingest() ingest.Options {
	return ingest.Options{Devices: l.Devices, Backlog: int64(l.Backlog), Quota: ingest.Quota{FramesPerSecond: l.FramesPerSecond,
		BytesPerSecond: int64(l.BytesPerSecond), Burst: l.Burst, Layouts: l.Layouts}}
}

// DefaultSettings are those of a ground without a file.
func DefaultSettings() Settings {
	f, in := store.FramesOptions{}.WithDefaults(), ingest.Options{}.WithDefaults()
	q := in.Quota
	return Settings{Kind: "ground", Data: "fulmar-ground", HTTP: "127.0.0.1:8080", MQTT: "127.0.0.1:8883", Enroll: "127.0.0.1:8443",
		Store: StoreSettings{MaxBytes: config.Size(f.MaxBytes), SegmentBytes: config.Size(f.SegmentBytes), MinFree: config.Size(f.MinFree)},
		Limits: LimitsSettings{Devices: in.Devices, FramesPerSecond: q.FramesPerSecond, BytesPerSecond: config.Size(q.BytesPerSecond), Burst: q.Burst,
			Layouts: q.Layouts, Series: defaultSeries, Backlog: config.Size(in.Backlog)}}
}

// defaultSeries is how many series a machine may have.
const defaultSeries = 20_000

// Validate implements config's hook.
func (s *Settings) Validate() error {
	var errs []error
	for _, a := range []struct{ field, address string }{{"http", s.HTTP}, {"mqtt", s.MQTT}, {"nats", s.NATS}, {"grpc", s.GRPC}, {"enroll", s.Enroll}} {
		if a.address == "" && (a.field == "nats" || a.field == "grpc" || a.field == "enroll") || (a.field == "mqtt" || a.field == "nats") && len(s.Brokers) > 0 {
			continue
		}
		if err := checkAddress(a.address); err != nil {
			errs = append(errs, &config.FieldError{Field: a.field, Err: err})
		}
	}
	for i, b := range s.Brokers {
		if !s.Insecure && !b.Secure() {
			errs = append(errs, config.Wrong("brokers", "broker %d, %s, is without TLS: write mqtts://, tls:// or grpcs://, or insecure: true for the bench", i+1, b.URL.Redacted()))
		}
	}
	if (s.HTTPCert == "") != (s.HTTPKey == "") {
		errs = append(errs, config.Wrong("http_cert", "a certificate and its key come together: http_cert and http_key"))
	}
	if s.Data == "" {
		errs = append(errs, config.Wrong("data", "no folder"))
	}
	if s.Queue != "" && len(s.Brokers) == 0 {
		errs = append(errs, config.Wrong("queue", "grounds share what arrives at brokers, and there are none"))
	}
	return errors.Join(errs...)
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is no address to listen on, as 127.0.0.1:8080: %w", address, err)
	}
	return nil
}

// Frames returns the options of the log that the settings say.
func (s StoreSettings) Frames() store.FramesOptions {
	return store.FramesOptions{MaxBytes: int64(s.MaxBytes), SegmentBytes: int64(s.SegmentBytes), MinFree: int64(s.MinFree)}
}
