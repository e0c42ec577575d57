package gnss_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/drivers/gnss"
	"github.com/fulmar-io/fulmar/drivers/gnss/nmea"
	"github.com/fulmar-io/fulmar/drivers/gnss/ubx"
	"github.com/fulmar-io/fulmar/hal"
)

// burst is what a receiver sends in the nth second after noon: the four sentences of an epoch.
func burst(n int) []string {
	at := fmt.Sprintf("12%02d%02d.00", n/60%60, n%60)
	lat := fmt.Sprintf("5321.%04d,N,00615.0000,W", n)
	return []string{
		"GNRMC," + at + ",A," + lat + ",4.0,87.5,010626,,,A",
		"GNGGA," + at + "," + lat + ",1,10,0.9,12.3,M,55.0,M,,",
		"GNGSA,A,3,01,02,03,,,,,,,,,,1.9,0.9,1.7,1",
		"GNGSA,A,3,65,66,,,,,,,,,,,1.9,0.9,1.7,2",
	}
}

func encode(bodies ...string) (b []byte) {
	for _, body := range bodies {
		b = nmea.Append(b, body)
	}
	return b
}

// bench is a receiver on a wire, and the time.
type bench struct {
	t    testing.TB
	line *wire
	*gnss.Receiver
	now time.Duration
}

func newBench(t testing.TB) *bench {
	line := new(wire)
	return &bench{t, line, gnss.New(line, gnss.Options{}), 0}
}

// hear sends sentences, polls, and returns the fixes that came of it.
func (b *bench) hear(bodies ...string) []gnss.Fix { return b.get(encode(bodies...)) }

func (b *bench) get(p []byte) (fixes []gnss.Fix) {
	b.t.Helper()
	b.line.send(p)
	for {
		poll(b.t, b.Receiver, b.now)
		for f, ok := b.Next(); ok; f, ok = b.Next() {
			fixes = append(fixes, f)
		}
		if len(b.line.arriving) == 0 {
			return fixes
		}
	}
}

// wait lets time pass, and returns the fixes that came of it.
func (b *bench) wait(d time.Duration) []gnss.Fix {
	b.t.Helper()
	b.now += d
	return b.get(nil)
}

