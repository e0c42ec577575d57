package frame_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var gauge = &telemetry.Layout{Name: "gauge", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "v", Type: packet.Float64}}}

// encoded makes a frame of the values, and checks that it gives every bit of them back.
func encoded(t *testing.T, values []float64) []byte {
	t.Helper()
	e := frame.NewEncoder()
	e.Reset(telemetry.Stream{Device: "d", Boot: telemetry.Boot{1}, Class: packet.Normal})
	var w packet.Writer
	for i, v := range values {
		w.Reset(nil, packet.Header{Layout: uint64(gauge.ID()), Seq: uint64(i), Mono: int64(i) * 1e6, Class: packet.Normal})
		w.Float64(v)
		p, err := w.Bytes()
		if err == nil {
			err = e.Append(gauge, p)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := e.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	var c telemetry.Catalog
	c.Add(gauge)
	blocks, err := frame.NewDecoder(frame.Limits{}).Decode(b, &c)
	if err != nil {
		t.Fatalf("%v: %v", values[:min(len(values), 8)], err)
	}
	for i, got := range blocks[0].Columns[0].F64 {
		if math.Float64bits(got) != math.Float64bits(values[i]) {
			t.Fatalf("value %d is %v (%x), want %v (%x)", i, got, math.Float64bits(got), values[i], math.Float64bits(values[i]))
		}
	}
	return b
}

// Decimals come back bit for bit, whatever is among them that is none, and however many digits they have.
func TestDecimalsComeBack(t *testing.T) {
	odd := []float64{math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, math.Pi, 0.1 + 0.2, 1 << 53, 1<<53 + 2, -1 << 53,
		1e15 + 0.5, 123456789.123456789, 9007199254740991, 90071992547409.91, 1e300, 5e-324, math.Nextafter(0.1, 1), math.Nextafter(0.1, 0)}
	rng := rand.New(rand.NewPCG(1, 2))
	for digits := range 13 {
		for _, size := range []int64{10, 1e4, 1e9, 1e15, 1 << 53} {
			values := make([]float64, 40)
			for i := range values {
				values[i] = float64(rng.Int64N(2*size)-size) / math.Pow10(digits)
			}
			encoded(t, values)
			for _, v := range odd {
				values[rng.IntN(len(values))] = v
				encoded(t, values)
			}
			encoded(t, append([]float64{odd[rng.IntN(len(odd))]}, values[:1]...))
		}
	}
}

// A value that walks in hundredths by up to 1.00 has 7.7 bits of news each time.
func TestDecimalsAreSmall(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, digits := range []int{1, 2, 3, 6} {
		t.Run(fmt.Sprint(digits), func(t *testing.T) {
			values, n := make([]float64, 4096), int64(123456)
			for i := range values {
				n += rng.Int64N(201) - 100
				values[i] = float64(n) / math.Pow10(digits)
			}
			if each := float64(len(encoded(t, values))) / float64(len(values)); each > 1.2 {
				t.Errorf("%.2f bytes each", each)
			}
		})
	}
}
