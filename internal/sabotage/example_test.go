package sabotage_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/internal/sabotage"
)

type wheel struct{}

func (wheel) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "wheel", Tasks: []fulmar.Task{{Name: "turn", Period: time.Second, Step: func(*fulmar.Step) error { return nil }}}}
}

// A component that fails in the first step that is more than two seconds after its first, and never again.
func Example() {
	c := sabotage.Wrap(wheel{}, sabotage.Failure{At: 2 * time.Second, How: func() error { return errors.New("no answer") }})
	turn := c.Spec().Tasks[0].Step
	for now := time.Second; now <= 5*time.Second; now += time.Second {
		fmt.Println(now, turn(&fulmar.Step{Now: now}))
	}
	// Output:
	// 1s <nil>
	// 2s <nil>
	// 3s <nil>
	// 4s no answer
	// 5s <nil>
}
