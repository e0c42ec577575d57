package frame

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestNarrow holds that a float64 is told as a float32 exactly where that loses nothing, payloads of NaNs included.
func TestNarrow(t *testing.T) {
	for _, b := range special32 {
		wide := widen(b)
		got, ok := narrow(wide)
		if b == 1 { // a denormal float32
			if ok {
				t.Errorf("%#x became %#x", wide, got)
			}
			continue
		}
		if !ok || got != b {
			t.Errorf("%#x became %#x and then %#x, %v", b, wide, got, ok)
		}
		if f := math.Float32frombits(b); f == f && math.Float64bits(float64(f)) != wide {
			t.Errorf("%v became %v", f, math.Float64frombits(wide))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		wide := rapid.Uint64().Draw(t, "float64")
		if b, ok := narrow(wide); ok && widen(b) != wide {
			t.Fatalf("%#x became %#x and then %#x", wide, b, widen(b))
		}
		b := rapid.Uint32().Draw(t, "float32")
		if e := b >> 23 & 0xff; e == 0 && b<<9 != 0 {
			return
		}
		if got, ok := narrow(widen(b)); !ok || got != b {
			t.Fatalf("%#x became %#x, %v", b, got, ok)
		}
	})
}

func TestPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.UintRange(0, maxSplit).Draw(t, "k")
		values := rapid.SliceOfN(rapid.Uint64(), 0, 200).Draw(t, "values")
		high := make([]byte, len(values))
		for i := range values {
			values[i] &= 1<<(k+8) - 1
			high[i] = byte(values[i] >> k)
		}
		packed := pack(nil, values, k)
		if len(packed) != packedSize(len(values), k) {
			t.Fatalf("%d bytes, want %d", len(packed), packedSize(len(values), k))
		}
		got := make([]uint64, len(values))
		unpackJoin(got, high, packed, k)
		for i, v := range values {
			if got[i] != v {
				t.Fatalf("value %d: %#x, want %#x", i, got[i], v)
			}
		}
	})
}
