package main

import (
	"math"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// otlp is OpenTelemetry's protocol: a gauge per series, protobuf, zstd.
type otlp struct {
	z *zstd.Encoder
	u *zstd.Decoder
}

func newOTLP() codec {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(3)), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	u, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return &otlp{z: z, u: u}
}

func (*otlp) name() string { return "OTLP protobuf, zstd 3" }

func (c *otlp) encode(batch []telemetry.Record) ([]byte, error) {
	all, err := bySeries(batch)
	if err != nil {
		return nil, err
	}
	m := pmetric.NewMetrics()
	rm := m.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("device", stream.Device)
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	metrics.EnsureCapacity(len(all))
	for _, s := range all {
		metric := metrics.AppendEmpty()
		metric.SetName(s.name)
		points := metric.SetEmptyGauge().DataPoints()
		points.EnsureCapacity(len(s.time))
		for i, t := range s.time {
			p := points.AppendEmpty()
			p.SetTimestamp(pcommon.Timestamp(t))
			if s.typ == packet.Float32 || s.typ == packet.Float64 {
				p.SetDoubleValue(math.Float64frombits(s.words[i]))
			} else {
				p.SetIntValue(int64(s.words[i]))
			}
		}
	}
	b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(m)
	if err != nil {
		return nil, err
	}
	return c.z.EncodeAll(b, nil), nil
}

func (c *otlp) decode(b []byte) (tally, error) {
	b, err := c.u.DecodeAll(b, nil)
	if err != nil {
		return tally{}, err
	}
	m, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(b)
	if err != nil {
		return tally{}, err
	}
	t := tally{}
	metrics := m.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	for i := range metrics.Len() {
		points := metrics.At(i).Gauge().DataPoints()
		for j := range points.Len() {
			t.readings++
			if p := points.At(j); p.ValueType() == pmetric.NumberDataPointValueTypeDouble {
				t.sum += math.Float64bits(p.DoubleValue())
			} else {
				t.sum += uint64(p.IntValue())
			}
		}
	}
	return t, nil
}
