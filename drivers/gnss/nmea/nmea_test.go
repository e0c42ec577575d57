package nmea_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/drivers/gnss/nmea"
)

// all returns the sentences in p, in reads of at most chunk bytes.
func all(f *nmea.Framer, p []byte, chunk int) (found []string) {
	for len(p) > 0 {
		part := p[:min(chunk, len(p))]
		p = p[len(part):]
		for len(part) > 0 {
			s, n := f.Next(part)
			if part = part[n:]; s != nil {
				found = append(found, string(s))
			}
		}
	}
	return found
}

func line(body string) []byte { return nmea.Append(nil, body) }

func some[T any](v T) nmea.Maybe[T] { return nmea.Maybe[T]{Value: v, OK: true} }

func TestSentences(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
		counts   nmea.Counts
	}{
		{"whole", "$GPZDA,1*55\r\n", []string{"GPZDA,1"}, nmea.Counts{Sentences: 1}},
		{"LF alone", "$GPZDA,1*55\n", []string{"GPZDA,1"}, nmea.Counts{Sentences: 1}},
		{"lower case", "$GPZDA,;*5f\n", []string{"GPZDA,;"}, nmea.Counts{Sentences: 1}},
		{"wrong checksum", "$GPZDA,1*54\r\n", nil, nmea.Counts{BadChecksum: 1, Garbage: 11}},
		{"no checksum", "$GPZDA,1\r\n", nil, nmea.Counts{Broken: 1, Garbage: 8}},
		{"no hex", "$GPZDA,1*4G\r\n", nil, nmea.Counts{Broken: 1, Garbage: 11}},
		{"only a checksum", "$*00\r\n", nil, nmea.Counts{Broken: 1, Garbage: 4}},
		{"nothing", "$\r\n", nil, nmea.Counts{Broken: 1, Garbage: 1}},
		{"no end", "$GPZDA,1*55", nil, nmea.Counts{}},
		{"half, then whole", "$GPZD$GPZDA,1*55\r\n", []string{"GPZDA,1"}, nmea.Counts{Sentences: 1, Broken: 1, Garbage: 5}},
		{"a byte that is no text", "$GPZ\xB5DA,1*40\r\n", nil, nmea.Counts{Broken: 1, Garbage: 12}},
		{"noise before", "xyz$GPZDA,1*55\r\n", []string{"GPZDA,1"}, nmea.Counts{Sentences: 1, Garbage: 3}},
		{"two", "$GPZDA,1*55\r\n$GPZDA,2*56\r\n", []string{"GPZDA,1", "GPZDA,2"}, nmea.Counts{Sentences: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{1, 1000} {
				var f nmea.Framer
				if got := all(&f, []byte(c.in), chunk); !slices.Equal(got, c.want) || f.Counts() != c.counts {
					t.Errorf("in pieces of %d: %q, %+v; want %q, %+v", chunk, got, f.Counts(), c.want, c.counts)
				}
			}
		})
	}
}

func TestTheLongestSentence(t *testing.T) {
	for _, c := range []struct {
		fill  int
		whole bool
	}{{nmea.MaxSentence - 9, true}, {nmea.MaxSentence - 8, false}} {
		var f nmea.Framer
		in := line("GPTXT," + strings.Repeat("x", c.fill))
		got := all(&f, append(in, line("GPZDA,1")...), 1000)
		if want := map[bool]int{true: 2, false: 1}[c.whole]; len(got) != want || f.Counts().TooLong != uint64(2-want) {
			t.Errorf("%d bytes: %q, %+v", c.fill, got, f.Counts())
		}
	}
}

// example is a sentence of each type.
var example = map[nmea.Type]string{
	nmea.TypeRMC: "GNRMC,123519.25,A,4807.0380,N,01131.0000,W,10.0,84.4,230394,3.1,W,D",
	nmea.TypeGGA: "GPGGA,123519,4807.038,S,01131.000,E,4,08,0.9,545.4,M,-46.9,M,1.0,0120",
	nmea.TypeGSA: "GNGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1,4",
	nmea.TypeGLL: "GPGLL,4916.45,N,12311.12,W,225444,A,A",
	nmea.TypeVTG: "GPVTG,054.7,T,034.4,M,005.5,N,010.2,K,A",
	nmea.TypeZDA: "GPZDA,201530.00,29,02,2024,00,00",
	nmea.TypeGNS: "GNGNS,014035.00,4332.69262,S,17235.48549,E,NRA,13,0.9,25.63,11.24,,,V",
	nmea.TypeGST: "GPGST,172814.0,0.006,0.023,0.020,273.6,0.023,0.020,0.031",
}

