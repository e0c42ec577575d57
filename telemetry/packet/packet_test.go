package packet_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// value is one value of any type, by its bits.
type value struct {
	t    packet.Type
	bits uint64
	text string
}

func (v value) write(w *packet.Writer) {
	switch v.t {
	case packet.Float64:
		w.Float64(math.Float64frombits(v.bits))
	case packet.Float32:
		w.Float32(math.Float32frombits(uint32(v.bits)))
	case packet.Int64:
		w.Int64(int64(v.bits))
	case packet.Uint64:
		w.Uint64(v.bits)
	case packet.Bool:
		w.Bool(v.bits&1 == 1)
	case packet.String:
		w.String(v.text)
	}
}

func (v value) matches(r *packet.Reader) bool {
	switch v.t {
	case packet.Float64:
		return math.Float64bits(r.Float64()) == v.bits
	case packet.Float32:
		return math.Float32bits(r.Float32()) == uint32(v.bits)
	case packet.Int64:
		return r.Int64() == int64(v.bits)
	case packet.Uint64:
		return r.Uint64() == v.bits
	case packet.Bool:
		return r.Bool() == (v.bits&1 == 1)
	}
	return string(r.Bytes()) == v.text
}

func TestValuesComeBackBitForBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := packet.Header{
			Layout: rapid.Uint64().Draw(t, "layout"), Seq: rapid.Uint64().Draw(t, "seq"), Mono: rapid.Int64().Draw(t, "mono"),
			Wall: rapid.Int64().Draw(t, "wall"), Class: packet.Class(rapid.IntRange(1, 3).Draw(t, "class")),
			Severity: packet.Severity(rapid.IntRange(0, 5).Draw(t, "severity")),
		}
		var w packet.Writer
		w.Reset(nil, h)
		var values []value
		for range rapid.IntRange(0, 20).Draw(t, "values") {
			v := value{t: packet.Type(rapid.IntRange(1, 6).Draw(t, "type")), bits: rapid.Uint64().Draw(t, "bits"), text: rapid.String().Draw(t, "text")}
			values = append(values, v)
			v.write(&w)
		}
		b, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		got, err := packet.ParseHeader(b)
		h.Len = uint32(len(b) - packet.HeaderSize)
		if err != nil || got != h {
			t.Fatalf("header %+v, %v, want %+v", got, err, h)
		}
		var r packet.Reader
		r.Reset(b)
		for i, v := range values {
			if !v.matches(&r) {
				t.Fatalf("value %d of type %s differs", i, v.t)
			}
		}
		if err := r.Err(true); err != nil {
			t.Fatal(err)
		}
		r.Reset(b)
		for _, v := range values {
			r.Skip(v.t)
		}
		if err := r.Err(true); err != nil {
			t.Fatalf("skipped: %v", err)
		}
		packet.SetSeq(b, 77)
		if packet.Seq(b) != 77 {
			t.Fatal("the number is not where it was put")
		}
		for n := range b {
			if _, err := packet.ParseHeader(b[:n]); err == nil {
				t.Fatalf("%d of %d bytes parse", n, len(b))
			}
		}
	})
}

