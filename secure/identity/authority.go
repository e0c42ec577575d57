package identity

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/fulmar-io/fulmar/env"
)

// How long certificates are valid. An authority outlives what it signs.
const (
	authorityLife = 20 * 365 * 24 * time.Hour
	// DefaultLife is a certificate's, unless something else is asked for.
	DefaultLife = 2 * 365 * 24 * time.Hour
	// backdated is how long before now a certificate begins, for peers whose clocks are behind.
	backdated = time.Hour
)

// Authority is the operator's: the folder in which certificates are signed. Its methods may be called from several processes at
// once, each change is made under a lock of the folder and is durable on return. One value is for one goroutine.
type Authority struct {
	dir string
	now func() time.Time
}

// signer is an authority's certificate with its key.
type signer struct {
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

// Errors of an authority.
var (
	ErrExists      = errors.New("there is an authority in this folder already")
	ErrNoAuthority = errors.New("there is no authority in this folder")
	ErrUnknown     = errors.New("no certificate that is valid was issued to this name")
)

// Create makes an authority in a folder, which is made if it is not there: its certificate, and the key that sessions are sealed to.
func Create(dir string, now func() time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("identity: create authority: %w", err)
	}
	a := &Authority{dir: dir, now: now}
	err := a.change(func(r *register) error {
		if len(r.Authorities) > 0 {
			return fmt.Errorf("identity: create authority: %w: %s", ErrExists, dir)
		}
		if err := a.addAuthority(r); err != nil {
			return err
		}
		return a.addSealing(r)
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// OpenAuthority opens the authority of a folder. Without one there the error wraps ErrNoAuthority.
func OpenAuthority(dir string, now func() time.Time) (*Authority, error) {
	a := &Authority{dir: dir, now: now}
	if _, err := a.read(); err != nil {
		return nil, err
	}
	return a, nil
}

// addAuthority makes a new certificate that signs from now on; the ones before stay trusted.
func (a *Authority) addAuthority(r *register) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("identity: key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return err
	}
	now := a.now()
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "Fulmar authority " + serialText(serial)[:8]},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(authorityLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, public, private)
	if err != nil {
		return fmt.Errorf("identity: certificate: %w", err)
	}
	if err := writeKey(filepath.Join(a.dir, authorityKey(der)), private); err != nil {
		return err
	}
	r.Authorities = append([][]byte{der}, r.Authorities...)
	return nil
}

// authorityKey is the file of an authority's key.
func authorityKey(cert []byte) string {
	sum := sha256.Sum256(cert)
	return "authority-" + hex.EncodeToString(sum[:8]) + ".pem"
}

// addSealing makes a new key that sessions are sealed to from now on; what is sealed to the ones before can still be opened.
func (a *Authority) addSealing(r *register) error {
	private, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return fmt.Errorf("identity: sealing key: %w", err)
	}
	b, err := private.Bytes()
	if err != nil {
		return fmt.Errorf("identity: sealing key: %w", err)
	}
	public := sealingKey(private.PublicKey())
	block := &pem.Block{Type: sealingBlock, Headers: map[string]string{kemHeader: fmt.Sprint(private.KEM().ID())}, Bytes: b}
	if err := env.WriteFile(filepath.Join(a.dir, sealingName(public.ID)), pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	r.Sealing = append([]sealingFile{{KEM: private.KEM().ID(), Public: public.Key.Bytes()}}, r.Sealing...)
	return nil
}

func newSerial() (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("identity: serial number: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40 // positive, and always of the same length
	return new(big.Int).SetBytes(b), nil
}

// signers returns the authorities whose keys are here, the one that signs first.
func (a *Authority) signers(r *register) ([]signer, error) {
	var list []signer
	for _, der := range r.Authorities {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("identity: authority: %w", err)
		}
		key, _, err := readKey(filepath.Join(a.dir, authorityKey(der)))
		if errors.Is(err, fs.ErrNotExist) && len(list) > 0 {
			continue // an earlier one, whose key is kept elsewhere
		}
		if err != nil {
			return nil, err
		}
		list = append(list, signer{cert: c, key: key})
	}
	return list, nil
}

// Terms are how a certificate is to be. The zero value is that of a device's.
type Terms struct {
	Life  time.Duration // default DefaultLife
	Hosts []string      // names and addresses of a server, for peers that check these: browsers, brokers' clients of other makers
	// Newest has a server's certificate signed by the newest authority. By default the oldest that is trusted signs it, for devices may
	// not have heard of a newer one; a device's is always signed by the newest.
	Newest bool
}

// Issue signs a certificate for a public key, and returns it as DER. What was issued to the same name before stays valid until it
// expires or is revoked, so a key can be changed without a gap.
func (a *Authority) Issue(s Subject, key ed25519.PublicKey, terms Terms) (der []byte, err error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	err = a.change(func(r *register) error {
		der, err = a.issue(r, s, key, terms)
		return err
	})
	return der, err
}

func (a *Authority) issue(r *register, s Subject, key ed25519.PublicKey, terms Terms) ([]byte, error) {
	signers, err := a.signers(r)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	if terms.Life <= 0 {
		terms.Life = DefaultLife
	}
	now := a.now()
	by := signers[0]
	if s.Role != Device && !terms.Newest {
		by = signers[len(signers)-1]
	}
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: s.Name, OrganizationalUnit: []string{string(s.Role)}},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(terms.Life), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: s.Role.usages(), URIs: []*url.URL{s.Role.uri(s.Name)}}
	if c.NotAfter.After(by.cert.NotAfter) {
		c.NotAfter = by.cert.NotAfter
	}
	for _, h := range terms.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key, by.key)
	if err != nil {
		return nil, fmt.Errorf("identity: certificate: %w", err)
	}
	r.Issued = append(r.Issued, Issued{Serial: serialText(serial), Role: s.Role, Name: s.Name, At: now.UTC(), Expires: c.NotAfter})
	return der, nil
}

