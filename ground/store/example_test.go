package store_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// The log is the truth; the index follows from it, and can be thrown away.
func Example() {
	dir, err := os.MkdirTemp("", "ground-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	disk, err := env.NewOSDisk(dir)
	if err != nil {
		log.Fatal(err)
	}
	frames, err := store.OpenFrames(disk, "frames", store.FramesOptions{MinFree: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = frames.Close() }()
	stream := telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: packet.Normal}
	layout := &telemetry.Layout{Name: "baro", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "pressure", Type: packet.Float64, Unit: "Pa"}}}
	enc := frame.NewEncoder()
	enc.Reset(stream)
	var w packet.Writer
	definition, err := telemetry.AppendDefinition(&w, layout, packet.Normal, 0, 1_000)
	if err == nil {
		err = enc.Append(telemetry.LayoutRecords, definition)
	}
	w.Reset(nil, packet.Header{Layout: uint64(layout.ID()), Seq: 1, Mono: 5, Wall: 1_005, Class: packet.Normal})
	w.Float64(101325.25)
	reading, werr := w.Bytes()
	if err != nil || werr != nil || enc.Append(layout, reading) != nil {
		log.Fatal(err, werr)
	}
	data, err := enc.Finish(nil)
	if err != nil {
		log.Fatal(err)
	}

	if _, err := frames.Append(2_000, data); err != nil {
		log.Fatal(err)
	}
	fmt.Println("durable before Sync:", frames.Durable())
	if err := frames.Sync(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("and after:", frames.Durable())
	ctx := context.Background()
	index, _, err := store.OpenIndex(ctx, filepath.Join(dir, "index.sqlite"), frames)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = index.Close() }()
	latest, err := index.Latest(ctx, "rover", []string{"baro.pressure"})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range latest {
		fmt.Println(s.Series, s.Value, "at", s.Time)
	}
	// Output:
	// durable before Sync: 0
	// and after: 1
	// baro.pressure 101325.25 at 1005
}
