package gnss

import (
	"math"
	"time"

	"github.com/fulmar-io/fulmar/drivers/gnss/ubx"
)

// The kinds of a cycle of frames.
const (
	kindSOL uint8 = iota
	kindDOP
	kindTime
)

// hold is how long a better source must be silent before the next best counts again: three epochs at 1 Hz.
const hold = 3 * time.Second

// frames collects frames of the NAV class into epochs. All of an epoch carry the same time of the week.
type frames struct {
	cycle cycle
	tow   uint32
	begun time.Duration
	sol   ubx.SOL
	dop   ubx.DOP
	dops  bool // dop is of some epoch
	leap  ubx.TimeGPS
	late  uint64
	// pvt is when NAV-PVT came last, if it ever came.
	pvt   time.Duration
	pvtOK bool
}

// take takes a frame. It returns what it completes, and whether the frame was of use; a payload that is too short is an error.
func (e *frames) take(f ubx.Frame, now time.Duration) (before, own Fix, n int, known bool, err error) {
	switch {
	case f.Is(ubx.NavPVT):
		m, err := ubx.DecodePVT(f.Payload)
		if err != nil {
			return before, own, 0, true, err
		}
		e.pvt, e.pvtOK = now, true
		e.fromPVT(&before, &m, now)
		return before, own, 1, true, nil
	case f.Is(ubx.NavSOL):
		m, err := ubx.DecodeSOL(f.Payload)
		if err != nil {
			return before, own, 0, true, err
		}
		before, own, n = e.add(kindSOL, m.TOWMs, now, func() { e.sol = m })
	case f.Is(ubx.NavDOP):
		m, err := ubx.DecodeDOP(f.Payload)
		if err != nil {
			return before, own, 0, true, err
		}
		before, own, n = e.add(kindDOP, m.TOWMs, now, func() { e.dop, e.dops = m, true })
	case f.Is(ubx.NavTimeGPS):
		m, err := ubx.DecodeTimeGPS(f.Payload)
		if err != nil {
			return before, own, 0, true, err
		}
		before, own, n = e.add(kindTime, m.TOWMs, now, func() { e.leap = m })
	default:
		return before, own, 0, false, nil
	}
	return before, own, n, true, nil
}

// add adds a frame to the epoch of its time: what is done to keep it must happen after the epoch before has been finished.
func (e *frames) add(kind uint8, tow uint32, now time.Duration, keep func()) (before, own Fix, n int) {
	first := e.cycle.seen == [maxKinds]uint8{}
	switch {
	case first || tow != e.tow || e.cycle.seen[kind] > 0:
		if e.cycle.open {
			e.cycle.end()
			if e.finish(&before, now) {
				n = 1
			}
		}
		e.cycle.begin()
		e.tow, e.begun = tow, now
	case !e.cycle.open:
		e.cycle.late(kind)
		e.late++
		keep() // the leap seconds stay true
		return before, own, 0
	}
	keep()
	if e.cycle.add(kind, e.cycle.seen[kindSOL] > 0 || kind == kindSOL) {
		at := &own
		if n == 0 {
			at = &before
		}
		if e.finish(at, now) {
			n++
		}
	}
	return before, own, n
}

// hush ends the open epoch because the line is quiet, and reports whether it has completed a fix.
func (e *frames) hush(f *Fix, now time.Duration) bool {
	if !e.cycle.open {
		return false
	}
	e.cycle.end()
	return e.finish(f, now)
}

