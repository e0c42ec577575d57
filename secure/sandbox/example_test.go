package sandbox_test

import (
	"fmt"

	"github.com/fulmar-io/fulmar/secure/sandbox"
)

func Example() {
	o := sandbox.Obtained{Files: true, Calls: true}
	fmt.Println("restricted:", o)
	// Output: restricted: files, system calls
}
