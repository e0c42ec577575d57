package filter_test

import (
	"fmt"
	"log"
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/filter"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// parked is a program's own filter: while the machine stands it holds back what the imu says.
type parked struct{ standing bool }

func (p *parked) Pass(r telemetry.Record) bool { return !p.standing || r.Layout.Component() != "imu" }

func Example() {
	rules, err := filter.New([]filter.Rule{
		{Match: "battery/voltage", Deadband: &filter.Deadband{Absolute: 0.05, MaxSilence: 10 * time.Second}},
		{Match: "imu/*", OneOf: 10},
		{MinSeverity: packet.Info},
	})
	if err != nil {
		log.Fatal(err)
	}
	own := &parked{}
	// As node.Options.Filter this makes one for each publisher; without a filter of one's own it is rules.NewFilter.
	f := filter.All(own, rules.NewFilter())

	voltage := &telemetry.Layout{Name: "battery/voltage", Kind: telemetry.Reading, Fields: []telemetry.Field{
		{Name: "value", Type: packet.Float64, Unit: "V"},
	}}
	var w packet.Writer
	for second, volts := range []float64{12.60, 12.58, 12.56, 12.54, 12.52} {
		w.Reset(nil, packet.Header{Layout: uint64(voltage.ID()), Mono: int64(second) * 1e9, Class: packet.Normal})
		w.Float64(volts)
		p, err := w.Bytes()
		if err != nil {
			log.Fatal(err)
		}
		if f.Pass(telemetry.Record{Layout: voltage, Packet: p}) {
			fmt.Println(second, "s:", volts, "V")
		}
	}
	// Output:
	// 0 s: 12.6 V
	// 3 s: 12.54 V
}
