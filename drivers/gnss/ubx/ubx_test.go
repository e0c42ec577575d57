package ubx_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/drivers/gnss/ubx"
)

// found is what a Framer finds: frames, and all that is in none.
type found struct {
	frames []string // class, id and payload
	rest   string
}

// all pushes p in pieces of at most chunk bytes, and gives up at the end if quit is set.
func all(f *ubx.Framer, p []byte, chunk int, quit bool) (r found) {
	drain := func() {
		for {
			switch token, frame, rest := f.Next(); token {
			case ubx.More:
				return
			case ubx.Whole:
				r.frames = append(r.frames, string([]byte{frame.Class, frame.ID})+string(frame.Payload))
			case ubx.Rest:
				if len(rest) == 0 {
					panic("no rest")
				}
				r.rest += string(rest)
			}
		}
	}
	for len(p) > 0 {
		n := f.Push(p[:min(chunk, len(p))])
		p = p[n:]
		drain()
	}
	if quit {
		f.GiveUp()
		drain()
	}
	return r
}

func (r found) equal(o found) bool { return slices.Equal(r.frames, o.frames) && r.rest == o.rest }

// unhex turns digits in groups into bytes.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The frames are those that receivers in the field are set up with: the bytes, checksum included, are the same in many
// programs that were made by many.
func TestWellKnownFrames(t *testing.T) {
	values := func(layers ubx.Layers, v ...ubx.Value) []byte {
		b, err := ubx.AppendValues(nil, layers, v...)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"poll of MON-VER", ubx.AppendPoll(nil, ubx.MonVersion), "B562 0A04 0000 0E34"},
		{"poll of NAV-PVT", ubx.AppendPoll(nil, ubx.NavPVT), "B562 0107 0000 0819"},
		{"1 Hz", ubx.AppendRate(nil, 1000), "B562 0608 0600 E803 0100 0100 0139"},
		{"5 Hz", ubx.AppendRate(nil, 200), "B562 0608 0600 C800 0100 0100 DE6A"},
		{"GSV off", ubx.AppendMessageRate(nil, ubx.NMEAKind(ubx.NMEAGSV), 0), "B562 0601 0300 F00300 FD15"},
		{"airborne, in RAM", values(ubx.RAM, ubx.Value{Key: ubx.KeyDynamicPlatform, Value: 8}), "B562 068A 0900 00010000 21001120 08 F451"},
		{"115200 bit/s, in flash", values(ubx.Flash, ubx.Value{Key: ubx.KeyUART1Baud, Value: 115200}), "B562 068A 0C00 00040000 01005240 00C20100 F6C6"},
	} {
		if want := unhex(t, c.want); !bytes.Equal(c.got, want) {
			t.Errorf("%s: % X, want % X", c.name, c.got, want)
		}
	}
}

