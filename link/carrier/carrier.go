package carrier

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	gonats "github.com/nats-io/nats.go"

	"github.com/fulmar-io/fulmar/config"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/file"
	"github.com/fulmar-io/fulmar/link/grpc"
	"github.com/fulmar-io/fulmar/link/mqtt"
	"github.com/fulmar-io/fulmar/link/nats"
	"github.com/fulmar-io/fulmar/link/serial"
	"github.com/fulmar-io/fulmar/secure/identity"
)

// ErrScheme is wrapped by the errors about a URL that names no carrier.
var ErrScheme = errors.New("no link has this scheme; links are mqtt://host:port, mqtts://host:port, nats://host:port, tls://host:port, grpc://host:port, grpcs://host:port, serial:///port and file:///folder")

// Settings are how a link is written: its URL alone, or a mapping.
type Settings struct {
	URL       URL           `config:"url" required:"true" doc:"where to: mqtt://host:port, mqtts://host:port, nats://host:port, tls://host:port, grpc://host:port, grpcs://host:port, serial:///port or file:///folder"`
	Version   mqtt.Version  `doc:"of MQTT; auto tries 5 and falls back to 3.1.1, and remembers it per broker"`
	KeepAlive time.Duration `doc:"how long the connection may be idle before it is tried; twice as long without a sign of life, and it is cut" min:"1s" max:"18h"`
	CA        string        `config:"ca" doc:"file of certificate authorities (PEM) that the other end's certificate is held against, by its host's name; empty for those of our keys, by its role, or without keys the system's"`
	Cert      string        `doc:"file of our own certificate (PEM) for TLS, with key; empty for that of our keys"`
	Key       string        `doc:"file of the certificate's key (PEM)"`
}

// URL is a link's. It may hold a password, which Redacted leaves out.
type URL string

// Redacted is the URL with "xxxxx" for its password.
func (u URL) Redacted() string {
	if p, err := url.Parse(string(u)); err == nil {
		return p.Redacted()
	}
	return "a URL that cannot be read"
}

// UnmarshalText takes the URL alone.
func (s *Settings) UnmarshalText(b []byte) error {
	*s = Settings{URL: URL(b)}
	return nil
}

// Complete fills what was left 0.
func (s *Settings) Complete() {
	if s.KeepAlive == 0 {
		s.KeepAlive = mqtt.DefaultKeepAlive
		if strings.HasPrefix(string(s.URL), "serial:") {
			s.KeepAlive = serial.DefaultKeepAlive
		}
	}
}

// Validate reports what is wrong with the settings by themselves; no file is read and nothing is dialled.
func (s *Settings) Validate() error {
	u, err := s.parse()
	if err != nil {
		return &config.FieldError{Field: "url", Err: err}
	}
	switch {
	case !overTLS(u) && (s.CA != "" || s.Cert != "" || s.Key != ""):
		return config.Wrong("url", "certificates are for mqtts://, tls:// and grpcs://, not for %s://", u.Scheme)
	case (s.Cert == "") != (s.Key == ""):
		return config.Wrong("cert", "a certificate and its key come together")
	case s.Version != mqtt.Auto && !strings.HasPrefix(u.Scheme, "mqtt"):
		return config.Wrong("version", "%s:// has no version", u.Scheme)
	}
	return nil
}

// overTLS reports whether a link speaks TLS.
func overTLS(u *url.URL) bool { return u.Scheme == "mqtts" || u.Scheme == "tls" || u.Scheme == "grpcs" }

func (s *Settings) parse() (*url.URL, error) {
	u, err := url.Parse(string(s.URL))
	if err != nil {
		var parse *url.Error // which repeats the URL, and with it the password
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("not a URL: %w", err)
	}
	switch u.Scheme {
	case "mqtt", "mqtts":
		return u, mqtt.CheckURL(string(s.URL))
	case "nats", "tls":
		return u, nats.CheckURL(string(s.URL))
	case "grpc", "grpcs":
		return u, grpc.CheckURL(string(s.URL))
	case "serial":
		_, _, err := serial.ParseURL(string(s.URL))
		return u, err
	case "file":
		if u.Host != "" || u.Path == "" || u.Path == "/" {
			return u, fmt.Errorf("%q names no folder; write file:///path/of/folder", u)
		}
		return u, nil
	}
	return u, fmt.Errorf("scheme %q: %w", u.Scheme, ErrScheme)
}

