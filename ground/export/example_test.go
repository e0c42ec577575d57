package export_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground/export"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// exampleFrame makes the frame that a rover would have sent.
func exampleFrame() ([]byte, error) {
	layout := &telemetry.Layout{Name: "baro", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "pressure", Type: packet.Float64, Unit: "Pa"}}}
	enc := frame.NewEncoder()
	enc.Reset(telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: packet.Normal})
	var w packet.Writer
	p, err := telemetry.AppendDefinition(&w, layout, packet.Normal, 0, 1_000)
	if err != nil {
		return nil, err
	}
	if err := enc.Append(telemetry.LayoutRecords, p); err != nil {
		return nil, err
	}
	w.Reset(nil, packet.Header{Layout: uint64(layout.ID()), Seq: 1, Mono: 5, Wall: 1_005, Class: packet.Normal})
	w.Float64(101325.25)
	if p, err = w.Bytes(); err != nil {
		return nil, err
	}
	if err := enc.Append(layout, p); err != nil {
		return nil, err
	}
	return enc.Finish(nil)
}

func Example() {
	dir, err := os.MkdirTemp("", "ground")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	disk, err := env.NewOSDisk(dir)
	if err != nil {
		log.Fatal(err)
	}
	frames, err := store.OpenFrames(disk, "frames", store.FramesOptions{MinFree: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer frames.Close()
	data, err := exampleFrame()
	if err != nil {
		log.Fatal(err)
	}
	if _, err := frames.Append(2_000, data); err != nil {
		log.Fatal(err)
	}
	if err := frames.Sync(); err != nil {
		log.Fatal(err)
	}
	index, _, err := store.OpenIndex(context.Background(), filepath.Join(dir, "index.sqlite"), frames)
	if err != nil {
		log.Fatal(err)
	}
	defer index.Close()

	var file bytes.Buffer // os.Create, elsewhere
	if _, err := export.New(index).Export(context.Background(), &file, "csv", "rover", []string{"baro.pressure"}, 0, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Print(file.String())
	// Output:
	// device,boot,class,seq,time_ns,wall_ns,mono_ns,severity,layout,layout_id,kind,field,element,type,unit,value
	// rover,01000000000000000000000000000000,normal,1,1005,1005,5,none,baro,f0f4e01e0b799ea9,reading,pressure,,float64,Pa,101325.25
}
