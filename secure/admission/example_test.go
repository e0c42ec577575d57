package admission_test

import (
	"fmt"
	"net"

	"github.com/fulmar-io/fulmar/secure/admission"
)

func Example() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	door := admission.New(l, admission.Limits{Strangers: 100, Bytes: 4096})
	defer func() { _ = door.Close() }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	c, err := door.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	// … the server finds out who it is, and then:
	fmt.Println(c.(*admission.Visitor).Known(), door.Counts().Admitted)
	// Output: true 1
}