// Each thing that can be asked for, byte by byte, behind something that is there already.
func TestConfiguration(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string // class, id, length and payload
	}{
		{"CFG-PRT", ubx.AppendPort([]byte{1, 2}, ubx.UART2, 38400, ubx.UBX|ubx.RTCM3, ubx.UBX), "0600 1400 02000000 D0080000 00960000 2100 0100 0000 0000"},
		{"CFG-MSG", ubx.AppendMessageRate([]byte{1, 2}, ubx.NavPVT, 3), "0601 0300 010703"},
		{"CFG-RATE", ubx.AppendRate([]byte{1, 2}, 0x1234), "0608 0600 3412 0100 0100"},
		{"poll", ubx.AppendPoll([]byte{1, 2}, ubx.CfgRate), "0608 0000"},
	} {
		want := unhex(t, c.want)
		a, b := fletcher(want)
		want = append(append([]byte{1, 2, 0xB5, 0x62}, want...), a, b)
		if !bytes.Equal(c.got, want) {
			t.Errorf("%s: % X, want % X", c.name, c.got, want)
		}
	}
	got, err := ubx.AppendValues([]byte{1, 2}, ubx.RAM|ubx.BBR,
		ubx.Value{Key: 0x1001_0001, Value: 1}, ubx.Value{Key: 0x2001_0001, Value: 0xFE}, ubx.Value{Key: 0x3001_0001, Value: 0xFEDC},
		ubx.Value{Key: 0x4001_0001, Value: 0xFEDCBA98}, ubx.Value{Key: 0x5001_0001, Value: 0xFEDCBA9876543210})
	want := unhex(t, "0102 B562 068A 2800 00030000 01000110 01 01000120 FE 01000130 DCFE 01000140 98BADCFE 01000150 1032547698BADCFE")
	a, b := fletcher(want[4:])
	if want = append(want, a, b); !bytes.Equal(got, want) || err != nil {
		t.Errorf("% X, %v; want % X", got, err, want)
	}
	for _, v := range []ubx.Value{{Key: 0x1001_0001, Value: 2}, {Key: 0x2001_0001, Value: 256}, {Key: 0x3001_0001, Value: 1 << 16}, {Key: 0x4001_0001, Value: 1 << 32}, {Key: 0x0001_0001}, {Key: 0x6001_0001}} {
		if got, err := ubx.AppendValues([]byte{7}, ubx.RAM, ubx.Value{Key: ubx.KeySolutionEach, Value: 1}, v); err != ubx.ErrValue || !bytes.Equal(got, []byte{7}) {
			t.Errorf("%+v: % X, %v", v, got, err)
		}
	}
	many := make([]ubx.Value, ubx.MaxValues+1)
	for i := range many {
		many[i].Key = ubx.KeySolutionEach
	}
	if _, err := ubx.AppendValues(nil, ubx.RAM, many...); err != ubx.ErrValue {
		t.Errorf("%d values: %v", len(many), err)
	}
	if b, err := ubx.AppendValues(nil, ubx.RAM, many[1:]...); err != nil || len(all(new(ubx.Framer), b, 1000, false).frames) != 1 {
		t.Errorf("%d values: %v", len(many)-1, err)
	}
}

// fletcher is the checksum by its definition: the second byte is the sum of each byte times how many bytes are left.
func fletcher(p []byte) (a, b byte) {
	for i, x := range p {
		a += x
		b += byte(len(p)-i) * x
	}
	return a, b
}

func TestChecksum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "p")
		a, b := ubx.Checksum(p)
		if wantA, wantB := fletcher(p); a != wantA || b != wantB {
			t.Fatalf("%02X %02X, want %02X %02X", a, b, wantA, wantB)
		}
	})
}

func TestFrames(t *testing.T) {
	poll := ubx.AppendPoll(nil, ubx.MonVersion)
	longest := ubx.Append(nil, ubx.MonVersion, make([]byte, ubx.MaxPayload))
	tooLong := ubx.Append(nil, ubx.MonVersion, make([]byte, ubx.MaxPayload+1))
	damaged := slices.Clone(poll)
	damaged[7] ^= 1
	long := string(longest[2:4]) + string(longest[6:len(longest)-2])
	for _, c := range []struct {
		name   string
		in     []byte
		want   found
		counts ubx.Counts
	}{
		{"one", poll, found{frames: []string{"\x0A\x04"}}, ubx.Counts{Frames: 1}},
		{"text around", slices.Concat([]byte("$GP"), poll, []byte("GGA")), found{[]string{"\x0A\x04"}, "$GPGGA"}, ubx.Counts{Frames: 1}},
		{"damaged", damaged, found{rest: string(damaged)}, ubx.Counts{BadChecksum: 1}},
		{"the longest", longest, found{frames: []string{long}}, ubx.Counts{Frames: 1}},
		{"too long", append(tooLong, poll...), found{[]string{"\x0A\x04"}, string(tooLong)}, ubx.Counts{Frames: 1, TooLong: 1}},
		{"a first sync byte twice", append([]byte{0xB5}, poll...), found{[]string{"\x0A\x04"}, "\xB5"}, ubx.Counts{Frames: 1}},
		{"half, then whole", append([]byte{0xB5, 0x62, 1, 7, 92, 0, 1}, poll...), found{[]string{"\x0A\x04"}, "\xB5\x62\x01\x07\x5C\x00\x01"}, ubx.Counts{Frames: 1, GivenUp: 1}},
		{"half", poll[:5], found{rest: string(poll[:5])}, ubx.Counts{GivenUp: 1}},
		{"a sync byte", poll[:1], found{rest: "\xB5"}, ubx.Counts{GivenUp: 1}},
		{"one within another that is damaged", append(append([]byte{0xB5, 0x62, 1, 7, 8, 0}, poll...), 9, 9),
			found{[]string{"\x0A\x04"}, "\xB5\x62\x01\x07\x08\x00\x09\x09"}, ubx.Counts{Frames: 1, BadChecksum: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{1, 7, 5000} {
				var f ubx.Framer
				if got := all(&f, c.in, chunk, true); !got.equal(c.want) || f.Counts() != c.counts {
					t.Errorf("in pieces of %d: %+q, %+v; want %+q, %+v", chunk, got, f.Counts(), c.want, c.counts)
				}
			}
		})
	}
}

