package seglog_test

import (
	"fmt"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/seglog"
)

func Example() {
	disk := simdisk.New() // or env.NewOSDisk("/var/lib/fulmar")
	log, err := seglog.Open(disk, "spool", seglog.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range []string{"one", "two"} {
		if _, err := log.Append([]byte(s)); err != nil {
			fmt.Println(err)
		}
	}
	if err := log.Sync(); err != nil {
		fmt.Println(err)
	}
	if _, err := log.Append([]byte("three")); err != nil {
		fmt.Println(err)
	}
	disk.Crash(nil, simdisk.Lose) // a power cut

	log, err = seglog.Open(disk, "spool", seglog.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := log.Reader(log.First())
	for {
		index, payload, err := r.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(index, string(payload))
	}
	// Output:
	// 1 one
	// 2 two
	// EOF
}
