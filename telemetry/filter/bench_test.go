package filter_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/filter"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var imuLayout = layout("imu/sample", telemetry.Reading, "accel:float32:3", "gyro:float32:3", "temperature:float64", "mode:string")

func imuRecord() telemetry.Record {
	return record(imuLayout, time.Second, packet.Normal, packet.None, float32(0), float32(0), float32(9.81), float32(0), float32(0), float32(0), 21.5, "flight")
}

// workloads are rules, and how a benchmark or test changes the record from one Pass to the next.
var workloads = []struct {
	name  string
	rules []filter.Rule
}{
	{"no rule of 20 matches", manyRules()},
	{"drop", []filter.Rule{{Match: "imu/*", Drop: true}}},
	{"one of 10", []filter.Rule{{Match: "imu/*", OneOf: 10}}},
	{"rate", []filter.Rule{{Match: "imu/*", Rate: &filter.Rate{PerSecond: 5, Burst: 10}}}},
	{"deadband, 8 scalars held back", []filter.Rule{{Match: "imu/*", Deadband: &filter.Deadband{Absolute: 1e9}}}},
	{"deadband, 8 scalars passed", []filter.Rule{{Match: "imu/*", Deadband: &filter.Deadband{Fields: []string{"temperature", "mode", "accel", "gyro"}}}}},
	{"all of these", []filter.Rule{{Match: "imu/*", OneOf: 1}, {Deadband: &filter.Deadband{}}, {Rate: &filter.Rate{PerSecond: 1e6}}, {MinSeverity: packet.Info}, {Keep: true}}},
}

func manyRules() (rules []filter.Rule) {
	for range 20 {
		rules = append(rules, filter.Rule{Match: "{gnss,baro}/**", OneOf: 10})
	}
	return rules
}

// move changes the record's temperature and time in place.
func move(r telemetry.Record, i int) {
	binary.LittleEndian.PutUint64(r.Packet[16:], uint64(i)*uint64(time.Millisecond))
	binary.LittleEndian.PutUint64(r.Packet[packet.HeaderSize+24:], math.Float64bits(float64(i)))
}

func TestPassAllocatesNothing(t *testing.T) {
	for _, w := range workloads {
		f := newFilter(t, w.rules...)
		r := imuRecord()
		f.Pass(r)
		i := 0
		if n := testing.AllocsPerRun(1000, func() { i++; move(r, i); f.Pass(r) }); n != 0 {
			t.Errorf("%s: %v allocations for a record", w.name, n)
		}
	}
}

func BenchmarkPass(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			f := newFilter(b, w.rules...)
			r := imuRecord()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				move(r, i)
				f.Pass(r)
			}
		})
	}
	b.Run("four layouts in turn", func(b *testing.B) {
		f := newFilter(b, filter.Rule{OneOf: 10})
		var records [4]telemetry.Record
		for i := range records {
			records[i] = record(layout("imu/"+string(rune('a'+i)), telemetry.Reading, x), 0, packet.Normal, packet.None, 1.0)
		}
		for i := 0; b.Loop(); i++ {
			f.Pass(records[i%4])
		}
	})
}
