package wire_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"hash/crc32"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/wire"
)

// A microcontroller compiles this package, without a heap and without an operating system.
func TestImportsNothing(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			t.Errorf("%s imports %s", name, i.Path.Value)
		}
		checked++
	}
	if checked < 3 {
		t.Errorf("only %d files were checked", checked)
	}
}

func TestCRC(t *testing.T) {
	if got := wire.CRC([]byte("123456789")); got != 0xE3069283 { // the check value by which the polynomial is known
		t.Errorf("%#x", got)
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOf(rapid.Byte()).Draw(t, "a"), rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		if got, want := wire.CRC(a), crc32.Checksum(a, table); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
		if got, want := wire.UpdateCRC(wire.CRC(a), b), crc32.Checksum(append(bytes.Clone(a), b...), table); got != want {
			t.Fatalf("in pieces: %#x, want %#x", got, want)
		}
	})
}

// sequence is n bytes that count up from first.
func sequence(first, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(first + i)
	}
	return b
}

func TestCOBS(t *testing.T) {
	for _, c := range []struct {
		name        string
		plain, want []byte
	}{
		{"nothing", nil, []byte{1}},
		{"a zero", []byte{0}, []byte{1, 1}},
		{"two zeros", []byte{0, 0}, []byte{1, 1, 1}},
		{"a zero between", []byte{0x11, 0x22, 0, 0x33}, []byte{3, 0x11, 0x22, 2, 0x33}},
		{"no zero", []byte{0x11, 0x22, 0x33, 0x44}, []byte{5, 0x11, 0x22, 0x33, 0x44}},
		{"zeros at the end", []byte{0x11, 0, 0, 0}, []byte{2, 0x11, 1, 1, 1}},
		{"254 bytes", sequence(1, 254), append([]byte{255}, sequence(1, 254)...)},
		{"a zero and 254 bytes", sequence(0, 255), append([]byte{1, 255}, sequence(1, 254)...)},
		{"255 bytes", sequence(1, 255), append(append([]byte{255}, sequence(1, 254)...), 2, 255)},
		{"254 bytes and a zero", append(sequence(1, 254), 0), append(append([]byte{255}, sequence(1, 254)...), 1, 1)},
		{"253 bytes and a zero", append(sequence(1, 253), 0), append(append([]byte{254}, sequence(1, 253)...), 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := make([]byte, wire.MaxCOBS(len(c.plain)))
			n, err := wire.EncodeCOBS(got, c.plain)
			if err != wire.OK || !bytes.Equal(got[:n], c.want) {
				t.Fatalf("%x, %v, want %x", got[:n], err, c.want)
			}
			back := bytes.Clone(c.want)
			n, err = wire.DecodeCOBS(back, back)
			if err != wire.OK || !bytes.Equal(back[:n], c.plain) {
				t.Fatalf("decoded %x, %v, want %x", back[:n], err, c.plain)
			}
		})
	}
}

// payloads draws bytes with many zeros, and runs around the length of a block.
func payloads() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		var b []byte
		for range rapid.IntRange(0, 4).Draw(t, "runs") {
			b = append(b, rapid.SliceOfN(rapid.ByteRange(1, 255), 0, 3).Draw(t, "bytes")...)
			b = append(b, bytes.Repeat([]byte{rapid.SampledFrom([]byte{0, 1, 255}).Draw(t, "byte")},
				rapid.SampledFrom([]int{0, 1, 2, 252, 253, 254, 255, 508, 509}).Draw(t, "run"))...)
		}
		return b
	})
}

func TestCOBSRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := payloads().Draw(t, "plain")
		coded := make([]byte, wire.MaxCOBS(len(plain)))
		n, err := wire.EncodeCOBS(coded, plain)
		if err != wire.OK {
			t.Fatal(err)
		}
		if bytes.IndexByte(coded[:n], 0) >= 0 {
			t.Fatal("a zero in what is to be free of it")
		}
		if _, err := wire.EncodeCOBS(make([]byte, n-1), plain); err != wire.ErrShort {
			t.Fatalf("a byte too little: %v", err)
		}
		back := make([]byte, len(plain))
		m, err := wire.DecodeCOBS(back, coded[:n])
		if err != wire.OK || !bytes.Equal(back[:m], plain) {
			t.Fatalf("%x, %v, want %x", back[:m], err, plain)
		}
		if len(plain) > 0 {
			if _, err := wire.DecodeCOBS(back[:len(plain)-1], coded[:n]); err != wire.ErrShort {
				t.Fatalf("decoded into a byte too little: %v", err)
			}
		}
	})
}

