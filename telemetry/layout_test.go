package telemetry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func genLayout(t *rapid.T) *telemetry.Layout {
	l := &telemetry.Layout{
		Name: rapid.StringMatching(`[a-z][a-z0-9_-]{0,20}(/[a-z0-9]{1,8})?`).Draw(t, "name"),
		Kind: telemetry.Kind(rapid.IntRange(1, 5).Draw(t, "kind")),
	}
	for i := range rapid.IntRange(1, 30).Draw(t, "fields") {
		f := telemetry.Field{Name: fmt.Sprintf("f%d.x", i), Type: packet.Type(rapid.IntRange(1, 6).Draw(t, "type")), Len: 1,
			Unit: rapid.SampledFrom([]string{"", "m/s2", "%", "Cel", "{count}"}).Draw(t, "unit")}
		if f.Type != packet.String {
			f.Len = rapid.IntRange(1, 9).Draw(t, "len")
		}
		l.Fields = append(l.Fields, f)
	}
	return l
}

func TestLayoutsSurviveTheirBinaryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := genLayout(t)
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
		b := l.AppendBinary(nil)
		got, err := telemetry.ParseLayout(b)
		if err != nil {
			t.Fatal(err)
		}
		if got.ID() != l.ID() || got.Name != l.Name || fmt.Sprint(got.Fields) != fmt.Sprint(l.Fields) || got.Series() != l.Series() {
			t.Fatalf("%v became %v", l, got)
		}
		for n := range b {
			if _, err := telemetry.ParseLayout(b[:n]); err == nil {
				t.Fatalf("%d of %d bytes parse", n, len(b))
			}
		}
		if _, err := telemetry.ParseLayout(append(b, 0)); err == nil {
			t.Fatal("a byte left over parses")
		}
	})
}

func FuzzParseLayout(f *testing.F) {
	l := &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "accel", Type: packet.Float32, Len: 3, Unit: "m/s2"}}}
	f.Add(l.AppendBinary(nil))
	f.Add(telemetry.LayoutRecords.AppendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := telemetry.ParseLayout(b)
		if err != nil {
			return
		}
		again, err := telemetry.ParseLayout(l.AppendBinary(nil))
		if err != nil || again.ID() != l.ID() {
			t.Fatalf("%v is not what it becomes again: %v", l, err)
		}
	})
}

func TestImpossibleLayouts(t *testing.T) {
	good := func() *telemetry.Layout {
		return &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "x", Type: packet.Float64}}}
	}
	for name, spoil := range map[string]func(*telemetry.Layout){
		"a name of 1 MB":       func(l *telemetry.Layout) { l.Name = strings.Repeat("x", 1<<20) },
		"no name":              func(l *telemetry.Layout) { l.Name = "" },
		"a blank":              func(l *telemetry.Layout) { l.Name = "i mu" },
		"a leading slash":      func(l *telemetry.Layout) { l.Name = "/imu" },
		"no kind":              func(l *telemetry.Layout) { l.Kind = 0 },
		"no fields":            func(l *telemetry.Layout) { l.Fields = nil },
		"a field twice":        func(l *telemetry.Layout) { l.Fields = append(l.Fields, l.Fields[0]) },
		"a field name of 1 MB": func(l *telemetry.Layout) { l.Fields[0].Name = strings.Repeat("x", 1<<20) },
		"no type":              func(l *telemetry.Layout) { l.Fields[0].Type = 0 },
		"too many elements":    func(l *telemetry.Layout) { l.Fields[0].Len = telemetry.MaxSeries + 1 },
		"a vector of strings":  func(l *telemetry.Layout) { l.Fields[0] = telemetry.Field{Name: "s", Type: packet.String, Len: 2} },
		"a unit with a blank":  func(l *telemetry.Layout) { l.Fields[0].Unit = "m / s" },
		"a unit beyond ASCII":  func(l *telemetry.Layout) { l.Fields[0].Unit = "µm" },
		"a long unit":          func(l *telemetry.Layout) { l.Fields[0].Unit = strings.Repeat("m", 33) },
		"too many series at once": func(l *telemetry.Layout) {
			l.Fields[0].Len = 4000
			l.Fields = append(l.Fields, telemetry.Field{Name: "y", Type: packet.Bool, Len: 200})
		},
	} {
		l := good()
		spoil(l)
		if err := l.Validate(); !errors.Is(err, telemetry.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := telemetry.ParseLayout(make([]byte, telemetry.MaxLayoutBinary+1)); !errors.Is(err, telemetry.ErrInvalid) {
		t.Errorf("a layout too large: %v", err)
	}
	if _, err := telemetry.ParseLayout([]byte{9}); err == nil || !strings.Contains(err.Error(), "version 9") {
		t.Errorf("a later version: %v", err)
	}
}

func TestRecordsAreChecked(t *testing.T) {
	l := &telemetry.Layout{Name: "a", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "x", Type: packet.Float64}, {Name: "on", Type: packet.Bool}, {Name: "s", Type: packet.String}}}
	build := func(id uint64, fill func(*packet.Writer)) telemetry.Record {
		var w packet.Writer
		w.Reset(nil, packet.Header{Layout: id, Class: packet.Normal})
		fill(&w)
		b, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return telemetry.Record{Layout: l, Packet: b}
	}
	good := func(w *packet.Writer) { w.Float64(1); w.Bool(true); w.String("x") }
	if err := build(uint64(l.ID()), good).Check(); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]telemetry.Record{
		"another layout": build(1, good),
		"too few values": build(uint64(l.ID()), func(w *packet.Writer) { w.Float64(1) }),
		"too many":       build(uint64(l.ID()), func(w *packet.Writer) { good(w); w.Bool(true) }),
	} {
		if r.Check() == nil {
			t.Errorf("%s: passes", name)
		}
	}
	bad := build(uint64(l.ID()), good)
	bad.Packet[packet.HeaderSize+8] = 7 // the bool
	if err := bad.Check(); !errors.Is(err, packet.ErrType) {
		t.Errorf("a bool of 7: %v", err)
	}
	if (telemetry.Record{Layout: l, Packet: []byte{1}}).Check() == nil {
		t.Error("a packet of one byte passes")
	}
}

