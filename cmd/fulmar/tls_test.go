package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/fulmar-io/fulmar/internal/testbroker"
	"github.com/fulmar-io/fulmar/secure/identity"
)

// Over TLS, with an authority that the environment names; without it nothing is sent, and the reason is told.
func TestReplayOverTLS(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the system's own judge of certificates does not look at SSL_CERT_FILE")
	}
	ca := testbroker.NewAuthority(t, "the operator")
	m := testbroker.StartMosquitto(t, ca.Listener(ca.Issue(x509.ExtKeyUsageServerAuth, ""))...)
	url, path := "mqtts://"+m.Address, flight(t, 1000)
	replay := func(env ...string) (string, error) {
		p := child("fulmar", "replay", "--insecure", path, "--to", url, "--speed", "0", "--linger", "3s", "--device", "rover")
		p.cmd.Env = append(p.cmd.Env, env...)
		err := p.cmd.Run()
		return p.out.String(), err
	}
	// A ground at the same broker, which trusts the authority.
	trust := "SSL_CERT_FILE=" + ca.File()
	g := child("fulmar", "ground", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--broker", url)
	g.cmd.Env = append(g.cmd.Env, trust)
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.end(syscall.SIGTERM); err != nil {
			t.Errorf("ground: %v\n%s", err, g.out.String())
		}
	}()
	if said, err := replay(); err == nil || !strings.Contains(said, "certificate signed by unknown authority") ||
		!strings.Contains(said, "1002 records were not acknowledged") {
		t.Errorf("without the authority: %v\n%s", err, said)
	}
	if said, err := replay(trust); err != nil || !strings.Contains(said, "1002 records delivered, 0 waiting, 0 lost") {
		t.Errorf("with it: %v\n%s", err, said)
	}
}

// The page with a certificate: who signs in gets a cookie that goes over TLS alone.
func TestThePageOverTLS(t *testing.T) {
	ca := testbroker.NewAuthority(t, "the operator")
	cert, key := ca.Files(ca.Issue(x509.ExtKeyUsageServerAuth, ""))
	data, page := t.TempDir(), freePort(t)
	if _, err := initKeys(filepath.Join(data, "keys"), "ground", identity.Terms{}); err != nil {
		t.Fatal(err)
	}
	u := child("fulmar", "users", "add", "ada", "--role", "operator", "--password-stdin", "--data", data)
	u.cmd.Stdin = strings.NewReader("correct horse battery\n")
	if err := u.cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, u.out.String())
	}
	file := filepath.Join(t.TempDir(), "ground.yaml")
	settings := fmt.Sprintf("kind: ground\ndata: %q\nhttp: %s\nmqtt: 127.0.0.1:0\nenroll: \"\"\nhttp_cert: %q\nhttp_key: %q\n", data, page, cert, key)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	g := secured(t, "ground", file)
	pem, err := os.ReadFile(ca.File())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	eventually(t, func() bool {
		r, err := client.Get("https://" + page + "/healthz")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	}, "the page is not there")
	r, err := client.Post("https://"+page+"/api/v1/session", "application/json", strings.NewReader(`{"name": "ada", "password": "correct horse battery"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	c := r.Cookies()
	if r.StatusCode != http.StatusOK || len(c) != 1 || !c[0].Secure || !strings.HasPrefix(c[0].Name, "__Host-") {
		t.Errorf("%s, %v", r.Status, c)
	}
	if err := g.end(syscall.SIGTERM); err != nil || !strings.Contains(g.out.String(), "https://"+page) {
		t.Errorf("%v\n%s", err, g.out.String())
	}
}
