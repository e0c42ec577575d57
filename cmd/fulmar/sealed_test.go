package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/internal/testbroker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/grpc"
	"github.com/fulmar-io/fulmar/link/mqtt"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
	"github.com/fulmar-io/fulmar/secure/seal"
)

// brokerFile is what docs/security.md says of a Mosquitto: devices by their certificates, each under its own name.
const brokerFile = `
user ground
topic read fulmar/v1/+/up
topic write fulmar/v1/+/down
topic readwrite fulmar/v1/+/probe

pattern write fulmar/v1/%u/up
pattern read fulmar/v1/%u/down
`

// startFleetBroker starts a Mosquitto as docs/security.md has it, with an identity of its own.
func startFleetBroker(t *testing.T, f *identitytest.Fleet) *testbroker.Mosquitto {
	t.Helper()
	f.Identity(identity.Broker, "mosquitto")
	dir, acl := f.Dir(identity.Broker, "mosquitto"), filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(acl, []byte(brokerFile), 0o600); err != nil {
		t.Fatal(err)
	}
	id := filepath.Join(dir, "identity.pem")
	return testbroker.StartMosquitto(t, "cafile "+filepath.Join(dir, "authorities.pem"), "certfile "+id, "keyfile "+id, "tls_version tlsv1.3",
		"require_certificate true", "use_identity_as_username true", "acl_file "+acl, "crlfile "+filepath.Join(f.Authority.Dir(), "crl.pem"))
}

// secured starts a command that is not insecure.
func secured(t *testing.T, args ...string) *process {
	t.Helper()
	p := child("fulmar", args...)
	p.cmd.Env = append(p.cmd.Env, insecure+"=false")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Over a broker of another maker, which takes devices by their certificates, everything arrives, and the broker sees nothing of it.
func TestABrokerSeesNothing(t *testing.T) {
	f := identitytest.New(t)
	m := startFleetBroker(t, f)
	url := "mqtts://" + m.Address
	f.Ground()
	g := secured(t, "ground", "--data", t.TempDir(), "--keys", f.Dir(identity.Ground, "ground"), "--http", "127.0.0.1:0", "--broker", url)
	defer func() {
		if err := g.end(syscall.SIGTERM); err != nil || strings.Contains(g.out.String(), "level=ERROR") {
			t.Errorf("ground: %v\n%s", err, g.out.String())
		}
	}()
	// Whoever reads along as a ground sees what the broker does.
	eyesKeys, err := identity.Open(f.Dir(identity.Ground, "ground"), time.Now, identity.Ground)
	if err != nil {
		t.Fatal(err)
	}
	eyes, err := mqtt.Listen(t.Context(), url, "", mqtt.Options{TLS: eyesKeys.ClientTLS(identity.Broker)})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan link.Inbound, 4096)
	go func() {
		defer close(seen)
		for {
			m, err := eyes.Recv(context.Background())
			if err != nil {
				return
			}
			seen <- m
		}
	}()
	f.Device("rover")
	rover := f.Dir(identity.Device, "rover")
	p := secured(t, "replay", flight(t, 1000), "--to", url, "--identity", rover, "--speed", "0", "--linger", "30s")
	if err := p.cmd.Wait(); err != nil || !strings.Contains(p.out.String(), "1002 records delivered, 0 waiting, 0 lost") {
		t.Errorf("%v\n%s", err, p.out.String())
	}
	if err := eyes.Close(); err != nil {
		t.Error(err)
	}
	kinds := make(map[seal.Kind]int)
	for m := range seen {
		kinds[seal.KindOf(m.Message)]++
		if strings.Contains(string(m.Message), "imu") {
			t.Errorf("the broker sees %q", m.Message)
		}
	}
	if kinds[seal.Opening] != 1 || kinds[seal.Up] == 0 || len(kinds) != 2 {
		t.Errorf("%v", kinds)
	}
}

// A ground that is killed with the machine's link up knows its sessions after its next start: nothing is lost and nothing comes twice.
func TestSecuredThroughKills(t *testing.T) {
	for scheme, flag := range map[string]string{"mqtts": "--mqtt", "grpcs": "--grpc"} {
		t.Run(scheme, func(t *testing.T) { securedThroughKills(t, scheme, flag) })
	}
}

func securedThroughKills(t *testing.T, scheme, flag string) {
	dir := t.TempDir()
	keys, rover := filepath.Join(dir, "keys"), filepath.Join(dir, "rover")
	a, err := initKeys(keys, "ground", identity.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Equip(rover, identity.Subject{Role: identity.Device, Name: "rover"}, identity.Terms{}); err != nil {
		t.Fatal(err)
	}
	machines, page := freePort(t), freePort(t)
	start := func() *process {
		return securedGround(t, page, "--data", filepath.Join(dir, "ground"), "--keys", keys, "--mqtt", "127.0.0.1:0", flag, machines)
	}
	g := start()
	p := secured(t, "replay", flight(t, 6000), "--to", scheme+"://"+machines, "--identity", rover, "--speed", "2", "--linger", "30s", "--json")
	for range 4 {
		<-time.After(700 * time.Millisecond) // somewhere in the middle
		if err := g.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = g.cmd.Wait()
		g = start()
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, p.out.String())
	}
	if said := p.out.String(); !strings.Contains(said, `"waiting":0,"lost":0`) {
		t.Errorf("%s", said)
	}
	if err := g.end(syscall.SIGTERM); err != nil {
		t.Errorf("ground: %v\n%s", err, g.out.String())
	}
}

// securedGround starts a ground and waits until it is ready.
func securedGround(t *testing.T, page string, args ...string) *process {
	t.Helper()
	g := secured(t, append([]string{"ground", "--http", page, "--enroll", "127.0.0.1:0"}, args...)...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := waitReady(ctx, "http://"+page); err != nil {
		t.Fatal(err)
	}
	return g
}

// A machine whose stream is open when it is revoked is cut off as soon as the ground's folder has it, and the others are not.
func TestARevocationCutsAMachinesStream(t *testing.T) {
	f := identitytest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	keys, machines := filepath.Join(t.TempDir(), "keys"), freePort(t)
	a, err := initKeys(keys, "ground", identity.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	f.Authority = a
	g := securedGround(t, freePort(t), "--data", t.TempDir(), "--keys", keys, "--mqtt", "127.0.0.1:0", "--grpc", machines)
	conns := make(map[string]link.Conn)
	for _, name := range []string{"lost", "kept"} {
		c, err := grpc.Dialer{URL: "grpcs://" + machines, Device: name, TLS: f.Device(name).ClientTLS(identity.Ground)}.Dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		conns[name] = c
	}
	if p := child("fulmar", "keys", "revoke", "lost", "--keys", keys); p.cmd.Run() != nil {
		t.Fatal(p.out.String())
	}
	revoked := time.Now()
	if _, err := conns["lost"].Recv(ctx); !errors.Is(err, link.ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
	if took := time.Since(revoked); took > keysPeriod/2 {
		t.Errorf("it was cut after %v: not when the folder changed", took)
	}
	soon, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	if _, err := conns["kept"].Recv(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the other's stream is over: %v", err)
	}
	if err := g.end(syscall.SIGTERM); err != nil || !strings.Contains(g.out.String(), "the connection of a device that was revoked is cut") {
		t.Errorf("ground: %v\n%s", err, g.out.String())
	}
}
