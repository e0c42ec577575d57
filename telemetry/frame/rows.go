package frame

import (
	"iter"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Records returns the packets of the frame that was decoded last, in sequence order, each exactly as it was appended to the
// Encoder. Records of layouts that were not known, or of which Select did not choose every series, are left out. A
// packet is valid until the next one; the frame must stay the last decoded while the sequence is used.
func (d *Decoder) Records() iter.Seq[telemetry.Record] {
	return func(yield func(telemetry.Record) bool) {
		if !d.ready {
			return
		}
		d.row = grow(d.row, len(d.parts))
		clear(d.row)
		for _, l := range d.order {
			p := &d.parts[l]
			row := d.row[l]
			d.row[l]++
			if p.block < 0 {
				continue
			}
			b := &d.blocks[p.block]
			if len(b.Columns) != b.Layout.Series() {
				continue
			}
			pkt, err := d.rebuild(b, row)
			if err != nil {
				return // not reached: checkRows has seen every record
			}
			if !yield(telemetry.Record{Layout: b.Layout, Packet: pkt}) {
				return
			}
		}
	}
}

// rebuild writes row i of b.
func (d *Decoder) rebuild(b *Block, i int) ([]byte, error) {
	w := &d.packet
	w.Reset(nil, packet.Header{
		Layout: uint64(b.Layout.ID()), Seq: b.Seq[i], Mono: b.Mono[i], Wall: b.Wall[i],
		Class: d.header.Stream.Class, Severity: b.Severity[i],
	})
	for c := range b.Columns {
		switch c := &b.Columns[c]; c.Type {
		case packet.Float64:
			w.Float64(c.F64[i])
		case packet.Float32:
			w.Float32(c.F32[i])
		case packet.Int64:
			w.Int64(c.I64[i])
		case packet.Uint64:
			w.Uint64(c.U64[i])
		case packet.Bool:
			w.Bool(c.Bool[i])
		case packet.String:
			w.String(c.Str[i])
		}
	}
	return w.Bytes()
}