func TestDecode(t *testing.T) {
	rmc, err := nmea.DecodeRMC(nmea.Sentence(example[nmea.TypeRMC]))
	if want := (nmea.RMC{
		Time: some(12*time.Hour + 35*time.Minute + 19250*time.Millisecond), Valid: true,
		Position: some(nmea.Position{LatitudeDeg: 48 + 7.038/60, LongitudeDeg: -(11 + 31.0/60)}),
		SpeedMps: some(10 * 1852.0 / 3600), CourseDeg: some(84.4), Date: some(nmea.Date{Year: 1994, Month: 3, Day: 23}),
		VariationDeg: some(-3.1), Mode: nmea.Differential,
	}); rmc != want || err != nil {
		t.Errorf("%+v, %v; want %+v", rmc, err, want)
	}
	gga, err := nmea.DecodeGGA(nmea.Sentence(example[nmea.TypeGGA]))
	if want := (nmea.GGA{
		Time: some(12*time.Hour + 35*time.Minute + 19*time.Second), Position: some(nmea.Position{LatitudeDeg: -(48 + 7.038/60), LongitudeDeg: 11 + 31.0/60}),
		Quality: 4, Satellites: some(8), HDOP: some(0.9), AltitudeM: some(545.4), SeparationM: some(-46.9),
	}); gga != want || err != nil {
		t.Errorf("%+v, %v; want %+v", gga, err, want)
	}
	gsa, err := nmea.DecodeGSA(nmea.Sentence(example[nmea.TypeGSA]))
	if want := (nmea.GSA{
		Mode: some(3), Satellites: [12]int{4, 5, 9, 12, 24}, Used: 5, PDOP: some(2.5), HDOP: some(1.3), VDOP: some(2.1), System: some(4),
	}); gsa != want || err != nil {
		t.Errorf("%+v, %v; want %+v", gsa, err, want)
	}
	gll, err := nmea.DecodeGLL(nmea.Sentence(example[nmea.TypeGLL]))
	if want := (nmea.GLL{
		Position: some(nmea.Position{LatitudeDeg: 49 + 16.45/60, LongitudeDeg: -(123 + 11.12/60)}),
		Time:     some(22*time.Hour + 54*time.Minute + 44*time.Second), Valid: true, Mode: nmea.Autonomous,
	}); gll != want || err != nil {
		t.Errorf("%+v, %v; want %+v", gll, err, want)
	}
	vtg, err := nmea.DecodeVTG(nmea.Sentence(example[nmea.TypeVTG]))
	if want := (nmea.VTG{CourseDeg: some(54.7), MagneticCourseDeg: some(34.4), SpeedMps: some(5.5 * 1852 / 3600), Mode: nmea.Autonomous}); vtg.CourseDeg != want.CourseDeg ||
		vtg.MagneticCourseDeg != want.MagneticCourseDeg || math.Abs(vtg.SpeedMps.Value-want.SpeedMps.Value) > 1e-12 || err != nil {
		t.Errorf("%+v, %v; want %+v", vtg, err, want)
	}
	zda, err := nmea.DecodeZDA(nmea.Sentence(example[nmea.TypeZDA]))
	if want := (nmea.ZDA{Time: some(20*time.Hour + 15*time.Minute + 30*time.Second), Date: some(nmea.Date{Year: 2024, Month: 2, Day: 29})}); zda != want || err != nil {
		t.Errorf("%+v, %v; want %+v", zda, err, want)
	}
	gns, err := nmea.DecodeGNS(nmea.Sentence(example[nmea.TypeGNS]))
	if want := (nmea.GNS{
		Time: some(time.Hour + 40*time.Minute + 35*time.Second), Position: some(nmea.Position{LatitudeDeg: -(43 + 32.69262/60), LongitudeDeg: 172 + 35.48549/60}),
		Mode: nmea.RTK, Satellites: some(13), HDOP: some(0.9), AltitudeM: some(25.63), SeparationM: some(11.24),
	}); gns != want || err != nil {
		t.Errorf("%+v, %v; want %+v", gns, err, want)
	}
	gst, err := nmea.DecodeGST(nmea.Sentence(example[nmea.TypeGST]))
	if want := (nmea.GST{
		Time: some(17*time.Hour + 28*time.Minute + 14*time.Second), LatitudeM: some(0.023), LongitudeM: some(0.02), AltitudeM: some(0.031),
		RangeRMSM: some(0.006), SemiMajorM: some(0.023), SemiMinorM: some(0.02), SemiMajorDeg: some(273.6),
	}); gst != want || err != nil {
		t.Errorf("%+v, %v; want %+v", gst, err, want)
	}
}