// After GiveUp a Framer goes on with what comes.
func TestGiveUpIsForWhatHasBegun(t *testing.T) {
	var f ubx.Framer
	poll := ubx.AppendPoll(nil, ubx.MonVersion)
	all(&f, poll[:4], 10, true)
	if got := all(&f, poll, 3, false); len(got.frames) != 1 || got.rest != "" {
		t.Errorf("%+q", got)
	}
	f.GiveUp() // with nothing begun
	if got := all(&f, poll, 3, false); len(got.frames) != 1 || got.rest != "" {
		t.Errorf("%+q", got)
	}
}

// Noise between frames costs none of them; a damaged frame costs none but itself; every byte comes out once, in its order; and
// how the bytes are cut changes nothing.
func TestNoiseCostsWhatItHits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []byte
		var want []string
		for range rapid.IntRange(1, 6).Draw(t, "frames") {
			noise := rapid.OneOf(
				rapid.SliceOfN(rapid.Byte(), 0, 100),
				rapid.SliceOfN(rapid.SampledFrom([]byte{0xB5, 0x62, 0, 1, 3, 4}), 0, 100), // headers that are none
			).Draw(t, "noise")
			payload := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xB5, 0x62, '$'}), 0, 300).Draw(t, "payload")
			frame := ubx.Append(nil, ubx.NavPVT, payload)
			in = append(in, noise...)
			if rapid.Bool().Draw(t, "hit") {
				frame[rapid.IntRange(0, len(frame)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flips"))
			} else {
				want = append(want, "\x01\x07"+string(payload))
			}
			in = append(in, frame...)
		}
		var f ubx.Framer
		got := all(&f, in, rapid.IntRange(1, 400).Draw(t, "chunk"), true)
		next := 0
		for _, frame := range got.frames { // a payload may hold a whole frame by chance: it may come out of a damaged one
			if next < len(want) && frame == want[next] {
				next++
			}
		}
		if next != len(want) {
			t.Fatalf("% X: %q, want %q", in, got.frames, want)
		}
		size := len(got.rest)
		for _, frame := range got.frames {
			size += len(frame) + 6
		}
		if size != len(in) {
			t.Fatalf("%d bytes came out of %d", size, len(in))
		}
		if whole := all(new(ubx.Framer), in, len(in), true); !whole.equal(got) {
			t.Fatalf("%q in one piece, %q in pieces", whole, got)
		}
	})
}

// A flip of one bit gives no frame: the checksum sees each, wherever it is. So it does two in one byte.
func TestFlippedBits(t *testing.T) {
	frame := ubx.Append(nil, ubx.NavPVT, pvt())
	for i := range frame {
		for flips := 1; flips < 256; flips++ {
			damaged := slices.Clone(frame)
			damaged[i] ^= byte(flips)
			if got := all(new(ubx.Framer), damaged, 1000, true); len(got.frames) != 0 || got.rest != string(damaged) {
				t.Errorf("byte %d, flips %08b: %q", i, flips, got.frames)
			}
		}
	}
}

