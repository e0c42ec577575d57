package identity

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Limits of a trust. What is larger is not looked at.
const (
	MaxTrust       = 256 << 10 // bytes
	maxAuthorities = 8
	maxSealing     = 8
	maxRevoked     = 2048
)

// Errors of a verification, which the errors of Verify and Update wrap.
var (
	ErrUntrusted = errors.New("not of a trusted authority")
	ErrRevoked   = errors.New("revoked")
	ErrExpired   = errors.New("expired, or not valid yet")
	ErrRole      = errors.New("of another role")
	ErrOlder     = errors.New("no newer than what is trusted")
)

// KeyID names a key to which frames are sealed: the first bytes of the SHA-256 of its public form.
type KeyID [8]byte

// String returns the name as hex digits.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// SealingKey is the public half of a ground's key.
type SealingKey struct {
	ID  KeyID
	Key hpke.PublicKey
}

func sealingKey(k hpke.PublicKey) SealingKey {
	sum := sha256.Sum256(k.Bytes())
	return SealingKey{ID: KeyID(sum[:8]), Key: k}
}

// Trust is what an identity trusts. It is not changed once it is made.
type Trust struct {
	number      uint64
	authorities []*x509.Certificate
	pool        *x509.CertPool
	sealing     []SealingKey
	revoked     map[string]bool // serial numbers, as hex digits
	encoded     []byte
}

// trustFile is the signed content.
type trustFile struct {
	Number      uint64        `json:"number"`
	Authorities [][]byte      `json:"authorities"` // DER, the one that signs now first
	Sealing     []sealingFile `json:"sealing"`     // the one to use first
	Revoked     []string      `json:"revoked,omitempty"`
}

type sealingFile struct {
	KEM    uint16 `json:"kem"` // of the registry of RFC 9180
	Public []byte `json:"public"`
}

// signedTrust is the file: the content as it was signed, and signatures of every authority that could sign.
type signedTrust struct {
	Content    []byte           `json:"content"`
	Signatures []trustSignature `json:"signatures"`
}

type trustSignature struct {
	Authority []byte `json:"authority"` // SHA-256 of its certificate
	Signature []byte `json:"signature"`
}

const (
	trustBlock   = "FULMAR TRUST"
	trustContext = "fulmar trust v1\x00"
)

