package control_test

import (
	"fmt"

	"github.com/fulmar-io/fulmar/control"
)

// A room is heated to 21 °C. The heater does 0 to 2 kW.
func Example() {
	heater, err := control.NewPID(control.Gains[float64]{
		Kp: 0.5, Ki: 0.002, ProportionalWeight: 1, // kW per kelvin, and per kelvin and second
		Min: 0, Max: 2, TrackingTime: 60,
	})
	if err != control.OK {
		fmt.Println(err)
		return
	}
	room := 12.0
	for second := range 3601 {
		if second%900 == 0 {
			fmt.Printf("after %2d min: %.1f °C, heater %.1f kW\n", second/60, room, heater.Output())
		}
		kW := heater.Update(21, room, 0, 1)
		room += (kW - 0.1*(room-5)) / 60 // 60 kJ/K, loses 100 W/K to 5 °C outside
	}
	// Output:
	// after  0 min: 12.0 °C, heater 0.0 kW
	// after 15 min: 20.9 °C, heater 1.7 kW
	// after 30 min: 21.0 °C, heater 1.6 kW
	// after 45 min: 21.0 °C, heater 1.6 kW
	// after 60 min: 21.0 °C, heater 1.6 kW
}
