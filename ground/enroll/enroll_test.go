package enroll_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/ground/enroll"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
)

func start(t *testing.T, f *identitytest.Fleet, log *bytes.Buffer) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := enroll.Start(l, f.Authority, f.Ground(), slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

func token(t *testing.T, f *identitytest.Fleet, name string) identity.Token {
	t.Helper()
	k, err := f.Authority.NewToken(name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestADeviceIsEnrolledOnce(t *testing.T) {
	f := identitytest.New(t)
	var log bytes.Buffer
	address := start(t, f, &log)
	dir := filepath.Join(t.TempDir(), "identity")
	k := token(t, f, "rover")
	if err := enroll.Enroll(t.Context(), address, k, dir); err != nil {
		t.Fatal(err)
	}
	id, err := identity.Open(dir, time.Now, identity.Device)
	if err != nil || id.Self().Name != "rover" {
		t.Fatal(err)
	}
	if _, err := f.Ground().Verify(id.Certificate(), identity.Device); err != nil {
		t.Error(err)
	}
	if err := enroll.Enroll(t.Context(), address, k, t.TempDir()); !errors.Is(err, enroll.ErrRefused) || !strings.Contains(err.Error(), "used already") {
		t.Errorf("the token again: %v", err)
	}
	// What failed leaves the identity that is there.
	if err := enroll.Enroll(t.Context(), address, k, dir); err == nil {
		t.Error("the token again, into the same folder")
	}
	if _, err := identity.Open(dir, time.Now, identity.Device); err != nil {
		t.Errorf("what was there: %v", err)
	}
	if strings.Contains(log.String(), k.String()) || strings.Contains(log.String(), string(k.Secret[:])) {
		t.Error("the token is in the log")
	}
}

// A ground of another authority gets neither the token nor a device.
func TestAnotherGround(t *testing.T) {
	f, other := identitytest.New(t), identitytest.New(t)
	var log bytes.Buffer
	address := start(t, other, &log)
	k := token(t, f, "rover")
	if err := enroll.Enroll(t.Context(), address, k, t.TempDir()); !errors.Is(err, identity.ErrUntrusted) {
		t.Errorf("%v", err)
	}
	if strings.Contains(log.String(), "not enrolled") {
		t.Error("it has seen the request")
	}
}

// What is no request is told so, and costs little.
func TestBadRequests(t *testing.T) {
	f := identitytest.New(t)
	var log bytes.Buffer
	address := start(t, f, &log)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	for body, want := range map[string]int{
		"":                                  http.StatusBadRequest,
		"no":                                http.StatusBadRequest,
		`{"token":"AAAA","request":"AAAA"}`: http.StatusBadRequest,
		`{"token":"` + strings.Repeat("A", 1<<20) + `"}`:                 http.StatusBadRequest,
		`{"token":"AAAA","request":"` + strings.Repeat("A", 8000) + `"}`: http.StatusBadRequest,
	} {
		resp, err := client.Post("https://"+address+"/enroll", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%.40q: %s", body, resp.Status)
		}
	}
}

// Connections from one address that say nothing keep nobody else out, and end.
func TestConnectionsThatSayNothing(t *testing.T) {
	f := identitytest.New(t)
	var log bytes.Buffer
	address := start(t, f, &log)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	var silent []net.Conn
	for range 100 {
		c, err := d.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Skip("this system has no second loopback address:", err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	began := time.Now()
	if err := enroll.Enroll(t.Context(), address, token(t, f, "rover"), t.TempDir()); err != nil {
		t.Errorf("from another address: %v", err)
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("it took %s", d)
	}
	for _, c := range silent {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("it is still open: %v", err)
		}
	}
}