// finish makes a Fix of the epoch. It reports false for one without NAV-SOL, or beside NAV-PVT.
func (e *frames) finish(f *Fix, now time.Duration) bool {
	if e.cycle.seen[kindSOL] == 0 || e.pvtOK && now-e.pvt < hold {
		return false
	}
	s := &e.sol
	*f = Fix{Protocol: UBX, Begun: e.begun, At: now, Mode: NoFix, Quality: Autonomous}
	if s.Differential {
		f.Quality = Differential
	}
	if s.WeekValid && s.TOWValid && e.leap.LeapValid {
		f.Time = gpsTime(s.Week, s.TOWMs, s.TOWNs).Add(-time.Duration(e.leap.Leap) * time.Second)
		f.TimeValid, f.DateValid = true, true
	}
	set(f, Satellites, &f.Satellites, int(s.Satellites))
	e.dilution(f, s.TOWMs, s.PDOPE2)
	if s.FixOK {
		f.Mode, f.Quality = dimension(s.Fix, f.Quality)
	}
	if f.Mode != NoFix {
		e.fromECEF(f)
	}
	strip(f)
	return true
}

// dimension returns the mode of a fix, and its quality if that is another than one with satellites has. One of dead reckoning
// alone knows where, and not how high.
func dimension(t ubx.FixType, q Quality) (Mode, Quality) {
	switch t {
	case ubx.FixDeadReckoning:
		return Fix2D, Estimated
	case ubx.Fix2D:
		return Fix2D, q
	case ubx.Fix3D, ubx.FixCombined:
		return Fix3D, q
	}
	return NoFix, Unknown
}

func (e *frames) dilution(f *Fix, tow uint32, pdop uint16) {
	diluted(f, PDOP, &f.PDOP, pdop)
	if e.dops && e.dop.TOWMs == tow {
		diluted(f, HDOP, &f.HDOP, e.dop.HDOPE2)
		diluted(f, VDOP, &f.VDOP, e.dop.VDOPE2)
	}
}

// noDilution is from where a dilution is none: receivers without say 99.99, or near it.
const noDilution = 99

func diluted(f *Fix, field Fields, at *float64, e2 uint16) {
	if e2 > 0 && e2 < 100*noDilution {
		set(f, field, at, float64(e2)/100)
	}
}

// gpsEpoch is when GPS time began: midnight, 6 January 1980.
var gpsEpoch = time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC)

// gpsTime returns a time of the week of GPS, by GPS's own count of seconds.
func gpsTime(week int16, ms uint32, ns int32) time.Time {
	return gpsEpoch.AddDate(0, 0, 7*int(week)).Add(time.Duration(ms)*time.Millisecond + time.Duration(ns))
}

func (e *frames) fromPVT(f *Fix, m *ubx.PVT, now time.Duration) {
	*f = Fix{Protocol: UBX, Begun: now, At: now, Mode: NoFix, Quality: Autonomous}
	f.Time, f.TimeValid, f.DateValid = pvtTime(m)
	switch {
	case m.Carrier == ubx.CarrierFixed:
		f.Quality = RTKFixed
	case m.Carrier == ubx.CarrierFloat:
		f.Quality = RTKFloat
	case m.Differential:
		f.Quality = Differential
	}
	set(f, Satellites, &f.Satellites, int(m.Satellites))
	e.dilution(f, m.TOWMs, m.PDOPE2)
	if m.FixOK && !m.PositionInvalid && onEarth(m) {
		f.Mode, f.Quality = dimension(m.Fix, f.Quality)
	}
	f.Has |= Position
	f.LatitudeDeg, f.LongitudeDeg = float64(m.LatitudeE7)/1e7, float64(m.LongitudeE7)/1e7
	set(f, Altitude, &f.AltitudeM, float64(m.AltitudeMm)/1e3)
	set(f, Ellipsoid, &f.EllipsoidM, float64(m.HeightMm)/1e3)
	set(f, Speed, &f.SpeedMps, float64(m.SpeedMmps)/1e3)
	set(f, Course, &f.CourseDeg, wrap(float64(m.HeadingE5)/1e5))
	set(f, Climb, &f.ClimbMps, -float64(m.DownMmps)/1e3)
	set(f, HorizontalAcc, &f.HorizontalAccM, float64(m.HorizontalMm)/1e3)
	set(f, VerticalAcc, &f.VerticalAccM, float64(m.VerticalMm)/1e3)
	set(f, SpeedAcc, &f.SpeedAccMps, float64(m.SpeedAccMmps)/1e3)
	strip(f)
}

