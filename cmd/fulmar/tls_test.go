package main

import (
	"crypto/x509"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/fulmar-io/fulmar/internal/testbroker"
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
