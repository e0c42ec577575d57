package ulog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// told is an entry in words, to compare.
func told(e Entry) string {
	switch e.Kind {
	case Data:
		h, err := packet.ParseHeader(e.Record.Packet)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%s@%d", e.Record.Layout.Name, h.Mono)
	case Log:
		return fmt.Sprintf("%s@%d %s", e.Level, e.Mono, e.Text)
	case Dropout:
		return e.Dropout.String()
	}
	return fmt.Sprintf("%s %s %v %q %q", e.Type, e.Key, e.Continued, e.Text, e.Value)
}

// readAll returns the entries, and the errors among them, of a log.
func readAll(t testing.TB, b []byte) (entries []string, damage []*DamageError) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := r.Next()
		var d *DamageError
		switch {
		case errors.Is(err, io.EOF):
			return entries, damage
		case errors.As(err, &d):
			damage = append(damage, d)
		case err != nil:
			t.Fatal(err)
		default:
			entries = append(entries, told(e))
		}
	}
}

func TestEntries(t *testing.T) {
	w := newLog(5).flagBits(0).definitions().imu(0, 1000).imu(1, 1001).text(1002, "hello").
		message('C', byte('3'), uint16(9), uint64(1003), "tagged").message('O', uint16(62)).sync().
		message('X', "from the future").escs(2000).message('R', uint16(1))
	for _, in := range []io.Reader{bytes.NewReader(w.b), iotest.OneByteReader(bytes.NewReader(w.b))} {
		r, err := NewReader(in, Options{Class: packet.Bulk})
		if err != nil {
			t.Fatal(err)
		}
		if r.Start() != 5000 {
			t.Errorf("start %d", r.Start())
		}
		var got []string
		for {
			e, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, told(e))
			if e.Kind == Data {
				if err := e.Record.Check(); err != nil {
					t.Error(err)
				}
				if h, _ := packet.ParseHeader(e.Record.Packet); h.Class != packet.Bulk || h.Seq != 0 || h.Wall != 0 {
					t.Errorf("header %+v", h)
				}
			}
		}
		want := []string{
			`char[3] sys_name false "PX4" "PX4"`, `char[2] x true "yz" "yz"`, `float GAIN false "" "\x00\x00\x00?"`,
			"imu@1000000", "imu/1@1001000", "warning@1002000 hello", "error@1003000 tagged", "62ms", "escs@2000000",
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if r.Skipped() != 1 {
			t.Errorf("skipped %d", r.Skipped())
		}
	}
}

