package link_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/order"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

func boots(t *rapid.T) (b telemetry.Boot) {
	copy(b[:], rapid.SliceOfN(rapid.Byte(), len(b), len(b)).Draw(t, "boot"))
	return b
}

func classes() *rapid.Generator[packet.Class] {
	return rapid.SampledFrom([]packet.Class{packet.Urgent, packet.Normal, packet.Bulk})
}

// ranges draws ascending ranges that begin at or beyond prefix.
func ranges(t *rapid.T, prefix uint64, n int) []ledger.Range {
	var list []ledger.Range
	at := prefix
	for range n {
		gap, count := rapid.Uint64Range(0, 1<<40).Draw(t, "gap"), rapid.Uint64Range(1, 1<<40).Draw(t, "count")
		list = append(list, ledger.Range{First: at + gap, Count: count})
		at += gap + count
	}
	return list
}

func messages() *rapid.Generator[link.Message] {
	return rapid.Custom(func(t *rapid.T) link.Message {
		switch rapid.IntRange(0, 7).Draw(t, "kind") {
		case 7:
			return link.Pause{Class: classes().Draw(t, "class"), For: time.Duration(rapid.Int64Range(0, int64(link.MaxLater/time.Millisecond)).Draw(t, "for")) * time.Millisecond,
				Text: rapid.StringN(-1, -1, link.MaxReason).Draw(t, "text")}
		case 4:
			return link.Clock{At: time.Duration(rapid.Int64().Draw(t, "at")), Challenge: order.Challenge{Session: boots(t), Nonce: boots(t)}}
		case 5:
			return link.Order{Encoded: rapid.SliceOfN(rapid.Byte(), 1, order.MaxSigned).Draw(t, "order")}
		case 6:
			return link.Receipt{ID: command.ID(boots(t)), Code: rapid.SampledFrom([]link.ReceiptCode{link.Taken, link.Stale, link.NotAccepted}).Draw(t, "code"),
				Text: rapid.StringN(-1, -1, link.MaxAnswer).Draw(t, "text")}
		case 0:
			return link.Frame{Data: rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "data")}
		case 1:
			a := link.Ack{Boot: boots(t), Class: classes().Draw(t, "class"), Prefix: rapid.Uint64Range(0, 1<<60).Draw(t, "prefix")}
			a.Ranges = ranges(t, a.Prefix, rapid.IntRange(0, link.MaxRanges).Draw(t, "ranges"))
			return a
		case 2:
			return link.Refuse{Boot: boots(t), Class: classes().Draw(t, "class"), First: rapid.Uint64Range(0, 1<<62).Draw(t, "first"),
				Count: rapid.Uint64Range(1, 1<<62).Draw(t, "count"), Code: link.Code(rapid.Byte().Draw(t, "code")),
				Text: rapid.StringN(-1, -1, link.MaxReason).Draw(t, "text")}
		}
		ids := rapid.SliceOfN(rapid.Uint64(), 0, link.MaxWanted).Draw(t, "layouts")
		w := link.Want{Layouts: make([]telemetry.LayoutID, len(ids))}
		for i, id := range ids {
			w.Layouts[i] = telemetry.LayoutID(id)
		}
		return w
	})
}

// equal treats an empty list as no list, and a Frame by its bytes.
func equal(a, b link.Message) bool {
	if f, ok := a.(link.Frame); ok {
		g, ok := b.(link.Frame)
		return ok && bytes.Equal(f.Data, g.Data)
	}
	return reflect.DeepEqual(a, b)
}

func TestMessageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := messages().Draw(t, "message")
		before := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "before")
		b := link.Append(bytes.Clone(before), m)
		if !bytes.HasPrefix(b, before) {
			t.Fatal("what was in the buffer has changed")
		}
		got, err := link.Parse(b[len(before):])
		if err != nil {
			t.Fatal(err)
		}
		if !equal(got, m) {
			t.Fatalf("got %+v, want %+v", got, m)
		}
	})
}

// control is one message of each kind that has a checksum of its own.
func control() map[string]link.Message {
	boot := telemetry.Boot{1, 2, 3, 15: 16}
	return map[string]link.Message{
		"ack": link.Ack{Boot: boot, Class: packet.Normal, Prefix: 7, Ranges: []ledger.Range{{First: 9, Count: 2}, {First: 20, Count: 1}}},
		"refuse": link.Refuse{Boot: boot, Class: packet.Bulk, First: 3, Count: 4, Code: link.CodeDevice,
			Text: "the frame names another device"},
		"want":    link.Want{Layouts: []telemetry.LayoutID{1, 1 << 63}},
		"pause":   link.Pause{Class: packet.Bulk, For: 90 * time.Second, Text: "its share is used"},
		"hail":    link.Hail{},
		"clock":   link.Clock{At: 7, Challenge: order.Challenge{Session: boot, Nonce: boot}},
		"order":   link.Order{Encoded: []byte("an order")},
		"receipt": link.Receipt{ID: command.ID(boot), Code: link.NotAccepted, Text: "too late"},
		"trust":   link.Trust{Encoded: []byte("a trust")},
		"empty":   link.Want{Layouts: []telemetry.LayoutID{}},
	}
}

