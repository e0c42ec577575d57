package records

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/recording/mcap"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// descriptor builds a layout's message type from its schema, with protobuf's own code.
func descriptor(t rapid.TB, l *telemetry.Layout) protoreflect.MessageDescriptor {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(schemaData(l), &set); err != nil {
		t.Fatal(err)
	}
	if b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&set); err != nil || string(b) != string(schemaData(l)) {
		t.Fatalf("the set is not as protobuf writes it, %v", err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		t.Fatal(err)
	}
	d, err := files.FindDescriptorByName(protoreflect.FullName(schemaName(l)))
	if err != nil {
		t.Fatal(err)
	}
	return d.(protoreflect.MessageDescriptor)
}

// quietly is how Go's reflection of protobuf shows a NaN: a float32 goes through a float64, which makes a signalling one
// quiet. That the bytes in the file are right, TestRoundTrip proves.
func quietly(bits uint64, size int) string {
	if size == 32 {
		bits |= 0x40_0000
	}
	return strconv.FormatUint(bits, 16)
}

// wantValues writes what a message of an entry says, value by value, from the packet: the text that read.mjs prints. A NaN
// becomes what nan says.
func wantValues(t rapid.TB, e Entry, nan func(bits uint64, size int) string) map[protoreflect.FieldNumber][]string {
	h, err := packet.ParseHeader(e.Record.Packet)
	if err != nil {
		t.Fatal(err)
	}
	want := map[protoreflect.FieldNumber][]string{
		fieldSeq: {fmt.Sprint(h.Seq)}, fieldMono: {fmt.Sprint(h.Mono)}, fieldWall: {fmt.Sprint(h.Wall)},
		fieldSeverity: {fmt.Sprint(uint8(h.Severity))}, fieldClass: {fmt.Sprint(uint8(h.Class))}, fieldBoot: {e.Stream.Boot.String()},
	}
	if e.Time < 0 {
		want[fieldTime] = []string{fmt.Sprint(e.Time)}
	}
	var rd packet.Reader
	rd.Reset(e.Record.Packet)
	for i, f := range e.Record.Layout.Fields {
		number := protoreflect.FieldNumber(firstField + i)
		for range f.Elements() {
			var s string
			switch f.Type {
			case packet.Float64:
				v := rd.Float64()
				if s = strconv.FormatUint(math.Float64bits(v), 16); math.IsNaN(v) {
					s = nan(math.Float64bits(v), 64)
				}
			case packet.Float32:
				v := rd.Float32()
				if s = strconv.FormatUint(uint64(math.Float32bits(v)), 16); math.IsNaN(float64(v)) {
					s = nan(uint64(math.Float32bits(v)), 32)
				}
			case packet.Int64:
				s = fmt.Sprint(rd.Int64())
			case packet.Uint64:
				s = fmt.Sprint(rd.Uint64())
			case packet.Bool:
				s = fmt.Sprint(rd.Bool())
			case packet.String:
				b := rd.Bytes()
				if s = string(b); !utf8.Valid(b) {
					want[number+rawField] = []string{hex.EncodeToString(b)}
					s = string([]rune(s))
				}
			}
			want[number] = append(want[number], s)
		}
	}
	return want
}

func protoText(kind protoreflect.Kind, v protoreflect.Value) string {
	switch kind {
	case protoreflect.DoubleKind:
		return strconv.FormatUint(math.Float64bits(v.Float()), 16)
	case protoreflect.FloatKind:
		return strconv.FormatUint(uint64(math.Float32bits(float32(v.Float()))), 16)
	case protoreflect.BytesKind:
		return hex.EncodeToString(v.Bytes())
	case protoreflect.EnumKind:
		return fmt.Sprint(v.Enum())
	}
	return v.String()
}

// TestProtobufReadsIt holds schemas and messages against protobuf's own code: it understands every value, and writes the
// same bytes.
func TestProtobufReadsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawEntries(t)
		for _, e := range list {
			d := descriptor(t, e.Record.Layout)
			h, err := packet.ParseHeader(e.Record.Packet)
			if err != nil {
				t.Fatal(err)
			}
			data, err := newPlan(e.Record.Layout).append(nil, h, e.Stream.Boot.String(), e.Time, e.Record.Packet)
			if err != nil {
				t.Fatal(err)
			}
			m := dynamicpb.NewMessage(d)
			if err := proto.Unmarshal(data, m); err != nil {
				t.Fatal(err)
			}
			if len(m.GetUnknown()) > 0 {
				t.Fatalf("fields that the schema does not have: %x", m.GetUnknown())
			}
			got := map[protoreflect.FieldNumber][]string{}
			for i := range d.Fields().Len() {
				f := d.Fields().Get(i)
				switch v := m.Get(f); {
				case f.IsList():
					for i := range v.List().Len() {
						got[f.Number()] = append(got[f.Number()], protoText(f.Kind(), v.List().Get(i)))
					}
				case m.Has(f):
					got[f.Number()] = []string{protoText(f.Kind(), v)}
				}
			}
			wantSame(t, got, wantValues(t, e, quietly))
		}
	})
}

