package identitytest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/secure/identity"
)

// Fleet is an authority with what it issues.
type Fleet struct {
	t         testing.TB
	dir       string
	Authority *identity.Authority
}

// New makes a fleet.
func New(t testing.TB) *Fleet {
	t.Helper()
	f := &Fleet{t: t, dir: t.TempDir()}
	var err error
	if f.Authority, err = identity.Create(filepath.Join(f.dir, "authority"), time.Now); err != nil {
		t.Fatal(err)
	}
	return f
}

// Dir is the folder of an identity that Identity made.
func (f *Fleet) Dir(role identity.Role, name string) string {
	return filepath.Join(f.dir, string(role)+"-"+name)
}

// Identity issues an identity and opens it; of a name that has one already, another.
func (f *Fleet) Identity(role identity.Role, name string) *identity.Keyring {
	f.t.Helper()
	dir := f.Dir(role, name)
	if err := f.Authority.Equip(dir, identity.Subject{Role: role, Name: name}, identity.Terms{}); err != nil {
		f.t.Fatal(err)
	}
	k, err := identity.Open(dir, time.Now, role)
	if err != nil {
		f.t.Fatal(err)
	}
	return k
}

// Ground and Device are the identities that most tests want.
func (f *Fleet) Ground() *identity.Keyring {
	f.t.Helper()
	return f.Identity(identity.Ground, "ground")
}

// Device issues the identity of a machine.
func (f *Fleet) Device(name string) *identity.Keyring {
	f.t.Helper()
	return f.Identity(identity.Device, name)
}

// Revoke revokes a device, and has the others know.
func (f *Fleet) Revoke(name string, others ...*identity.Keyring) {
	f.t.Helper()
	if _, err := f.Authority.Revoke(identity.Subject{Role: identity.Device, Name: name}); err != nil {
		f.t.Fatal(err)
	}
	f.Tell(others...)
}

// Tell has keyrings know what the authority trusts.
func (f *Fleet) Tell(others ...*identity.Keyring) {
	f.t.Helper()
	trust, err := f.Authority.Trust()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, k := range others {
		if err := k.Learn(trust.Encoded()); err != nil {
			f.t.Fatal(err)
		}
	}
}
