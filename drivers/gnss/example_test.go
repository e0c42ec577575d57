package gnss_test

import (
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/drivers/gnss"
	"github.com/fulmar-io/fulmar/drivers/gnss/nmea"
)

// A component polls the receiver in its step, and takes what is new.
func Example() {
	line := new(wire) // a hal.UART
	for _, body := range []string{
		"GNRMC,120000.00,A,5321.6800,N,00615.0000,W,4.0,87.5,010626,,,A",
		"GNGGA,120000.00,5321.6800,N,00615.0000,W,1,10,0.9,12.3,M,55.0,M,,",
	} {
		line.send(nmea.Append(nil, body))
	}

	receiver := gnss.New(line, gnss.Options{})
	for now := time.Duration(0); now < time.Second; now += 20 * time.Millisecond {
		if err := receiver.Poll(now); err != nil {
			fmt.Println(err)
			return
		}
		for fix, ok := receiver.Next(); ok; fix, ok = receiver.Next() {
			fmt.Println(fix.Time.Format(time.RFC3339), fix.Mode)
			fmt.Printf("%.4f° %.4f° %.1f m, %.2f m/s\n", fix.LatitudeDeg, fix.LongitudeDeg, fix.AltitudeM, fix.SpeedMps)
		}
	}
	fmt.Println("silent for", receiver.Status(time.Second).Silent)
	// Output:
	// 2026-06-01T12:00:00Z 3D
	// 53.3613° -6.2500° 12.3 m, 2.06 m/s
	// silent for 1s
}