// decode decodes a sentence by its type, and returns it as text.
func decode(s nmea.Sentence) (string, error) {
	show := func(v any, err error) (string, error) { return fmt.Sprintf("%+v", v), err }
	switch s.Type() {
	case nmea.TypeRMC:
		return show(nmea.DecodeRMC(s))
	case nmea.TypeGGA:
		return show(nmea.DecodeGGA(s))
	case nmea.TypeGSA:
		return show(nmea.DecodeGSA(s))
	case nmea.TypeGLL:
		return show(nmea.DecodeGLL(s))
	case nmea.TypeVTG:
		return show(nmea.DecodeVTG(s))
	case nmea.TypeZDA:
		return show(nmea.DecodeZDA(s))
	case nmea.TypeGNS:
		return show(nmea.DecodeGNS(s))
	case nmea.TypeGST:
		return show(nmea.DecodeGST(s))
	}
	return "", nmea.ErrType
}

// What is left empty is absent: no decoder makes a 0 of it.
func TestEmptyFieldsAreAbsent(t *testing.T) {
	for _, body := range []string{
		"GPRMC,,V,,,,,,,,,,N", "GPGGA,,,,,,0,,,,M,,M,,", "GPGSA,A,,,,,,,,,,,,,,,,", "GPGLL,,,,,,V,N", "GPVTG,,T,,M,,N,,K,N",
		"GPZDA,,,,,,", "GPGGA,,,,,,,,,,M,,M,,", "GPGSA,A,E", "GPGSA,A,,,,,,,,,,,,,,,,,G", "GPGSA,A,,,,,,,,,,,,,,,,,1.2", "GNGNS,,,,,,NN,,,,,,", "GPGST,,,,,,,,", "GPGLL,,,,,,V", "GPVTG", "GPGSA,", "GPZDA,",
	} {
		s := nmea.Sentence(body)
		if len(body) == 5 {
			if s.Type() != nmea.Other {
				t.Errorf("%s, without fields, is a %s", body, s.Type())
			}
			continue
		}
		text, err := decode(s)
		if err != nil || strings.Contains(text, "OK:true") {
			t.Errorf("%s: %s, %v", body, text, err)
		}
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	for _, body := range []string{
		"GPRMC,240000,A,,,,,,,,,", "GPRMC,236000,A,,,,,,,,,", "GPRMC,235961,A,,,,,,,,,", "GPRMC,23595,A,,,,,,,,,", "GPRMC,2359590,A,,,,,,,,,",
		"GPRMC,235959.x,A,,,,,,,,,", "GPRMC,235959.1234567890,A,,,,,,,,,", "GPRMC,-35959,A,,,,,,,,,",
		"GPRMC,,,,,,,,,,,", "GPRMC,,B,,,,,,,,,", "GPRMC,,AA,,,,,,,,,",
		"GPRMC,,A,9000.1,N,00000,E,,,,,", "GPRMC,,A,9100,N,00000,E,,,,,", "GPRMC,,A,4560,N,00000,E,,,,,", "GPRMC,,A,4500,E,00000,E,,,,,",
		"GPRMC,,A,4500,,00000,E,,,,,", "GPRMC,,A,4500,N,,,,,,,", "GPRMC,,A,-4500,N,00000,E,,,,,", "GPRMC,,A,4500,N,18000.1,E,,,,,",
		"GPRMC,,A,4500.0000000000000000,N,00000,E,,,,,", "GPRMC,,A,0.00000000000000000,N,00000,E,,,,,", "GPRMC,,A,45.0.0,N,00000,E,,,,,",
		"GPRMC,,A,,,,,-1,,,,", "GPRMC,,A,,,,,1e3,,,,", "GPRMC,,A,,,,,.,,,,", "GPRMC,,A,,,,,1,361,,,", "GPRMC,,A,,,,,1234567890123456789,,,,",
		"GPRMC,,A,,,,,,,310625,,", "GPRMC,,A,,,,,,,290225,,", "GPRMC,,A,,,,,,,000125,,", "GPRMC,,A,,,,,,,011325,,", "GPRMC,,A,,,,,,,0101,,", "GPRMC,,A,,,,,,,01o125,,",
		"GPRMC,,A,,,,,,,,1,N", "GPRMC,,A,,,,,,,,,,XX",
		"GPGGA,,,,,,1.0,,,,M,,M,,", "GPGGA,,,,,,1,-4,,,M,,M,,", "GPGGA,,,,,,1,4,-1,,M,,M,,", "GPGGA,,,,,,1,4,1,5,F,,M,,",
		"GPGSA,A,0,", "GPGSA,A,4,", "GPGSA,A,1,x",
		"GPVTG,1,M", "GPVTG,1,T,,M,,K", "GPZDA,,1,,2025", "GPZDA,,31,04,2025", "GPZDA,,1,1,-25", "GNGNS,,,,,,,,,,,,", "GPGST,,-1", "GPGST,,,,,361",
		"GPGLL,,,,,,", "GPGLL,1,N,2,E,,A,AB",
	} {
		if text, err := decode(nmea.Sentence(body)); err != nmea.ErrField {
			t.Errorf("%s: %s, %v", body, text, err)
		}
	}
	if _, err := nmea.DecodeRMC(nmea.Sentence(example[nmea.TypeGGA])); err != nmea.ErrType {
		t.Errorf("a GGA as RMC: %v", err)
	}
	if got := nmea.Sentence("PUBX,00,1").Type(); got != nmea.Other {
		t.Errorf("a maker's own is %s", got)
	}
}

// The ends of what can be said.
func TestLimits(t *testing.T) {
	m, err := nmea.DecodeRMC(nmea.Sentence("GPRMC,235960.999999999,A,9000.000,S,18000.0000,W,0,360,311279,,"))
	want := nmea.Maybe[nmea.Position]{Value: nmea.Position{LatitudeDeg: -90, LongitudeDeg: -180}, OK: true}
	if err != nil || m.Position != want || m.Time.Value != 24*time.Hour+999999999 || m.Date.Value.Year != 2079 {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := nmea.DecodeRMC(nmea.Sentence("GPRMC,,A,,,,,,,010180,,")); err != nil || m.Date.Value.Year != 1980 {
		t.Errorf("%+v, %v", m, err)
	}
	v, err := nmea.DecodeVTG(nmea.Sentence("GPVTG,,T,,M,,N,36,K"))
	if err != nil || v.SpeedMps != some(36*(1/3.6)) {
		t.Errorf("%+v, %v", v, err)
	}
}

// A position survives being written with the digits that a receiver gives.
func TestPositionsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lat := rapid.Int64Range(0, 90*60e7).Draw(t, "lat") // 1e-7 minutes
		lon := rapid.Int64Range(0, 180*60e7).Draw(t, "lon")
		ns, ew := rapid.SampledFrom([]string{"N", "S"}).Draw(t, "ns"), rapid.SampledFrom([]string{"E", "W"}).Draw(t, "ew")
		body := fmt.Sprintf("GPGLL,%02d%02d.%07d,%s,%03d%02d.%07d,%s,,A",
			lat/60e7, lat%60e7/1e7, lat%1e7, ns, lon/60e7, lon%60e7/1e7, lon%1e7, ew)
		m, err := nmea.DecodeGLL(nmea.Sentence(body))
		if err != nil {
			t.Fatal(err)
		}
		wantLat, wantLon := float64(lat)/60e7, float64(lon)/60e7
		if ns == "S" {
			wantLat = -wantLat
		}
		if ew == "W" {
			wantLon = -wantLon
		}
		if p := m.Position.Value; math.Abs(p.LatitudeDeg-wantLat) > 1e-13 || math.Abs(p.LongitudeDeg-wantLon) > 1e-13 {
			t.Errorf("%s: %v, want %v, %v", body, p, wantLat, wantLon)
		}
	})
}

