package host_test

import (
	"fmt"

	"github.com/fulmar-io/fulmar/sched/host"
)

// What a process could not have is told, each with its cure.
func Example() {
	taken := host.Prepare()
	defer func() { _ = taken.Close() }()
	for _, f := range append(taken.Findings, host.Inspect("/")...) {
		if f.Grade == host.Bad && f.Cure == "" && f.Detail == "" {
			fmt.Println(f.What, "is bad, and nobody says why")
		}
	}
	steal, total := host.Stolen("cpu  600 0 200 9000 0 0 0 200 0 0")
	fmt.Println(steal, "of", total, "were stolen")
	// Output: 2s of 1m40s were stolen
}
