package mcap

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// smallFile is a file of some chunks on two channels. ends[i] is where in the file the chunk of message i ends.
func smallFile(t testing.TB, o WriterOptions) (f *recordedFile, ends []int) {
	t.Helper()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, o)
	if err != nil {
		t.Fatal(err)
	}
	f = &recordedFile{metadata: []Metadata{{Name: "vehicle", Values: map[string]string{"hull": "7"}}}}
	schema, err := w.AddSchema("imu", "text", []byte("x y z"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteMetadata(f.metadata[0]); err != nil {
		t.Fatal(err)
	}
	var channels [2]*Channel
	for i := range channels {
		c := &Channel{ID: uint16(i), Topic: fmt.Sprint("/imu/", i), MessageEncoding: "text", Metadata: map[string]string{"side": fmt.Sprint(i)}}
		s := uint16(0)
		if i == 0 {
			c.Schema, s = &Schema{ID: schema, Name: "imu", Encoding: "text", Data: []byte("x y z")}, schema
		}
		if c.ID, err = w.AddChannel(s, c.Topic, c.MessageEncoding, c.Metadata); err != nil {
			t.Fatal(err)
		}
		channels[i] = c
	}
	const perChunk, messages = 3, 8
	for i := range messages {
		m := Message{Channel: channels[i%3%2], Sequence: uint32(i), LogTime: uint64(1000 + i), PublishTime: uint64(900 + i), Data: fmt.Appendf(nil, "%d %d 0", i, i*i)}
		if err := w.Write(m.Channel.ID, m.Sequence, m.LogTime, m.PublishTime, m.Data); err != nil {
			t.Fatal(err)
		}
		f.messages = append(f.messages, m)
		if i%perChunk == perChunk-1 || i == messages-1 {
			at := buf.Len()
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			end := at + recordHeader + int(le.Uint64(buf.Bytes()[at+1:]))
			for len(ends) < len(f.messages) {
				ends = append(ends, end)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.bytes = buf.Bytes()
	return f, ends
}

func recoverAll(t testing.TB, b []byte) ([]Message, Recovery, error) {
	t.Helper()
	var got []Message
	rec, err := Recover(bytes.NewReader(b), ReaderOptions{}, func(m Message) error {
		m.Data = bytes.Clone(m.Data)
		got = append(got, m)
		return nil
	})
	if int(rec.Messages) != len(got) {
		t.Fatalf("%d messages told, %d delivered", rec.Messages, len(got))
	}
	return got, rec, err
}

func compressions(t *testing.T, f func(*testing.T, WriterOptions)) {
	for _, uncompressed := range []bool{false, true} {
		t.Run(fmt.Sprint("uncompressed=", uncompressed), func(t *testing.T) {
			t.Parallel()
			f(t, WriterOptions{Uncompressed: uncompressed})
		})
	}
}

// TestCutAnywhere cuts a file at every place: what was in whole chunks before the cut is there, and nothing else.
func TestCutAnywhere(t *testing.T) {
	compressions(t, func(t *testing.T, o WriterOptions) {
		f, ends := smallFile(t, o)
		head := len(magic) + recordHeader + int(le.Uint64(f.bytes[len(magic)+1:]))
		for cut := range len(f.bytes) {
			got, rec, err := recoverAll(t, f.bytes[:cut])
			if cut < len(magic) {
				if !errors.Is(err, ErrNotMCAP) {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				continue
			}
			if cut < head {
				if !errors.Is(err, ErrCut) {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				continue
			}
			want := 0
			for want < len(ends) && ends[want] <= cut {
				want++
			}
			if err != nil || rec.Complete || len(rec.Damage) != 1 || rec.Offset != int64(cut) {
				t.Fatalf("cut at %d: %+v, %v", cut, rec, err)
			}
			if d := rec.Damage[0]; !errors.Is(d, ErrCut) || d.Resumed != -1 || d.Offset > int64(cut) {
				t.Fatalf("cut at %d: %v", cut, d)
			}
			wantMessages(t, got, f.messages[:want])
			if _, err := NewIndexed(bytes.NewReader(f.bytes[:cut]), int64(cut), ReaderOptions{}); err == nil {
				t.Fatalf("cut at %d: the index was read", cut)
			}
		}
		if got, rec, err := recoverAll(t, f.bytes); err != nil || !rec.Complete || len(got) != len(f.messages) {
			t.Fatalf("whole: %+v, %v", rec, err)
		}
	})
}

// TestFlippedBits flips every bit of a file: no reader delivers as checked anything else than what was written, in its order,
// and the Reader never takes the file for sound.
func TestFlippedBits(t *testing.T) {
	compressions(t, func(t *testing.T, o WriterOptions) {
		f, _ := smallFile(t, o)
		b := bytes.Clone(f.bytes)
		for bit := range 8 * len(b) {
			b[bit/8] ^= 1 << (bit % 8)
			got, rec, err := recoverAll(t, b)
			if err == nil && rec.Complete {
				t.Fatalf("bit %d of byte %d: not noticed", bit%8, bit/8)
			}
			wantSubset(t, bit, got, f.messages)
			if x, err := NewIndexed(bytes.NewReader(b), int64(len(b)), ReaderOptions{}); err == nil {
				got = got[:0]
				for m, err := range x.Messages(Query{}) {
					var damage *DamageError
					if err != nil && !errors.As(err, &damage) {
						t.Fatal(err)
					} else if err == nil {
						m.Data = bytes.Clone(m.Data)
						got = append(got, m)
					}
				}
				wantSubset(t, bit, got, f.messages)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
	})
}

// wantSubset checks that got is want with some left out. Definitions are outside of chunks: their damage is noticed, but not
// before the messages, so only what is in a chunk is compared.
func wantSubset(t *testing.T, bit int, got, want []Message) {
	t.Helper()
	for _, m := range got {
		if m.Unchecked {
			continue // a damaged record can look like a message, and says so
		}
		for len(want) > 0 && want[0].Sequence != m.Sequence {
			want = want[1:]
		}
		if len(want) == 0 {
			t.Fatalf("bit %d: message %d was not written, or out of order", bit, m.Sequence)
		}
		if w := want[0]; m.LogTime != w.LogTime || m.PublishTime != w.PublishTime || !bytes.Equal(m.Data, w.Data) {
			t.Fatalf("bit %d: message %+v, want %+v", bit, m, w)
		}
		want = want[1:]
	}
}

// TestDamagedChunkCostsItself: the chunks behind a damaged one are delivered.
func TestDamagedChunkCostsItself(t *testing.T) {
	f, ends := smallFile(t, WriterOptions{})
	f.bytes[ends[0]-1] ^= 0x10
	got, rec, err := recoverAll(t, f.bytes)
	if err != nil || rec.Complete || len(rec.Damage) != 2 { // the chunk, and the CRC of the data section
		t.Fatalf("%+v, %v", rec, err)
	}
	if d := rec.Damage[0]; !errors.Is(d, ErrCorrupt) || d.Resumed != int64(ends[0]) {
		t.Errorf("damage %v, want resumed at %d", d, ends[0])
	}
	first := 0
	for ends[first] == ends[0] {
		first++
	}
	wantMessages(t, got, f.messages[first:])
}

// TestBytesBehindTheEnd: two files, one behind the other, are not one.
func TestBytesBehindTheEnd(t *testing.T) {
	f, _ := smallFile(t, WriterOptions{})
	if _, rec, err := recoverAll(t, append(bytes.Clone(f.bytes), 0)); err != nil || rec.Complete {
		t.Errorf("%+v, %v", rec, err)
	}
}

func TestCutIsAPrefix(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := drawFile(r)
		cut := rapid.IntRange(len(magic), len(f.bytes)).Draw(r, "cut")
		var got []Message
		rec, err := Recover(bytes.NewReader(f.bytes[:cut]), ReaderOptions{}, func(m Message) error {
			m.Data = bytes.Clone(m.Data)
			got = append(got, m)
			return nil
		})
		if err != nil && !errors.Is(err, ErrCut) || rec.Complete != (cut == len(f.bytes)) {
			r.Fatalf("cut at %d of %d: %+v, %v", cut, len(f.bytes), rec, err)
		}
		if len(got) > len(f.messages) {
			r.Fatalf("%d messages of %d", len(got), len(f.messages))
		}
		wantMessages(r, got, f.messages[:len(got)])
	})
}
