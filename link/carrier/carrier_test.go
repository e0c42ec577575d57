package carrier_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/link/carrier"
	"github.com/fulmar-io/fulmar/link/mqtt"
	"github.com/fulmar-io/fulmar/link/serial"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
)

func Example() {
	d, err := carrier.Settings{URL: "mqtt://me:secret@ground.example:1883"}.Dialer("rover-7", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d)
	_, err = carrier.Settings{URL: "pigeon://ground"}.Dialer("rover-7", nil)
	fmt.Println(errors.Is(err, carrier.ErrScheme))
	// Output:
	// mqtt://me:xxxxx@ground.example:1883
	// true
}

func TestWhatIsNoLink(t *testing.T) {
	for _, c := range []struct {
		s    carrier.Settings
		want string
	}{
		{carrier.Settings{URL: "pigeon://x"}, "no link has this scheme"},
		{carrier.Settings{URL: "mqtt://"}, "want mqtt://host:port"},
		{carrier.Settings{URL: "nats://"}, "want nats://host:port"},
		{carrier.Settings{URL: "grpc://a"}, "want grpcs://host:port"},
		{carrier.Settings{URL: "grpcs://a:1/x"}, "want grpcs://host:port"},
		{carrier.Settings{URL: "grpcs://me:secret@a:1"}, "no user and no password"},
		{carrier.Settings{URL: "grpc://a:1", CA: "x"}, "certificates are for mqtts"},
		{carrier.Settings{URL: "grpcs://a:1", Version: mqtt.V5}, "has no version"},
		{carrier.Settings{URL: "file://folder/x"}, "names no folder"},
		{carrier.Settings{URL: "file:///"}, "names no folder"},
		{carrier.Settings{URL: "serial://dev/ttyUSB0"}, "names no port"},
		{carrier.Settings{URL: "serial:///dev/"}, "names no port"},
		{carrier.Settings{URL: "serial:///dev/ttyUSB0?baud=300"}, `baud "300": want 1200 to 12000000`},
		{carrier.Settings{URL: "serial:///dev/ttyUSB0?baud=fast"}, `baud "fast"`},
		{carrier.Settings{URL: "serial:///dev/ttyUSB0?parity=even"}, `"parity": all that`},
		{carrier.Settings{URL: "serial:///dev/ttyUSB0?baud=9600&baud=57600"}, "once"},
		{carrier.Settings{URL: "serial:///dev/ttyUSB0", CA: "x"}, "certificates are for mqtts"},
		{carrier.Settings{URL: "serial:///dev/ttyUSB0", Version: mqtt.V5}, "has no version"},
		{carrier.Settings{URL: "mqtt://a:secret@[::1"}, "not a URL"},
		{carrier.Settings{URL: "mqtt://a", CA: "x"}, "certificates are for mqtts"},
		{carrier.Settings{URL: "mqtts://a", Cert: "x"}, "come together"},
		{carrier.Settings{URL: "nats://a", Version: mqtt.V5}, "has no version"},
	} {
		err := c.s.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", c.s, err)
		}
	}
	for _, url := range []carrier.URL{"mqtt://a", "mqtts://a:8883", "nats://a:1", "tls://a", "grpc://a:1", "grpcs://a:1", "file:///a/b", "serial:///dev/ttyUSB0", "serial:///dev/serial/by-id/usb-x?baud=9600"} {
		s := carrier.Settings{URL: url}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if _, err := s.Dialer("d", nil); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestNoQueue(t *testing.T) {
	for _, url := range []string{"file://" + filepath.ToSlash(t.TempDir()), "serial:///dev/ttyUSB0", "grpc://127.0.0.1:0"} {
		_, err := carrier.Settings{URL: carrier.URL(url)}.Listen(t.Context(), "queue", nil)
		if err == nil || !strings.Contains(err.Error(), "has a queue") {
			t.Error(err)
		}
	}
}

// A serial line is found in its URL, at both ends, and is tried more often than a broker.
func TestSerial(t *testing.T) {
	for url, want := range map[carrier.URL]serial.Dialer{
		"serial:///dev/ttyUSB0":           {Path: "/dev/ttyUSB0", Device: "d", Options: serial.Options{Baud: 57600, KeepAlive: 5 * time.Second}},
		"serial:///dev/ttyUSB0?baud=9600": {Path: "/dev/ttyUSB0", Device: "d", Options: serial.Options{Baud: 9600, KeepAlive: 5 * time.Second}},
		"serial:///COM3":                  {Path: "COM3", Device: "d", Options: serial.Options{Baud: 57600, KeepAlive: 5 * time.Second}},
	} {
		s := carrier.Settings{URL: url}
		s.Complete()
		d, err := s.Dialer("d", nil)
		if err != nil {
			t.Fatal(err)
		}
		got := d.(serial.Dialer)
		if got.Path != want.Path || got.Device != want.Device || got.Options.Baud != want.Options.Baud || got.Options.KeepAlive != want.Options.KeepAlive {
			t.Errorf("%s: %+v", url, got)
		}
	}
	r, err := carrier.Settings{URL: "serial:///dev/no-such-port?baud=9600"}.Listen(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err) // the port may be plugged in later
	}
	if r.String() != "serial:///dev/no-such-port?baud=9600" {
		t.Error(r)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// certificate writes a certificate that signs itself, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8)
}

func TestCertificates(t *testing.T) {
	cert, key := certificate(t)
	d, err := carrier.Settings{URL: "mqtts://a", CA: cert, Cert: cert, Key: key, KeepAlive: time.Minute}.Dialer("d", nil)
	if err != nil {
		t.Fatal(err)
	}
	m := d.(mqtt.Dialer)
	if m.TLS == nil || m.TLS.RootCAs == nil || len(m.TLS.Certificates) != 1 || m.KeepAlive != time.Minute {
		t.Errorf("%+v", m)
	}
	for _, c := range []struct {
		s    carrier.Settings
		want string
	}{
		{carrier.Settings{URL: "mqtts://a", CA: cert + "x"}, "certificate authorities: open"},
		{carrier.Settings{URL: "tls://a", CA: key}, "holds no certificate"},
		{carrier.Settings{URL: "tls://a", Cert: key, Key: key}, "certificate: "},
	} {
		if _, err := c.s.Dialer("d", nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.s, err)
		}
		if _, err := c.s.Listen(t.Context(), "", nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.s, err)
		}
	}
}

