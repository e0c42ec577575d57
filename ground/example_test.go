package ground_test

import (
	"context"
	"fmt"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/live"
)

// Who watches is told of each frame after its commit. What lies before, a Source answers.
func ExampleTail() {
	ctx, cancel := context.WithCancel(context.Background())
	hub := live.New(live.Options{})
	var tail ground.Tail = hub
	updates := tail.Watch(ctx, 16)

	// A ground's station does this.
	hub.Publish(ground.Update{Device: "rover", Traces: []ground.Trace{
		{Series: "baro.pressure", Time: []int64{1_000, 2_000}, Mean: []float64{101325, 101325.25}}}})

	u := <-updates
	for _, t := range u.Traces {
		fmt.Println(u.Device, t.Series, t.Mean)
	}
	cancel()
	_, open := <-updates
	fmt.Println("open:", open)
	// Output:
	// rover baro.pressure [101325 101325.25]
	// open: false
}
