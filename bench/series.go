package main

import (
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// series is one scalar over a batch, which is what metrics and long tables are made of.
type series struct {
	name  string
	typ   packet.Type
	time  []int64
	words []uint64
}

// bySeries turns records round.
func bySeries(batch []telemetry.Record) ([]*series, error) {
	var all []*series
	first := make(map[telemetry.LayoutID][]*series)
	for _, r := range batch {
		h, err := packet.ParseHeader(r.Packet)
		if err != nil {
			return nil, err
		}
		columns := first[r.Layout.ID()]
		fresh := columns == nil
		i := 0
		eachValue(r, func(field, element int, t packet.Type, word uint64) {
			if fresh {
				s := &series{name: r.Layout.SeriesName(field, element), typ: t}
				columns, all = append(columns, s), append(all, s)
			}
			s := columns[i]
			s.time, s.words = append(s.time, h.Mono), append(s.words, word)
			i++
		})
		first[r.Layout.ID()] = columns
	}
	return all, nil
}