func TestNotInCOBS(t *testing.T) {
	for _, b := range [][]byte{{0}, {2}, {3, 1}, {1, 0}, {2, 0}, {255, 1, 2}} {
		if n, err := wire.DecodeCOBS(make([]byte, 300), b); err != wire.ErrCoding {
			t.Errorf("%x: %d, %v", b, n, err)
		}
	}
}

// frames decodes all of a line, handed over in pieces of the given sizes by turns, into a buffer for payloads of limit bytes.
func frames(line []byte, limit int, pieces ...int) ([][]byte, wire.Counts) {
	var d wire.Decoder
	d.Reset(make([]byte, limit+4))
	var list [][]byte
	for i := 0; len(line) > 0; i++ {
		piece := line[:min(len(line), pieces[i%len(pieces)])]
		line = line[len(piece):]
		for len(piece) > 0 {
			n, payload, ok := d.Feed(piece)
			if ok {
				list = append(list, bytes.Clone(payload))
			}
			piece = piece[n:]
		}
	}
	return list, d.Counts
}

func encode(t testing.TB, payload []byte) []byte {
	b := make([]byte, wire.MaxFrame(len(payload)))
	n, err := wire.Encode(b, payload)
	if err != wire.OK {
		t.Fatal(err)
	}
	return b[:n]
}

// Whatever the sizes in which bytes arrive, and whatever lies between frames, those that are whole come through.
func TestFramesComeThrough(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const limit = 2000
		var line []byte
		var want [][]byte
		damaged := uint64(0)
		for i := range rapid.IntRange(1, 6).Draw(rt, "frames") {
			if noise := rapid.SliceOfN(rapid.ByteRange(1, 255), 0, 40).Draw(rt, "noise"); len(noise) > 0 {
				line = append(append(line, noise...), 0)
				damaged++ // that noise has a valid checksum is one case in four thousand million
			}
			payload := append([]byte{byte(i)}, payloads().Draw(rt, "payload")...)
			frame := encode(t, payload)
			switch rapid.IntRange(0, 4).Draw(rt, "fate") {
			case 0:
				cut := rapid.IntRange(1, len(frame)-2).Draw(rt, "cut")
				line = append(append(line, frame[:cut]...), 0)
				damaged++
				continue
			case 1:
				line = append(line, 0, 0)
			}
			line = append(line, frame...)
			if len(payload) > limit {
				damaged++
				continue
			}
			want = append(want, payload)
		}
		got, counts := frames(line, limit, rapid.SliceOfN(rapid.IntRange(1, 100), 1, 4).Draw(rt, "pieces")...)
		if len(got) != len(want) {
			rt.Fatalf("%d frames, want %d", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				rt.Fatalf("frame %d: %x, want %x", i, got[i], want[i])
			}
		}
		if counts.Frames != uint64(len(want)) || counts.Damaged != damaged {
			rt.Fatalf("%+v, want %d frames and %d damaged", counts, len(want), damaged)
		}
	})
}

