package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// token is an admission of one device, once.
type token struct {
	Hash    string    `json:"hash"` // SHA-256 of the secret, hex digits
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

// maxTokens bounds those that wait to be used.
const maxTokens = 10_000

// ErrToken is wrapped by the error for a token that is none, was used, or is too old. Which of these it is is not told.
var ErrToken = errors.New("the token is not valid, was used already, or has expired")

// Token is what a device is enrolled with: a secret, used once, and the fingerprint of the authority, by which the device knows that
// it speaks with its ground and nobody else.
type Token struct {
	Name        string // of the device
	Secret      [16]byte
	Fingerprint [32]byte // SHA-256 of the authority's certificate
}

const tokenPrefix = "fulmar-enroll-"

// String returns the token as a person copies it.
func (t Token) String() string {
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(t.Secret[:], t.Fingerprint[:]...)) + "." + t.Name
}

// ParseToken reads what String wrote.
func ParseToken(s string) (t Token, err error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), tokenPrefix)
	rest, t.Name, _ = strings.Cut(rest, ".")
	b, err := base64.RawURLEncoding.DecodeString(rest)
	if !ok || err != nil || (Subject{Role: Device, Name: t.Name}).Validate() != nil || len(b) != len(t.Secret)+len(t.Fingerprint) {
		return t, errors.New("identity: this is no token: it begins with " + tokenPrefix)
	}
	copy(t.Secret[:], b)
	copy(t.Fingerprint[:], b[len(t.Secret):])
	return t, nil
}

func hashSecret(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}

// NewToken admits a device of a name, once, for as long as life.
func (a *Authority) NewToken(name string, life time.Duration) (t Token, err error) {
	if err := (Subject{Role: Device, Name: name}).Validate(); err != nil {
		return t, err
	}
	t.Name = name
	if _, err := rand.Read(t.Secret[:]); err != nil {
		return t, fmt.Errorf("identity: token: %w", err)
	}
	err = a.change(func(r *register) error {
		if len(r.Authorities) == 0 {
			return fmt.Errorf("identity: %w: %s", ErrNoAuthority, a.dir)
		}
		t.Fingerprint = sha256.Sum256(r.Authorities[len(r.Authorities)-1]) // which has signed the ground's certificate
		now := a.now()
		r.Tokens = slices.DeleteFunc(r.Tokens, func(k token) bool { return now.After(k.Expires) })
		if len(r.Tokens) >= maxTokens {
			return fmt.Errorf("identity: token: %d wait to be used, and no more are made", len(r.Tokens))
		}
		r.Tokens = append(r.Tokens, token{Hash: hashSecret(t.Secret[:]), Name: name, Expires: now.Add(life).UTC()})
		return nil
	})
	return t, err
}

func withoutTokensOf(list []token, s Subject) []token {
	return slices.DeleteFunc(list, func(k token) bool { return s.Role == Device && k.Name == s.Name })
}

// Request is what a device asks for: a certificate for a key that never leaves it. It is a PKCS #10 request (DER), signed with the
// key.
func Request(name string, key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		return nil, fmt.Errorf("identity: request: %w", err)
	}
	return der, nil
}

// ErrRequest is wrapped by the errors for requests that are none.
var ErrRequest = errors.New("no request for a certificate")

// maxRequest bounds what is looked at of a request, in bytes.
const maxRequest = 4 << 10

// parseRequest returns the name and the key of a request.
func parseRequest(der []byte) (string, ed25519.PublicKey, error) {
	if len(der) > maxRequest {
		return "", nil, fmt.Errorf("identity: %w: %d bytes, at most %d", ErrRequest, len(der), maxRequest)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err == nil {
		err = r.CheckSignature()
	}
	if err != nil {
		return "", nil, fmt.Errorf("identity: %w: %w", ErrRequest, err)
	}
	key, ok := r.PublicKey.(ed25519.PublicKey)
	if !ok {
		return "", nil, fmt.Errorf("identity: %w: its key is not Ed25519", ErrRequest)
	}
	return r.Subject.CommonName, key, nil
}

// SignRequest signs a request by hand: for a subject of its name. The operator has seen whose it is.
func (a *Authority) SignRequest(request []byte, role Role, terms Terms) (s Subject, der []byte, err error) {
	name, key, err := parseRequest(request)
	if err != nil {
		return s, nil, err
	}
	s = Subject{Role: role, Name: name}
	der, err = a.Issue(s, key, terms)
	return s, der, err
}

// Enroll signs the request of a device that has a token, and returns the certificate (DER) with the trust. The token is used then.
func (a *Authority) Enroll(secret, request []byte) (s Subject, der []byte, t *Trust, err error) {
	name, key, err := parseRequest(request)
	if err != nil {
		return s, nil, nil, err
	}
	s = Subject{Role: Device, Name: name}
	err = a.change(func(r *register) error {
		i := slices.IndexFunc(r.Tokens, func(k token) bool {
			return subtle.ConstantTimeCompare([]byte(k.Hash), []byte(hashSecret(secret))) == 1
		})
		if i < 0 || r.Tokens[i].Name != name || a.now().After(r.Tokens[i].Expires) {
			return fmt.Errorf("identity: enroll: %w", ErrToken)
		}
		r.Tokens = slices.Delete(r.Tokens, i, i+1)
		der, err = a.issue(r, s, key, Terms{})
		return err
	})
	if err == nil {
		t, err = a.Trust()
	}
	return s, der, t, err
}