// Noise between sentences costs none of them, noise in one only that one; and how the bytes are cut changes nothing.
func TestNoiseCostsWhatItHits(t *testing.T) {
	bodies := make([]string, 0, len(example))
	for _, b := range example {
		bodies = append(bodies, b)
	}
	slices.Sort(bodies)
	rapid.Check(t, func(t *rapid.T) {
		var in []byte
		var want []string
		clean := 0
		for range rapid.IntRange(1, 8).Draw(t, "sentences") {
			noise := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "noise")
			body := rapid.SampledFrom(bodies).Draw(t, "body")
			in = append(in, noise...)
			if rapid.Bool().Draw(t, "hit") {
				whole := line(body)
				at := rapid.IntRange(0, len(whole)-2).Draw(t, "at") // not between CR and LF, where it costs nothing
				in = append(in, whole[:at]...)
				in = append(in, 0xFF)
				in = append(in, whole[at:]...)
				if at == 0 { // before $: it has hit nothing
					want = append(want, body)
				}
			} else {
				in = append(in, line(body)...)
				want = append(want, body)
			}
			clean += len(body)
		}
		var f nmea.Framer
		got := all(&f, in, rapid.IntRange(1, 400).Draw(t, "chunk"))
		if !slices.Equal(got, want) {
			t.Fatalf("%q\n%q\nwant %q", in, got, want)
		}
		var whole nmea.Framer
		if all(&whole, in, len(in)); whole.Counts() != f.Counts() {
			t.Fatalf("%+v, in one piece %+v", f.Counts(), whole.Counts())
		}
		// Every byte is accounted for: in a sentence, garbage, or a line's end.
		bytesIn := f.Counts().Garbage + uint64(bytes.Count(in, []byte("\r"))+bytes.Count(in, []byte("\n")))
		for _, s := range got {
			bytesIn += uint64(len(s)) + 4
		}
		if bytesIn != uint64(len(in)) {
			t.Fatalf("%d bytes accounted for, of %d", bytesIn, len(in))
		}
	})
}