// Revoke revokes every certificate that was issued to a subject and is still valid, and returns how many that were. Without any
// the error wraps ErrUnknown.
func (a *Authority) Revoke(s Subject) (n int, err error) {
	err = a.change(func(r *register) error {
		now := a.now().UTC()
		for i := range r.Issued {
			c := &r.Issued[i]
			if c.Role == s.Role && c.Name == s.Name && c.Valid(now) {
				c.Revoked = &now
				n++
			}
		}
		r.Tokens = withoutTokensOf(r.Tokens, s)
		if n == 0 {
			return fmt.Errorf("identity: revoke %s: %w", s, ErrUnknown)
		}
		return nil
	})
	return n, err
}

// RotateSealing makes a new key to which sessions are sealed as soon as their devices know of it. The grounds' folders need it: see
// Equip.
func (a *Authority) RotateSealing() error { return a.change(a.addSealing) }

// RotateAuthority makes a new authority beside the ones before, which stay trusted until they are retired.
func (a *Authority) RotateAuthority() error { return a.change(a.addAuthority) }

// Retire ends the trust in all authorities and sealing keys but the newest. Certificates that an older authority signed are worth
// nothing from then on, the grounds' among them: they are to have others before, by Terms.Newest. What is sealed to an older key
// cannot be opened any more.
func (a *Authority) Retire() error {
	return a.change(func(r *register) error {
		for _, der := range r.Authorities[1:] {
			if err := removeFile(filepath.Join(a.dir, authorityKey(der))); err != nil {
				return err
			}
		}
		for _, s := range r.Sealing[1:] {
			k, err := s.key()
			if err != nil {
				return err
			}
			if err := removeFile(filepath.Join(a.dir, sealingName(k.ID))); err != nil {
				return err
			}
		}
		r.Authorities, r.Sealing = r.Authorities[:1], r.Sealing[:1]
		return nil
	})
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}

// Trust returns what identities of this authority trust now.
func (a *Authority) Trust() (*Trust, error) {
	b, err := os.ReadFile(filepath.Join(a.dir, trustName))
	if err != nil {
		return nil, fmt.Errorf("identity: trust: %w", err)
	}
	return ParseTrust(b)
}

// Issued returns what was issued, in order.
func (a *Authority) Issued() ([]Issued, error) {
	r, err := a.read()
	if err != nil {
		return nil, err
	}
	return r.Issued, nil
}

// Dir is the authority's folder.
func (a *Authority) Dir() string { return a.dir }

// Equip makes an identity in a folder: a new key with its certificate and the trust, and for a ground the sealing keys. A key that
// is there is replaced, when everything else is.
func (a *Authority) Equip(dir string, s Subject, terms Terms) error {
	if err := s.Validate(); err != nil {
		return err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("identity: key: %w", err)
	}
	der, err := a.Issue(s, public, terms)
	if err != nil {
		return err
	}
	return a.store(dir, s, der, private)
}

// store writes an identity's folder.
func (a *Authority) store(dir string, s Subject, der []byte, key ed25519.PrivateKey) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	trust, err := a.Trust()
	if err != nil {
		return err
	}
	if s.Role == Ground {
		if err := a.copySealing(dir, trust); err != nil {
			return err
		}
	}
	return writeIdentity(dir, key, der, trust)
}

// copySealing gives a ground the keys that open what is sealed to it.
func (a *Authority) copySealing(dir string, trust *Trust) error {
	if same, err := sameFolder(dir, a.dir); err != nil || same {
		return err
	}
	for _, k := range trust.sealing {
		b, err := os.ReadFile(filepath.Join(a.dir, sealingName(k.ID)))
		if err != nil {
			return fmt.Errorf("identity: sealing key: %w", err)
		}
		if err := env.WriteFile(filepath.Join(dir, sealingName(k.ID)), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func sameFolder(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if err != nil {
		return false, fmt.Errorf("identity: %w", err)
	}
	y, err := os.Stat(b)
	if err != nil {
		return false, fmt.Errorf("identity: %w", err)
	}
	return os.SameFile(x, y), nil
}