// pvt is a payload of NAV-PVT in which each field has a value of its own.
func pvt() []byte {
	p := make([]byte, 92)
	u4 := binary.LittleEndian.PutUint32
	u2 := binary.LittleEndian.PutUint16
	neg := func(v int32) uint32 { return uint32(-v) }
	u4(p[0:], 123_456_000)
	u2(p[4:], 2026)
	copy(p[6:], []byte{11, 25, 19, 6, 59, 0x07})
	u4(p[12:], 25)
	u4(p[16:], neg(123_456))
	p[20], p[21], p[22], p[23] = 3, 0x83, 0, 17
	u4(p[24:], neg(62_500_001))
	u4(p[28:], 533_613_333)
	u4(p[32:], 67_890)
	u4(p[36:], 12_345)
	u4(p[40:], 14)
	u4(p[44:], 21)
	u4(p[48:], neg(1_500))
	u4(p[52:], 2_000)
	u4(p[56:], 250)
	u4(p[60:], 2_500)
	u4(p[64:], 12_686_989)
	u4(p[68:], 45)
	u4(p[72:], 1_234_567)
	u2(p[76:], 123)
	u2(p[78:], 1)
	return p
}

func TestDecodePVT(t *testing.T) {
	want := ubx.PVT{
		TOWMs: 123_456_000, Year: 2026, Month: 11, Day: 25, Hour: 19, Minute: 6, Second: 59, Nano: -123_456,
		DateValid: true, TimeValid: true, Resolved: true, TimeAccNs: 25, Fix: ubx.Fix3D, FixOK: true, Differential: true, Carrier: ubx.CarrierFixed,
		Satellites: 17, LongitudeE7: -62_500_001, LatitudeE7: 533_613_333, HeightMm: 67_890, AltitudeMm: 12_345, HorizontalMm: 14, VerticalMm: 21,
		NorthMmps: -1_500, EastMmps: 2_000, DownMmps: 250, SpeedMmps: 2_500, HeadingE5: 12_686_989, SpeedAccMmps: 45, HeadingAccE5: 1_234_567,
		PDOPE2: 123, PositionInvalid: true,
	}
	for _, n := range []int{84, 92} { // generation 7, generation 8
		if got, err := ubx.DecodePVT(pvt()[:n]); got != want || err != nil {
			t.Errorf("%d bytes: %+v, %v; want %+v", n, got, err, want)
		}
	}
}

func TestDecodeTheFixBeforePVT(t *testing.T) {
	sol, err := ubx.DecodeSOL(unhex(t, "60F05B07 E0FDFFFF 1009 03 0D 01000000 FEFFFFFF 03000000 04000000 05000000 FAFFFFFF 07000000 08000000 0900 AA 0B AAAAAAAA"))
	if want := (ubx.SOL{
		TOWMs: 123_465_824, TOWNs: -544, Week: 2320, Fix: ubx.Fix3D, FixOK: true, WeekValid: true, TOWValid: true,
		PositionCm: [3]int32{1, -2, 3}, AccuracyCm: 4, VelocityCmps: [3]int32{5, -6, 7}, SpeedAccCmps: 8, PDOPE2: 9, Satellites: 11,
	}); sol != want || err != nil {
		t.Errorf("%+v, %v; want %+v", sol, err, want)
	}
	dop, err := ubx.DecodeDOP(unhex(t, "60F05B07 0100 0200 0300 0400 0500 0600 0700"))
	if want := (ubx.DOP{TOWMs: 123_465_824, GDOPE2: 1, PDOPE2: 2, TDOPE2: 3, VDOPE2: 4, HDOPE2: 5}); dop != want || err != nil {
		t.Errorf("%+v, %v; want %+v", dop, err, want)
	}
	at, err := ubx.DecodeTimeGPS(unhex(t, "60F05B07 E0FDFFFF 1009 12 06 19000000"))
	if want := (ubx.TimeGPS{TOWMs: 123_465_824, TOWNs: -544, Week: 2320, Leap: 18, WeekValid: true, LeapValid: true, AccNs: 25}); at != want || err != nil {
		t.Errorf("%+v, %v; want %+v", at, err, want)
	}
	ack, err := ubx.DecodeAck([]byte{0x06, 0x8A})
	if ack != ubx.CfgValSet || err != nil {
		t.Errorf("%+v, %v", ack, err)
	}
}

