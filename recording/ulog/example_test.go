package ulog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
)

func Example() {
	file := bytes.NewReader(newLog(0).definitions().imu(0, 1_500_000).text(1_600_000, "takeoff").b) // os.Open, elsewhere

	r, err := NewReader(file, Options{})
	if err != nil {
		log.Fatal(err)
	}
	for {
		e, err := r.Next()
		var damage *DamageError
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &damage):
			log.Print(damage) // and go on
			continue
		case err != nil:
			log.Fatal(err)
		}
		switch e.Kind {
		case Data:
			fmt.Printf("%s: %d series\n", e.Record.Layout.Name, e.Record.Layout.Series())
		case Log:
			fmt.Printf("%.1f s: %s\n", float64(e.Mono)/1e9, e.Text)
		}
	}
	// Output:
	// imu: 15 series
	// 1.6 s: takeoff
}