// encodeTrust signs a trust with each of the authorities.
func encodeTrust(f trustFile, signers []signer) ([]byte, error) {
	content, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("identity: trust: %w", err)
	}
	s := signedTrust{Content: content}
	for _, a := range signers {
		sum := sha256.Sum256(a.cert.Raw)
		s.Signatures = append(s.Signatures, trustSignature{Authority: sum[:], Signature: ed25519.Sign(a.key, append([]byte(trustContext), content...))})
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("identity: trust: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: trustBlock, Bytes: b}), nil
}

// ParseTrust reads a trust that one of its own authorities has signed. That says that it is whole, not that it is to be trusted:
// see Update.
func ParseTrust(b []byte) (*Trust, error) {
	t, s, err := parseTrust(b)
	if err != nil {
		return nil, err
	}
	if !t.signed(s) {
		return nil, fmt.Errorf("identity: trust: %w: no signature of its own authority", ErrUntrusted)
	}
	return t, nil
}

func parseTrust(b []byte) (*Trust, signedTrust, error) {
	var s signedTrust
	bad := func(err error) (*Trust, signedTrust, error) {
		return nil, s, fmt.Errorf("identity: trust that cannot be read: %w", err)
	}
	if len(b) > MaxTrust {
		return bad(fmt.Errorf("%d bytes, at most %d", len(b), MaxTrust))
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != trustBlock || len(rest) > 0 {
		return bad(fmt.Errorf("not one %s", trustBlock))
	}
	if err := json.Unmarshal(block.Bytes, &s); err != nil {
		return bad(err)
	}
	var f trustFile
	if err := json.Unmarshal(s.Content, &f); err != nil {
		return bad(err)
	}
	if n := len(f.Authorities); n == 0 || n > maxAuthorities || len(s.Signatures) > maxAuthorities || len(f.Sealing) > maxSealing || len(f.Revoked) > maxRevoked {
		return bad(errors.New("more in it than is allowed, or no authority"))
	}
	t := &Trust{number: f.Number, pool: x509.NewCertPool(), revoked: make(map[string]bool), encoded: b}
	for _, der := range f.Authorities {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return bad(err)
		}
		if _, ok := c.PublicKey.(ed25519.PublicKey); !ok || !c.IsCA {
			return bad(errors.New("an authority that is none, or has no Ed25519 key"))
		}
		t.authorities = append(t.authorities, c)
		t.pool.AddCert(c)
	}
	for _, k := range f.Sealing {
		kem, err := hpke.NewKEM(k.KEM)
		if err != nil {
			return bad(err)
		}
		public, err := kem.NewPublicKey(k.Public)
		if err != nil {
			return bad(err)
		}
		t.sealing = append(t.sealing, sealingKey(public))
	}
	for _, r := range f.Revoked {
		t.revoked[r] = true
	}
	return t, s, nil
}

// signed reports whether one of the authorities has signed it.
func (t *Trust) signed(s signedTrust) bool {
	message := append([]byte(trustContext), s.Content...)
	for _, a := range t.authorities {
		sum := sha256.Sum256(a.Raw)
		for _, g := range s.Signatures {
			if string(g.Authority) == string(sum[:]) && ed25519.Verify(a.PublicKey.(ed25519.PublicKey), message, g.Signature) {
				return true
			}
		}
	}
	return false
}

// Update returns the trust that b holds, if an authority of this one has signed it and its number is higher. Otherwise the error
// wraps ErrUntrusted or ErrOlder.
func (t *Trust) Update(b []byte) (*Trust, error) {
	next, s, err := parseTrust(b)
	if err != nil {
		return nil, err
	}
	if !t.signed(s) {
		return nil, fmt.Errorf("identity: trust %d: %w", next.number, ErrUntrusted)
	}
	if next.number <= t.number {
		return nil, fmt.Errorf("identity: trust %d: %w: %d", next.number, ErrOlder, t.number)
	}
	return next, nil
}

// Number tells trusts of one operator apart: a later one's is higher.
func (t *Trust) Number() uint64 { return t.number }

// Encoded returns the file's bytes, which are not to be changed.
func (t *Trust) Encoded() []byte { return t.encoded }

// Sealing returns the key that new sessions are sealed to, or false if there is no ground yet.
func (t *Trust) Sealing() (SealingKey, bool) {
	if len(t.sealing) == 0 {
		return SealingKey{}, false
	}
	return t.sealing[0], true
}

// Peer is who a verified certificate is of.
type Peer struct {
	Subject
	Serial  string // hex digits
	Expires time.Time
	Key     ed25519.PublicKey
}

// Revoked reports whether a peer that was verified earlier is not to be trusted any more.
func (t *Trust) Revoked(p Peer) bool { return t.revoked[p.Serial] }

// Verify verifies a certificate (DER) at a time, for one of some roles. Certificates are signed by an authority itself, so there
// are none in between.
func (t *Trust) Verify(der []byte, at time.Time, roles ...Role) (Peer, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return Peer{}, fmt.Errorf("identity: %w: %w", ErrUntrusted, err)
	}
	return t.verify(c, at, roles...)
}

// VerifyExpired is Verify of a certificate that was verified before, and may have expired since.
func (t *Trust) VerifyExpired(der []byte, roles ...Role) (Peer, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return Peer{}, fmt.Errorf("identity: %w: %w", ErrUntrusted, err)
	}
	return t.verify(c, c.NotBefore.Add(backdated), roles...)
}

func (t *Trust) verify(c *x509.Certificate, at time.Time, roles ...Role) (Peer, error) {
	s, err := subjectOf(c)
	if err != nil {
		return Peer{}, err
	}
	fail := func(why error) (Peer, error) { return Peer{}, fmt.Errorf("identity: certificate of %s: %w", s, why) }
	allowed := false
	for _, r := range roles {
		allowed = allowed || r == s.Role
	}
	if !allowed {
		return fail(fmt.Errorf("%w: wanted %v", ErrRole, roles))
	}
	if at.Before(c.NotBefore) || at.After(c.NotAfter) {
		return fail(fmt.Errorf("%w: from %s to %s, and it is %s", ErrExpired, c.NotBefore.Format(time.DateTime), c.NotAfter.Format(time.DateTime), at.UTC().Format(time.DateTime)))
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: t.pool, Intermediates: x509.NewCertPool(), CurrentTime: at, KeyUsages: s.Role.usages()[:1]}); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrUntrusted, err))
	}
	key, ok := c.PublicKey.(ed25519.PublicKey)
	if !ok {
		return fail(fmt.Errorf("%w: its key is not Ed25519", ErrUntrusted))
	}
	p := Peer{Subject: s, Serial: serialText(c.SerialNumber), Expires: c.NotAfter, Key: key}
	if t.revoked[p.Serial] {
		return fail(ErrRevoked)
	}
	return p, nil
}

func serialText(n *big.Int) string { return n.Text(16) }