func wantSame(t rapid.TB, got, want map[protoreflect.FieldNumber][]string) {
	for n, w := range want {
		if fmt.Sprint(got[n]) != fmt.Sprint(w) {
			t.Fatalf("field %d is %q, want %q", n, got[n], w)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d fields, want %d", len(got), len(want))
	}
}

// readWithJS runs read.mjs on a file and returns its lines: one per message, and a last one about the file.
func readWithJS(t *testing.T, mode string, file []byte) (messages []jsMessage, end jsEnd) {
	t.Helper()
	js := filepath.Join("..", "testdata", "js")
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(js, "node_modules", ".package-lock.json"))
	}
	if err != nil {
		if os.Getenv("FULMAR_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs node, and npm ci in recording/mcap/testdata/js: ", err)
	}
	path := filepath.Join(t.TempDir(), "file.mcap")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "read.mjs", mode, path)
	cmd.Dir = js
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, line := range lines {
		if i == len(lines)-1 {
			err = json.Unmarshal([]byte(line), &end)
		} else {
			messages = append(messages, jsMessage{})
			err = json.Unmarshal([]byte(line), &messages[i])
		}
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
	}
	return messages, end
}

type jsMessage struct {
	Topic, Schema string
	Sequence      uint32
	Log, Publish  string
	Values        map[string]any
}

type jsEnd struct {
	Done     bool
	Metadata []map[string]string
}

// wantMessages compares what JavaScript read with what was written.
func wantMessages(t *testing.T, got []jsMessage, want []Entry) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i, e := range want {
		m, l := got[i], e.Record.Layout
		topic := "/" + e.Stream.Device + "/" + l.Name
		at := fmt.Sprint(max(e.Time, 0))
		if m.Topic != topic || m.Schema != schemaName(l) || m.Sequence != uint32(packet.Seq(e.Record.Packet)) || m.Log != at || m.Publish != at {
			t.Fatalf("message %d: %+v, want %s at %s", i, m, topic, at)
		}
		d := descriptor(t, l)
		values := map[protoreflect.FieldNumber][]string{}
		for name, v := range m.Values {
			number := d.Fields().ByName(protoreflect.Name(name)).Number()
			if list, ok := v.([]any); ok {
				for _, v := range list {
					values[number] = append(values[number], v.(string))
				}
			} else {
				values[number] = []string{v.(string)}
			}
		}
		wantSame(t, values, wantValues(t, e, func(uint64, int) string { return "nan" }))
	}
}

// TestMCAPCoreReadsIt has the format's own library read our files, from start to end and by the index.
func TestMCAPCoreReadsIt(t *testing.T) {
	list := rapid.Custom(drawTimeline).Example(1)
	for _, o := range []mcap.WriterOptions{{ChunkSize: 1 << 10}, {ChunkSize: 1 << 10, Uncompressed: true}} {
		file := writeEntries(t, o, list)
		for _, mode := range []string{"stream", "indexed"} {
			t.Run(fmt.Sprintf("%s, uncompressed=%t", mode, o.Uncompressed), func(t *testing.T) {
				got, end := readWithJS(t, mode, file)
				wantMessages(t, got, list)
				if !end.Done {
					t.Error("the file is not complete")
				}
				if boots := bootsOf(list); mode == "indexed" && fmt.Sprint(end.Metadata) != fmt.Sprint(boots) {
					t.Errorf("metadata %v, want %v", end.Metadata, boots)
				}
			})
		}
	}
}

func bootsOf(list []Entry) []map[string]string {
	var boots []map[string]string
	seen := map[telemetry.Stream]bool{}
	for _, e := range list {
		if s := (telemetry.Stream{Device: e.Stream.Device, Boot: e.Stream.Boot}); !seen[s] {
			seen[s] = true
			boots = append(boots, map[string]string{"device": s.Device, "boot": s.Boot.String()})
		}
	}
	return boots
}

// TestMCAPCoreReadsACutFile cuts a file in the middle of a chunk: Recover finds what the format's own library finds.
func TestMCAPCoreReadsACutFile(t *testing.T) {
	list := rapid.Custom(drawTimeline).Example(2)
	file := writeEntries(t, mcap.WriterOptions{ChunkSize: 1 << 10}, list)
	const footer = 8 + 8 + 4 + 8 // with the magic
	data := int(le.Uint64(file[len(file)-footer:]))
	for _, part := range []int{3, 5, 8} {
		cut := file[:data*part/9]
		var dec Decoder
		n := 0
		rec, err := mcap.Recover(bytes.NewReader(cut), mcap.ReaderOptions{}, func(m mcap.Message) error {
			e, err := dec.Decode(m)
			if err == nil {
				err = same(e, list[n])
			}
			n++
			return err
		})
		if err != nil || rec.Complete || rec.Offset != int64(len(cut)) {
			t.Fatalf("%+v, %v", rec, err)
		}
		if n == 0 || n == len(list) {
			t.Fatalf("%d messages of %d: the cut proves nothing", n, len(list))
		}
		got, end := readWithJS(t, "stream", cut)
		wantMessages(t, got, list[:n])
		if end.Done {
			t.Error("JavaScript takes the file for complete")
		}
	}
}

// drawTimeline makes many entries, one after the other in time, with a negative one at the start.
func drawTimeline(t *rapid.T) []Entry {
	var list []Entry
	for len(list) < 200 {
		list = append(list, drawEntries(t)...)
	}
	for i := range list {
		list[i].Time = int64(i - 1)
	}
	list[0].Time = -5
	return list
}
