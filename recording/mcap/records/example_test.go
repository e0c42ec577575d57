package records_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/fulmar-io/fulmar/recording/mcap"
	"github.com/fulmar-io/fulmar/recording/mcap/records"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func Example() {
	layout := &telemetry.Layout{Name: "baro", Kind: telemetry.Reading, Fields: []telemetry.Field{
		{Name: "pressure", Type: packet.Float64, Unit: "Pa"},
	}}
	stream := telemetry.Stream{Device: "rover-7", Boot: telemetry.Boot{1}, Class: packet.Normal}

	var file bytes.Buffer // os.Create, elsewhere
	w, err := records.NewWriter(&file, mcap.WriterOptions{})
	if err != nil {
		log.Fatal(err)
	}
	var p packet.Writer
	for i := range 3 {
		wall := int64(1_700_000_000+i) * 1e9
		p.Reset(nil, packet.Header{Layout: uint64(layout.ID()), Seq: uint64(i), Mono: int64(i) * 1e9, Wall: wall, Class: packet.Normal})
		p.Float64(101_325 + float64(i))
		b, err := p.Bytes()
		if err != nil {
			log.Fatal(err)
		}
		if err := w.Write(records.Entry{Stream: stream, Time: wall, Record: telemetry.Record{Layout: layout, Packet: b}}); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	x, err := mcap.NewIndexed(bytes.NewReader(file.Bytes()), int64(file.Len()), mcap.ReaderOptions{})
	if err != nil {
		log.Fatal(err)
	}
	var dec records.Decoder
	for m, err := range x.Messages(mcap.Query{From: 1_700_000_001e9}) {
		if err != nil {
			log.Fatal(err)
		}
		e, err := dec.Decode(m)
		if err != nil {
			log.Fatal(err)
		}
		var values packet.Reader
		values.Reset(e.Record.Packet)
		fmt.Println(m.Channel.Topic, packet.Seq(e.Record.Packet), values.Float64(), e.Record.Layout.Fields[0].Unit)
	}
	// Output:
	// /rover-7/baro 1 101326 Pa
	// /rover-7/baro 2 101327 Pa
}