func TestValues(t *testing.T) {
	r, err := NewReader(bytes.NewReader(newLog(0).definitions().imu(1, 1).escs(2).b), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var records []telemetry.Record
	for len(records) < 2 {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == Data {
			records = append(records, telemetry.Record{Layout: e.Record.Layout, Packet: bytes.Clone(e.Record.Packet)})
		}
	}
	var names []string
	for _, rec := range records {
		for i, f := range rec.Layout.Fields {
			for j := range f.Elements() {
				names = append(names, rec.Layout.SeriesName(i, j)+" "+f.Type.String())
			}
		}
	}
	want := []string{
		"imu/1.gyro[0] float32", "imu/1.gyro[1] float32", "imu/1.gyro[2] float32", "imu/1.a int64", "imu/1.b uint64", "imu/1.c int64",
		"imu/1.d uint64", "imu/1.e int64", "imu/1.f uint64", "imu/1.g int64", "imu/1.h uint64", "imu/1.i float64", "imu/1.ok bool",
		"imu/1.name string", "imu/1.grade string",
		"escs.esc[0].timestamp uint64", "escs.esc[0].rpm float32", "escs.esc[1].timestamp uint64", "escs.esc[1].rpm float32",
		"escs.count uint64", "escs.one.timestamp uint64", "escs.one.rpm float32",
	}
	if strings.Join(names, "\n") != strings.Join(want, "\n") {
		t.Errorf("series\n%s", strings.Join(names, "\n"))
	}
	var rd packet.Reader
	rd.Reset(records[0].Packet)
	got := []any{rd.Float32(), rd.Float32(), rd.Float32(), rd.Int64(), rd.Uint64(), rd.Int64(), rd.Uint64(), rd.Int64(), rd.Uint64(),
		rd.Int64(), rd.Uint64(), rd.Float64(), rd.Bool(), string(rd.Bytes()), string(rd.Bytes()), rd.Err(true)}
	if fmt.Sprint(got) != fmt.Sprint([]any{1, 2, math.Inf(1), -3, 250, -1000, 60000, -70000, uint32(4e9), int64(math.MinInt64), uint64(math.MaxUint64), 2.5, true, "ab", "A", nil}) {
		t.Errorf("imu %v", got)
	}
	rd.Reset(records[1].Packet)
	got = []any{rd.Uint64(), rd.Float32(), rd.Uint64(), rd.Float32(), rd.Uint64(), rd.Uint64(), rd.Float32(), rd.Err(true)}
	if fmt.Sprint(got) != "[11 100 12 200 2 13 300 <nil>]" {
		t.Errorf("escs %v", got)
	}
}

// TestCut ends a log at every byte: what came before is delivered, and a message that is cut is told of, where it is.
func TestCut(t *testing.T) {
	w := newLog(0).flagBits(0).definitions()
	from := len(w.b)
	starts := map[int]int{} // offset of a message's end: messages before it
	for i := range 6 {
		w.text(uint64(i), "some text")
		starts[len(w.b)] = i + 1
	}
	starts[from] = 0
	last := from
	for n := from; n <= len(w.b); n++ {
		entries, damage := readAll(t, w.b[:n])
		if _, whole := starts[n]; whole {
			last = n
		}
		if len(entries) != 3+starts[last] {
			t.Fatalf("cut at %d: %d entries", n, len(entries))
		}
		switch {
		case n == last && len(damage) != 0:
			t.Fatalf("cut at %d, between messages: %v", n, damage[0])
		case n > last && (len(damage) != 1 || damage[0].Offset != int64(last) || damage[0].Resumed != -1):
			t.Fatalf("cut at %d: %v", n, damage)
		}
	}
}

// TestFlips flips every bit behind the definitions. Nothing before the place may be missing, and what follows the next sync
// message must be there, unless the flip made a larger message of what is there.
func TestFlips(t *testing.T) {
	w := newLog(0).flagBits(0).definitions().text(1, "before").imu(0, 10)
	from := len(w.b)
	w.imu(0, 20).escs(30).text(40, "hit")
	to := len(w.b)
	w.sync()
	for i := range 40 {
		w.text(uint64(100+i), "after")
	}
	noticed := 0
	for bit := from * 8; bit < to*8; bit++ {
		b := bytes.Clone(w.b)
		b[bit/8] ^= 1 << (bit % 8)
		entries, damage := readAll(t, b)
		all := strings.Join(entries, "\n")
		if !strings.Contains(all, "before") || !strings.Contains(all, "imu@10000") {
			t.Fatalf("bit %d: what was before is missing:\n%s", bit, all)
		}
		if !strings.Contains(all, "after") {
			t.Fatalf("bit %d: what is behind the sync message is missing: %v\n%s", bit, damage, all)
		}
		noticed += len(damage)
		for _, d := range damage {
			if d.Offset < int64(from) || d.Error() == "" {
				t.Fatalf("bit %d: %v", bit, d)
			}
		}
	}
	if noticed == 0 {
		t.Error("no flip was noticed")
	}
}

func TestNoSync(t *testing.T) {
	w := newLog(0).text(1, "before")
	at := len(w.b)
	w.b = append(w.b, 0, 0, 0, 0)
	w.text(2, "lost")
	entries, damage := readAll(t, w.b)
	if len(entries) != 1 || len(damage) != 1 || damage[0].Offset != int64(at) || damage[0].Resumed != -1 {
		t.Errorf("%v, %v", entries, damage)
	}
}

func TestAppendedData(t *testing.T) {
	w := newLog(0)
	flags := len(w.b)
	w.flagBits(1, 1)
	w.text(1, "flight")
	w.b = append(w.b, 200, 0, 'D', 1, 2) // the log stops in the middle of a message
	cut := len(w.b)
	tail := newLog(0)
	w.b = append(w.b, tail.text(2, "crash dump").b[fileHeader:]...)
	binaryPut(w.b[flags+messageHeader+16:], uint64(cut))
	entries, damage := readAll(t, w.b)
	if strings.Join(entries, ",") != "warning@1000 flight,warning@2000 crash dump" {
		t.Errorf("entries %q", entries)
	}
	if len(damage) != 1 || damage[0].Offset != int64(cut-5) || damage[0].Resumed != int64(cut) {
		t.Errorf("damage %v", damage)
	}
}

func binaryPut(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (8 * i))
	}
}

func TestRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": nil, "short": fileMagic, "another format": bytes.Repeat([]byte{0x89}, 40),
	} {
		if _, err := NewReader(bytes.NewReader(b), Options{}); !errors.Is(err, ErrNotULog) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := NewReader(bytes.NewReader(newLog(0).flagBits(2).text(1, "x").b), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Next(); !errors.Is(err, ErrNotULog) {
			t.Errorf("incompatible flags: %v", err)
		}
	}
	broken := errors.New("disk on fire")
	r, err = NewReader(io.MultiReader(bytes.NewReader(newLog(0).text(1, "x").b), iotest.ErrReader(broken)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err = r.Next(); err != nil {
			break
		}
	}
	if !errors.Is(err, broken) {
		t.Errorf("read error: %v", err)
	}
}

// TestDamagedMessages holds that a message without meaning is told of and passed over.
func TestDamagedMessages(t *testing.T) {
	nest := func(w *logWriter) { // x0 has 1,000 of x1, which has 1,000 of x2, …
		for i := range 20 {
			w.message('F', fmt.Sprintf("x%d:uint64_t timestamp;x%d[1000] a;", i, i+1))
		}
		w.message('F', "x20:uint64_t timestamp;float v;").message('A', byte(0), uint16(9), "x0")
	}
	for name, f := range map[string]func(w *logWriter){
		"not subscribed": func(w *logWriter) { w.message('D', uint16(99), uint64(1)) },
		"too short":      func(w *logWriter) { w.message('D', uint16(0), uint64(1)) },
		"no format":      func(w *logWriter) { w.message('A', byte(0), uint16(3), "nothing") },
		"no time":        func(w *logWriter) { w.message('F', "x:float a;").message('A', byte(0), uint16(3), "x") },
		"only time":      func(w *logWriter) { w.message('F', "x:uint64_t timestamp;").message('A', byte(0), uint16(3), "x") },
		"circular":       func(w *logWriter) { w.message('F', "x:uint64_t timestamp;x a;").message('A', byte(0), uint16(3), "x") },
		"exploding":      nest,
		"bad name": func(w *logWriter) {
			w.message('F', "x y:uint64_t timestamp;float a;").message('A', byte(0), uint16(3), "x y")
		},
		"no name":            func(w *logWriter) { w.message('F', ":float a;") },
		"bad array":          func(w *logWriter) { w.message('F', "x:float[] a;") },
		"huge array":         func(w *logWriter) { w.message('F', "x:float[99999999999999999999] a;") },
		"time out of range":  func(w *logWriter) { w.imu(0, math.MaxUint64/1000) },
		"dropout":            func(w *logWriter) { w.message('O', byte(1)) },
		"log":                func(w *logWriter) { w.message('L', byte('1'), uint32(1)) },
		"key":                func(w *logWriter) { w.message('I', byte(200), "char[1] x") },
		"key without a type": func(w *logWriter) { w.message('P', byte(1), "x", float32(1)) },
		"appended behind":    func(w *logWriter) { w.flagBits(1, 3) },
		"sync":               func(w *logWriter) { w.message('S', uint64(0)) },
	} {
		w := newLog(0).flagBits(0).definitions()
		f(w)
		w.text(1, "after")
		entries, damage := readAll(t, w.b)
		if len(damage) != 1 || len(entries) != 4 || entries[3] != "warning@1000 after" {
			t.Errorf("%s: %v, %q", name, damage, entries)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(newLog(0).flagBits(0).definitions().imu(0, 1).imu(1, 2).escs(3).text(4, "x").sync().message('O', uint16(5)).b)
	f.Add(newLog(0).flagBits(1, 60).text(1, "x").b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b), Options{})
		if err != nil {
			return
		}
		// Every call passes over at least a byte, or is the last.
		for range len(b) + 2 {
			e, err := r.Next()
			var d *DamageError
			switch {
			case errors.As(err, &d):
			case err != nil:
				return
			case e.Kind == Data:
				if err := e.Record.Check(); err != nil {
					t.Fatal(err)
				}
			case e.Kind == Dropout && e.Dropout > time.Duration(math.MaxUint16)*time.Millisecond:
				t.Fatal(e.Dropout)
			}
		}
		t.Fatal("does not end")
	})
}
