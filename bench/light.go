package main

import (
	"errors"
	"math"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// light is the telemetry frame.
type light struct {
	e   *frame.Encoder
	d   *frame.Decoder
	f   *flight
	buf []byte
}

var stream = telemetry.Stream{
	Device: "px4", Boot: telemetry.Boot{0x01, 0x8f, 0x3c, 0xa1, 0x77, 0x10, 0xbb, 0x5e, 0x09, 0x62, 0xd4, 0x1f, 0x83, 0xee, 0x40, 0x2a},
	Class: packet.Normal,
}

func newLight(f *flight) codec {
	l := &light{e: frame.NewEncoder(), d: frame.NewDecoder(frame.Limits{}), f: f}
	l.e.Reset(stream)
	return l
}

func (l *light) name() string { return "**Fulmar frame, light**" }

func (l *light) encode(batch []telemetry.Record) ([]byte, error) {
	for _, r := range batch {
		if err := l.e.Append(r.Layout, r.Packet); err != nil {
			return nil, err
		}
	}
	var err error
	l.buf, err = l.e.Finish(l.buf[:0])
	if err == nil && l.e.Len() != 0 {
		err = errors.New("more than one frame")
	}
	return l.buf, err
}

func (l *light) decode(b []byte) (tally, error) {
	blocks, err := l.d.Decode(b, &l.f.catalog)
	t := tally{}
	for _, bl := range blocks {
		for _, c := range bl.Columns {
			if c.Type != packet.String {
				t.readings += bl.Rows
			}
			for _, v := range c.F64 {
				t.sum += math.Float64bits(v)
			}
			for _, v := range c.F32 {
				t.sum += math.Float64bits(float64(v))
			}
			for _, v := range c.I64 {
				t.sum += uint64(v)
			}
			for _, v := range c.U64 {
				t.sum += v
			}
			for _, v := range c.Bool {
				if v {
					t.sum++
				}
			}
		}
	}
	return t, err
}
