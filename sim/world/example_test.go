package world_test

import (
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/sim/world"
)

// A machine whose network loses every tenth message and whose process is killed twice a minute.
func Example() {
	w, err := world.New(world.Config{Seed: 7, Components: components(false, false), Loss: 0.1, Kills: 30 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() {
		if err := w.Close(); err != nil {
			fmt.Println(err)
		}
	}()
	if err := w.Run(2 * time.Minute); err != nil {
		fmt.Println(err)
		return
	}
	if err := w.Settle(time.Hour); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the judge says:", w.Judge())
	// Output: the judge says: <nil>
}
