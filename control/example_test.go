package control_test

import (
	"fmt"
	"math"

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

// A rover stands on a slope, nose 6° up and left side 2° up, and looks north-east. Its gyro is off by 0.5°/s about each axis.
func ExampleMahony() {
	f, err := control.NewMahony(control.MahonyGains[float64]{Kp: 1, Ki: 0.1}, control.Earth[float64]{
		Gravity: 9.81,          // m/s²: while the wheels bump, the gyro alone counts
		Field:   49, Dip: 1.16, // µT, and 66° below the horizon
		DipTolerance: 0.1,               // beside a motor it points elsewhere
		Declination:  4 * math.Pi / 180, // magnetic north is 4° east of north
	})
	if err != control.OK {
		fmt.Println(err)
		return
	}
	const degree = math.Pi / 180
	stands := control.Euler[float64]{Yaw: 45 * degree, Pitch: -6 * degree, Roll: 2 * degree}.Quaternion()
	body := stands.Conjugate() // from the earth to the body
	sample := control.Inertial[float64]{
		Rate:  control.Vector[float64]{X: 0.5 * degree, Y: 0.5 * degree, Z: 0.5 * degree},
		Accel: body.Rotate(control.Vector[float64]{Z: 9.81}),
		Field: body.Rotate(control.Vector[float64]{X: 1.36, Y: 19.50, Z: -44.93}),
	}
	for range 60 * 100 {
		if err := f.Update(sample, 0.01); err != control.OK {
			fmt.Println(err)
		}
	}
	e, b := f.Attitude().Euler(), f.Bias()
	fmt.Printf("heading %.1f°, pitch %.1f°, roll %.1f°\n", e.Yaw/degree, e.Pitch/degree, e.Roll/degree)
	fmt.Printf("bias %.2f, %.2f, %.2f °/s\n", b.X/degree, b.Y/degree, b.Z/degree)
	// Output:
	// heading 45.0°, pitch -6.0°, roll 2.0°
	// bias 0.50, 0.50, 0.50 °/s
}
