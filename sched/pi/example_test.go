package pi_test

import (
	"fmt"
	"sync"

	"github.com/fulmar-io/fulmar/sched/pi"
)

// Two drivers are on one bus: a transfer of the one must not come between the two halves of the other's.
func Example() {
	var (
		bus      pi.Mutex
		selected byte // the bus's: which register the next read is of
		wrong    int
		wg       sync.WaitGroup
	)
	for register := range byte(2) {
		wg.Go(func() {
			for range 1000 {
				bus.Lock()
				selected = register
				if selected != register {
					wrong++
				}
				bus.Unlock()
			}
		})
	}
	wg.Wait()
	fmt.Println(wrong, "of 2000 reads were of the other's register")
	// Output: 0 of 2000 reads were of the other's register
}
