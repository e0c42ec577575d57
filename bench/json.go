package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

const jsonName = "JSON, batched, gzip -6"

// jsonCodec is the plain way: an object per record, with its values by name, a batch at a time through gzip.
type jsonCodec struct{ buf bytes.Buffer }

type jsonRecord struct {
	Name   string         `json:"name"`
	Time   int64          `json:"time"`
	Values map[string]any `json:"values"`
}

func newJSON() codec { return &jsonCodec{} }

func (*jsonCodec) name() string { return jsonName }

func (c *jsonCodec) encode(batch []telemetry.Record) ([]byte, error) {
	records := make([]jsonRecord, len(batch))
	for i, r := range batch {
		h, err := packet.ParseHeader(r.Packet)
		if err != nil {
			return nil, err
		}
		values := make(map[string]any, r.Layout.Series())
		eachValue(r, func(field, element int, t packet.Type, word uint64) {
			values[r.Layout.SeriesName(field, element)[len(r.Layout.Name)+1:]] = jsonValue(t, word)
		})
		records[i] = jsonRecord{Name: r.Layout.Name, Time: h.Mono, Values: values}
	}
	c.buf.Reset()
	z, err := gzip.NewWriterLevel(&c.buf, 6)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(z).Encode(records); err != nil {
		return nil, err
	}
	err = z.Close()
	return c.buf.Bytes(), err
}

func jsonValue(t packet.Type, word uint64) any {
	switch t {
	case packet.Float32, packet.Float64:
		v := math.Float64frombits(word)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		if t == packet.Float32 {
			return float32(v)
		}
		return v
	case packet.Bool:
		return word == 1
	case packet.Int64:
		return int64(word)
	}
	return word
}

func (c *jsonCodec) decode(b []byte) (tally, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return tally{}, err
	}
	var records []jsonRecord
	if err := json.NewDecoder(z).Decode(&records); err != nil {
		return tally{}, err
	}
	t := tally{}
	for _, r := range records {
		t.readings += len(r.Values)
	}
	return t, z.Close()
}
