package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/fulmar-io/fulmar/telemetry"
)

// Role is what the bearer of a certificate may be taken for.
type Role string

// The roles. They are part of the certificates.
const (
	Device Role = "device" // a machine: connects, and sends frames of its own name
	Ground Role = "ground" // takes frames of all devices, acknowledges, commands; also as a server
	Broker Role = "broker" // a server that carries frames and cannot read them
)

// Roles are all of them.
func Roles() []Role { return []Role{Device, Ground, Broker} }

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// usages are what a certificate of the role may be used for in TLS.
func (r Role) usages() []x509.ExtKeyUsage {
	switch r {
	case Device:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case Broker:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
}

const scheme = "fulmar"

// uri is how a certificate says what it is of.
func (r Role) uri(name string) *url.URL {
	return &url.URL{Scheme: scheme, Host: string(r), Path: "/" + name}
}

// Subject is whose certificate it is: of 1 to 64 of a-z, 0-9, '-' and '_'.
type Subject struct {
	Role Role
	Name string
}

// String returns the subject as in a certificate.
func (s Subject) String() string { return s.Role.uri(s.Name).String() }

// Validate says what is wrong with a subject.
func (s Subject) Validate() error {
	if !s.Role.Valid() {
		return fmt.Errorf("identity: role %q: it is one of %v", s.Role, Roles())
	}
	if err := telemetry.ValidateDevice(s.Name); err != nil {
		return fmt.Errorf("identity: name of a %s: %w", s.Role, err)
	}
	return nil
}

// errSubject is returned for a certificate that does not say, in one URI, what it is of.
var errSubject = errors.New("identity: the certificate names no role and name of Fulmar's")

// subjectOf reads the subject of a certificate. A second URI could be taken for another subject elsewhere, so there is none.
func subjectOf(c *x509.Certificate) (Subject, error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != scheme {
		return Subject{}, errSubject
	}
	s := Subject{Role: Role(c.URIs[0].Host), Name: strings.TrimPrefix(c.URIs[0].Path, "/")}
	if s.Validate() != nil || c.URIs[0].String() != s.String() {
		return Subject{}, errSubject
	}
	return s, nil
}
