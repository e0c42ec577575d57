package host_test

import (
	"fmt"

	"github.com/fulmar-io/fulmar/sched/host"
)

// What a process could not have is told, each with its cure.
func Example() {
	taken := host.Prepare()
	defer func() { _ = taken.Close() }()
	for _, f := range taken.Findings {
		if f.Grade != host.Good {
			fmt.Printf("%s: %s\n  try: %s\n", f.What, f.Detail, f.Cure)
		}
	}
}