// A bit that flips anywhere gives no sentence, or the same, never another.
func TestOneFlippedBit(t *testing.T) {
	lost, same := 0, 0
	for _, body := range example {
		whole := append(line(body), line("GPZDA,1")...) // what follows shows that nothing else is lost
		for i := range len(whole) - len(line("GPZDA,1")) {
			for bit := range 8 {
				damaged := slices.Clone(whole)
				damaged[i] ^= 1 << bit
				var f nmea.Framer
				got := all(&f, damaged, len(damaged))
				switch {
				case slices.Equal(got, []string{"GPZDA,1"}):
					lost++
				case slices.Equal(got, []string{body, "GPZDA,1"}):
					// CR and LF say nothing; a letter of the checksum may be in lower case
					if damaged[i]|0x20 != whole[i]|0x20 && i < len(line(body))-2 {
						t.Errorf("bit %d of byte %d of %s changes nothing", bit, i, body)
					}
					same++
				default:
					t.Errorf("bit %d of byte %d of %s: %q", bit, i, body, got)
				}
			}
		}
	}
	if lost < 1000 || same < 16*len(example)-8*len(example) {
		t.Errorf("%d flips lose a sentence, %d none", lost, same)
	}
}

// Cut off anywhere, a sentence is lost and nothing else.
func TestCutAtEachByte(t *testing.T) {
	for _, body := range example {
		whole := line(body)
		for i := range len(whole) - 1 {
			var f nmea.Framer
			in := append(slices.Clone(whole[:i]), line("GPZDA,1")...)
			if got := all(&f, in, len(in)); !slices.Equal(got, []string{"GPZDA,1"}) {
				t.Errorf("%q: %q", in, got)
			}
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var in []byte
	for _, body := range example {
		in = append(in, line(body)...)
	}
	var f nmea.Framer
	var sum float64
	if n := testing.AllocsPerRun(100, func() {
		for p := in; len(p) > 0; {
			s, used := f.Next(p)
			p = p[used:]
			if s == nil {
				continue
			}
			rmc, _ := nmea.DecodeRMC(s)
			gga, _ := nmea.DecodeGGA(s)
			gsa, _ := nmea.DecodeGSA(s)
			gll, _ := nmea.DecodeGLL(s)
			vtg, _ := nmea.DecodeVTG(s)
			zda, _ := nmea.DecodeZDA(s)
			gns, _ := nmea.DecodeGNS(s)
			gst, _ := nmea.DecodeGST(s)
			sum += rmc.SpeedMps.Value + gga.HDOP.Value + gsa.PDOP.Value + gll.Position.Value.LatitudeDeg + vtg.SpeedMps.Value +
				float64(zda.Date.Value.Year) + gns.HDOP.Value + gst.AltitudeM.Value
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if sum == 0 {
		t.Error("nothing was decoded")
	}
}

func FuzzSentences(f *testing.F) {
	f.Add([]byte("$GPGGA,1$GPRMC,,V,,,,,,,,,,N*53\r\nnoise"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var whole, pieces nmea.Framer
		got := all(&whole, in, max(1, len(in)))
		if other := all(&pieces, in, 1); !slices.Equal(got, other) || whole.Counts() != pieces.Counts() {
			t.Fatalf("%q in one piece, %q byte by byte", got, other)
		}
		for _, s := range got {
			text, err := decode(nmea.Sentence(s))
			if err == nil && (strings.Contains(text, "NaN") || strings.Contains(text, "Inf")) {
				t.Fatalf("%s: %s", s, text)
			}
			if back := all(new(nmea.Framer), line(s), 1000); !slices.Equal(back, []string{s}) {
				t.Fatalf("%q, written again, is %q", s, back)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, body := range example {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := nmea.Sentence(body)
		if m, err := nmea.DecodeGLL(s); err == nil && m.Position.OK {
			if p := m.Position.Value; !(math.Abs(p.LatitudeDeg) <= 90 && math.Abs(p.LongitudeDeg) <= 180) {
				t.Fatalf("%q: %+v", body, p)
			}
		}
		if m, err := nmea.DecodeRMC(s); err == nil {
			if !(m.SpeedMps.Value >= 0 && m.CourseDeg.Value >= 0 && m.CourseDeg.Value <= 360 && m.Time.Value >= 0 && m.Time.Value < 24*time.Hour+time.Second) {
				t.Fatalf("%q: %+v", body, m)
			}
		}
		decode(s)
	})
}

func BenchmarkFramerAndDecode(b *testing.B) {
	var in []byte
	for _, t := range []nmea.Type{nmea.TypeRMC, nmea.TypeGGA, nmea.TypeVTG} {
		in = append(in, line(example[t])...)
	}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var f nmea.Framer
	for b.Loop() {
		for p := in; len(p) > 0; {
			s, n := f.Next(p)
			p = p[n:]
			switch s.Type() {
			case nmea.TypeRMC:
				nmea.DecodeRMC(s)
			case nmea.TypeGGA:
				nmea.DecodeGGA(s)
			case nmea.TypeVTG:
				nmea.DecodeVTG(s)
			}
		}
	}
}

func Example() {
	var framer nmea.Framer
	for in := []byte("noise$GPGLL,4916.45,N,12311.12,W,225444,A,A*5C\r\n"); len(in) > 0; {
		sentence, n := framer.Next(in)
		in = in[n:]
		if sentence == nil {
			continue
		}
		m, err := nmea.DecodeGLL(sentence)
		fmt.Printf("%.5f° %.5f°, %v, %v\n", m.Position.Value.LatitudeDeg, m.Position.Value.LongitudeDeg, m.Valid, err)
	}
	fmt.Println(framer.Counts().Garbage, "bytes of garbage")
	// Output:
	// 49.27417° -123.18533°, true, <nil>
	// 5 bytes of garbage
}
