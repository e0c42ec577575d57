package mcap

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"testing"
)

// A fileBuilder puts records together as other writers may.
type fileBuilder struct{ b []byte }

func newFile() *fileBuilder {
	f := &fileBuilder{b: []byte(magic)}
	return f.record(opHeader, appendString(appendString(nil, "ros2"), "other"))
}

func (f *fileBuilder) record(op opcode, content []byte) *fileBuilder {
	f.b = append(le.AppendUint64(append(f.b, byte(op)), uint64(len(content))), content...)
	return f
}

func (f *fileBuilder) message(channel uint16, sequence uint32, data string) *fileBuilder {
	return f.record(opMessage, messageOf(channel, sequence, data))
}

func messageOf(channel uint16, sequence uint32, data string) []byte {
	b := le.AppendUint32(le.AppendUint16(nil, channel), sequence)
	return append(le.AppendUint64(le.AppendUint64(b, 5), 4), data...)
}

func (f *fileBuilder) channel(id uint16, topic string) *fileBuilder {
	b := le.AppendUint16(le.AppendUint16(nil, id), 0)
	return f.record(opChannel, appendStrings(appendString(appendString(b, topic), "text"), nil))
}

func (f *fileBuilder) attachment(data string) *fileBuilder {
	b := le.AppendUint64(le.AppendUint64(nil, 1), 2)
	b = appendString(appendString(b, "notes.txt"), "text/plain")
	b = append(le.AppendUint64(b, uint64(len(data))), data...)
	return f.record(opAttachment, le.AppendUint32(b, crc32.ChecksumIEEE(b)))
}

func (f *fileBuilder) chunk(compression string, size uint64, sum uint32, records []byte) *fileBuilder {
	b := le.AppendUint64(le.AppendUint64(nil, 5), 5)
	b = appendString(le.AppendUint32(le.AppendUint64(b, size), sum), compression)
	return f.record(opChunk, append(le.AppendUint64(b, uint64(len(records))), records...))
}

// end finishes the file without a summary and without CRCs.
func (f *fileBuilder) end() []byte {
	f.record(opDataEnd, make([]byte, 4)).record(opFooter, make([]byte, footerContent))
	return append(f.b, magic...)
}