func TestDefinitionsCarryLayouts(t *testing.T) {
	l := &telemetry.Layout{Name: "imu/sample", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "x", Type: packet.Float64, Unit: "m"}}}
	var w packet.Writer
	b, err := telemetry.AppendDefinition(&w, l, packet.Urgent, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := (telemetry.Record{Layout: telemetry.LayoutRecords, Packet: b}).Check(); err != nil {
		t.Fatal(err)
	}
	got, err := telemetry.ParseDefinition(b)
	if err != nil || got.ID() != l.ID() || got.Component() != "imu" || got.SeriesName(0, 0) != "imu/sample.x" {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := telemetry.ParseDefinition(b[:len(b)-1]); err == nil {
		t.Error("a definition cut short parses")
	}
	var c telemetry.Catalog
	if !c.Add(l) || c.Add(got) || c.Layout(l.ID()) != l || c.Layout(1) != nil {
		t.Error("the catalog does not hold a layout once")
	}
	c.Add(telemetry.LayoutRecords)
	if all := c.All(); len(all) != 2 || all[0].Name != "fulmar/layout" {
		t.Errorf("catalog %v", all)
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{"rover-7": true, "a_b": true, "": false, "Rover": false, "a/b": false, "a.b": false, "+": false,
		"#": false, strings.Repeat("x", 65): false} {
		if err := telemetry.ValidateDevice(name); (err == nil) != ok {
			t.Errorf("device %q: %v", name, err)
		}
	}
	b, err := telemetry.NewBoot(telemetry.Boot{}, time.UnixMilli(0x0123456789ab), strings.NewReader("0123456789"))
	if err != nil || !strings.HasPrefix(b.String(), "0123456789ab30313233") {
		t.Errorf("boot %s, %v", b, err)
	}
	if again, err := telemetry.ParseBoot(b.String()); err != nil || again != b {
		t.Errorf("boot %s, %v", again, err)
	}
	for _, s := range []string{"", "zz", b.String() + "00", b.String()[2:]} {
		if _, err := telemetry.ParseBoot(s); err == nil {
			t.Errorf("boot %q parses", s)
		}
	}
	if _, err := telemetry.NewBoot(telemetry.Boot{}, time.Now(), strings.NewReader("")); err == nil {
		t.Error("a boot without randomness")
	}
	s := telemetry.Stream{Device: "rover", Class: packet.Bulk}
	if s.String() != "rover/00000000000000000000000000000000/bulk" {
		t.Error(s)
	}
}

func TestKindsAreReadBack(t *testing.T) {
	for i := range 256 {
		k := telemetry.Kind(i)
		b, err := k.MarshalText()
		if !k.Valid() {
			if !errors.Is(err, telemetry.ErrInvalid) {
				t.Errorf("kind %d is written: %q, %v", i, b, err)
			}
			continue
		}
		var got telemetry.Kind
		if err != nil || string(b) != k.String() || got.UnmarshalText(b) != nil || got != k {
			t.Errorf("kind %d: %q, %v, read back as %d", i, b, err, got)
		}
	}
	k := telemetry.Event
	if err := k.UnmarshalText([]byte("events")); !errors.Is(err, telemetry.ErrInvalid) || k != telemetry.Event {
		t.Errorf("%v, %s", err, k)
	}
}

func ExampleLayout() {
	l := &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{
		{Name: "accel", Type: packet.Float32, Len: 3, Unit: "m/s2"},
		{Name: "temperature", Type: packet.Float32, Unit: "Cel"},
	}}
	if err := l.Validate(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Series(), "series, the second is", l.SeriesName(0, 1))
	// Output: 4 series, the second is imu.accel[1]
}