// With keys, both ends are known by them; files that are named take the place of what they are for.
func TestKeys(t *testing.T) {
	f := identitytest.New(t)
	cert, key := certificate(t)
	keys := f.Device("d")
	for name, c := range map[string]struct {
		s            carrier.Settings
		skips, files bool
	}{
		"keys alone":        {carrier.Settings{URL: "mqtts://a"}, true, false},
		"an authority":      {carrier.Settings{URL: "mqtts://a", CA: cert}, false, false},
		"a certificate too": {carrier.Settings{URL: "mqtts://a", CA: cert, Cert: cert, Key: key}, false, true},
	} {
		d, err := c.s.Dialer("d", keys)
		if err != nil {
			t.Fatal(err)
		}
		got := d.(mqtt.Dialer).TLS
		if got.InsecureSkipVerify != c.skips || (got.VerifyConnection != nil) != c.skips || (got.RootCAs == nil) != c.skips ||
			(len(got.Certificates) > 0) != c.files || (got.GetClientCertificate == nil) != c.files {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for url, want := range map[string]bool{"mqtts://a": true, "tls://a": true, "grpcs://a:1": true, "grpc://a:1": false, "file:///x": true, "serial:///x": true, "mqtt://a": false, "nats://a": false} {
		if s := (carrier.Settings{URL: carrier.URL(url)}); s.Secure() != want {
			t.Errorf("%s: secure %t", url, s.Secure())
		}
	}
}
