package records

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/recording/mcap"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func writeEntries(t rapid.TB, o mcap.WriterOptions, list []Entry) []byte {
	var buf bytes.Buffer
	w, err := NewWriter(&buf, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// same compares entries bit for bit.
func same(a, b Entry) error {
	if a.Stream != b.Stream || a.Time != b.Time {
		return fmt.Errorf("%s at %d, want %s at %d", a.Stream, a.Time, b.Stream, b.Time)
	}
	if !bytes.Equal(a.Record.Packet, b.Record.Packet) {
		return fmt.Errorf("packet %x, want %x", a.Record.Packet, b.Record.Packet)
	}
	if al, bl := a.Record.Layout.AppendBinary(nil), b.Record.Layout.AppendBinary(nil); !bytes.Equal(al, bl) {
		return fmt.Errorf("layout %x, want %x", al, bl)
	}
	return nil
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawEntries(t)
		file := writeEntries(t, mcap.WriterOptions{ChunkSize: 1 << 10}, list)
		r, err := mcap.NewReader(bytes.NewReader(file), mcap.ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var dec Decoder
		for i := 0; ; i++ {
			m, err := r.Next()
			if errors.Is(err, io.EOF) {
				if i != len(list) {
					t.Fatalf("%d records, want %d", i, len(list))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			e, err := dec.Decode(m)
			if err != nil {
				t.Fatal(err)
			}
			if err := same(e, list[i]); err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			if err := e.Record.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

var imu = &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: []telemetry.Field{
	{Name: "accel", Type: packet.Float32, Len: 3, Unit: "m/s2"},
	{Name: "note", Type: packet.String},
	{Name: "ok", Type: packet.Bool},
}}

func imuEntry(t testing.TB) Entry {
	t.Helper()
	var w packet.Writer
	w.Reset(nil, packet.Header{Layout: uint64(imu.ID()), Seq: 7, Mono: 5, Wall: 1_000, Class: packet.Normal})
	for range 3 {
		w.Float32(9.5)
	}
	w.String("calm")
	w.Bool(true)
	p, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return Entry{Stream: telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: packet.Normal}, Time: 1_000,
		Record: telemetry.Record{Layout: imu, Packet: p}}
}

// TestRefused: what is not a record of its layout and stream is not written, and the file goes on.
func TestRefused(t *testing.T) {
	var buf bytes.Buffer
	w, err := NewWriter(&buf, mcap.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	good := imuEntry(t)
	for name, change := range map[string]func(*Entry){
		"another class":  func(e *Entry) { e.Stream.Class = packet.Bulk },
		"another layout": func(e *Entry) { e.Record.Packet[0] ^= 1 },
		"no device":      func(e *Entry) { e.Stream.Device = "" },
		"device up":      func(e *Entry) { e.Stream.Device = "../rover" },
		"bool of 2":      func(e *Entry) { e.Record.Packet[len(e.Record.Packet)-1] = 2 },
		"cut":            func(e *Entry) { e.Record.Packet = e.Record.Packet[:len(e.Record.Packet)-1] },
		"long string":    func(e *Entry) { e.Record.Packet[packet.HeaderSize+12] = 200 },
		"value left": func(e *Entry) {
			e.Record.Layout = imuShort
			le.PutUint64(e.Record.Packet, uint64(imuShort.ID()))
		},
	} {
		e := good
		e.Record.Packet = bytes.Clone(good.Record.Packet)
		change(&e)
		if err := w.Write(e); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Write(good); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	if rec, err := mcap.Recover(&buf, mcap.ReaderOptions{}, func(mcap.Message) error { n++; return nil }); err != nil || !rec.Complete || n != 1 {
		t.Errorf("%d messages, %+v, %v", n, rec, err)
	}
}

var imuShort = &telemetry.Layout{Name: "imu", Kind: telemetry.Reading, Fields: imu.Fields[:2]}

// goodMessage returns the message and channel of a good entry.
func goodMessage(t testing.TB) mcap.Message {
	t.Helper()
	r, err := mcap.NewReader(bytes.NewReader(writeEntries(t, mcap.WriterOptions{}, []Entry{imuEntry(t)})), mcap.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestForeignAndInvalidChannels(t *testing.T) {
	good := goodMessage(t)
	for _, tt := range []struct {
		name   string
		change func(c *mcap.Channel)
		want   error
	}{
		{"of another program", func(c *mcap.Channel) { c.Metadata = nil }, ErrForeign},
		{"of another encoding", func(c *mcap.Channel) { c.MessageEncoding = "json" }, ErrForeign},
		{"bad device", func(c *mcap.Channel) { c.Metadata[keyDevice] = "A/B" }, ErrInvalid},
		{"layout that is no JSON", func(c *mcap.Channel) { c.Metadata[keyLayout] = "{" }, ErrInvalid},
		{"layout without fields", func(c *mcap.Channel) { c.Metadata[keyLayout] = "{}" }, ErrInvalid},
		{"huge layout", func(c *mcap.Channel) { c.Metadata[keyLayout] = string(make([]byte, maxShape+1)) }, ErrInvalid},
		{"layout of another id", func(c *mcap.Channel) { c.Metadata[keyLayoutID] = "0123456789abcdef" }, ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, c := good, *good.Channel
			c.Metadata = map[string]string{}
			for k, v := range good.Channel.Metadata {
				c.Metadata[k] = v
			}
			tt.change(&c)
			m.Channel = &c
			var dec Decoder
			for range 2 {
				if _, err := dec.Decode(m); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			}
		})
	}
}

// TestUnknownFieldsArePassedOver: a later build may add some.
func TestUnknownFieldsArePassedOver(t *testing.T) {
	m := goodMessage(t)
	m.Data = append64(bytes.Clone(m.Data), 9, 1)
	m.Data = appendText(m.Data, 3000, "later")
	var dec Decoder
	e, err := dec.Decode(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := same(e, imuEntry(t)); err != nil {
		t.Error(err)
	}
}

// TestDecodeAllocates: a message costs no memory but for what the first one of its channel does.
func TestDecodeAllocates(t *testing.T) {
	m, e := goodMessage(t), imuEntry(t)
	var dec Decoder
	w, err := NewWriter(io.Discard, mcap.WriterOptions{ChunkSize: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	run := func() {
		if _, err := dec.Decode(m); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		run()
	}
	if n := testing.AllocsPerRun(1000, run); n > 0.1 {
		t.Errorf("%v allocations per record", n)
	}
}

func FuzzDecode(f *testing.F) {
	good := goodMessage(f)
	f.Add(good.Channel.Metadata[keyLayout], good.Data)
	f.Add(`{"name":"a","kind":"event","fields":[{"name":"text","type":"string"}]}`, []byte{0x82, 1, 0})
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		m, c := good, *good.Channel
		c.Metadata = map[string]string{keyDevice: "rover", keyLayout: text, keyLayoutID: ""}
		m.Channel, m.Data = &c, data
		if l, err := parseShape(text); err == nil {
			c.Metadata[keyLayoutID] = l.ID().String()
		}
		var dec Decoder
		e, err := dec.Decode(m)
		if err != nil {
			return
		}
		if err := e.Record.Check(); err != nil {
			t.Fatalf("decoded to a packet that is none: %v", err)
		}
	})
}
