package mqtt

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// Version is the version of MQTT that is spoken.
type Version uint8

// The versions.
const (
	// Auto tries MQTT 5 and, where the broker does not answer as one that speaks it, 3.1.1; for a quarter of an hour it
	// then begins with what worked at that address. It is the default.
	Auto Version = iota
	V5
	V311
)

// String returns the version as ParseVersion takes it.
func (v Version) String() string {
	switch v {
	case V5:
		return "5"
	case V311:
		return "3.1.1"
	}
	return "auto"
}

// ParseVersion reads "auto" (or nothing), "5" or "3.1.1".
func ParseVersion(s string) (Version, error) {
	switch s {
	case "", "auto":
		return Auto, nil
	case "5", "5.0":
		return V5, nil
	case "3.1.1":
		return V311, nil
	}
	return Auto, fmt.Errorf("mqtt: version %q: want auto, 5 or 3.1.1", s)
}

// UnmarshalText reads what ParseVersion does.
func (v *Version) UnmarshalText(b []byte) (err error) {
	*v, err = ParseVersion(string(b))
	return err
}

// MarshalText writes what String returns.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Choices are the versions as they are written.
func (v Version) Choices() []string { return []string{"auto", "5", "3.1.1"} }

// CheckURL reports what is wrong with the URL of a broker.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

// DefaultKeepAlive is how often a connection is tried when nothing crosses it.
const DefaultKeepAlive = 30 * time.Second

// endpoint is a broker and how to speak with it.
type endpoint struct {
	address   string // host:port
	secure    bool
	tls       *tls.Config
	user      string
	password  string
	hasUser   bool
	hasPass   bool
	clientID  string
	device    string // whose connection it is; empty for a ground's
	keepAlive time.Duration
	version   Version
	shown     string // the URL without secrets
}

// parseURL reads mqtt://[user[:password]@]host[:port] or mqtts:// with the same. Its errors do not repeat the URL, which
// may hold a password.
func parseURL(raw string) (endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return endpoint{}, fmt.Errorf("mqtt: broker's URL: %w", err)
	}
	e := endpoint{secure: u.Scheme == "mqtts", shown: u.Redacted()}
	port := "1883"
	switch {
	case e.secure:
		port = "8883"
	case u.Scheme != "mqtt":
		return endpoint{}, fmt.Errorf("mqtt: broker's URL: scheme %q: want mqtt or mqtts", u.Scheme)
	}
	if u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return endpoint{}, errors.New("mqtt: broker's URL: want mqtt://host:port with nothing after it")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	e.address = net.JoinHostPort(u.Hostname(), port)
	if u.User != nil {
		e.user, e.hasUser = u.User.Username(), true
		e.password, e.hasPass = u.User.Password()
	}
	return e, nil
}

// redact shows a URL without secrets.
func redact(raw string) string {
	e, err := parseURL(raw)
	if err != nil {
		return "mqtt"
	}
	return e.shown
}

// seconds is a keepalive as the protocol has it: whole seconds, at least one.
func (e *endpoint) seconds() uint16 {
	return uint16(min(max((e.keepAlive+time.Second-1)/time.Second, 1), 65535))
}
