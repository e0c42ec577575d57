package mcap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A recordedFile is what was written, in terms that do not depend on the Writer.
type recordedFile struct {
	bytes    []byte
	messages []Message
	metadata []Metadata
}

func (f *recordedFile) reader() *bytes.Reader { return bytes.NewReader(f.bytes) }

// sameMessage compares all that a message says, its channel and schema included.
func sameMessage(a, b Message) error {
	switch {
	case a.Sequence != b.Sequence || a.LogTime != b.LogTime || a.PublishTime != b.PublishTime:
		return fmt.Errorf("sequence %d, times %d %d; want %d, %d %d", a.Sequence, a.LogTime, a.PublishTime, b.Sequence, b.LogTime, b.PublishTime)
	case !bytes.Equal(a.Data, b.Data):
		return fmt.Errorf("data %x, want %x", a.Data, b.Data)
	case a.Channel.ID != b.Channel.ID || a.Channel.Topic != b.Channel.Topic || a.Channel.MessageEncoding != b.Channel.MessageEncoding:
		return fmt.Errorf("channel %+v, want %+v", a.Channel, b.Channel)
	case !maps.Equal(a.Channel.Metadata, b.Channel.Metadata):
		return fmt.Errorf("metadata %v, want %v", a.Channel.Metadata, b.Channel.Metadata)
	case (a.Channel.Schema == nil) != (b.Channel.Schema == nil):
		return fmt.Errorf("schema %v, want %v", a.Channel.Schema, b.Channel.Schema)
	}
	if s, o := a.Channel.Schema, b.Channel.Schema; s != nil {
		if s.ID != o.ID || s.Name != o.Name || s.Encoding != o.Encoding || !bytes.Equal(s.Data, o.Data) {
			return fmt.Errorf("schema %+v, want %+v", s, o)
		}
	}
	return nil
}

// readAll reads a sound file and returns copies of its messages.
func readAll(t rapid.TB, in io.Reader) ([]Message, []Metadata) {
	r, err := NewReader(in, ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var list []Message
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		m.Data = bytes.Clone(m.Data)
		list = append(list, m)
	}
	if !r.Complete() {
		t.Fatal("the file is not complete")
	}
	return list, r.Metadata()
}

func wantMessages(t rapid.TB, got, want []Message) {
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i := range got {
		if err := sameMessage(got[i], want[i]); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}

// drawFile writes a file of anything.
func drawFile(t *rapid.T) *recordedFile {
	var buf bytes.Buffer
	f := &recordedFile{}
	w, err := NewWriter(&buf, WriterOptions{Uncompressed: rapid.Bool().Draw(t, "uncompressed"), ChunkSize: 1 << rapid.IntRange(10, 16).Draw(t, "chunk")})
	if err != nil {
		t.Fatal(err)
	}
	text := rapid.StringN(0, 20, 40)
	values := rapid.MapOfN(text, text, 0, 4)
	var schemas []*Schema
	var channels []*Channel
	for range rapid.IntRange(0, 200).Draw(t, "steps") {
		switch k := rapid.IntRange(0, 19).Draw(t, "step"); {
		case k == 0:
			s := &Schema{Name: text.Draw(t, "name"), Encoding: text.Draw(t, "encoding"), Data: rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "schema")}
			if s.ID, err = w.AddSchema(s.Name, s.Encoding, s.Data); err != nil {
				t.Fatal(err)
			}
			schemas = append(schemas, s)
		case k == 1 || len(channels) == 0:
			c := &Channel{Topic: text.Draw(t, "topic"), MessageEncoding: text.Draw(t, "encoding"), Metadata: values.Draw(t, "metadata")}
			id := uint16(0)
			if len(schemas) > 0 && rapid.Bool().Draw(t, "with schema") {
				c.Schema = rapid.SampledFrom(schemas).Draw(t, "of")
				id = c.Schema.ID
			}
			if c.ID, err = w.AddChannel(id, c.Topic, c.MessageEncoding, c.Metadata); err != nil {
				t.Fatal(err)
			}
			channels = append(channels, c)
		case k == 2:
			m := Metadata{Name: text.Draw(t, "name"), Values: values.Draw(t, "values")}
			if err := w.WriteMetadata(m); err != nil {
				t.Fatal(err)
			}
			f.metadata = append(f.metadata, m)
		case k == 3:
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		default:
			m := Message{Channel: rapid.SampledFrom(channels).Draw(t, "on"), Sequence: rapid.Uint32().Draw(t, "sequence"),
				LogTime: rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(1000, 1100)).Draw(t, "log"), PublishTime: rapid.Uint64().Draw(t, "publish"),
				Data: rapid.SliceOfN(rapid.Byte(), 0, 500).Draw(t, "data")}
			if err := w.Write(m.Channel.ID, m.Sequence, m.LogTime, m.PublishTime, m.Data); err != nil {
				t.Fatal(err)
			}
			f.messages = append(f.messages, m)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.bytes = buf.Bytes()
	return f
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFile(t)
		got, metadata := readAll(t, f.reader())
		wantMessages(t, got, f.messages)
		same := func(a, b Metadata) bool { return a.Name == b.Name && maps.Equal(a.Values, b.Values) }
		if !slices.EqualFunc(metadata, f.metadata, same) {
			t.Fatalf("metadata %v, want %v", metadata, f.metadata)
		}
		x, err := NewIndexed(f.reader(), int64(len(f.bytes)), ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if metadata, err := x.Metadata(); err != nil || !slices.EqualFunc(metadata, f.metadata, same) {
			t.Fatalf("metadata %v, %v; want %v", metadata, err, f.metadata)
		}
		wantStatistics(t, x.Statistics(), f)
	})
}

func wantStatistics(t rapid.TB, s Statistics, f *recordedFile) {
	want := Statistics{Messages: uint64(len(f.messages)), ByChannel: map[uint16]uint64{}}
	for i, m := range f.messages {
		if i == 0 {
			want.From, want.To = m.LogTime, m.LogTime
		}
		want.From, want.To = min(want.From, m.LogTime), max(want.To, m.LogTime)
		want.ByChannel[m.Channel.ID]++
	}
	if s.Messages != want.Messages || s.From != want.From || s.To != want.To || int(s.Metadata) != len(f.metadata) || !maps.Equal(s.ByChannel, want.ByChannel) {
		t.Fatalf("statistics %+v, want %+v", s, want)
	}
}

func TestIndexedChoosesByTimeAndChannel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFile(t)
		x, err := NewIndexed(f.reader(), int64(len(f.bytes)), ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		edge := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(1000, 1100), rapid.Just(uint64(0)))
		q := Query{From: edge.Draw(t, "from"), To: edge.Draw(t, "to")}
		chosen := map[uint16]bool{}
		if rapid.Bool().Draw(t, "by channel") {
			for _, c := range x.Channels() {
				chosen[c.ID] = rapid.Bool().Draw(t, "chosen")
			}
			q.Channel = func(c *Channel) bool { return chosen[c.ID] }
		}
		var got, want []Message
		for m, err := range x.Messages(q) {
			if err != nil {
				t.Fatal(err)
			}
			m.Data = bytes.Clone(m.Data)
			got = append(got, m)
		}
		for _, m := range f.messages {
			if m.LogTime >= q.From && (q.To == 0 || m.LogTime < q.To) && (q.Channel == nil || chosen[m.Channel.ID]) {
				want = append(want, m)
			}
		}
		wantMessages(t, got, want)
	})
}
