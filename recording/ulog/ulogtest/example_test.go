package ulogtest_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/fulmar-io/fulmar/recording/ulog"
	"github.com/fulmar-io/fulmar/recording/ulog/ulogtest"
)

func Example() {
	b := ulogtest.AppendHeader(nil, 0)
	b = ulogtest.AppendMessage(b, 'F', "imu:uint64_t timestamp;float temperature;")
	b = ulogtest.AppendMessage(b, 'A', byte(0), uint16(1), "imu")
	b = ulogtest.AppendMessage(b, 'D', uint16(1), uint64(2000), float32(21.5))
	r, err := ulog.NewReader(bytes.NewReader(b), ulog.Options{})
	if err != nil {
		log.Fatal(err)
	}
	e, err := r.Next()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Record.Layout.Name, e.Record.Layout.Fields[0].Name)
	// Output: imu temperature
}
