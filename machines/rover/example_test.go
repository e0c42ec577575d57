package rover_test

import (
	"fmt"

	"github.com/fulmar-io/fulmar/machines/rover"
)

// What a rover is made of. A node runs it: node.New(node.Options{Components: rover.Components(1), …}).
func Example() {
	for _, c := range rover.Components(1) {
		spec := c.Spec()
		for _, task := range spec.Tasks {
			fmt.Printf("%-10s %-9s every %v\n", spec.Name, task.Name, task.Period)
		}
	}
	// Output:
	// world      physics   every 2ms
	// imu        read      every 5ms
	// encoders   read      every 5ms
	// gnss       poll      every 20ms
	// battery    read      every 100ms
	// motors     actuate   every 5ms
	// motors     sense     every 100ms
	// navigator  estimate  every 20ms
	// drive      speed     every 5ms
	// drive      heading   every 20ms
	// mission    watch     every 100ms
}
