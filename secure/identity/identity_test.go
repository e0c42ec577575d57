package identity_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/secure/identity"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a wall clock that a test sets.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) set(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.t = t }

func create(t *testing.T) (*identity.Authority, *clock) {
	t.Helper()
	c := &clock{t: epoch}
	a, err := identity.Create(filepath.Join(t.TempDir(), "keys"), c.now)
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

// equip issues an identity and opens it.
func equip(t *testing.T, a *identity.Authority, c *clock, role identity.Role, name string) (*identity.Keyring, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := a.Equip(dir, identity.Subject{Role: role, Name: name}, identity.Terms{}); err != nil {
		t.Fatal(err)
	}
	k, err := identity.Open(dir, c.now, role)
	if err != nil {
		t.Fatal(err)
	}
	return k, dir
}

func reload(t *testing.T, a *identity.Authority, k *identity.Keyring, dir string) {
	t.Helper()
	trust, err := a.Trust()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "trust.pem"), trust.Encoded(), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := k.Reload(); err != nil || !changed {
		t.Fatalf("changed %t, %v", changed, err)
	}
}

// A certificate is taken for what it is of, by whoever trusts its authority, while it is valid.
func TestWhoIsTakenForWhat(t *testing.T) {
	a, c := create(t)
	other, _ := create(t)
	ground, dir := equip(t, a, c, identity.Ground, "ground")
	rover, _ := equip(t, a, c, identity.Device, "rover-1")
	broker, _ := equip(t, a, c, identity.Broker, "broker")
	stranger, _ := equip(t, other, c, identity.Device, "rover-1")

	p, err := ground.Verify(rover.Certificate(), identity.Device)
	if err != nil || p.Subject != (identity.Subject{Role: identity.Device, Name: "rover-1"}) || !p.Key.Equal(rover.Self().Key) {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, x := range []struct {
		what  string
		cert  []byte
		roles []identity.Role
		want  error
	}{
		{"a device as a ground", rover.Certificate(), []identity.Role{identity.Ground, identity.Broker}, identity.ErrRole},
		{"a broker as a ground", broker.Certificate(), []identity.Role{identity.Ground}, identity.ErrRole},
		{"a ground as a device", ground.Certificate(), []identity.Role{identity.Device}, identity.ErrRole},
		{"of another authority", stranger.Certificate(), identity.Roles(), identity.ErrUntrusted},
		{"not a certificate", []byte("no"), identity.Roles(), identity.ErrUntrusted},
	} {
		if _, err := ground.Verify(x.cert, x.roles...); !errors.Is(err, x.want) {
			t.Errorf("%s: %v", x.what, err)
		}
	}
	c.set(epoch.Add(identity.DefaultLife + time.Minute))
	if _, err := ground.Verify(rover.Certificate(), identity.Device); !errors.Is(err, identity.ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	// A clock that was never set does not make certificates invalid.
	c.set(time.Unix(0, 0))
	if _, err := rover.Verify(ground.Certificate(), identity.Ground); err != nil {
		t.Errorf("a machine without a clock: %v", err)
	}
	if _, err := identity.Open(dir, c.now, identity.Ground); err != nil {
		t.Errorf("a ground without a clock: %v", err)
	}
	c.set(epoch)
	if n, err := a.Revoke(p.Subject); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := a.Revoke(p.Subject); !errors.Is(err, identity.ErrUnknown) {
		t.Errorf("revoked twice: %v", err)
	}
	reload(t, a, ground, dir)
	if _, err := ground.Verify(rover.Certificate(), identity.Device); !errors.Is(err, identity.ErrRevoked) || !ground.Trust().Revoked(p) {
		t.Errorf("revoked: %v", err)
	}
	// The same name can come back, under another key.
	again, _ := equip(t, a, c, identity.Device, "rover-1")
	if _, err := ground.Verify(again.Certificate(), identity.Device); err != nil {
		t.Errorf("issued again: %v", err)
	}
}

// handshake connects two ends over TLS and returns both verdicts.
func handshake(client, server *tls.Config) (clientErr, serverErr error) {
	x, y := net.Pipe()
	defer x.Close()
	defer y.Close()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(y, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		_ = y.Close()
		done <- err
	}()
	c := tls.Client(x, client)
	clientErr = c.Handshake()
	if clientErr == nil { // a client of TLS 1.3 learns with the first bytes whether it was taken
		_, clientErr = c.Read(make([]byte, 1))
	}
	_ = x.Close()
	return clientErr, <-done
}

func TestConnections(t *testing.T) {
	a, c := create(t)
	other, _ := create(t)
	ground, groundDir := equip(t, a, c, identity.Ground, "ground")
	rover, _ := equip(t, a, c, identity.Device, "rover")
	stranger, _ := equip(t, other, c, identity.Device, "rover")
	impostor, _ := equip(t, other, c, identity.Ground, "ground")
	toGround := []identity.Role{identity.Ground, identity.Broker}
	old := rover.ClientTLS(toGround...)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	nobody := rover.ClientTLS(toGround...)
	nobody.GetClientCertificate = nil
	for _, x := range []struct {
		what           string
		client, server *tls.Config
		good           bool
	}{
		{"a device at its ground", rover.ClientTLS(toGround...), ground.ServerTLS(identity.Device), true},
		{"a device of another authority", stranger.ClientTLS(toGround...), ground.ServerTLS(identity.Device), false},
		{"a ground of another authority", rover.ClientTLS(toGround...), impostor.ServerTLS(identity.Device), false},
		{"a device that serves", rover.ClientTLS(toGround...), rover.ServerTLS(identity.Device), false},
		{"a ground as a device", ground.ClientTLS(toGround...), ground.ServerTLS(identity.Device), false},
		{"TLS 1.2", old, ground.ServerTLS(identity.Device), false},
		{"no certificate", nobody, ground.ServerTLS(identity.Device), false},
	} {
		ce, se := handshake(x.client, x.server)
		if (ce == nil && se == nil) != x.good {
			t.Errorf("%s: client %v, server %v", x.what, ce, se)
		}
	}
	if _, err := a.Revoke(rover.Self().Subject); err != nil {
		t.Fatal(err)
	}
	server := ground.ServerTLS(identity.Device) // made before it knows
	reload(t, a, ground, groundDir)
	if ce, se := handshake(rover.ClientTLS(toGround...), server); !errors.Is(se, identity.ErrRevoked) || ce == nil {
		t.Errorf("revoked: client %v, server %v", ce, se)
	}
	if _, err := a.Revoke(ground.Self().Subject); err != nil {
		t.Fatal(err)
	}
	boat, _ := equip(t, a, c, identity.Device, "boat")
	if ce, _ := handshake(boat.ClientTLS(toGround...), ground.PublicTLS()); !errors.Is(ce, identity.ErrRevoked) {
		t.Errorf("a ground that was revoked: %v", ce)
	}
}

// Keys are changed without a moment in which anybody is not understood.
func TestKeysAreChangedWithoutAGap(t *testing.T) {
	a, c := create(t)
	ground, groundDir := equip(t, a, c, identity.Ground, "ground")
	rover, _ := equip(t, a, c, identity.Device, "rover")
	first, _ := rover.Trust().Sealing()
	if err := a.RotateAuthority(); err != nil {
		t.Fatal(err)
	}
	if err := a.RotateSealing(); err != nil {
		t.Fatal(err)
	}
	talk := func(when string) {
		t.Helper()
		if ce, se := handshake(rover.ClientTLS(identity.Ground), ground.ServerTLS(identity.Device)); ce != nil || se != nil {
			t.Errorf("%s: %v, %v", when, ce, se)
		}
		if k, ok := rover.Trust().Sealing(); !ok || ground.Sealing(k.ID) == nil {
			t.Errorf("%s: the ground cannot open what the rover seals", when)
		}
	}
	renew := func(k *identity.Keyring, dir string) {
		t.Helper()
		if err := a.Equip(dir, k.Self().Subject, identity.Terms{}); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	talk("nobody knows")
	boat, _ := equip(t, a, c, identity.Device, "boat")
	renew(ground, groundDir) // it has the new sealing key; its certificate is by the authority that all know
	talk("the ground knows")
	if ce, se := handshake(boat.ClientTLS(identity.Ground), ground.ServerTLS(identity.Device)); ce != nil || se != nil {
		t.Errorf("a device that came later: %v, %v", ce, se)
	}
	if token, err := a.NewToken("boat", time.Hour); err != nil {
		t.Error(err)
	} else if ce, se := handshake(token.PinnedTLS(), ground.PublicTLS()); ce != nil || se != nil {
		t.Errorf("a device that comes now: %v, %v", ce, se)
	}
	if err := rover.Learn(ground.Trust().Encoded()); err != nil {
		t.Fatal(err)
	}
	talk("both know, the rover's certificate is old")
	if k, _ := rover.Trust().Sealing(); k.ID == first.ID {
		t.Error("the rover seals to the old key")
	}
	if ground.Sealing(first.ID) == nil {
		t.Error("what the rover sealed before cannot be opened")
	}
	if err := a.Equip(groundDir, ground.Self().Subject, identity.Terms{Newest: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := ground.Reload(); err != nil {
		t.Fatal(err)
	}
	talk("the ground's certificate is by the new authority")
	request, err := identity.NewRequest(t.TempDir(), "rover")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.SignRequest(request, identity.Device, identity.Terms{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Retire(); err != nil {
		t.Fatal(err)
	}
	reload(t, a, ground, groundDir)
	if _, err := ground.Verify(rover.Certificate(), identity.Device); !errors.Is(err, identity.ErrUntrusted) {
		t.Errorf("the authority is retired: %v", err)
	}
}

// A trust is taken from anywhere, if it is newer and signed by who is trusted.
func TestTrustThatComesFromElsewhere(t *testing.T) {
	a, c := create(t)
	other, _ := create(t)
	rover, dir := equip(t, a, c, identity.Device, "rover")
	early, err := a.Trust()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := other.RotateSealing(); err != nil {
			t.Fatal(err)
		}
	}
	foreign, err := other.Trust()
	if err != nil {
		t.Fatal(err)
	}
	if err := rover.Learn(foreign.Encoded()); !errors.Is(err, identity.ErrUntrusted) {
		t.Errorf("of another authority: %v", err)
	}
	if err := a.RotateSealing(); err != nil {
		t.Fatal(err)
	}
	newer, err := a.Trust()
	if err != nil {
		t.Fatal(err)
	}
	if err := rover.Learn(newer.Encoded()); err != nil {
		t.Fatal(err)
	}
	if err := rover.Learn(early.Encoded()); !errors.Is(err, identity.ErrOlder) {
		t.Errorf("an older one: %v", err)
	}
	again, err := identity.Open(dir, c.now, identity.Device)
	if err != nil || again.Trust().Number() != newer.Number() {
		t.Errorf("it is not kept: %v", err)
	}
	// No byte of it can be another.
	b := newer.Encoded()
	for i := range b {
		forged := append([]byte(nil), b...)
		forged[i] ^= 1
		if trust, err := early.Update(forged); err == nil && trust.Number() != newer.Number() {
			t.Fatalf("byte %d of %d is another, and it is taken", i, len(b))
		}
	}
}

func TestTokens(t *testing.T) {
	a, c := create(t)
	token, err := a.NewToken("rover", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := identity.ParseToken(token.String()); err != nil || back != token {
		t.Fatalf("%v, %v", back, err)
	}
	dir := t.TempDir()
	request, err := identity.NewRequest(dir, "rover")
	if err != nil {
		t.Fatal(err)
	}
	another, err := identity.NewRequest(t.TempDir(), "boat")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := a.Enroll(token.Secret[:], another); !errors.Is(err, identity.ErrToken) {
		t.Errorf("for another name: %v", err)
	}
	c.set(epoch.Add(2 * time.Hour))
	if _, _, _, err := a.Enroll(token.Secret[:], request); !errors.Is(err, identity.ErrToken) {
		t.Errorf("too late: %v", err)
	}
	c.set(epoch)
	_, cert, trust, err := a.Enroll(token.Secret[:], request)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Accept(dir, cert, trust.Encoded()); err != nil {
		t.Fatal(err)
	}
	if k, err := identity.Open(dir, c.now, identity.Device); err != nil || k.Self().Name != "rover" {
		t.Errorf("%v", err)
	}
	if _, _, _, err := a.Enroll(token.Secret[:], request); !errors.Is(err, identity.ErrToken) {
		t.Errorf("twice: %v", err)
	}
	// The ground that the token is of is known by it, and no other.
	ground, _ := equip(t, a, c, identity.Ground, "ground")
	other, _ := create(t)
	impostor, _ := equip(t, other, c, identity.Ground, "ground")
	rover, _ := equip(t, a, c, identity.Device, "rover")
	for what, server := range map[string]*identity.Keyring{"another ground": impostor, "a device": rover} {
		if ce, _ := handshake(token.PinnedTLS(), server.PublicTLS()); ce == nil {
			t.Errorf("%s is taken for the ground", what)
		}
	}
	if ce, se := handshake(token.PinnedTLS(), ground.PublicTLS()); ce != nil || se != nil {
		t.Errorf("the ground: %v, %v", ce, se)
	}
	revoked, err := a.NewToken("rover", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Revoke(identity.Subject{Role: identity.Device, Name: "rover"}); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := a.Enroll(revoked.Secret[:], request); !errors.Is(err, identity.ErrToken) {
		t.Errorf("a token of a name that is revoked: %v", err)
	}
}

// Many that use one folder at once do not lose each other's changes.
func TestChangesAtOnce(t *testing.T) {
	a, c := create(t)
	const each = 8
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			mine, err := identity.OpenAuthority(a.Dir(), c.now)
			if err != nil {
				t.Error(err)
				return
			}
			for range each {
				public, _, err := ed25519.GenerateKey(rand.Reader)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := mine.Issue(identity.Subject{Role: identity.Device, Name: "rover"}, public, identity.Terms{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if list, err := a.Issued(); err != nil || len(list) != 4*each {
		t.Errorf("%d issued, %v", len(list), err)
	}
}

// Private keys are their owner's, and are nowhere but in their files.
func TestKeysArePrivate(t *testing.T) {
	a, c := create(t)
	_, dir := equip(t, a, c, identity.Ground, "ground")
	for _, d := range []string{a.Dir(), dir} {
		entries, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			path := filepath.Join(d, e.Name())
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if secret := strings.Contains(string(b), "KEY-----") || e.Name() == "register.json"; secret && runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %04o", path, info.Mode().Perm())
			}
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	path := filepath.Join(dir, "identity.pem")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	var mode *identity.ModeError
	if _, err := identity.Open(dir, c.now, identity.Ground); !errors.As(err, &mode) || mode.Path != path {
		t.Errorf("a key that others can read: %v", err)
	}
}

// What is damaged or missing is told by its file, and never with what is in it.
func TestFoldersThatAreDamaged(t *testing.T) {
	a, c := create(t)
	_, dir := equip(t, a, c, identity.Ground, "ground")
	if _, err := identity.Open(t.TempDir(), c.now, identity.Ground); !errors.Is(err, identity.ErrNoIdentity) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := identity.OpenAuthority(t.TempDir(), c.now); !errors.Is(err, identity.ErrNoAuthority) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := identity.Create(a.Dir(), c.now); !errors.Is(err, identity.ErrExists) {
		t.Errorf("made twice: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, e := range entries {
		if e.Name() == "authorities.pem" { // for others
			continue
		}
		path := filepath.Join(dir, e.Name())
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, damaged := range [][]byte{nil, whole[:len(whole)/2], []byte(strings.ToUpper(string(whole))), make([]byte, 3<<20)} {
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			tried++
			_, err := identity.Open(dir, c.now, identity.Ground)
			if err == nil || len(whole) > 200 && strings.Contains(err.Error(), string(whole[60:120])) {
				t.Errorf("%s of %d bytes: %v", e.Name(), len(damaged), err)
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := identity.Open(dir, c.now, identity.Ground); err != nil || tried < 12 {
		t.Errorf("%d tried; whole again: %v", tried, err)
	}
}

func FuzzParseTrust(f *testing.F) {
	a, err := identity.Create(filepath.Join(f.TempDir(), "keys"), time.Now)
	if err != nil {
		f.Fatal(err)
	}
	trust, err := a.Trust()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(trust.Encoded())
	f.Add([]byte("-----BEGIN FULMAR TRUST-----\ne30=\n-----END FULMAR TRUST-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := identity.ParseTrust(b); err == nil && len(got.Encoded()) == 0 {
			t.Error("nothing is a trust")
		}
		_, _ = identity.ParseToken(string(b))
	})
}
