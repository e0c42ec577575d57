package plant_test

import (
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/sim/plant"
)

// Half of the voltage on both motors, for three seconds.
func Example() {
	rover, err := plant.NewRover(plant.Default(), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	rover.SetDuty(0.5, 0.5)
	for range 3 {
		rover.Advance(time.Second)
		t := rover.Truth()
		fmt.Printf("%v: %.2f m/s, %.2f m east, battery %.2f V\n", t.Time, t.SpeedMps, t.EastM, t.BatteryV)
	}
	// Output:
	// 1s: 1.05 m/s, 0.95 m east, battery 16.19 V
	// 2s: 1.05 m/s, 2.00 m east, battery 16.19 V
	// 3s: 1.05 m/s, 3.05 m east, battery 16.19 V
}