func TestEveryFlippedBitOfAControlMessageIsNoticed(t *testing.T) {
	for name, m := range control() {
		b := link.Append(nil, m)
		for bit := range len(b) * 8 {
			if bit/8 == 1 {
				continue // the kind: checked below, since a frame has no checksum here
			}
			damaged := bytes.Clone(b)
			damaged[bit/8] ^= 1 << (bit % 8)
			if got, err := link.Parse(damaged); !errors.Is(err, link.ErrMalformed) {
				t.Errorf("%s, bit %d: %+v, %v", name, bit, got, err)
			}
		}
		for bit := range 8 {
			damaged := bytes.Clone(b)
			damaged[1] ^= 1 << bit
			got, err := link.Parse(damaged)
			if _, frame := got.(link.Frame); !frame && !errors.Is(err, link.ErrMalformed) {
				t.Errorf("%s as kind %d: %+v, %v", name, damaged[1], got, err)
			}
		}
		for n := range len(b) {
			if got, err := link.Parse(b[:n]); !errors.Is(err, link.ErrMalformed) {
				t.Errorf("%s, cut to %d bytes: %+v, %v", name, n, got, err)
			}
		}
		if _, err := link.Parse(append(bytes.Clone(b), 0)); !errors.Is(err, link.ErrMalformed) {
			t.Errorf("%s with a byte more: %v", name, err)
		}
	}
}

func TestListsAreCutToTheirLimits(t *testing.T) {
	a := link.Ack{Class: packet.Urgent}
	for i := range uint64(2 * link.MaxRanges) {
		a.Ranges = append(a.Ranges, ledger.Range{First: 3*i + 1, Count: 1})
	}
	m, err := link.Parse(link.Append(nil, a))
	if err != nil || len(m.(link.Ack).Ranges) != link.MaxRanges {
		t.Error(m, err)
	}
	m, err = link.Parse(link.Append(nil, link.Want{Layouts: make([]telemetry.LayoutID, 2*link.MaxWanted)}))
	if err != nil || len(m.(link.Want).Layouts) != link.MaxWanted {
		t.Error(m, err)
	}
	m, err = link.Parse(link.Append(nil, link.Refuse{Class: packet.Urgent, Count: 1, Text: strings.Repeat("x", 2*link.MaxReason)}))
	if err != nil || len(m.(link.Refuse).Text) != link.MaxReason {
		t.Error(m, err)
	}
	if _, err := link.Parse(make([]byte, link.MaxMessage+1)); !errors.Is(err, link.ErrMalformed) {
		t.Error(err)
	}
}

func TestAckCovers(t *testing.T) {
	a := link.Ack{Prefix: 10, Ranges: []ledger.Range{{First: 12, Count: 5}, {First: 20, Count: 1}}}
	for _, c := range []struct {
		first, count uint64
		want         bool
	}{{0, 10, true}, {9, 1, true}, {9, 2, false}, {10, 1, false}, {12, 5, true}, {13, 2, true}, {12, 6, false}, {11, 2, false},
		{16, 5, false}, {20, 1, true}, {21, 1, false}} {
		if got := a.Covers(ledger.Range{First: c.first, Count: c.count}); got != c.want {
			t.Errorf("%d+%d: %v, want %v", c.first, c.count, got, c.want)
		}
	}
}

func TestTopics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		device := rapid.StringMatching(`[a-z0-9_-]{1,64}`).Draw(t, "device")
		if got, ok := link.TopicDevice(link.UpTopic(device)); !ok || got != device {
			t.Fatal(got, ok)
		}
	})
	for _, topic := range []string{"", "fulmar/v1//up", "fulmar/v1/a/down", "fulmar/v1/a/b/up", "fulmar/v2/a/up", "fulmar/v1/+/up",
		"x/fulmar/v1/a/up", "fulmar/v1/A/up", "fulmar/v1/up"} {
		if device, ok := link.TopicDevice(topic); ok {
			t.Errorf("%q is %q's", topic, device)
		}
	}
}

// FuzzParse: what is taken for a message, other than a frame, is written again as it was.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := link.Parse(b)
		if err != nil {
			if !errors.Is(err, link.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if again := link.Append(nil, m); !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}

// TestCorpus keeps the committed corpus what the codec writes: with FULMAR_UPDATE=1 it is written anew.
func TestCorpus(t *testing.T) {
	list := control()
	list["frame"] = link.Frame{Data: []byte("frame")}
	for name, m := range list {
		path := filepath.Join("testdata", "fuzz", "FuzzParse", name)
		want := "go test fuzz v1\n[]byte(" + strconv.Quote(string(link.Append(nil, m))) + ")\n"
		if os.Getenv("FULMAR_UPDATE") == "1" {
			if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
}