// Secure reports whether nobody on the way can read who speaks with whom, or cut in: TLS, or no network at all. What is sealed is so
// over the others too.
func (s Settings) Secure() bool {
	u, err := s.parse()
	return err != nil || overTLS(u) || u.Scheme == "serial" || u.Scheme == "file" // a URL that is wrong is told otherwise
}

// Dialer returns the machine's end of the link. keys, if not nil, are what it shows and trusts.
func (s Settings) Dialer(device string, keys *identity.Keyring) (link.Dialer, error) {
	u, t, err := s.open(keys)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "mqtt", "mqtts":
		return mqtt.Dialer{URL: string(s.URL), Device: device, Version: s.Version, KeepAlive: s.KeepAlive, TLS: t}, nil
	case "nats", "tls":
		return nats.Dialer{URL: string(s.URL), Device: device, KeepAlive: s.KeepAlive, TLS: t}, nil
	case "grpc", "grpcs":
		return grpc.Dialer{URL: string(s.URL), Device: device, KeepAlive: s.KeepAlive, TLS: t}, nil
	case "serial":
		port, baud, err := serial.ParseURL(string(s.URL))
		return serial.Dialer{Path: port, Device: device, Options: serial.Options{Baud: baud, KeepAlive: s.KeepAlive}}, err
	}
	return file.Dialer{Dir: folder(u), Device: device}, nil
}

// Listen returns the ground's end of the link, which shares what arrives with other grounds of the same queue, if that is
// not empty. keys, if not nil, are what it shows and trusts.
func (s Settings) Listen(ctx context.Context, queue string, keys *identity.Keyring) (link.Receiver, error) {
	u, t, err := s.open(keys)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "mqtt", "mqtts":
		return mqtt.Listen(ctx, string(s.URL), queue, mqtt.Options{Version: s.Version, KeepAlive: s.KeepAlive, TLS: t})
	case "nats", "tls":
		if t == nil {
			return nats.Listen(string(s.URL), queue)
		}
		return nats.Listen(string(s.URL), queue, gonats.Secure(t))
	}
	if queue != "" {
		return nil, fmt.Errorf("link %s: only a broker has a queue that grounds could share", s.URL.Redacted())
	}
	if strings.HasPrefix(u.Scheme, "grpc") {
		return s.serve(u, keys)
	}
	if u.Scheme == "serial" {
		port, baud, err := serial.ParseURL(string(s.URL))
		if err != nil {
			return nil, err
		}
		return serial.Listen(port, serial.Options{Baud: baud, KeepAlive: s.KeepAlive})
	}
	return file.Listen(folder(u), file.Options{})
}

// serve takes machines at the URL's own address, for there is no broker in between.
func (s Settings) serve(u *url.URL, keys *identity.Keyring) (link.Receiver, error) {
	switch {
	case u.Scheme == "grpc":
		keys = nil
	case s.CA != "" || s.Cert != "":
		return nil, fmt.Errorf("link %s: a ground shows the certificate of its keys there, and no other", s.URL.Redacted())
	case keys == nil:
		return nil, fmt.Errorf("link %s: a machine is known by its certificate there, and without keys no certificate is", s.URL.Redacted())
	}
	return grpc.Listen(u.Host, grpc.Options{Keys: keys, KeepAlive: s.KeepAlive})
}

func (s Settings) open(keys *identity.Keyring) (*url.URL, *tls.Config, error) {
	s.Complete()
	u, err := s.parse()
	if err != nil {
		return nil, nil, fmt.Errorf("link %s: %w", s.URL.Redacted(), err)
	}
	var t *tls.Config
	if overTLS(u) {
		t, err = s.tls(keys)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("link %s: %w", s.URL.Redacted(), err)
	}
	return u, t, nil
}

// tls returns the configuration that keys and files make, or nil for the default.
func (s Settings) tls(keys *identity.Keyring) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case keys != nil:
		c = keys.ClientTLS(identity.Ground, identity.Broker)
	case s.CA == "" && s.Cert == "":
		return nil, nil
	}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities: %w", err)
		}
		c.RootCAs, c.InsecureSkipVerify, c.VerifyConnection = x509.NewCertPool(), false, nil
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificate authorities: %s holds no certificate in PEM", s.CA)
		}
	}
	if s.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		c.Certificates, c.GetClientCertificate = []tls.Certificate{pair}, nil
	}
	return c, nil
}

// folder is the path of a file URL in the operating system's terms.
func folder(u *url.URL) string {
	path := u.Path
	if runtime.GOOS == "windows" && len(path) > 2 && path[2] == ':' {
		path = path[1:] // /C:/folder
	}
	return filepath.FromSlash(path)
}
