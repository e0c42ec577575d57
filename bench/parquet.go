package main

import (
	"bytes"
	"errors"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// parquetCodec is a Parquet file per batch: a long table sorted by series and time, with the encodings that suit it.
type parquetCodec struct{ rows []parquetRow }

type parquetRow struct {
	Series string  `parquet:"series,dict,zstd"`
	Time   int64   `parquet:"time,delta,zstd"`
	F32    float32 `parquet:"f32,optional,split,zstd"` // null where it is 0, and in series of another type
	F64    float64 `parquet:"f64,optional,split,zstd"`
	Int    int64   `parquet:"int,optional,delta,zstd"`
}

func newParquet() codec { return &parquetCodec{} }

func (*parquetCodec) name() string { return "Parquet, delta and byte-stream-split, zstd" }

func (c *parquetCodec) encode(batch []telemetry.Record) ([]byte, error) {
	all, err := bySeries(batch)
	if err != nil {
		return nil, err
	}
	c.rows = c.rows[:0]
	for _, s := range all {
		for i, t := range s.time {
			r := parquetRow{Series: s.name, Time: t}
			switch s.typ {
			case packet.Float32:
				r.F32 = float32(math.Float64frombits(s.words[i]))
			case packet.Float64:
				r.F64 = math.Float64frombits(s.words[i])
			default:
				r.Int = int64(s.words[i])
			}
			c.rows = append(c.rows, r)
		}
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[parquetRow](&buf)
	if _, err := w.Write(c.rows); err != nil {
		return nil, err
	}
	err = w.Close()
	return buf.Bytes(), err
}

func (c *parquetCodec) decode(b []byte) (tally, error) {
	r := parquet.NewGenericReader[parquetRow](bytes.NewReader(b))
	defer r.Close()
	t := tally{}
	rows := make([]parquetRow, 1024)
	for {
		n, err := r.Read(rows)
		for _, row := range rows[:n] {
			t.readings++
			t.sum += math.Float64bits(float64(row.F32)) + math.Float64bits(row.F64) + uint64(row.Int)
		}
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return t, err
		}
	}
}
