package mqtt_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/internal/testbroker"
	"github.com/fulmar-io/fulmar/link/mqtt"
)

// TestTLS: frames and acknowledgements through an encrypted connection, in both versions.
func TestTLS(t *testing.T) {
	ca := testbroker.NewAuthority(t, "the operator")
	m := testbroker.StartMosquitto(t, ca.Listener(ca.Issue(x509.ExtKeyUsageServerAuth, ""))...)
	u := "mqtts://" + m.Address
	trusted := &tls.Config{RootCAs: ca.Pool()}
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			r, err := mqtt.Listen(within(t), u, "", mqtt.Options{Version: v, TLS: trusted, Logger: quiet()})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			exchange(t, mqtt.Dialer{URL: u, Device: "rover-1", Version: v, TLS: trusted}, r)
		})
	}
}

// TestTLSWithAClientsCertificate: a broker that wants one gets the machine's, and refuses who has none.
func TestTLSWithAClientsCertificate(t *testing.T) {
	ca := testbroker.NewAuthority(t, "the operator")
	m := testbroker.StartMosquitto(t, append(ca.Listener(ca.Issue(x509.ExtKeyUsageServerAuth, "")), "require_certificate true")...)
	u := "mqtts://" + m.Address
	own := &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{ca.Issue(x509.ExtKeyUsageClientAuth, "")}}
	other := testbroker.NewAuthority(t, "somebody else")
	strange := &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{other.Issue(x509.ExtKeyUsageClientAuth, "")}}
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			r, err := mqtt.Listen(within(t), u, "", mqtt.Options{Version: v, TLS: own, Logger: quiet()})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			exchange(t, mqtt.Dialer{URL: u, Device: "rover-1", Version: v, TLS: own}, r)
			for name, c := range map[string]*tls.Config{"none": {RootCAs: ca.Pool()}, "a strange one": strange} {
				if c, err := (mqtt.Dialer{URL: u, Device: "rover-2", Version: v, TLS: c}).Dial(within(t)); err == nil {
					t.Errorf("with %s it was let in", name)
					_ = c.Close()
				} else if !strings.Contains(err.Error(), "does it take this machine's TLS certificate?") {
					t.Errorf("with %s: %v: it does not say what may be the matter", name, err)
				}
			}
		})
	}
}

// TestTLSThatIsNotTrusted: no byte of MQTT goes to whom the machine does not trust, and the error says why.
func TestTLSThatIsNotTrusted(t *testing.T) {
	ca, other := testbroker.NewAuthority(t, "the operator"), testbroker.NewAuthority(t, "somebody else")
	m := testbroker.StartMosquitto(t, ca.Listener(ca.Issue(x509.ExtKeyUsageServerAuth, ""))...)
	elsewhere := testbroker.StartMosquitto(t, ca.Listener(ca.Issue(x509.ExtKeyUsageServerAuth, "broker.example"))...)
	plain := testbroker.StartMosquitto(t)
	for _, v := range versions {
		for _, c := range []struct {
			name, url string
			pool      *x509.CertPool
			says      string
		}{
			{"another CA", "mqtts://" + m.Address, other.Pool(), "certificate signed by unknown authority"},
			{"the system's CAs", "mqtts://" + m.Address, nil, "certificate signed by unknown authority"},
			{"another host's certificate", "mqtts://" + elsewhere.Address, ca.Pool(), "doesn't contain any IP SANs"},
			{"a broker without TLS", "mqtts://" + plain.Address, ca.Pool(), "TLS handshake: "},
			{"TLS where none is spoken", "mqtt://" + m.Address, ca.Pool(), ""},
		} {
			conn, err := mqtt.Dialer{URL: c.url, Device: "rover", Version: v, TLS: &tls.Config{RootCAs: c.pool}}.Dial(within(t))
			if err == nil {
				t.Errorf("MQTT %s, %s: connected", v, c.name)
				_ = conn.Close()
				continue
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.url) {
				t.Errorf("MQTT %s, %s: %v; want %q", v, c.name, err, c.says)
			}
			var unknown x509.UnknownAuthorityError
			if c.name == "another CA" && !errors.As(err, &unknown) {
				t.Errorf("MQTT %s: the cause is hidden: %v", v, err)
			}
		}
	}
	if said := m.Log(); strings.Contains(said, "CONNECT") {
		t.Errorf("the broker heard of a client:\n%s", said)
	}
}