func TestHeadersWithoutMeaning(t *testing.T) {
	fresh := func() []byte {
		var w packet.Writer
		w.Reset(nil, packet.Header{Class: packet.Normal})
		w.Float64(1)
		b, _ := w.Bytes()
		return b
	}
	for name, c := range map[string]struct {
		spoil func([]byte) []byte
		want  error
	}{
		"class 0":        {func(b []byte) []byte { b[32] = 0; return b }, packet.ErrHeader},
		"class 4":        {func(b []byte) []byte { b[32] = 4; return b }, packet.ErrHeader},
		"severity 6":     {func(b []byte) []byte { b[33] = 6; return b }, packet.ErrHeader},
		"reserved bytes": {func(b []byte) []byte { b[35] = 1; return b }, packet.ErrHeader},
		"a byte more":    {func(b []byte) []byte { return append(b, 0) }, packet.ErrTrailing},
		"a byte less":    {func(b []byte) []byte { return b[:len(b)-1] }, packet.ErrShort},
		"64 KiB and one": {func([]byte) []byte { return make([]byte, packet.MaxSize+1) }, packet.ErrTooLarge},
	} {
		if _, err := packet.ParseHeader(c.spoil(fresh())); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestALargeRecordIsRefusedNotCut(t *testing.T) {
	var w packet.Writer
	w.Reset(nil, packet.Header{Class: packet.Normal})
	w.String(strings.Repeat("x", packet.MaxSize-packet.HeaderSize-4))
	if b, err := w.Bytes(); err != nil || len(b) != packet.MaxSize {
		t.Fatalf("the largest record: %d bytes, %v", len(b), err)
	}
	w.Bool(true)
	if _, err := w.Bytes(); !errors.Is(err, packet.ErrTooLarge) {
		t.Fatalf("a byte more: %v", err)
	}
	w.Reset(nil, packet.Header{Class: packet.Normal})
	w.String(strings.Repeat("x", 2*packet.MaxSize))
	if _, err := w.Bytes(); !errors.Is(err, packet.ErrTooLarge) {
		t.Fatalf("a string too long: %v", err)
	}
	w.Reset(nil, packet.Header{Class: packet.Normal})
	if _, err := w.Bytes(); err != nil {
		t.Fatalf("the next record: %v", err)
	}
}

func TestAReaderDoesNotReadBeyond(t *testing.T) {
	var w packet.Writer
	w.Reset(nil, packet.Header{Class: packet.Normal})
	w.String("ab")
	b, _ := w.Bytes()
	b[packet.HeaderSize] = 200 // the string's length
	var r packet.Reader
	r.Reset(b)
	if s := r.Bytes(); s != nil || r.Err(false) == nil {
		t.Errorf("a string longer than its packet: %q, %v", s, r.Err(false))
	}
	r.Reset([]byte{1, 2})
	if r.Float64() != 0 || r.Bool() || r.Float32() != 0 || r.Err(false) == nil {
		t.Error("values from a packet that is none")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(make([]byte, packet.HeaderSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := packet.ParseHeader(b); err != nil {
			return
		}
		var r packet.Reader
		r.Reset(b)
		for i := range len(b) {
			r.Skip(packet.Type(i%6 + 1))
		}
		_ = r.Err(true)
	})
}

func TestWritingAllocatesNothing(t *testing.T) {
	var w packet.Writer
	var r packet.Reader
	if n := testing.AllocsPerRun(1000, func() {
		w.Reset(nil, packet.Header{Class: packet.Normal})
		w.Float64(1)
		w.Float32(2)
		w.Bool(true)
		w.String("text")
		b, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		r.Reset(b)
		r.Float64()
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func TestNamesOfTheNumbers(t *testing.T) {
	got := fmt.Sprint(packet.Float64, packet.String, packet.Type(9), packet.Urgent, packet.Class(0), packet.Critical, packet.Severity(9), packet.ErrShort, packet.Err(99))
	if want := "float64 string invalid urgent invalid critical invalid packet: too short packet: error"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for i := range packet.Classes {
		if packet.ClassAt(i).Index() != i || !packet.ClassAt(i).Valid() {
			t.Errorf("class at %d", i)
		}
	}
}

func TestNamesAreReadBack(t *testing.T) {
	for i := range 256 {
		c, s := packet.Class(i), packet.Severity(i)
		if b, err := c.MarshalText(); c.Valid() {
			var got packet.Class
			if err != nil || string(b) != c.String() || got.UnmarshalText(b) != nil || got != c {
				t.Errorf("class %d: %q, %v, read back as %d", i, b, err, got)
			}
		} else if !errors.Is(err, packet.ErrClass) {
			t.Errorf("class %d is written: %q, %v", i, b, err)
		}
		if b, err := s.MarshalText(); s.Valid() {
			var got packet.Severity
			if err != nil || string(b) != s.String() || got.UnmarshalText(b) != nil || got != s {
				t.Errorf("severity %d: %q, %v, read back as %d", i, b, err, got)
			}
		} else if !errors.Is(err, packet.ErrSeverity) {
			t.Errorf("severity %d is written: %q, %v", i, b, err)
		}
	}
	c, s := packet.Bulk, packet.Error
	for _, name := range []string{"", "Urgent", "urgent ", "warn", "bul", "invalid"} {
		if err := c.UnmarshalText([]byte(name)); !errors.Is(err, packet.ErrClass) || c != packet.Bulk {
			t.Errorf("class %q: %v, %s", name, err, c)
		}
		if err := s.UnmarshalText([]byte(name)); !errors.Is(err, packet.ErrSeverity) || s != packet.Error {
			t.Errorf("severity %q: %v, %s", name, err, s)
		}
	}
	name := []byte("critical")
	if n := testing.AllocsPerRun(100, func() { _ = s.UnmarshalText(name) }); n != 0 {
		t.Errorf("%v allocations to read a name", n)
	}
}

func Example() {
	var w packet.Writer // one for each task, used again and again
	w.Reset(nil, packet.Header{Layout: 7, Mono: 1_000_000, Class: packet.Normal})
	w.Float64(21.5)
	w.Bool(true)
	b, err := w.Bytes()
	if err != nil {
		panic(err)
	}
	h, _ := packet.ParseHeader(b)
	var r packet.Reader
	r.Reset(b)
	fmt.Println(h.Class, r.Float64(), r.Bool(), r.Err(true))
	// Output: normal 21.5 true <nil>
}
