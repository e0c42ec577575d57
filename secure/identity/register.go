package identity

import (
	"context"
	"crypto/hpke"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/env"
)

// Files of an authority's folder, beside those of the identity that may be in it.
const (
	registerName = "register.json"
	crlName      = "crl.pem"
)

// register is what an authority remembers.
type register struct {
	Number      uint64        `json:"number"`      // of the trust; one more with each change of that
	Authorities [][]byte      `json:"authorities"` // DER, the newest first
	Sealing     []sealingFile `json:"sealing"`     // the newest first
	Issued      []Issued      `json:"issued"`
	Tokens      []token       `json:"tokens"`
}

// Issued is a certificate that was issued.
type Issued struct {
	Serial  string     `json:"serial"` // hex digits
	Role    Role       `json:"role"`
	Name    string     `json:"name"`
	At      time.Time  `json:"at"`
	Expires time.Time  `json:"expires"`
	Revoked *time.Time `json:"revoked,omitempty"`
}

// Valid reports whether the certificate is neither expired nor revoked.
func (i Issued) Valid(now time.Time) bool { return i.Revoked == nil && now.Before(i.Expires) }

func (s sealingFile) key() (SealingKey, error) {
	kem, err := hpke.NewKEM(s.KEM)
	if err != nil {
		return SealingKey{}, fmt.Errorf("identity: sealing key: %w", err)
	}
	k, err := kem.NewPublicKey(s.Public)
	if err != nil {
		return SealingKey{}, fmt.Errorf("identity: sealing key: %w", err)
	}
	return sealingKey(k), nil
}

func (a *Authority) read() (*register, error) {
	b, err := os.ReadFile(filepath.Join(a.dir, registerName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("identity: %w: %s", ErrNoAuthority, a.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("identity: register: %w", err)
	}
	r := new(register)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("identity: register %s: %w", filepath.Join(a.dir, registerName), err)
	}
	if len(r.Authorities) == 0 || len(r.Sealing) == 0 {
		return nil, fmt.Errorf("identity: register %s: no authority in it", filepath.Join(a.dir, registerName))
	}
	return r, nil
}

// lockPatience is how long another process may take for its change.
const lockPatience = 10 * time.Second

// change reads the register, changes it and writes it, with the trust if that is another now. The trust is written last: a revocation
// that Revoke has returned from is in it, and one that it has not returned from is tried again.
func (a *Authority) change(f func(*register) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	unlock, err := env.WaitForFolder(ctx, a.dir, nil)
	if err != nil {
		return fmt.Errorf("identity: authority: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	r, err := a.read()
	if errors.Is(err, ErrNoAuthority) {
		r, err = new(register), nil
	}
	if err != nil {
		return err
	}
	before := a.trustOf(r)
	if err := f(r); err != nil {
		return err
	}
	after := a.trustOf(r)
	changed := !sameTrust(before, after)
	if changed {
		r.Number++
		after.Number = r.Number
	}
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("identity: register: %w", err)
	}
	if err := env.WriteFile(filepath.Join(a.dir, registerName), b, 0o600); err != nil {
		return err
	}
	if current, err := a.Trust(); err == nil && !changed && current.number == r.Number {
		return nil
	}
	return a.publish(r, after)
}

// trustOf is what is trusted by a register. What has expired need not be revoked.
func (a *Authority) trustOf(r *register) trustFile {
	t := trustFile{Number: r.Number, Authorities: slices.Clone(r.Authorities), Sealing: slices.Clone(r.Sealing)}
	now := a.now()
	for _, c := range r.Issued {
		if c.Revoked != nil && now.Before(c.Expires.Add(24*time.Hour)) {
			t.Revoked = append(t.Revoked, c.Serial)
		}
	}
	return t
}

func sameTrust(x, y trustFile) bool {
	der := func(a, b []byte) bool { return string(a) == string(b) }
	return slices.EqualFunc(x.Authorities, y.Authorities, der) && slices.Equal(x.Revoked, y.Revoked) &&
		slices.EqualFunc(x.Sealing, y.Sealing, func(a, b sealingFile) bool { return der(a.Public, b.Public) })
}

// publish writes the signed trust, and the list of revocations as others know it (RFC 5280), for brokers that read one.
func (a *Authority) publish(r *register, t trustFile) error {
	signers, err := a.signers(r)
	if err != nil {
		return err
	}
	b, err := encodeTrust(t, signers)
	if err != nil {
		return err
	}
	list := &x509.RevocationList{Number: new(big.Int).SetUint64(r.Number), ThisUpdate: a.now().Add(-backdated), NextUpdate: signers[0].cert.NotAfter}
	for _, c := range r.Issued {
		if c.Revoked == nil {
			continue
		}
		serial, ok := new(big.Int).SetString(c.Serial, 16)
		if !ok {
			return fmt.Errorf("identity: register: serial number %q", c.Serial)
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: *c.Revoked})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, signers[0].cert, signers[0].key)
	if err != nil {
		return fmt.Errorf("identity: revocations: %w", err)
	}
	if err := env.WriteFile(filepath.Join(a.dir, crlName), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o644); err != nil {
		return err
	}
	trust, err := ParseTrust(b)
	if err != nil {
		return err
	}
	return writeTrust(a.dir, trust)
}
