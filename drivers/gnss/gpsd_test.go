package gnss_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/drivers/gnss"
	"github.com/fulmar-io/fulmar/drivers/gnss/nmea"
)

// recording reads a file of gpsd's regression tests, which are not part of the repository.
func recording(t testing.TB, name string) []byte {
	t.Helper()
	dir := os.Getenv("FULMAR_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(dir, "gpsd", name))
	if err != nil {
		if os.Getenv("FULMAR_REQUIRE_DATA") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs the recordings: ", err)
	}
	return b
}

// raw returns what the receiver sent: a log without the lines at its head that gpsd's people wrote, and what gpsd wrote
// into it.
func raw(log []byte) []byte {
	for len(log) > 0 && (log[0] == '#' || log[0] == '{') {
		_, log, _ = bytes.Cut(log, []byte("\n"))
	}
	return log
}

// tpv is what gpsd reports of an epoch: absent members are nil.
type tpv struct {
	Class  string
	Mode   int
	Time   *time.Time
	Lat    *float64
	Lon    *float64
	AltMSL *float64
	AltHAE *float64
	Speed  *float64
	Track  *float64
	ECEFX  *float64
	ECEFY  *float64
	ECEFZ  *float64
	ECEFVX *float64
	ECEFVY *float64
	ECEFVZ *float64
}

// reports returns for each sentence of a log the last report that gpsd made after it and before the next. gpsd's output has the
// sentences that it took, in order, with its reports in between.
func reports(t *testing.T, chk []byte, log []string) map[int]tpv {
	t.Helper()
	after := make(map[int]tpv)
	at := -1
	for line := range strings.Lines(string(chk)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "$"):
			for i := at + 1; i < len(log); i++ {
				if log[i] == line {
					at = i
					break
				}
			}
		case strings.HasPrefix(line, "{"):
			var v tpv
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			if v.Class == "TPV" {
				after[at] = v
			}
		}
	}
	return after
}

// epoch is a fix of ours and gpsd's last report of the same epoch; gpsd may have none.
type epoch struct {
	fix  gnss.Fix
	gpsd *tpv
	text []string // its sentences
}

// epochs runs a log of sentences through a Receiver, sentence by sentence, so that it is known which are an epoch's.
func epochs(t *testing.T, name string) []epoch {
	t.Helper()
	data := raw(recording(t, name+".log"))
	var log []string
	var framer nmea.Framer
	for rest := data; len(rest) > 0; {
		s, n := framer.Next(rest)
		if rest = rest[n:]; s != nil {
			log = append(log, fmt.Sprintf("$%s*%02X", s, nmea.Checksum(s)))
		}
	}
	after := reports(t, recording(t, name+".log.chk"), log)

	// now is the number of the sentence, so that Begun and At say which are an epoch's.
	line := new(wire)
	r := gnss.New(line, gnss.Options{Quiet: time.Hour})
	var all []epoch
	take := func() {
		for f, ok := r.Next(); ok; f, ok = r.Next() {
			all = append(all, epoch{fix: f})
		}
	}
	for i, s := range log {
		line.send([]byte(s + "\r\n"))
		poll(t, r, time.Duration(i))
		take()
	}
	poll(t, r, time.Duration(len(log))+2*time.Hour) // quiet
	take()
	for i := range all {
		first, end := int(all[i].fix.Begun), len(log)
		if i+1 < len(all) {
			end = int(all[i+1].fix.Begun)
		}
		all[i].text = log[first:end]
		for s := first; s < end; s++ {
			if v, ok := after[s]; ok {
				all[i].gpsd = &v
			}
		}
	}
	return all
}

// differences returns the names of what gpsd has otherwise, by the digits that it prints: 9 of degrees, 4 of metres and of
// the course, 3 of m/s and of a second; and how many values were compared.
func differences(e *epoch) (d []string, compared int) {
	if e.gpsd == nil {
		return []string{"no report"}, 1
	}
	f, g := &e.fix, e.gpsd
	if int(f.Mode) != g.Mode {
		d = append(d, "mode")
	}
	if dated := f.TimeValid && f.DateValid; dated != (g.Time != nil) || dated && !f.Time.Round(time.Millisecond).Equal(*g.Time) {
		d = append(d, "time")
	}
	if f.Mode == gnss.NoFix || g.Mode == 1 {
		return d, 2 // neither has more, or the difference of the mode is all there is to say
	}
	for _, v := range []struct {
		name  string
		field gnss.Fields
		ours  float64
		gpsds *float64
		unit  float64 // of gpsd's last digit
	}{
		{"lat", gnss.Position, f.LatitudeDeg, g.Lat, 1e-9},
		{"lon", gnss.Position, f.LongitudeDeg, g.Lon, 1e-9},
		{"alt", gnss.Altitude, f.AltitudeM, g.AltMSL, 1e-4},
		{"hae", gnss.Ellipsoid, f.EllipsoidM, g.AltHAE, 1e-4},
		{"speed", gnss.Speed, f.SpeedMps, g.Speed, 1e-3},
		{"course", gnss.Course, f.CourseDeg, g.Track, 1e-4},
	} {
		if f.Contains(v.field) != (v.gpsds != nil) || v.gpsds != nil && math.Abs(v.ours-*v.gpsds) > 0.501*v.unit {
			d = append(d, v.name)
		}
	}
	return d, 8
}

