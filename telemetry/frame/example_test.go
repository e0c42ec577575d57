package frame_test

import (
	"fmt"
	"log"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func Example() {
	layout := &telemetry.Layout{Name: "baro", Kind: telemetry.Reading, Fields: []telemetry.Field{
		{Name: "pressure", Type: packet.Float64, Unit: "Pa"},
		{Name: "temperature", Type: packet.Float32, Unit: "Cel"},
	}}
	var catalog telemetry.Catalog
	catalog.Add(layout)

	e := frame.NewEncoder()
	e.Reset(telemetry.Stream{Device: "rover-7", Class: packet.Normal})
	var w packet.Writer
	for i := range 50 {
		w.Reset(nil, packet.Header{Layout: uint64(layout.ID()), Seq: uint64(i), Mono: int64(i) * 20e6, Class: packet.Normal})
		w.Float64(101325 + float64(i%3)/8)
		w.Float32(21.5)
		p, err := w.Bytes()
		if err != nil {
			log.Fatal(err)
		}
		if err := e.Append(layout, p); err != nil {
			log.Fatal(err)
		}
	}
	b, err := e.Finish(nil)
	if err != nil {
		log.Fatal(err)
	}

	h, err := frame.Peek(b)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: records %d to %d, %d readings, smaller than %d bytes: %v\n", h.Stream.Device, h.First, h.Next()-1, h.Readings, 200, len(b) < 200)

	blocks, err := frame.NewDecoder(frame.Limits{}).Decode(b, &catalog)
	if err != nil {
		log.Fatal(err)
	}
	for _, bl := range blocks {
		c := bl.Columns[0]
		fmt.Println(bl.Layout.SeriesName(c.Field, c.Element), c.F64[:3])
	}
	// Output:
	// rover-7: records 0 to 49, 100 readings, smaller than 200 bytes: true
	// baro.pressure [101325 101325.125 101325.25]
}
