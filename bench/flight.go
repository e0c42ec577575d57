package main

import (
	"errors"
	"io"
	"math"
	"os"
	"time"

	"github.com/fulmar-io/fulmar/recording/ulog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// flight is a recording, cut into batches.
type flight struct {
	catalog telemetry.Catalog
	batches [][]telemetry.Record
	records int
	tally   tally
}

func load(path string, every time.Duration) (*flight, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r, err := ulog.NewReader(file, ulog.Options{})
	if err != nil {
		return nil, err
	}
	f := &flight{}
	cut := int64(0)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return nil, err
		}
		if e.Kind != ulog.Data {
			continue
		}
		p := append([]byte(nil), e.Record.Packet...)
		packet.SetSeq(p, uint64(f.records))
		h, err := packet.ParseHeader(p)
		if err != nil {
			return nil, err
		}
		// A time far outside the rest, which one of the recordings has, begins no batch.
		if late := h.Mono - cut; f.records == 0 || late >= int64(every) && late < int64(every+time.Minute) {
			cut += late / int64(every) * int64(every)
			f.batches = append(f.batches, nil)
		}
		rec := telemetry.Record{Layout: e.Record.Layout, Packet: p}
		f.catalog.Add(rec.Layout)
		f.batches[len(f.batches)-1] = append(f.batches[len(f.batches)-1], rec)
		f.records++
		eachValue(rec, func(_, _ int, t packet.Type, word uint64) {
			f.tally.readings++
			f.tally.sum += word
		})
	}
}

// eachValue calls f with the numbers of a record, as tally counts them. Text is passed over.
func eachValue(r telemetry.Record, f func(field, element int, t packet.Type, word uint64)) {
	var rd packet.Reader
	rd.Reset(r.Packet)
	for i, fd := range r.Layout.Fields {
		for j := range fd.Elements() {
			switch fd.Type {
			case packet.Float64:
				f(i, j, fd.Type, math.Float64bits(rd.Float64()))
			case packet.Float32:
				f(i, j, fd.Type, math.Float64bits(float64(rd.Float32())))
			case packet.Int64, packet.Uint64:
				f(i, j, fd.Type, rd.Uint64())
			case packet.Bool:
				v := uint64(0)
				if rd.Bool() {
					v = 1
				}
				f(i, j, fd.Type, v)
			case packet.String:
				rd.Skip(fd.Type)
			}
		}
	}
}