// binary runs a log of frames through a Receiver; gpsd's reports are found by their time.
func binary(t *testing.T, name string) []epoch {
	t.Helper()
	line := new(wire)
	line.send(raw(recording(t, name+".log")))
	r := gnss.New(line, gnss.Options{})
	var all []epoch
	for now := time.Duration(0); now < 2*time.Second; now += 10 * time.Millisecond { // until the line is quiet
		poll(t, r, now)
		for f, ok := r.Next(); ok; f, ok = r.Next() {
			all = append(all, epoch{fix: f})
		}
	}
	last := make(map[int64]tpv)
	for line := range strings.Lines(string(recording(t, name+".log.chk"))) {
		var v tpv
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &v) == nil && v.Class == "TPV" && v.Time != nil {
			last[v.Time.UnixMilli()] = v
		}
	}
	for i := range all {
		if v, ok := last[all[i].fix.Time.Round(time.Millisecond).UnixMilli()]; ok {
			all[i].gpsd = &v
		}
	}
	return all
}

// explanation is why gpsd reports a field otherwise, in exactly count epochs.
type explanation struct {
	field string
	count int
	why   string
	holds func(all []epoch, i int) bool
}

// has reports whether a sentence of the epoch begins so.
func (e *epoch) has(prefix string) bool {
	for _, s := range e.text {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// held: gpsd calls a fix 3D once GGA has a height, whatever GSA says of it.
func held(all []epoch, i int) bool {
	e := &all[i]
	return e.has("$GPGSA,A,2,") && e.fix.Mode == gnss.Fix2D && e.gpsd.Mode == 3 && e.fix.Contains(gnss.Altitude)
}

// voided: RMC says V and has a time; gpsd takes none from it.
func voided(all []epoch, i int) bool {
	e := &all[i]
	return e.fix.Mode == gnss.NoFix && e.has("$GPRMC,") && e.fix.TimeValid && e.gpsd.Time == nil
}

// zdaBefore: GGA is without a time. gpsd reports at GGA, with the time of the last ZDA before it, if there was one; ours is that
// of the ZDA which comes later in the epoch, if there is one.
func zdaBefore(all []epoch, i int) bool {
	e := &all[i]
	own, has := e.zda(), e.has("$GPZDA,")
	if !e.has("$GPGGA,,") || e.fix.TimeValid != has || has && !e.fix.Time.Equal(own) {
		return false
	}
	for i--; i >= 0; i-- {
		if all[i].has("$GPZDA,") {
			return e.gpsd.Time != nil && e.gpsd.Time.Equal(all[i].zda())
		}
	}
	return e.gpsd.Time == nil
}

// zda returns the time of the epoch's ZDA.
func (e *epoch) zda() (at time.Time) {
	for _, s := range e.text {
		if f := strings.Split(s, ","); f[0] == "$GPZDA" {
			at, _ = time.Parse("150405.00 02 01 2006", strings.Join(f[1:5], " "))
		}
	}
	return at
}

// firstClock: gpsd forgets the date at a GGA without a time, and reports the next one, which has a time, without. No ZDA came
// between.
func firstClock(all []epoch, i int) bool {
	return i > 0 && all[i].has("$GPGGA,1") && all[i-1].has("$GPGGA,,") && !all[i-1].has("$GPZDA,") && all[i].gpsd.Time == nil
}

// ecef returns the coordinates, fixed to the earth, of a place: the definition, which needs no iteration.
func ecef(latDeg, lonDeg, height float64) (x, y, z float64) {
	const a, e2 = 6378137.0, 0.00669437999014131699613723
	sin, cos := math.Sincos(latDeg * math.Pi / 180)
	n := a / math.Sqrt(1-e2*sin*sin)
	sinLon, cosLon := math.Sincos(lonDeg * math.Pi / 180)
	return (n + height) * cos * cosLon, (n + height) * cos * sinLon, (n*(1-e2) + height) * sin
}

// frozen: gpsd goes on reporting the first epoch's latitude, longitude, height, speed and course, beside coordinates fixed to
// the earth that are each epoch's: ours are these.
func frozen(all []epoch, i int) bool {
	first, g, f := all[0].gpsd, all[i].gpsd, &all[i].fix
	if *g.Lat != *first.Lat || *g.Lon != *first.Lon || *g.AltHAE != *first.AltHAE || *g.Speed != *first.Speed || *g.Track != *first.Track {
		return false
	}
	x, y, z := ecef(f.LatitudeDeg, f.LongitudeDeg, f.EllipsoidM)
	if !near(x, *g.ECEFX, 1e-6) || !near(y, *g.ECEFY, 1e-6) || !near(z, *g.ECEFZ, 1e-6) { // both have whole centimetres
		return false
	}
	// The velocity, turned back.
	sin, cos := math.Sincos(f.LatitudeDeg * math.Pi / 180)
	sinLon, cosLon := math.Sincos(f.LongitudeDeg * math.Pi / 180)
	east, north := math.Sincos(f.CourseDeg * math.Pi / 180)
	north, east = north*f.SpeedMps, east*f.SpeedMps
	outward := cos*f.ClimbMps - sin*north
	return near(outward*cosLon-east*sinLon, *g.ECEFVX, 1e-9) && near(outward*sinLon+east*cosLon, *g.ECEFVY, 1e-9) &&
		near(sin*f.ClimbMps+cos*north, *g.ECEFVZ, 1e-9)
}

func modelled(all []epoch, i int) bool {
	e := &all[i]
	return !e.fix.Contains(gnss.Altitude) && e.fix.Protocol == gnss.UBX && near(*e.gpsd.AltMSL-*e.gpsd.AltHAE, 15.3065, 1e-4)
}

// unseparated: GGA has a height and no separation of the geoid; gpsd adds that of its own model.
func unseparated(all []epoch, i int) bool {
	e := &all[i]
	return !e.fix.Contains(gnss.Ellipsoid) && e.has("$GPGGA,") && near(*e.gpsd.AltHAE-*e.gpsd.AltMSL, 45.79, 1e-3)
}

// rolled: 2007 is 1024 weeks before 2026; gpsd takes the date for one whose week counter has turned over.
func rolled(all []epoch, i int) bool {
	e := &all[i]
	return e.gpsd.Time != nil && e.has("$GPRMC,") && e.fix.Time.Year() == 2007 && e.gpsd.Time.Sub(e.fix.Time) == 1024*7*24*time.Hour
}

// derived: without RMC gpsd takes the speed from the way between two positions, and no course; ours are those of VTG.
func derived(all []epoch, i int) bool {
	e := &all[i]
	return e.has("$GPVTG,") && !e.has("$GPRMC,") && e.fix.Contains(gnss.Speed|gnss.Course) && e.gpsd.Track == nil
}

// barometric: gpsd calls the fix 3D again once PGRMZ has told the height by air pressure. GLL and RMC have said V.
func barometric(all []epoch, i int) bool {
	e := &all[i]
	return e.has("$PGRMZ,2282,f,") && near(*e.gpsd.AltMSL, 2282*0.3048, 1e-3) && e.has("$GPRMC,214350,V,")
}

var receivers = []struct {
	name, protocol string
	epochs         int
	equal          int // epochs
	explanations   []explanation
}{
	{"garmin-geko201", "NMEA", 18, 0, []explanation{
		{"time", 18, "RMC is void; gpsd takes no time from it", voided},
		{"mode", 1, "RMC and GLL are void; gpsd reports 3D at the height by air pressure that follows", barometric},
	}},
	{"haicom-305N", "NMEA", 74, 0, []explanation{
		{"time", 7, "RMC is void; gpsd takes no time from it", voided},
		{"time", 67, "gpsd adds 1024 weeks to a date of 2007", rolled},
		{"mode", 1, "GSA says 2D; gpsd says 3D because GGA has a height", held},
	}},
	{"hemi", "NMEA", 215, 14, []explanation{
		{"time", 1, "gpsd forgets the date at a GGA without a time, and this is the first with one", firstClock},
		{"time", 194, "GGA has no time; gpsd reports at GGA, with the time of the ZDA before, we with the epoch's own or none", zdaBefore},
		{"speed", 6, "no RMC: gpsd takes the speed from the way between positions, we from VTG", derived},
		{"course", 6, "no RMC: gpsd has no course, we take that of VTG", derived},
	}},
	{"navisys-gr701w", "UBX", 60, 0, []explanation{
		{"alt", 60, "NAV-SOL has no height above sea level; gpsd takes that of its own model of the geoid", modelled},
		{"lat", 59, "gpsd repeats the first epoch's; ours agree with its ECEF coordinates of each epoch", frozen},
		{"lon", 59, "the same", frozen},
		{"hae", 59, "the same", frozen},
		{"speed", 57, "the same", frozen},
		{"course", 59, "the same", frozen},
	}},
	{"quectel", "NMEA", 42, 9, []explanation{
		{"mode", 33, "GSA says 2D; gpsd says 3D because GGA has a height", held},
	}},
	{"telit-he910", "NMEA", 224, 37, []explanation{
		{"hae", 187, "GGA has no separation of the geoid; gpsd takes that of its own model", unseparated},
	}},
	{"ublox-8", "NMEA", 72, 72, nil},
	{"ublox-zed-f9p-nmea", "NMEA", 29, 29, nil},
}

// However a log is cut into reads, and with the noise that it has, the fixes are the same.
func TestRecordingsInPieces(t *testing.T) {
	for _, rec := range receivers {
		t.Run(rec.name, func(t *testing.T) {
			data := raw(recording(t, rec.name+".log"))
			want, counts := listen(t, data, nil)
			t.Logf("%+v", counts)
			if len(want) != rec.epochs || counts.Malformed > 0 || counts.Overruns > 0 {
				t.Fatalf("%d fixes, want %d; %+v", len(want), rec.epochs, counts)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for _, chunk := range []func() int{
				func() int { return 1 },
				func() int { return rng.IntN(80) },
				func() int { return rng.IntN(2000) },
			} {
				got, n := listen(t, data, chunk)
				if !slices.Equal(got, want) || n != counts {
					t.Errorf("%d fixes, want %d as in one piece; %+v, want %+v", len(got), len(want), n, counts)
				}
			}
		})
	}
}

// listen returns the fixes of a log, without the times of Poll.
func listen(t testing.TB, data []byte, chunk func() int) ([]gnss.Fix, gnss.Counts) {
	t.Helper()
	line := &wire{chunk: chunk}
	line.send(data)
	r := gnss.New(line, gnss.Options{Quiet: time.Second})
	var all []gnss.Fix
	now := time.Duration(0)
	for end := false; ; now++ {
		poll(t, r, now)
		for f, ok := r.Next(); ok; f, ok = r.Next() {
			f.Begun, f.At = 0, 0
			all = append(all, f)
		}
		if end {
			return all, r.Status(now).Counts
		}
		if end = len(line.arriving) == 0; end {
			now += time.Second
		}
	}
}

// The figures of docs/gnss.md: what is compared with gpsd 3.22, and each difference by its reason.
func TestFixesAreThoseOfGpsd(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "gnss.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range receivers {
		t.Run(rec.name, func(t *testing.T) {
			run := epochs
			if rec.protocol == "UBX" {
				run = binary
			}
			all, equal, compared, differing := run(t, rec.name), 0, 0, 0
			counts := make([]int, len(rec.explanations))
			for i := range all {
				d, n := differences(&all[i])
				compared += n
				differing += len(d)
				if len(d) == 0 {
					equal++
				}
			fields:
				for _, field := range d {
					for k, x := range rec.explanations {
						if x.field == field && x.holds(all, i) {
							counts[k]++
							continue fields
						}
					}
					t.Errorf("epoch %d: %s differs, and nothing explains it: %+v, gpsd %+v, of %q", i, field, all[i].fix, all[i].gpsd, all[i].text)
				}
			}
			for k, x := range rec.explanations {
				if counts[k] != x.count {
					t.Errorf("%s differs %d times because %s; want %d", x.field, counts[k], x.why, x.count)
				}
			}
			if len(all) != rec.epochs || equal != rec.equal {
				t.Errorf("%d epochs, %d of them equal; want %d, %d", len(all), equal, rec.epochs, rec.equal)
			}
			fixes := 0
			for i := range all {
				if all[i].fix.Mode != gnss.NoFix {
					fixes++
				}
			}
			row := fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d | %d |",
				rec.name, rec.protocol, len(all), fixes, equal, compared, compared-differing, differing)
			t.Log(row)
			if !strings.Contains(string(doc), row) {
				t.Errorf("docs/gnss.md has another row than %s", row)
			}
			for k, x := range rec.explanations {
				reason := fmt.Sprintf("| %s | %s | %d | %s |", rec.name, x.field, counts[k], x.why)
				t.Log(reason)
				if !strings.Contains(string(doc), reason) {
					t.Errorf("docs/gnss.md has another row than %s", reason)
				}
			}
		})
	}
}