func TestWhatIsTooShortIsRefused(t *testing.T) {
	decoders := []struct {
		length int
		decode func(p []byte) error
	}{
		{84, func(p []byte) error { _, err := ubx.DecodePVT(p); return err }},
		{52, func(p []byte) error { _, err := ubx.DecodeSOL(p); return err }},
		{18, func(p []byte) error { _, err := ubx.DecodeDOP(p); return err }},
		{16, func(p []byte) error { _, err := ubx.DecodeTimeGPS(p); return err }},
		{2, func(p []byte) error { _, err := ubx.DecodeAck(p); return err }},
		{40, func(p []byte) error { _, err := ubx.DecodeVersion(p); return err }},
	}
	for i, d := range decoders {
		for n := range 100 {
			if err := d.decode(make([]byte, n)); (err == nil) != (n >= d.length) || err != nil && err != ubx.ErrLength {
				t.Errorf("decoder %d, %d bytes: %v", i, n, err)
			}
		}
	}
}

// version is the payload of a MON-VER.
func version(software, hardware string, extensions ...string) []byte {
	p := make([]byte, 40+30*len(extensions))
	copy(p, software)
	copy(p[30:], hardware)
	for i, e := range extensions {
		copy(p[40+30*i:], e)
	}
	return p
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		payload  []byte
		protocol int
		keys     bool
	}{
		{version("7.03 (45970)", "00040007"), 0, false},
		{version("1.00 (59842)", "00070000", "PROTVER 14.00", "GPS;SBAS;GLO;QZSS"), 1400, false},
		{version("ROM CORE 3.01 (107888)", "00080000", "FWVER=SPG 3.01", "PROTVER=18.00"), 1800, false},
		{version("EXT CORE 3.01 (d080e3)", "00080000", "PROTVER=23.01"), 2301, false},
		{version("EXT CORE 1.00 (3fda8e)", "00190000", "ROM BASE 0x118B2060", "FWVER=HPG 1.12", "PROTVER=27.11"), 2711, true},
		{version("ROM SPG 5.10 (7b202e)", "000A0000", "FWVER=SPG 5.10", "PROTVER=34.10"), 3410, true},
		{version("a name of thirty bytes exactly", "0123456789", "PROTVER=27"), 2700, true},
		{version("", "", "PROTVER=1234567890123456789012"), 123456700, true},
		{version("", "", "PROTVER=", "PROTVERS=27"), 0, false},
	} {
		v, err := ubx.DecodeVersion(c.payload)
		if err != nil || v.Protocol != c.protocol || v.HasKeys() != c.keys {
			t.Errorf("%q: %d, %v, %v", c.payload, v.Protocol, v.HasKeys(), err)
		}
		if want := strings.TrimRight(string(c.payload[:30]), "\x00"); v.Software() != want {
			t.Errorf("%q, want %q", v.Software(), want)
		}
		if want := strings.TrimRight(string(c.payload[30:40]), "\x00"); v.Hardware() != want {
			t.Errorf("%q, want %q", v.Hardware(), want)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	in := slices.Concat([]byte("$GPGGA"), ubx.Append(nil, ubx.NavPVT, pvt()), ubx.Append(nil, ubx.MonVersion, version("1", "2", "PROTVER=27.11")), []byte{0xB5, 0x62, 1, 2, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0})
	out := make([]byte, 0, 256)
	var f ubx.Framer
	sum := 0
	if n := testing.AllocsPerRun(100, func() {
		for p := in; len(p) > 0; {
			p = p[f.Push(p):]
			for {
				token, frame, rest := f.Next()
				if token == ubx.More {
					break
				}
				m, _ := ubx.DecodePVT(frame.Payload)
				v, _ := ubx.DecodeVersion(frame.Payload)
				sum += int(m.Satellites) + v.Protocol + len(rest)
			}
		}
		out = ubx.AppendRate(ubx.AppendMessageRate(ubx.AppendPoll(out[:0], ubx.MonVersion), ubx.NavPVT, 1), 100)
		out, _ = ubx.AppendValues(ubx.AppendPort(out, ubx.UART1, 115200, ubx.UBX, ubx.UBX), ubx.RAM, ubx.Value{Key: ubx.KeyMeasurePeriod, Value: 100})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if sum == 0 {
		t.Error("nothing was decoded")
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("$\xB5\x62\x0A\x04\x00\x00\x0E\x34"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got := all(new(ubx.Framer), in, 1, true)
		if whole := all(new(ubx.Framer), in, max(1, len(in)), true); !whole.equal(got) {
			t.Fatalf("%q in one piece, %q byte by byte", whole, got)
		}
		size := len(got.rest)
		for _, s := range got.frames {
			size += len(s) + 6
			frame := ubx.Append(nil, ubx.Kind{Class: s[0], ID: s[1]}, []byte(s[2:]))
			if back := all(new(ubx.Framer), frame, 100, false); !slices.Equal(back.frames, []string{s}) {
				t.Fatalf("%q, written again, is %q", s, back.frames)
			}
			p := []byte(s[2:])
			_, _ = ubx.DecodePVT(p)
			_, _ = ubx.DecodeSOL(p)
			_, _ = ubx.DecodeDOP(p)
			_, _ = ubx.DecodeTimeGPS(p)
			_, _ = ubx.DecodeAck(p)
			if v, err := ubx.DecodeVersion(p); err == nil && (v.Protocol < 0 || len(v.Software()) > 30) {
				t.Fatalf("%q: %+v", p, v)
			}
		}
		if size != len(in) {
			t.Fatalf("%d bytes came out of %d", size, len(in))
		}
	})
}

func BenchmarkFramer(b *testing.B) {
	in := ubx.Append(nil, ubx.NavPVT, pvt())
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var f ubx.Framer
	for b.Loop() {
		f.Push(in)
		for {
			token, frame, _ := f.Next()
			if token == ubx.More {
				break
			}
			ubx.DecodePVT(frame.Payload)
		}
	}
}

// The worst that can arrive: each byte of it begins a frame of the greatest length whose checksum is wrong.
func BenchmarkFramerOnFalseHeaders(b *testing.B) {
	in := bytes.Repeat([]byte{0xB5, 0x62, 0x01, 0x07, 0xFF, 0x03}, 100)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var f ubx.Framer
	for b.Loop() {
		for p := in; len(p) > 0; {
			p = p[f.Push(p):]
			for {
				if token, _, _ := f.Next(); token == ubx.More {
					break
				}
			}
		}
	}
}

func Example() {
	request := ubx.AppendPoll(nil, ubx.NavPVT)
	fmt.Printf("% X\n", request)

	var framer ubx.Framer
	framer.Push(append([]byte("text"), ubx.Append(nil, ubx.AckAck, []byte{ubx.CfgRate.Class, ubx.CfgRate.ID})...))
	for {
		token, frame, rest := framer.Next()
		if token == ubx.More {
			break
		}
		if token == ubx.Rest {
			fmt.Printf("%s\n", rest)
			continue
		}
		what, err := ubx.DecodeAck(frame.Payload)
		fmt.Println(frame.Is(ubx.AckAck), what == ubx.CfgRate, err)
	}
	// Output:
	// B5 62 01 07 00 00 08 19
	// text
	// true true <nil>
}
