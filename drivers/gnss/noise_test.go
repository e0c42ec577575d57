package gnss_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/drivers/gnss"
	"github.com/fulmar-io/fulmar/drivers/gnss/ubx"
)

// noisy is what stands between messages.
var noisy = rapid.OneOf(
	rapid.SliceOfN(rapid.Byte(), 0, 200),
	rapid.SliceOfN(rapid.SampledFrom([]byte{0xB5, 0x62, 0, 1, 2, '$', 'G', 'P', ',', '*', '\r', '\n'}), 0, 200),
)

// Noise before and between messages costs none of them, though it may hold them back until the line is quiet.
func TestNoiseCostsNoFix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "epochs")
		var in []byte
		for i := range n {
			for _, s := range burst(i) {
				in = append(append(in, noisy.Draw(rt, "noise")...), encode(s)...)
			}
		}
		in = append(in, noisy.Draw(rt, "noise")...)
		got, counts := listen(t, in, func() int { return rapid.IntRange(1, 300).Draw(rt, "chunk") })
		if len(got) != n {
			rt.Fatalf("%d fixes, want %d; %+v", len(got), n, counts)
		}
		for i, f := range got {
			if f.Mode != gnss.Fix3D || f.LatitudeDeg != 53+(21+float64(i)/1e4)/60 && math.Abs(f.LatitudeDeg-(53+(21+float64(i)/1e4)/60)) > 1e-12 || f.Time.Second() != i {
				rt.Fatalf("epoch %d: %+v", i, f)
			}
		}
	})
}

// A flipped bit anywhere makes no fix wrong. It may cost the message that it hits, and with it what only that one says.
func TestAFlippedBitMakesNoFixWrong(t *testing.T) {
	for _, clean := range [][]byte{slices.Concat(encode(burst(0)...), encode(burst(1)...)), slices.Concat(pvt(0), pvt(1))} {
		want, _ := listen(t, clean, nil)
		if len(want) != 2 {
			t.Fatalf("%d fixes", len(want))
		}
		for i := range clean {
			for bit := range 8 {
				in := slices.Clone(clean)
				in[i] ^= 1 << bit
				got, counts := listen(t, in, nil)
				if len(got) < 1 || len(got) > 2 || counts.BadChecksum+counts.Broken+counts.TooLong > 2 {
					t.Fatalf("bit %d of byte %d: %d fixes, %+v", bit, i, len(got), counts)
				}
				for _, f := range got {
					if !slices.ContainsFunc(want, func(w gnss.Fix) bool { return agrees(f, w) }) {
						t.Fatalf("bit %d of byte %d: %+v", bit, i, f)
					}
				}
			}
		}
	}
}

// agrees reports whether a fix says nothing that another does not.
func agrees(f, w gnss.Fix) bool {
	if f.Has&^w.Has != 0 || f.Protocol != w.Protocol {
		return false
	}
	same := func(field gnss.Fields, a, b float64) bool { return !f.Contains(field) || a == b }
	return f.Time.Sub(f.Time.Truncate(24*time.Hour)) == w.Time.Sub(w.Time.Truncate(24*time.Hour)) && (!f.DateValid || f.Time.Equal(w.Time)) &&
		(f.Mode == w.Mode || f.Mode == gnss.Fix2D) && same(gnss.Position, f.LatitudeDeg, w.LatitudeDeg) && same(gnss.Position, f.LongitudeDeg, w.LongitudeDeg) &&
		same(gnss.Altitude, f.AltitudeM, w.AltitudeM) && same(gnss.Speed, f.SpeedMps, w.SpeedMps) && same(gnss.Course, f.CourseDeg, w.CourseDeg) &&
		same(gnss.HDOP, f.HDOP, w.HDOP) && same(gnss.PDOP, f.PDOP, w.PDOP)
}

// Cut off anywhere, what comes next is whole.
func TestCutAtEachByte(t *testing.T) {
	for _, c := range []struct{ cut, next []byte }{
		{encode(burst(0)...), encode(burst(7)...)}, {pvt(0), pvt(7)}, {pvt(0), encode(burst(7)...)}, {encode(burst(0)...), pvt(7)},
	} {
		whole, _ := listen(t, c.next, nil)
		for i := range c.cut {
			got, _ := listen(t, slices.Concat(c.cut[:i], c.next), nil)
			if len(got) == 0 || !slices.Contains(got, whole[0]) {
				t.Fatalf("cut at %d: %+v, want %+v", i, got, whole)
			}
		}
	}
}

func TestPollAllocatesNothing(t *testing.T) {
	in := slices.Concat(encode(burst(0)...), encode(burst(1)...), []byte("noise\xB5\x62\x01"), pvt(2), dop(2000, 1),
		ubx.Append(nil, ubx.NavSOL, make([]byte, 52)), ubx.Append(nil, ubx.NavTimeGPS, make([]byte, 16)), encode("GPGSV,1", "GPRMC,99", "GNGST,,,,,,,,"))
	line := new(wire)
	r := gnss.New(line, gnss.Options{})
	now := time.Duration(0)
	fixes := 0
	step := func() {
		line.arriving = in
		for range 4 {
			if r.Poll(now) != nil {
				t.Fatal("the line fails")
			}
			now += 50 * time.Millisecond
		}
		for _, ok := r.Next(); ok; _, ok = r.Next() {
			fixes++
		}
		r.Status(now)
	}
	if n := testing.AllocsPerRun(200, step); n != 0 || fixes < 200 {
		t.Errorf("%v allocations, %d fixes", n, fixes)
	}
}

func FuzzReceiver(f *testing.F) {
	f.Add(encode(burst(0)...), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		got, counts := listen(t, in, nil)
		if counts.Bytes != uint64(len(in)) {
			t.Fatalf("%+v, of %d bytes", counts, len(in))
		}
		pieces, n := listen(t, in, func() int { return int(chunk)%64 + 1 })
		if counts.Overruns == 0 && (!slices.Equal(pieces, got) || n != counts) {
			t.Fatalf("%+v, %+v in one piece; %+v, %+v in pieces", got, counts, pieces, n)
		}
		for _, f := range got {
			if math.Abs(f.LatitudeDeg) > 90 || math.Abs(f.LongitudeDeg) > 180 || f.Mode < gnss.NoFix || f.Mode > gnss.Fix3D || f.Mode != gnss.NoFix && f.Protocol == gnss.NMEA && !f.Contains(gnss.Position) {
				t.Fatalf("%+v", f)
			}
			for _, v := range []float64{f.LatitudeDeg, f.LongitudeDeg, f.AltitudeM, f.EllipsoidM, f.SpeedMps, f.CourseDeg, f.ClimbMps, f.HDOP, f.PDOP, f.VDOP} {
				if v-v != 0 {
					t.Fatalf("not finite: %+v", f)
				}
			}
		}
	})
}

// Bytes per second through Poll: an epoch of four sentences each time.
func BenchmarkPoll(b *testing.B) {
	for _, c := range []struct {
		name string
		in   []byte
	}{{"sentences", encode(burst(0)...)}, {"frames", pvt(0)}} {
		b.Run(c.name, func(b *testing.B) {
			line := new(wire)
			r := gnss.New(line, gnss.Options{})
			b.SetBytes(int64(len(c.in)))
			b.ReportAllocs()
			for now := time.Duration(0); b.Loop(); now += time.Second {
				line.arriving = c.in
				if err := r.Poll(now); err != nil {
					b.Fatal(err)
				}
				for _, ok := r.Next(); ok; _, ok = r.Next() {
				}
			}
		})
	}
}
