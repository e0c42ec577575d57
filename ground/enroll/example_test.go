package enroll_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/fulmar-io/fulmar/ground/enroll"
	"github.com/fulmar-io/fulmar/secure/identity"
)

// A ground enrolls a device that has a token.
func Example() {
	dir, err := os.MkdirTemp("", "enroll-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	keys := filepath.Join(dir, "keys")
	authority, err := identity.Create(keys, time.Now)
	if err != nil {
		log.Fatal(err)
	}
	if err := authority.Equip(keys, identity.Subject{Role: identity.Ground, Name: "ground"}, identity.Terms{}); err != nil {
		log.Fatal(err)
	}
	ground, err := identity.Open(keys, time.Now, identity.Ground)
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := enroll.Start(l, authority, ground, slog.New(slog.DiscardHandler))
	defer func() { _ = server.Close() }()

	token, err := authority.NewToken("rover-1", time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	folder := filepath.Join(dir, "rover")
	if err := enroll.Enroll(context.Background(), server.Addr().String(), token, folder); err != nil {
		log.Fatal(err)
	}
	rover, err := identity.Open(folder, time.Now, identity.Device)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rover.Self().Subject)
	// Output:
	// fulmar://device/rover-1
}