func TestTooLong(t *testing.T) {
	line := append(encode(t, bytes.Repeat([]byte{7}, 101)), encode(t, bytes.Repeat([]byte{7}, 100))...)
	line = append(append(line, bytes.Repeat([]byte{1, 2, 3}, 10_000)...), 0)
	line = append(line, encode(t, []byte{9})...)
	got, counts := frames(line, 100, 64)
	if len(got) != 2 || len(got[0]) != 100 || len(got[1]) != 1 || counts != (wire.Counts{Frames: 2, Damaged: 2, TooLong: 2}) {
		t.Errorf("%d frames, %+v", len(got), counts)
	}
	// What fills the buffer would pass for a frame, if only what follows were not there.
	longer := make([]byte, 100)
	inner := []byte("a payload")
	n := copy(longer, inner)
	sum := wire.CRC(inner)
	n += copy(longer[n:], []byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24), 'x'})
	coded := make([]byte, 200)
	n, err := wire.EncodeCOBS(coded, longer[:n])
	if err != wire.OK {
		t.Fatal(err)
	}
	if got, counts = frames(append(coded[:n], 0), len(inner), 64); len(got) != 0 || counts.TooLong != 1 {
		t.Errorf("%q, %+v", got, counts)
	}
	if _, err := wire.Encode(make([]byte, 9), make([]byte, 4)); err != wire.ErrShort {
		t.Error(err)
	}
	if _, err := wire.Encode(nil, []byte{1}); err != wire.ErrShort {
		t.Error(err)
	}
}

// The checksum of nothing is 0: four zeros would be a frame of nothing.
func TestEmpty(t *testing.T) {
	if _, err := wire.Encode(make([]byte, 9), nil); err != wire.ErrEmpty {
		t.Error(err)
	}
	if got, counts := frames([]byte{1, 1, 1, 1, 1, 0}, 100, 64); len(got) != 0 || counts.Damaged != 1 {
		t.Errorf("%q, %+v", got, counts)
	}
}

// One flipped bit anywhere in a frame, its delimiter included, and it does not come through; the frame after the next
// delimiter does.
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 13, 96, 254, 300} {
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(rng.IntN(4)) // with zeros
		}
		frame := encode(t, payload)
		for bit := range len(frame) * 8 {
			line := bytes.Clone(frame)
			line[bit/8] ^= 1 << (bit % 8)
			line = append(append(line, 0), encode(t, []byte("next"))...)
			got, counts := frames(line, 2000, len(line))
			if len(got) != 1 || string(got[0]) != "next" || counts.Damaged == 0 {
				t.Fatalf("%d bytes, bit %d: %x, %+v", n, bit, got, counts)
			}
		}
	}
}

func TestNoHeap(t *testing.T) {
	payload, out, in := sequence(0, 600), make([]byte, wire.MaxFrame(600)), make([]byte, 604)
	plain := make([]byte, 600)
	var e wire.Encoder
	var d wire.Decoder
	d.Reset(in)
	if n := testing.AllocsPerRun(100, func() {
		e.Begin(out)
		e.Write(payload[:9])
		e.Write(payload[9:])
		n, err := e.End()
		if err != wire.OK {
			t.Fatal(err)
		}
		if _, got, ok := d.Feed(out[:n]); !ok || len(got) != len(payload) {
			t.Fatal("the frame does not come through")
		}
		if n, err = wire.EncodeCOBS(out, payload); err != wire.OK {
			t.Fatal(err)
		}
		if _, err = wire.DecodeCOBS(plain, out[:n]); err != wire.OK {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDecoder: whatever comes, nothing breaks, a frame that comes through is one that Encode makes, and the next is not lost.
func FuzzDecoder(f *testing.F) {
	for _, seed := range [][]byte{{}, {0}, {1}, {1, 1, 1, 1, 1, 0}, encode(f, []byte("frame")), append(encode(f, sequence(0, 300)), 5, 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got, counts := frames(line, 300, 7)
		if counts.Frames != uint64(len(got)) {
			t.Fatalf("%d frames, %+v", len(got), counts)
		}
		var again [][]byte
		for _, payload := range got {
			again = append(again, encode(t, payload))
		}
		for _, frame := range again {
			back, _ := frames(frame, 300, len(frame))
			if len(back) != 1 {
				t.Fatal("a frame that came through does not come through again")
			}
		}
		after, _ := frames(append(append(bytes.Clone(line), 0), encode(t, []byte("next"))...), 300, 7)
		if len(after) == 0 || string(after[len(after)-1]) != "next" {
			t.Fatal("the frame after the next delimiter is lost")
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	frame, in := encode(b, sequence(0, 1024)), make([]byte, 1028)
	var d wire.Decoder
	d.Reset(in)
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if _, _, ok := d.Feed(frame); !ok {
			b.Fatal("damaged")
		}
	}
}
