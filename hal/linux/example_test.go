package linux_test

import (
	"errors"
	"fmt"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/linux"
)

// A host is given to a node; what its machine does not have, it names. On other systems than Linux it has nothing.
func Example() {
	host := linux.New(linux.Options{Dev: "testdata/none", Sys: "testdata/none"})
	_, _, err := host.Open(hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x68})
	fmt.Println(err != nil)

	_, _, err = host.Open(hal.Resource{})
	fmt.Println(errors.Is(err, hal.ErrUnsupported))
	// Output:
	// true
	// true
}
