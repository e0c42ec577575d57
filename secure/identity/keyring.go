package identity

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Keyring is an identity in use. Its methods may be called from any goroutine.
type Keyring struct {
	dir   string
	now   func() time.Time
	state atomic.Pointer[state]
	mu    sync.Mutex // held while the folder is read or written
}

// state is what a folder held when it was read; it is not changed.
type state struct {
	key     ed25519.PrivateKey
	cert    *x509.Certificate
	tls     *tls.Certificate
	peer    Peer
	trust   *Trust
	sealing map[KeyID]hpke.PrivateKey
}

// ErrNoIdentity is wrapped by the error of Open for a folder without an identity.
var ErrNoIdentity = errors.New("there is no identity in this folder")

// Open reads the identity of a folder, which is to be of one of some roles. now is the wall clock.
func Open(dir string, now func() time.Time, roles ...Role) (*Keyring, error) {
	k := &Keyring{dir: dir, now: now}
	s, err := k.read()
	if err != nil {
		return nil, err
	}
	// A clock that is not set yet must not keep a machine from the ground: see Now.
	if _, err := s.trust.verify(s.cert, s.notBefore(now()), roles...); err != nil {
		return nil, err
	}
	k.state.Store(s)
	return k, nil
}

func (k *Keyring) read() (*state, error) {
	path := filepath.Join(k.dir, identityName)
	key, der, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("identity: %w: %s", ErrNoIdentity, k.dir)
	}
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("identity: %s: certificate: %w", path, err)
	}
	if public, ok := c.PublicKey.(ed25519.PublicKey); !ok || !public.Equal(key.Public()) {
		return nil, fmt.Errorf("identity: %s: the certificate is of another key", path)
	}
	b, err := readFile(filepath.Join(k.dir, trustName))
	if err != nil {
		return nil, err
	}
	trust, err := ParseTrust(b)
	if err != nil {
		return nil, err
	}
	s := &state{key: key, cert: c, trust: trust, sealing: make(map[KeyID]hpke.PrivateKey)}
	subject, err := subjectOf(c)
	if err != nil {
		return nil, err
	}
	s.peer = Peer{Subject: subject, Serial: serialText(c.SerialNumber), Expires: c.NotAfter, Key: key.Public().(ed25519.PublicKey)}
	// The authority goes along, so that who has only its fingerprint can verify the rest.
	chain := [][]byte{der}
	for _, a := range trust.authorities {
		if c.CheckSignatureFrom(a) == nil {
			chain = append(chain, a.Raw)
		}
	}
	s.tls = &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: c}
	return s, k.readSealing(s)
}

func (k *Keyring) readSealing(s *state) error {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "sealing-") {
			continue
		}
		id, key, err := readSealing(filepath.Join(k.dir, e.Name()))
		if err != nil {
			return err
		}
		s.sealing[id] = key
	}
	return nil
}

// notBefore is a time, but not before the certificate begins.
func (s *state) notBefore(t time.Time) time.Time {
	if t.Before(s.cert.NotBefore) {
		return s.cert.NotBefore.Add(backdated)
	}
	return t
}

// Now is the time by which certificates are judged: the wall clock's, unless that is before our own certificate was issued. So a
// machine whose clock has not been set since it was switched on finds its ground, and what has expired since it was enrolled stays so
// only as far as its clock knows.
func (k *Keyring) Now() time.Time { return k.state.Load().notBefore(k.now()) }

// Reload reads the folder again and reports whether anything in it is another. What cannot be read leaves everything as it was.
func (k *Keyring) Reload() (changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, err := k.read()
	if err != nil {
		return false, err
	}
	old := k.state.Load()
	if s.trust.number < old.trust.number {
		return false, fmt.Errorf("identity: reload %s: trust %d: %w: %d", k.dir, s.trust.number, ErrOlder, old.trust.number)
	}
	if _, err := s.trust.verify(s.cert, s.notBefore(k.now()), old.peer.Role); err != nil {
		return false, err
	}
	k.state.Store(s)
	return string(s.cert.Raw) != string(old.cert.Raw) || string(s.trust.encoded) != string(old.trust.encoded) || len(s.sealing) != len(old.sealing), nil
}

// Learn takes a trust that came from elsewhere, if it is newer and signed by an authority that is trusted; see Trust.Update. It is in
// the folder when Learn returns.
func (k *Keyring) Learn(encoded []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.state.Load()
	t, err := old.trust.Update(encoded)
	if err != nil {
		return err
	}
	s := *old
	s.trust = t
	if err := writeTrust(k.dir, t); err != nil {
		return err
	}
	k.state.Store(&s)
	return nil
}

// Self is who we are.
func (k *Keyring) Self() Peer { return k.state.Load().peer }

// Certificate is our own, as DER. It is not to be changed.
func (k *Keyring) Certificate() []byte { return k.state.Load().cert.Raw }

// Trust is what we trust now.
func (k *Keyring) Trust() *Trust { return k.state.Load().trust }

// Sign signs a message with our key (Ed25519, RFC 8032). A message begins with what it is, and its version, so that a signature of one
// is none of another.
func (k *Keyring) Sign(message []byte) []byte { return ed25519.Sign(k.state.Load().key, message) }

// Derive returns 32 bytes that only who has our key can derive (HKDF, RFC 5869), for what the purpose says.
func (k *Keyring) Derive(purpose string) ([]byte, error) {
	b, err := hkdf.Key(sha256.New, k.state.Load().key.Seed(), nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("identity: derive: %w", err)
	}
	return b, nil
}

// Sealing returns the private key of a name, or nil if we have none.
func (k *Keyring) Sealing(id KeyID) hpke.PrivateKey { return k.state.Load().sealing[id] }

// Verify is Trust.Verify, now.
func (k *Keyring) Verify(der []byte, roles ...Role) (Peer, error) {
	return k.Trust().Verify(der, k.Now(), roles...)
}

// NewRequest makes a key for a name in a folder and returns a request for its certificate (DER); see Accept. The key in use, if there is one,
// stays in use until then.
func NewRequest(dir, name string) ([]byte, error) {
	if err := (Subject{Role: Device, Name: name}).Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("identity: key: %w", err)
	}
	if err := writeKey(filepath.Join(dir, pendingName), key); err != nil {
		return nil, err
	}
	return Request(name, key)
}

// Accept makes an identity of the key that NewRequest made, with its certificate and a trust.
func Accept(dir string, cert, trust []byte) error {
	pending := filepath.Join(dir, pendingName)
	key, _, err := readKey(pending)
	if err != nil {
		return err
	}
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return fmt.Errorf("identity: certificate: %w", err)
	}
	if public, ok := c.PublicKey.(ed25519.PublicKey); !ok || !public.Equal(key.Public()) {
		return fmt.Errorf("identity: the certificate is of another key than %s", pending)
	}
	t, err := ParseTrust(trust)
	if err != nil {
		return err
	}
	if err := writeIdentity(dir, key, cert, t); err != nil {
		return err
	}
	return removeFile(pending)
}

// Present reports whether a folder has an identity.
func Present(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, identityName))
	return err == nil
}
