package identity_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/fulmar-io/fulmar/secure/identity"
)

// An operator's authority, a device of it, and what its ground knows of that.
func Example() {
	dir, err := os.MkdirTemp("", "identity-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	authority, err := identity.Create(filepath.Join(dir, "keys"), time.Now)
	if err != nil {
		log.Fatal(err)
	}
	open := func(role identity.Role, name string) *identity.Keyring {
		folder := filepath.Join(dir, name)
		if err := authority.Equip(folder, identity.Subject{Role: role, Name: name}, identity.Terms{}); err != nil {
			log.Fatal(err)
		}
		k, err := identity.Open(folder, time.Now, role)
		if err != nil {
			log.Fatal(err)
		}
		return k
	}
	ground, rover := open(identity.Ground, "ground"), open(identity.Device, "rover-1")
	peer, err := ground.Verify(rover.Certificate(), identity.Device)
	fmt.Println(peer.Subject, err)
	_, err = ground.Verify(rover.Certificate(), identity.Ground)
	fmt.Println(err)
	// Output:
	// fulmar://device/rover-1 <nil>
	// identity: certificate of fulmar://device/rover-1: of another role: wanted [ground]
}