// texts reads a file and returns the data of its messages, and the damage.
func texts(t *testing.T, b []byte, o ReaderOptions) (list []string, rec Recovery) {
	t.Helper()
	rec, err := Recover(bytes.NewReader(b), o, func(m Message) error {
		list = append(list, string(m.Data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, rec
}

// TestOtherWriters reads what this package does not write: messages outside of chunks, definitions inside, attachments,
// records of later versions and of applications, fields added at the end.
func TestOtherWriters(t *testing.T) {
	inner := newFile().channel(2, "/b").message(2, 3, "three").message(1, 4, "four").record(0x90, []byte("x")).b
	inner = inner[len(newFile().b):]
	b := newFile().record(0x7f, []byte("later")).record(0x80, make([]byte, 200_000)).channel(1, "/a").message(1, 1, "one").
		attachment("looks fine").message(1, 2, "two").chunk("", uint64(len(inner)), 0, inner).
		record(opMetadata, append(appendStrings(appendString(nil, "n"), map[string]string{"k": "v"}), "added later"...)).end()
	got, rec := texts(t, b, ReaderOptions{})
	if len(got) != 4 || got[0] != "one" || got[1] != "two" || got[2] != "three" || got[3] != "four" || !rec.Complete {
		t.Errorf("%q, %+v", got, rec)
	}
	if _, err := NewIndexed(bytes.NewReader(b), int64(len(b)), ReaderOptions{}); !errors.Is(err, ErrNoIndex) {
		t.Errorf("index: %v", err)
	}
	r, err := NewReader(bytes.NewReader(b), ReaderOptions{})
	if err != nil || r.Header() != (Header{Profile: "ros2", Library: "other"}) {
		t.Errorf("header %+v, %v", r.Header(), err)
	}
}

func TestDamage(t *testing.T) {
	good := func() *fileBuilder { return newFile().channel(1, "/a").message(1, 1, "one") }
	record := func(op opcode, content []byte) []byte { return (&fileBuilder{}).record(op, content).b }
	for _, tt := range []struct {
		name  string
		file  []byte
		o     ReaderOptions
		cause error
		want  int // messages
	}{
		{"attachment with another CRC", func() []byte {
			f := good().attachment("text")
			f.b[len(f.b)-6] ^= 1
			return f.message(1, 2, "two").end()
		}(), ReaderOptions{}, ErrCorrupt, 2},
		{"lz4", good().chunk("lz4", 10, 0, []byte("whatever")).message(1, 2, "two").end(), ReaderOptions{}, ErrCompression, 2},
		{"not zstd", good().chunk("zstd", 10, 0, []byte("whatever")).message(1, 2, "two").end(), ReaderOptions{}, ErrCorrupt, 2},
		{"chunk says it is large", good().chunk("zstd", 1<<40, 0, []byte("whatever")).message(1, 2, "two").end(), ReaderOptions{}, ErrLimit, 2},
		{"chunk of another size", good().chunk("", 3, 0, []byte("whatever")).message(1, 2, "two").end(), ReaderOptions{}, ErrCorrupt, 2},
		{"record longer than its chunk", good().chunk("", 9, 0, []byte{5, 255, 255, 255, 255, 255, 255, 255, 255}).message(1, 2, "two").end(), ReaderOptions{}, ErrCorrupt, 2},
		{"unknown channel", good().message(9, 2, "x").message(1, 2, "two").end(), ReaderOptions{}, ErrCorrupt, 2},
		{"unknown channel in a chunk", good().chunk("", 36, 0, record(opMessage, messageOf(9, 2, "12345"))).message(1, 2, "two").end(), ReaderOptions{}, ErrCorrupt, 2},
		{"channel again, other", good().channel(1, "/b").message(1, 2, "two").end(), ReaderOptions{}, ErrCorrupt, 2},
		{"short message", good().record(opMessage, make([]byte, 21)).message(1, 2, "two").end(), ReaderOptions{}, ErrCorrupt, 2},
		{"message behind the data", good().record(opDataEnd, make([]byte, 4)).message(1, 2, "two").b, ReaderOptions{}, ErrCorrupt, 1},
		{"opcode 0", good().record(0, nil).end(), ReaderOptions{}, ErrCorrupt, 1},
		{"record of 2⁶⁴−1 bytes", append(good().b, 0x90, 255, 255, 255, 255, 255, 255, 255, 255), ReaderOptions{}, ErrCorrupt, 1},
		{"large record", good().message(1, 2, string(make([]byte, 2000))).end(), ReaderOptions{MaxRecord: 1000}, ErrLimit, 1},
		{"large definitions", good().channel(2, string(make([]byte, 900))).message(1, 2, "two").end(), ReaderOptions{MaxDefinitions: 1000}, ErrLimit, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, rec := texts(t, tt.file, tt.o)
			if len(got) != tt.want || rec.Complete || len(rec.Damage) != 1 || !errors.Is(rec.Damage[0], tt.cause) {
				t.Errorf("%q, %+v, want %d messages and %v", got, rec, tt.want, tt.cause)
			}
		})
	}
}

// TestReadError: what the operating system says is not damage.
func TestReadError(t *testing.T) {
	f, _ := smallFile(t, WriterOptions{})
	for n := len(magic); n < len(f.bytes); n += 7 {
		_, err := Recover(io.MultiReader(bytes.NewReader(f.bytes[:n]), failing{}), ReaderOptions{}, func(Message) error { return nil })
		if !errors.Is(err, errDisk) {
			t.Fatalf("at %d: %v", n, err)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errDisk }

// TestMemoryFollowsTheFile: a record that says it is large takes memory as its bytes come.
func TestMemoryFollowsTheFile(t *testing.T) {
	b := append(newFile().b, byte(opMetadata))
	b = le.AppendUint64(b, 60<<20)
	r, err := NewReader(bytes.NewReader(append(b, 1, 2, 3)), ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, ErrCut) {
		t.Fatal(err)
	}
	if cap(r.buf) > 2<<20 {
		t.Errorf("%d bytes for a record of 3", cap(r.buf))
	}
}

func FuzzReader(f *testing.F) {
	for _, o := range []WriterOptions{{}, {Uncompressed: true}} {
		file, _ := smallFile(f, o)
		f.Add(file.bytes)
	}
	f.Add(newFile().channel(1, "/a").message(1, 1, "one").attachment("text").end())
	f.Fuzz(func(t *testing.T, b []byte) {
		o := ReaderOptions{MaxRecord: 1 << 16, MaxChunk: 1 << 16, MaxDefinitions: 1 << 16, MaxSummary: 1 << 16}
		var delivered uint64
		rec, err := Recover(bytes.NewReader(b), o, func(m Message) error {
			delivered++
			if m.Channel == nil || len(m.Data) > 1<<16 {
				t.Fatalf("message %+v", m)
			}
			return nil
		})
		if rec.Offset > int64(len(b)) || rec.Messages != delivered || err != nil && rec.Complete {
			t.Fatalf("%+v of %d bytes, %v", rec, len(b), err)
		}
		x, err := NewIndexed(bytes.NewReader(b), int64(len(b)), o)
		if err != nil {
			return
		}
		if _, err := x.Metadata(); err != nil {
			t.Log(err)
		}
		for _, err := range x.Messages(Query{From: 1, To: 1 << 40}) {
			if err != nil {
				t.Log(err)
			}
		}
	})
}
