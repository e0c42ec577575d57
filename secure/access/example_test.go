package access_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/fulmar-io/fulmar/secure/access"
)

// An account, and somebody who signs in.
func Example() {
	dir, err := os.MkdirTemp("", "access")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	accounts := access.Accounts{Path: filepath.Join(dir, access.FileName), Now: time.Now, Random: rand.Reader}
	if err := accounts.Add("ada", access.Operator, "correct horse battery"); err != nil {
		fmt.Println(err)
		return
	}
	gate, err := access.Open(access.Options{Accounts: accounts})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _, err = gate.SignIn(context.Background(), "ada", "a guess of somebody", netip.MustParseAddr("192.0.2.1"))
	fmt.Println(err)
	_, grant, err := gate.SignIn(context.Background(), "ada", "correct horse battery", netip.MustParseAddr("192.0.2.1"))
	fmt.Println(grant.Name, grant.Role, grant.Role.Allows(access.Admin), err)
	// Output:
	// the name or the password is wrong
	// ada operator false <nil>
}
