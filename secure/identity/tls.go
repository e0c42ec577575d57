package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrNoCertificate is wrapped by the error for a peer that shows none.
var ErrNoCertificate = errors.New("the peer has shown no certificate")

// ClientTLS is for connections to servers of some roles: TLS 1.3, both ends with certificates of the operator's authority. The server
// is known by its role; what name or address it has does not matter.
func (k *Keyring) ClientTLS(roles ...Role) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		InsecureSkipVerify:   true, //nolint:gosec // not skipped: VerifyConnection verifies more than a host's name
		VerifyConnection:     k.verifier(roles...),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return k.state.Load().tls, nil },
	}
}

// ServerTLS is for connections from clients of some roles: TLS 1.3, and none without a certificate.
func (k *Keyring) ServerTLS(roles ...Role) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAnyClientCert,
		VerifyConnection:       k.verifier(roles...),
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.state.Load().tls, nil },
		SessionTicketsDisabled: true, // who was revoked must not come back by one
	}
}

// PublicTLS is for a server whose clients are not known yet: browsers, and devices that enroll.
func (k *Keyring) PublicTLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.state.Load().tls, nil },
	}
}

func (k *Keyring) verifier(roles ...Role) func(tls.ConnectionState) error {
	return func(c tls.ConnectionState) error { _, err := k.PeerOf(&c, roles...); return err }
}

// PeerOf returns who is at the other end of a connection, which is to be of one of some roles.
func (k *Keyring) PeerOf(c *tls.ConnectionState, roles ...Role) (Peer, error) {
	if c == nil || len(c.PeerCertificates) == 0 {
		return Peer{}, fmt.Errorf("identity: %w", ErrNoCertificate)
	}
	return k.Trust().verify(c.PeerCertificates[0], k.Now(), roles...)
}

// PinnedTLS is for a device that has nothing but a token: the server is a ground of the authority whose fingerprint is in it.
func (t Token) PinnedTLS() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // not skipped: VerifyConnection verifies against the fingerprint
		VerifyConnection: func(c tls.ConnectionState) error {
			for _, a := range c.PeerCertificates[min(1, len(c.PeerCertificates)):] {
				if sha256.Sum256(a.Raw) != t.Fingerprint {
					continue
				}
				pinned := &Trust{authorities: []*x509.Certificate{a}, pool: x509.NewCertPool()}
				pinned.pool.AddCert(a)
				leaf := c.PeerCertificates[0]
				_, err := pinned.verify(leaf, leaf.NotBefore.Add(backdated), Ground)
				return err
			}
			return fmt.Errorf("identity: enroll: %w: the token is of another one", ErrUntrusted)
		},
	}
}
