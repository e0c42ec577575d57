package world

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/fulmar-io/fulmar/secure/identity"
)

// Keys are the identities of a world's machines and its ground, of an authority of their own. Worlds may share them.
type Keys struct {
	ground  *identity.Keyring
	devices map[string]*identity.Keyring
}

// NewKeys makes identities for so many machines, in a folder.
func NewKeys(dir string, machines int) (*Keys, error) {
	a, err := identity.Create(filepath.Join(dir, "authority"), time.Now)
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	equip := func(role identity.Role, name string) (*identity.Keyring, error) {
		if err := a.Equip(filepath.Join(dir, name), identity.Subject{Role: role, Name: name}, identity.Terms{}); err != nil {
			return nil, fmt.Errorf("world: %w", err)
		}
		return identity.Open(filepath.Join(dir, name), time.Now, role)
	}
	k := &Keys{devices: make(map[string]*identity.Keyring)}
	if k.ground, err = equip(identity.Ground, "ground"); err != nil {
		return nil, err
	}
	for i := range machines {
		if k.devices[machineName(i)], err = equip(identity.Device, machineName(i)); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func machineName(i int) string { return fmt.Sprintf("m%d", i) }

// device returns a machine's keyring; nil without keys.
func (k *Keys) device(name string) *identity.Keyring {
	if k == nil {
		return nil
	}
	return k.devices[name]
}

// groundKeys returns the ground's keyring; nil without keys.
func (k *Keys) groundKeys() *identity.Keyring {
	if k == nil {
		return nil
	}
	return k.ground
}