// onEarth reports whether the position is one.
func onEarth(m *ubx.PVT) bool {
	return m.LatitudeE7 >= -90e7 && m.LatitudeE7 <= 90e7 && m.LongitudeE7 >= -180e7 && m.LongitudeE7 <= 180e7
}

// pvtTime returns the time of a NAV-PVT. A date that belongs to no time is of no use.
func pvtTime(m *ubx.PVT) (t time.Time, hasTime, hasDate bool) {
	if !m.TimeValid || m.Hour > 23 || m.Minute > 59 || m.Second > 60 {
		return t, false, false
	}
	year, month, day := int(m.Year), time.Month(m.Month), int(m.Day)
	hasDate = m.DateValid && time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Day() == day && month >= time.January && month <= time.December
	if !hasDate {
		year, month, day = 1, 1, 1
	}
	return time.Date(year, month, day, int(m.Hour), int(m.Minute), int(m.Second), int(m.Nano), time.UTC), true, hasDate
}

// fromECEF sets position and motion from the coordinates of NAV-SOL.
func (e *frames) fromECEF(f *Fix) {
	s := &e.sol
	var p, v [3]float64
	for i := range p {
		p[i], v[i] = float64(s.PositionCm[i])/100, float64(s.VelocityCmps[i])/100
	}
	lat, lon, height := geodetic(p)
	f.Has |= Position
	f.LatitudeDeg, f.LongitudeDeg = lat*180/math.Pi, lon*180/math.Pi
	set(f, Ellipsoid, &f.EllipsoidM, height)
	set(f, SpacialAcc, &f.SpacialAccM, float64(s.AccuracyCm)/100)
	set(f, SpeedAcc, &f.SpeedAccMps, float64(s.SpeedAccCmps)/100)

	north, east, up := local(lat, lon, v)
	set(f, Speed, &f.SpeedMps, math.Hypot(north, east))
	set(f, Climb, &f.ClimbMps, up)
	if north != 0 || east != 0 {
		set(f, Course, &f.CourseDeg, wrap(math.Atan2(east, north)*180/math.Pi))
	}
}

// wrap returns an angle in degrees from 0 to 360.
func wrap(deg float64) float64 {
	if deg < 0 {
		return deg + 360
	}
	return deg
}

// The ellipsoid of WGS 84.
const (
	semiMajorM   = 6378137.0
	flattening   = 1 / 298.257223563
	eccentricity = flattening * (2 - flattening) // squared
)

// geodetic returns latitude and longitude in rad and the height above the ellipsoid of a place on or above the earth. The
// latitude's error shrinks by the eccentricity with each round, from at most 0.2° at first: eight leave nothing that a float64
// has. At the earth's centre everything is 0 or makes no sense; no receiver is there.
func geodetic(p [3]float64) (lat, lon, height float64) {
	radius := math.Hypot(p[0], p[1])
	lat = math.Atan2(p[2], radius*(1-eccentricity))
	for range 8 {
		sin := math.Sin(lat)
		normal := semiMajorM / math.Sqrt(1-eccentricity*sin*sin)
		lat = math.Atan2(p[2]+eccentricity*normal*sin, radius)
	}
	sin, cos := math.Sincos(lat)
	height = radius*cos + p[2]*sin - semiMajorM*math.Sqrt(1-eccentricity*sin*sin)
	return lat, math.Atan2(p[1], p[0]), height
}

// local turns a vector into north, east and up at a place.
func local(lat, lon float64, v [3]float64) (north, east, up float64) {
	sinLat, cosLat := math.Sincos(lat)
	sinLon, cosLon := math.Sincos(lon)
	outward := cosLon*v[0] + sinLon*v[1]
	return cosLat*v[2] - sinLat*outward, cosLon*v[1] - sinLon*v[0], cosLat*outward + sinLat*v[2]
}
