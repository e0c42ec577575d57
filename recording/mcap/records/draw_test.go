package records

import (
	"fmt"
	"math"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// drawLayout makes a layout of anything, with names that are the same once protobuf has them.
func drawLayout(t *rapid.T) *telemetry.Layout {
	names := rapid.SampledFrom([]string{"a", "a.b", "a_b", "a-b", "a[0]", "a0", "0", "_0", "seq", "_seq", "severity", "_severity",
		"esc[0].rpm", "esc_0_rpm", "aB", "A_B", "a_bytes", "a_b_17", "constructor", "toString"})
	l := &telemetry.Layout{Name: rapid.SampledFrom([]string{"imu", "drive/left", "-", "0/1"}).Draw(t, "name"),
		Kind: telemetry.Kind(rapid.IntRange(1, 4).Draw(t, "kind"))}
	for _, name := range rapid.SliceOfNDistinct(names, 1, 12, rapid.ID[string]).Draw(t, "fields") {
		f := telemetry.Field{Name: name, Type: packet.Type(rapid.IntRange(1, 6).Draw(t, "type")),
			Unit: rapid.SampledFrom([]string{"", "m/s2", "<\"\\>"}).Draw(t, "unit")}
		if f.Type != packet.String {
			f.Len = rapid.IntRange(0, 4).Draw(t, "len")
		}
		l.Fields = append(l.Fields, f)
	}
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	return l
}

var (
	oddFloats64 = []uint64{0, 1 << 63, math.Float64bits(math.NaN()), 0x7ff0_0000_0000_0001, 0xfff8_dead_beef_0001, math.Float64bits(math.Inf(-1)), 1}
	oddFloats32 = []uint32{0, 1 << 31, 0x7fc0_0000, 0x7f80_0001, 0xffc0_beef, math.Float32bits(float32(math.Inf(1))), 1}
)

// drawPacket makes a packet of anything that the layout allows.
func drawPacket(t *rapid.T, l *telemetry.Layout, class packet.Class) []byte {
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Seq: rapid.Uint64().Draw(t, "seq"), Mono: rapid.Int64().Draw(t, "mono"),
		Wall: rapid.Int64().Draw(t, "wall"), Class: class, Severity: packet.Severity(rapid.IntRange(0, 5).Draw(t, "severity"))})
	for _, f := range l.Fields {
		for range f.Elements() {
			drawValue(t, &w, f.Type)
		}
	}
	p, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func drawValue(t *rapid.T, w *packet.Writer, typ packet.Type) {
	switch typ {
	case packet.Float64:
		w.Float64(math.Float64frombits(rapid.OneOf(rapid.Uint64(), rapid.SampledFrom(oddFloats64)).Draw(t, "float64")))
	case packet.Float32:
		w.Float32(math.Float32frombits(rapid.OneOf(rapid.Uint32(), rapid.SampledFrom(oddFloats32)).Draw(t, "float32")))
	case packet.Int64:
		w.Int64(rapid.Int64().Draw(t, "int64"))
	case packet.Uint64:
		w.Uint64(rapid.Uint64().Draw(t, "uint64"))
	case packet.Bool:
		w.Bool(rapid.Bool().Draw(t, "bool"))
	case packet.String:
		if rapid.Bool().Draw(t, "text") {
			w.String(rapid.StringN(0, 10, 20).Draw(t, "string"))
		} else {
			w.String(string(rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "bytes")))
		}
	}
}

// drawEntries makes records of a few layouts, devices and boots.
func drawEntries(t *rapid.T) []Entry {
	layouts := make([]*telemetry.Layout, rapid.IntRange(1, 4).Draw(t, "layouts"))
	for i := range layouts {
		layouts[i] = drawLayout(t)
	}
	var list []Entry
	for i := range rapid.IntRange(0, 30).Draw(t, "records") {
		class := packet.ClassAt(rapid.IntRange(0, 2).Draw(t, "class"))
		l := rapid.SampledFrom(layouts).Draw(t, "of")
		list = append(list, Entry{
			Stream: telemetry.Stream{Device: fmt.Sprintf("rover-%d", rapid.IntRange(1, 2).Draw(t, "device")),
				Boot: telemetry.Boot{byte(rapid.IntRange(0, 2).Draw(t, "boot"))}, Class: class},
			Time:   rapid.OneOf(rapid.Int64(), rapid.Just(int64(i))).Draw(t, "time"),
			Record: telemetry.Record{Layout: l, Packet: drawPacket(t, l, class)},
		})
	}
	return list
}
