package seal_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/seal"
)

// A machine seals a message to its ground, which answers.
func Example() {
	dir, err := os.MkdirTemp("", "seal-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	authority, err := identity.Create(filepath.Join(dir, "keys"), time.Now)
	if err != nil {
		log.Fatal(err)
	}
	open := func(role identity.Role, name string) *identity.Keyring {
		if err := authority.Equip(filepath.Join(dir, name), identity.Subject{Role: role, Name: name}, identity.Terms{}); err != nil {
			log.Fatal(err)
		}
		k, err := identity.Open(filepath.Join(dir, name), time.Now, role)
		if err != nil {
			log.Fatal(err)
		}
		return k
	}
	machine, err := seal.Begin(open(identity.Device, "rover-1"), time.Now())
	if err != nil {
		log.Fatal(err)
	}
	ground, err := seal.NewSessions(open(identity.Ground, "ground"), 0)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := ground.Accept("rover-1", machine.Opening()); err != nil {
		log.Fatal(err)
	}
	message, err := machine.Seal(nil, []byte("a frame"))
	if err != nil {
		log.Fatal(err)
	}
	content, fresh, err := ground.Open("rover-1", message)
	fmt.Printf("%s, new %t, %v\n", content, fresh, err)
	content, fresh, err = ground.Open("rover-1", message)
	fmt.Printf("%s, new %t, %v\n", content, fresh, err)
	answer, err := ground.Seal(nil, "rover-1", []byte("have it"))
	if err != nil {
		log.Fatal(err)
	}
	content, earlier, err := machine.Open(answer)
	fmt.Printf("%s, earlier %t, %v\n", content, earlier, err)
	// Output:
	// a frame, new true, <nil>
	// a frame, new false, <nil>
	// have it, earlier false, <nil>
}