func TestAFixHasWhatTheEpochSaid(t *testing.T) {
	b := newBench(t)
	b.now = time.Second
	b.hear(burst(1)[:2]...)
	b.now += 30 * time.Millisecond
	b.hear(burst(1)[2:]...)
	b.hear("GNGST,120001.00,1.0,,,,0.3,0.4,1.2")
	got := b.wait(time.Second)
	want := gnss.Fix{
		Begun: time.Second, At: 2*time.Second + 30*time.Millisecond, Protocol: gnss.NMEA,
		Time: time.Date(2026, 6, 1, 12, 0, 1, 0, time.UTC), TimeValid: true, DateValid: true, Mode: gnss.Fix3D, Quality: gnss.Autonomous,
		Has: gnss.Position | gnss.Altitude | gnss.Ellipsoid | gnss.Speed | gnss.Course | gnss.Satellites | gnss.HDOP | gnss.PDOP | gnss.VDOP |
			gnss.HorizontalAcc | gnss.VerticalAcc,
		LatitudeDeg: 53 + 21.0001/60, LongitudeDeg: -6.25, AltitudeM: 12.3, EllipsoidM: 12.3 + 55, SpeedMps: 4 * 1852.0 / 3600, CourseDeg: 87.5,
		Satellites: 10, HDOP: 0.9, PDOP: 1.9, VDOP: 1.7, HorizontalAccM: 0.5, VerticalAccM: 1.2,
	}
	if len(got) != 1 || got[0] != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// Three epochs end with the next one's first message; those after them with the message by which those have ended.
func TestTheEndOfAnEpochIsLearned(t *testing.T) {
	b := newBench(t)
	for n := range 6 {
		var got []int
		for _, s := range burst(n) {
			got = append(got, len(b.hear(s)))
		}
		want := map[int][]int{0: {0, 0, 0, 0}, 1: {1, 0, 0, 0}, 2: {1, 0, 0, 0}, 3: {1, 0, 0, 1}}[min(n, 3)]
		if n > 3 {
			want = []int{0, 0, 0, 1}
		}
		if !slices.Equal(got, want) {
			t.Errorf("epoch %d: fixes after its sentences %v, want %v", n, got, want)
		}
	}
	// Its last message is lost, twice: the next epoch ends it, and what was learned stays.
	if n := len(b.hear(burst(6)[:3]...)); n != 0 {
		t.Errorf("%d fixes of an epoch that has not ended", n)
	}
	b.hear(burst(7)[:3]...)
	if got := b.hear(burst(8)...); len(got) != 2 || got[0].Time.Second() != 7 || got[1].Time.Second() != 8 {
		t.Errorf("%+v", got)
	}
	// A message more: it comes late, and is what ends the next one.
	const vtg = "GNVTG,87.5,T,,M,4.0,N,7.4,K,A"
	if got := b.hear(append(burst(9), vtg)...); len(got) != 1 {
		t.Errorf("%d fixes", len(got))
	}
	if late := b.Status(0).Counts.Late; late != 1 {
		t.Errorf("%d late", late)
	}
	if n := len(b.hear(burst(10)...)); n != 0 {
		t.Errorf("%d fixes before VTG", n)
	}
	if n := len(b.hear(vtg)); n != 1 {
		t.Errorf("%d fixes with VTG", n)
	}
	// And none again: after three epochs that is learned too.
	for n := 11; n < 15; n++ {
		want := 1 // the one before
		if n == 11 {
			want = 0
		}
		if n == 14 {
			want = 2 // and its own
		}
		if got := len(b.hear(burst(n)...)); got != want {
			t.Errorf("epoch %d gives %d fixes, want %d", n, got, want)
		}
	}
	if c := b.Status(0).Counts; c.Fixes != 15 || c.Late != 1 || c.Overruns != 0 {
		t.Errorf("%+v", c)
	}
}

func TestQuietEndsAnEpoch(t *testing.T) {
	b := newBench(t)
	if n := len(b.hear(burst(0)[0])); n != 0 {
		t.Errorf("%d fixes", n)
	}
	if n := len(b.wait(59 * time.Millisecond)); n != 0 {
		t.Errorf("%d fixes after 59 ms", n)
	}
	if got := b.wait(time.Millisecond); len(got) != 1 || got[0].Mode != gnss.Fix2D {
		t.Errorf("after 60 ms: %+v", got)
	}
	if n := len(b.wait(time.Hour)); n != 0 {
		t.Errorf("%d fixes of nothing", n)
	}
	// After quiet, what has no time belongs to the next epoch: GSA comes first here, also when RMC is known to end one.
	for n := 1; n < 6; n++ {
		s := burst(n)
		got := b.hear(s[2], s[3], s[0])
		if ended := len(got) == 1; ended != (n > 2) {
			t.Errorf("epoch %d has %d fixes before quiet", n, len(got))
		}
		got = append(got, b.wait(time.Second)...)
		if len(got) != 1 || got[0].Mode != gnss.Fix3D || got[0].PDOP != 1.9 || got[0].Time.Second() != n {
			t.Errorf("epoch %d: %+v", n, got)
		}
	}
	if late := b.Status(0).Counts.Late; late != 0 {
		t.Errorf("%d late", late)
	}
}

// A receiver without a clock yet, or whose clock stands, has epochs too.
func TestEpochsWithoutTime(t *testing.T) {
	for _, clock := range []string{"", "000000.00"} {
		b := newBench(t)
		var got []gnss.Fix
		for range 4 {
			got = append(got, b.hear("GPRMC,"+clock+",V,,,,,,,,,,N", "GPVTG,,T,,M,,N,,K,N", "GPGGA,"+clock+",,,,,0,,,,M,,M,,")...)
		}
		if len(got) != 4 { // the last is ended by what ended the others
			t.Errorf("%d fixes, want 4", len(got))
		}
		for _, f := range got {
			if f.Mode != gnss.NoFix || f.Has != 0 || f.TimeValid != (clock != "") || f.DateValid {
				t.Errorf("%+v", f)
			}
		}
	}
}

// Void outweighs valid, in whatever order; and what the receiver repeats from before is not handed on.
func TestWithoutAFixThereIsNoPosition(t *testing.T) {
	valid := burst(0)
	for i, void := range []string{
		"GNGLL,5321.0000,N,00615.0000,W,120000.00,V,N",
		"GNGNS,120000.00,5321.0000,N,00615.0000,W,NN,00,9.9,12.3,55.0,,",
		"GPGGA,120000.00,5321.0000,N,00615.0000,W,0,00,9.9,12.3,M,55.0,M,,",
	} {
		for _, order := range [][]string{append([]string{void}, valid...), append(slices.Clone(valid), void)} {
			b := newBench(t)
			got := append(b.hear(order...), b.wait(time.Second)...)
			if len(got) != 1 || got[0].Mode != gnss.NoFix || got[0].Quality != gnss.Unknown || got[0].Has&(gnss.Position|gnss.Altitude|gnss.Speed) != 0 ||
				got[0].LatitudeDeg != 0 || got[0].SpeedMps != 0 || !got[0].TimeValid {
				t.Errorf("%d: %+v", i, got)
			}
		}
	}
	b := newBench(t)
	if got := append(b.hear("GNGSA,A,1,,,,,,,,,,,,,,,", "GNRMC,120000,A,5321,N,00615,W,,,,,,A"), b.wait(time.Second)...); len(got) != 1 || got[0].Mode != gnss.NoFix {
		t.Errorf("GSA says none: %+v", got)
	}
}

// Where two sentences say the same in other digits, RMC has the motion, GGA the place, whichever comes first.
func TestWhichSentenceCounts(t *testing.T) {
	bodies := []string{
		"GPVTG,90,T,,M,3.0,N,,K", "GPRMC,120000,A,5321.00,N,00615.00,W,4.0,91,010626,,", "GPGLL,5321.1,N,00615.1,W,120000,A",
		"GPGGA,120000,5321.00,N,00615.00,W,1,05,2.0,5,M,,M,,", "GPGSA,A,3,,,,,,,,,,,,,3.0,2.5,1.5",
	}
	for range 2 {
		b := newBench(t)
		got := append(b.hear(bodies...), b.wait(time.Second)...)
		if len(got) != 1 || got[0].SpeedMps != 4*1852.0/3600 || got[0].CourseDeg != 91 || got[0].LatitudeDeg != 53.35 || got[0].LongitudeDeg != -6.25 || got[0].HDOP != 2 {
			t.Errorf("%q: %+v", bodies, got)
		}
		slices.Reverse(bodies)
	}
}

// A receiver that repeats its last fix under its last time has none.
func TestATimeThatStands(t *testing.T) {
	b := newBench(t)
	for n, want := range []gnss.Mode{gnss.Fix3D, gnss.NoFix, gnss.NoFix} {
		got := append(b.hear(burst(5)...), b.wait(time.Second)...)
		if len(got) != 1 || got[0].Mode != want || got[0].Time.Second() != 5 {
			t.Errorf("%d: %+v, want %v", n, got, want)
		}
	}
	if got := append(b.hear(burst(6)...), b.wait(time.Second)...); len(got) != 1 || got[0].Mode != gnss.Fix3D {
		t.Errorf("it goes on: %+v", got)
	}
}

// What stands for no dilution is none.
func TestDilutions(t *testing.T) {
	for _, c := range []struct {
		dop string
		has bool
	}{{"0.0", false}, {"0.5", true}, {"98.9", true}, {"99.0", false}, {"99.99", false}, {"", false}} {
		b := newBench(t)
		got := append(b.hear("GPGGA,120000,,,,,0,,"+c.dop+",,M,,M,,", "GPGSA,A,1,,,,,,,,,,,,,"+c.dop+","+c.dop+","+c.dop), b.wait(time.Second)...)
		if len(got) != 1 || got[0].Contains(gnss.HDOP|gnss.PDOP|gnss.VDOP) != c.has || got[0].Has != 0 && !c.has {
			t.Errorf("%q: %+v", c.dop, got)
		}
	}
	p := pvt(3)[6:98]
	p[76], p[77] = 0x0F, 0x27 // 99.99
	if got := newBench(t).get(ubx.Append(dop(3000, 0), ubx.NavPVT, p)); len(got) != 1 || got[0].Has&(gnss.PDOP|gnss.HDOP) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestModes(t *testing.T) {
	const place = ",5321.0000,N,00615.0000,W,"
	for _, c := range []struct {
		bodies  []string
		mode    gnss.Mode
		quality gnss.Quality
	}{
		{[]string{"GPRMC,120000,A" + place + ",,,,,"}, gnss.Fix2D, gnss.Unknown},
		{[]string{"GPRMC,120000,A" + place + ",,,,,D"}, gnss.Fix2D, gnss.Differential},
		{[]string{"GPGGA,120000" + place + "1,04,,,M,,M,,"}, gnss.Fix2D, gnss.Autonomous},
		{[]string{"GPGGA,120000" + place + "4,04,,5,M,,M,,"}, gnss.Fix3D, gnss.RTKFixed},
		{[]string{"GPGGA,120000" + place + "8,00,,5,M,,M,,"}, gnss.Fix3D, gnss.Simulated}, // needs no satellites
		{[]string{"GPGGA,120000" + place + "1,04,,5,M,,M,,", "GPGSA,A,2,,,,,,,,,,,,,,,"}, gnss.Fix2D, gnss.Autonomous},
		{[]string{"GNGSA,A,1,,,,,,,,,,,,,,,,2", "GNGSA,A,3,,,,,,,,,,,,,,,,1", "GPGGA,120000" + place + "1,04,,5,M,,M,,"}, gnss.Fix3D, gnss.Autonomous},
		{[]string{"GNGSA,A,3,,,,,,,,,,,,,,,,1", "GNGSA,A,1,,,,,,,,,,,,,,,,2", "GPGGA,120000" + place + "1,04,,5,M,,M,,"}, gnss.Fix3D, gnss.Autonomous},
		{[]string{"GNGNS,120000" + place + "AF,04,,5,,,"}, gnss.Fix3D, gnss.RTKFloat},
		{[]string{"GPGLL,5321,N,00615,W,120000,A,E"}, gnss.Fix2D, gnss.Estimated},
		{[]string{"GPGGA,120000" + place + "1,02,,5,M,,M,,", "GPGSA,A,3,,,,,,,,,,,,,,,"}, gnss.NoFix, gnss.Unknown},
		{[]string{"GPGGA,120000" + place + "1,03,,5,M,,M,,"}, gnss.Fix2D, gnss.Autonomous}, // a height of three satellites is held
		{[]string{"GPGGA,120000" + place + "1,,,5,M,,M,,"}, gnss.Fix3D, gnss.Autonomous},
		{[]string{"GPGGA,120000" + place + "1,05,,5,M,,M,,", "GLGGA,120000" + place + "1,02,,5,M,,M,,"}, gnss.Fix3D, gnss.Autonomous},
		{[]string{"GPGGA,120000,,,,,1,04,,5,M,,M,,"}, gnss.NoFix, gnss.Unknown}, // a fix without a position
	} {
		b := newBench(t)
		got := append(b.hear(c.bodies...), b.wait(time.Second)...)
		if len(got) != 1 || got[0].Mode != c.mode || got[0].Quality != c.quality {
			t.Errorf("%q: %+v; want %v, %v", c.bodies, got, c.mode, c.quality)
		}
	}
}

// A date goes on from sentences that have one to those that do not, over midnight, and also when a sentence is of the day before.
func TestDatesGoOn(t *testing.T) {
	b := newBench(t)
	gga := func(clock string) string { return "GPGGA," + clock + ",5321,N,00615,W,1,04,,5,M,,M,," }
	for i, c := range []struct {
		bodies []string
		want   string
		dated  bool
	}{
		{[]string{gga("235957")}, "0001-01-01 23:59:57", false},
		{[]string{gga("235958"), "GPZDA,235958,31,12,2026,00,00"}, "2026-12-31 23:59:58", true},
		{[]string{gga("235959.5")}, "2026-12-31 23:59:59", true},
		{[]string{gga("235960.5")}, "2027-01-01 00:00:00", true}, // a leap second
		{[]string{gga("000001")}, "2027-01-01 00:00:01", true},
		{[]string{gga("235959")}, "2026-12-31 23:59:59", true},
		{[]string{gga("000001"), "GPZDA,000001,02,01,2027,00,00"}, "2027-01-01 00:00:01", true}, // late: GGA has ended it
		{[]string{gga("000002")}, "2027-01-02 00:00:02", true},                                  // but its date is known now
		{[]string{"GPRMC,000003,A,5321,N,00615,W,,,030127,,", gga("000003")}, "2027-01-03 00:00:03", true},
	} {
		got := append(b.hear(c.bodies...), b.wait(time.Second)...)
		if len(got) != 1 || got[0].Time.Format("2006-01-02 15:04:05") != c.want || got[0].DateValid != c.dated || !got[0].TimeValid {
			t.Errorf("%d: %+v, want %s", i, got, c.want)
		}
	}
}

// pvt is a NAV-PVT in the nth second.
func pvt(n int) []byte {
	p := make([]byte, 92)
	put := func(at int, v int32) {
		p[at], p[at+1], p[at+2], p[at+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	}
	put(0, int32(1000*n))
	copy(p[4:], []byte{0xEA, 0x07, 6, 1, 12, byte(n / 60), byte(n % 60), 7})
	put(16, -1000)
	p[20], p[21], p[23] = 3, 0x43, 20
	put(24, -62_500_000)
	put(28, 533_613_333)
	put(32, 67_300)
	put(36, 12_300)
	put(40, 20)
	put(44, 30)
	put(56, -100)
	put(60, 2_000)
	put(64, -9_000_000)
	put(68, 50)
	p[76] = 150
	return ubx.Append(nil, ubx.NavPVT, p)
}

func dop(tow int32, hdop byte) []byte {
	return ubx.Append(nil, ubx.NavDOP, []byte{byte(tow), byte(tow >> 8), byte(tow >> 16), byte(tow >> 24), 0, 0, 0, 0, 0, 0, 170, 0, hdop, 0, 0, 0, 0, 0})
}

func TestPVTIsAFixAtOnce(t *testing.T) {
	b := newBench(t)
	b.now = time.Second
	got := b.get(append(dop(3000, 90), pvt(3)...))
	want := gnss.Fix{
		Begun: time.Second, At: time.Second, Protocol: gnss.UBX, Mode: gnss.Fix3D, Quality: gnss.RTKFloat,
		Time: time.Date(2026, 6, 1, 12, 0, 2, 999_999_000, time.UTC), TimeValid: true, DateValid: true,
		Has: gnss.Position | gnss.Altitude | gnss.Ellipsoid | gnss.Speed | gnss.Course | gnss.Climb | gnss.Satellites | gnss.HDOP | gnss.PDOP | gnss.VDOP |
			gnss.HorizontalAcc | gnss.VerticalAcc | gnss.SpeedAcc,
		LatitudeDeg: 53.3613333, LongitudeDeg: -6.25, AltitudeM: 12.3, EllipsoidM: 67.3, SpeedMps: 2, CourseDeg: 270, ClimbMps: 0.1, Satellites: 20,
		HDOP: 0.9, PDOP: 1.5, VDOP: 1.7, HorizontalAccM: 0.02, VerticalAccM: 0.03, SpeedAccMps: 0.05,
	}
	if len(got) != 1 || got[0] != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	// The dilution of another epoch is not this one's.
	if got := b.get(pvt(4)); len(got) != 1 || got[0].Has&(gnss.HDOP|gnss.VDOP) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestPVTWithoutAFix(t *testing.T) {
	for _, c := range []struct {
		at, value int // a byte of the payload, and what it is
		mode      gnss.Mode
	}{
		{20, 0, gnss.NoFix}, {20, 1, gnss.Fix2D}, {20, 2, gnss.Fix2D}, {20, 4, gnss.Fix3D}, {20, 5, gnss.NoFix}, {20, 99, gnss.NoFix},
		{21, 0, gnss.NoFix}, {78, 1, gnss.NoFix},
	} {
		p := pvt(3)[6:98]
		p[c.at] = byte(c.value)
		got := newBench(t).get(ubx.Append(nil, ubx.NavPVT, p))
		if len(got) != 1 || got[0].Mode != c.mode || got[0].Contains(gnss.Position|gnss.Speed) != (c.mode != gnss.NoFix) {
			t.Errorf("byte %d is %d: %+v, want %v", c.at, c.value, got, c.mode)
		}
	}
	for _, at := range []int{24, 28} { // the longitude, the latitude
		p := pvt(3)[6:98]
		copy(p[at:], []byte{1, 0xD2, 0x49, 0x6B}) // 180.0000001°
		if got := newBench(t).get(ubx.Append(nil, ubx.NavPVT, p)); len(got) != 1 || got[0].Mode != gnss.NoFix || got[0].Contains(gnss.Position) {
			t.Errorf("byte %d on: %+v", at, got)
		}
	}
	for at, out := range map[int]struct {
		value      byte
		timed, day bool
	}{6: {13, true, false}, 7: {0, true, false}, 8: {24, false, false}, 9: {60, false, false}, 10: {61, false, false}} {
		p := pvt(3)[6:98]
		p[at] = out.value
		if got := newBench(t).get(ubx.Append(nil, ubx.NavPVT, p)); len(got) != 1 || got[0].TimeValid != out.timed || got[0].DateValid != out.day {
			t.Errorf("byte %d: %+v", at, got)
		}
	}
	p := pvt(3)[6:98]
	p[6], p[7] = 2, 30 // 30 February
	if got := newBench(t).get(ubx.Append(nil, ubx.NavPVT, p)); len(got) != 1 || !got[0].TimeValid || got[0].DateValid {
		t.Errorf("30 February: %+v", got)
	}
	for _, c := range []struct {
		valid       byte
		time, dated bool
		year        int
	}{{0, false, false, 1}, {1, false, false, 1}, {2, true, false, 1}, {3, true, true, 2026}} {
		p := pvt(3)[6:98]
		p[11] = c.valid
		got := newBench(t).get(ubx.Append(nil, ubx.NavPVT, p))
		if len(got) != 1 || got[0].TimeValid != c.time || got[0].DateValid != c.dated || got[0].Time.Add(time.Second).Year() != c.year {
			t.Errorf("valid %d: %+v", c.valid, got)
		}
	}
}

// sol and timeGPS are what receivers before NAV-PVT send: here on the equator, at the meridian of Greenwich, 10 m up, and on
// their way east.
func sol(tow uint32) []byte {
	b := make([]byte, 52)
	put := func(at int, v uint32) {
		b[at], b[at+1], b[at+2], b[at+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	}
	put(0, tow)
	b[8], b[9] = 0x10, 0x09 // week 2320
	b[10], b[11] = 3, 0x0D
	put(12, 637_814_700)
	put(24, 500)
	put(32, 150)
	put(40, 40)
	b[44], b[47] = 200, 7
	return ubx.Append(nil, ubx.NavSOL, b)
}

func timeGPS(tow uint32) []byte {
	return ubx.Append(nil, ubx.NavTimeGPS, []byte{byte(tow), byte(tow >> 8), byte(tow >> 16), byte(tow >> 24), 0, 0, 0, 0, 0x10, 0x09, 18, 7, 0, 0, 0, 0})
}

func TestTheFixBeforePVT(t *testing.T) {
	b := newBench(t)
	got := append(b.get(slices.Concat(sol(1000), dop(1000, 80), timeGPS(1000))), b.wait(time.Second)...)
	want := gnss.Fix{
		At: time.Second, Protocol: gnss.UBX, Mode: gnss.Fix3D, Quality: gnss.Autonomous,
		Time: time.Date(2024, 6, 22, 23, 59, 43, 0, time.UTC), TimeValid: true, DateValid: true,
		Has: gnss.Position | gnss.Ellipsoid | gnss.Speed | gnss.Course | gnss.Climb | gnss.Satellites | gnss.HDOP | gnss.PDOP | gnss.VDOP |
			gnss.SpacialAcc | gnss.SpeedAcc,
		EllipsoidM: 10, SpeedMps: 1.5, CourseDeg: 90, Satellites: 7, HDOP: 0.8, PDOP: 2, VDOP: 1.7, SpacialAccM: 5, SpeedAccMps: 0.4,
	}
	if len(got) != 1 || got[0] != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}

	// Three epochs of SOL and DOP: then DOP ends one, and TIMEGPS, which is polled now and then, comes late.
	b = newBench(t)
	for n := uint32(1); n < 4; n++ {
		b.get(append(sol(1000*n), dop(int32(1000*n), 80)...))
		got := b.wait(time.Second)
		if len(got) != 1 || got[0].TimeValid || got[0].Mode != gnss.Fix3D {
			t.Errorf("without leap seconds: %+v", got)
		}
	}
	if n := len(b.get(slices.Concat(sol(4000), dop(4000, 80)))); n != 1 {
		t.Errorf("%d fixes with DOP", n)
	}
	if n := len(b.get(timeGPS(4000))); n != 0 || b.Status(0).Counts.Late != 1 {
		t.Errorf("%d fixes, %+v", n, b.Status(0).Counts)
	}
	if got := append(b.get(append(sol(5000), dop(5000, 80)...)), b.wait(time.Second)...); len(got) != 1 || !got[0].TimeValid || got[0].Time.Second() != 47 {
		t.Errorf("with those that came late: %+v", got)
	}

	// Beside NAV-PVT it is not heard.
	if got := append(b.get(slices.Concat(pvt(6), sol(6000), dop(6000, 80))), b.wait(time.Second)...); len(got) != 1 || !got[0].Contains(gnss.Altitude) {
		t.Errorf("%+v", got)
	}
	b.wait(3 * time.Second)
	if got := append(b.get(slices.Concat(sol(9000), dop(9000, 80))), b.wait(time.Second)...); len(got) != 1 || got[0].Contains(gnss.Altitude) {
		t.Errorf("after NAV-PVT has ceased: %+v", got)
	}

	// Without a valid week or fix there is none of either.
	p := sol(9500)[6:58]
	p[11] = 0
	if got := append(b.get(ubx.Append(nil, ubx.NavSOL, p)), b.wait(time.Second)...); len(got) != 1 || got[0].Mode != gnss.NoFix || got[0].TimeValid || got[0].Contains(gnss.Position) {
		t.Errorf("%+v", got)
	}
}

// While frames say it better, sentences are not heard; three seconds after the last frame they are again.
func TestFramesGoBeforeSentences(t *testing.T) {
	b := newBench(t)
	for n := range 3 {
		got := b.get(slices.Concat(encode(burst(n)[:2]...), pvt(n), encode(burst(n)[2:]...)))
		if n > 0 { // the first sentences came before any frame
			for _, f := range got {
				if f.Protocol != gnss.UBX {
					t.Errorf("epoch %d: %+v", n, f)
				}
			}
		}
		b.now += time.Second
	}
	var protocols []gnss.Protocol
	for n := 3; n < 9; n++ {
		for _, f := range b.hear(burst(n)...) {
			protocols = append(protocols, f.Protocol)
		}
		b.now += time.Second
	}
	// Frames came at 0, 1 and 2 s; sentences count from 5 s on.
	if want := []gnss.Protocol{gnss.NMEA, gnss.NMEA, gnss.NMEA, gnss.NMEA}; !slices.Equal(protocols, want) {
		t.Errorf("%v, want %v", protocols, want)
	}
}

func TestSilence(t *testing.T) {
	line := new(wire)
	r := gnss.New(line, gnss.Options{})
	for now := 10 * time.Second; now <= 15*time.Second; now += 100 * time.Millisecond {
		poll(t, r, now)
	}
	if s := r.Status(15 * time.Second); s.Silent != 5*time.Second || s.Counts != (gnss.Counts{}) || s.Configuration != gnss.NotConfigured {
		t.Errorf("%+v", s)
	}
	line.send([]byte("x"))
	poll(t, r, 16*time.Second)
	if s := r.Status(18 * time.Second); s.Silent != 2*time.Second || s.Counts.Bytes != 1 || s.Counts.Garbage != 1 {
		t.Errorf("%+v", s)
	}
	if _, ok := r.Next(); ok {
		t.Error("there is a fix")
	}
}

// What had arrived before the line went is still taken.
func TestALineThatIsGone(t *testing.T) {
	b := newBench(t)
	b.line.send(pvt(3))
	b.line.err = hal.ErrGone
	if err := b.Poll(0); !errors.Is(err, hal.ErrGone) || err.Error() != "gnss: read: the device is gone" {
		t.Errorf("%v", err)
	}
	if _, ok := b.Next(); !ok {
		t.Error("the last fix is lost")
	}
}

// A Poll takes at most 1 KiB, whatever waits.
func TestAPollIsBounded(t *testing.T) {
	b := newBench(t)
	b.line.send(make([]byte, 5000))
	for want := 5000 - 1024; want >= 0; want -= 1024 {
		poll(t, b.Receiver, 0)
		if len(b.line.arriving) != want {
			t.Errorf("%d bytes wait, want %d", len(b.line.arriving), want)
		}
	}
}

func TestTheOldestFixesGo(t *testing.T) {
	b := newBench(t)
	for n := range 40 {
		b.line.send(pvt(n))
	}
	for range 4 {
		poll(t, b.Receiver, 0)
	}
	first, _ := b.Next()
	n := 1
	for _, ok := b.Next(); ok; _, ok = b.Next() {
		n++
	}
	if c := b.Status(0).Counts; c.Fixes != 40 || c.Overruns != 8 || n != 32 || first.Time.Round(time.Second).Second() != 8 {
		t.Errorf("%+v, %d waited, the first of second %d", c, n, first.Time.Second())
	}
}

func TestWhatNothingReadsIsCounted(t *testing.T) {
	b := newBench(t)
	b.hear("GPGSV,1,1,00", "PUBX,00", "GPRMC,250000,V,,,,,,,,")
	b.get(slices.Concat(ubx.AppendPoll(nil, ubx.Kind{Class: 1, ID: 0x35}), ubx.AppendPoll(nil, ubx.NavPVT), ubx.AppendPoll(nil, ubx.NavSOL),
		ubx.AppendPoll(nil, ubx.NavDOP), ubx.AppendPoll(nil, ubx.NavTimeGPS), ubx.AppendPoll(nil, ubx.AckAck), ubx.AppendPoll(nil, ubx.MonVersion)))
	if c := b.Status(0).Counts; c.Unknown != 3 || c.Malformed != 7 || c.Sentences != 3 || c.Frames != 7 || c.Fixes != 0 {
		t.Errorf("%+v", c)
	}
}
