package gnss

import (
	"math"
	"time"

	"github.com/fulmar-io/fulmar/drivers/gnss/nmea"
)

// verdict is whether a message says that there is a fix.
type verdict uint8

const (
	silent verdict = iota
	void
	valid
)

func judged(ok bool) verdict {
	if ok {
		return valid
	}
	return void
}

// report is what a sentence says, whatever its type.
type report struct {
	kind    nmea.Type
	talker  [2]byte
	clock   nmea.Maybe[time.Duration]
	date    nmea.Maybe[nmea.Date]
	verdict verdict
	mode    Mode // of GSA, or 0
	quality Quality
	// fix has the values, and which ones.
	fix Fix
}

func (r *report) put(field Fields, at *float64, v nmea.Maybe[float64]) {
	if v.OK {
		set(&r.fix, field, at, v.Value)
	}
}

// dilution takes a dilution of precision if it is one: a receiver without says 0, or 99 and something.
func (r *report) dilution(field Fields, at *float64, v nmea.Maybe[float64]) {
	if v.OK && v.Value > 0 && v.Value < noDilution {
		set(&r.fix, field, at, v.Value)
	}
}

func (r *report) place(p nmea.Maybe[nmea.Position]) {
	if p.OK {
		r.fix.Has |= Position
		r.fix.LatitudeDeg, r.fix.LongitudeDeg = p.Value.LatitudeDeg, p.Value.LongitudeDeg
	}
}

func (r *report) used(n nmea.Maybe[int]) {
	if n.OK {
		set(&r.fix, Satellites, &r.fix.Satellites, n.Value)
	}
}

func (r *report) height(msl, separation nmea.Maybe[float64]) {
	r.put(Altitude, &r.fix.AltitudeM, msl)
	if msl.OK && separation.OK {
		set(&r.fix, Ellipsoid, &r.fix.EllipsoidM, msl.Value+separation.Value)
	}
}

// read reads a sentence of a type that can be decoded.
func (r *report) read(s nmea.Sentence) error {
	r.kind, r.talker = s.Type(), s.Talker()
	switch r.kind {
	case nmea.TypeRMC:
		m, err := nmea.DecodeRMC(s)
		r.clock, r.date, r.verdict, r.quality = m.Time, m.Date, judged(m.Valid), quality(m.Mode)
		r.place(m.Position)
		r.put(Speed, &r.fix.SpeedMps, m.SpeedMps)
		r.put(Course, &r.fix.CourseDeg, m.CourseDeg)
		return err
	case nmea.TypeGGA:
		m, err := nmea.DecodeGGA(s)
		r.clock, r.verdict, r.quality = m.Time, judged(m.Quality > 0), qualityOf(m.Quality)
		r.place(m.Position)
		r.used(m.Satellites)
		r.dilution(HDOP, &r.fix.HDOP, m.HDOP)
		r.height(m.AltitudeM, m.SeparationM)
		return err
	case nmea.TypeGNS:
		m, err := nmea.DecodeGNS(s)
		r.clock, r.verdict, r.quality = m.Time, judged(m.Mode != nmea.NoFix), quality(m.Mode)
		r.place(m.Position)
		r.used(m.Satellites)
		r.dilution(HDOP, &r.fix.HDOP, m.HDOP)
		r.height(m.AltitudeM, m.SeparationM)
		return err
	}
	return r.readRest(s)
}

func (r *report) readRest(s nmea.Sentence) error {
	switch r.kind {
	case nmea.TypeGLL:
		m, err := nmea.DecodeGLL(s)
		r.clock, r.verdict, r.quality = m.Time, judged(m.Valid), quality(m.Mode)
		r.place(m.Position)
		return err
	case nmea.TypeGSA:
		m, err := nmea.DecodeGSA(s)
		r.mode = Mode(m.Mode.Value)
		r.dilution(PDOP, &r.fix.PDOP, m.PDOP)
		r.dilution(HDOP, &r.fix.HDOP, m.HDOP)
		r.dilution(VDOP, &r.fix.VDOP, m.VDOP)
		return err
	case nmea.TypeVTG:
		m, err := nmea.DecodeVTG(s)
		r.put(Speed, &r.fix.SpeedMps, m.SpeedMps)
		r.put(Course, &r.fix.CourseDeg, m.CourseDeg)
		return err
	case nmea.TypeZDA:
		m, err := nmea.DecodeZDA(s)
		r.clock, r.date = m.Time, m.Date
		return err
	case nmea.TypeGST:
		m, err := nmea.DecodeGST(s)
		r.clock = m.Time
		if m.LatitudeM.OK && m.LongitudeM.OK {
			set(&r.fix, HorizontalAcc, &r.fix.HorizontalAccM, math.Hypot(m.LatitudeM.Value, m.LongitudeM.Value))
		}
		r.put(VerticalAcc, &r.fix.VerticalAccM, m.AltitudeM)
		return err
	}
	return nmea.ErrType
}

func quality(m nmea.Mode) Quality {
	switch m {
	case nmea.Autonomous:
		return Autonomous
	case nmea.Differential:
		return Differential
	case nmea.Precise:
		return Precise
	case nmea.RTK:
		return RTKFixed
	case nmea.FloatRTK:
		return RTKFloat
	case nmea.Estimated:
		return Estimated
	case nmea.Manual:
		return Manual
	case nmea.Simulated:
		return Simulated
	}
	return Unknown
}

// sentences collects sentences into epochs.
type sentences struct {
	cycle   cycle
	quiet   bool // the line has been quiet since the last sentence: one without a time begins the next epoch
	talkers [nmea.Types][2]byte
	whole   report // of the open epoch, merged
	found   bool   // it has a sentence that says where, or when
	begun   time.Duration
	// clock is the time of the day of the epoch before, and stands says that the open one's is the same: not a new solution.
	clock  nmea.Maybe[time.Duration]
	stands bool
	// at is the last time whose date is known, or the zero Time.
	at   time.Time
	late uint64
}

// take takes a sentence's report. It returns what it completes: the epoch before, and then its own.
func (e *sentences) take(r *report, now time.Duration) (before, own Fix, n int) {
	kind := uint8(r.kind)
	if e.isNext(r) {
		if e.cycle.open {
			e.cycle.end()
			if e.finish(&before, now) {
				n = 1
			}
		}
		e.begin(now)
	} else if !e.cycle.open {
		e.cycle.late(kind)
		e.late++
		if r.clock.OK && r.date.OK {
			e.at = on(r.date.Value, r.clock.Value) // the epochs to come can use it
		}
		return before, own, 0
	}
	if e.cycle.seen[kind] == 0 {
		e.talkers[kind] = r.talker
	}
	e.merge(r)
	if e.cycle.add(kind, e.found) {
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

// isNext reports whether a sentence belongs to no epoch that was begun, so that it begins one.
func (e *sentences) isNext(r *report) bool {
	switch {
	case e.cycle.seen == [maxKinds]uint8{}: // there was none
		return true
	case r.clock.OK && e.whole.clock.OK && r.clock.Value != e.whole.clock.Value:
		return true
	case r.kind != nmea.TypeGSA && e.cycle.seen[r.kind] > 0 && e.talkers[r.kind] == r.talker:
		return true
	}
	return !e.cycle.open && e.quiet && !(r.clock.OK && e.whole.clock.OK)
}

func (e *sentences) begin(now time.Duration) {
	e.clock, e.stands = e.whole.clock, false
	e.cycle.begin()
	e.whole, e.found, e.quiet, e.begun = report{}, false, false, now
}

// hush ends the open epoch because the line is quiet, and reports whether it has completed a fix.
func (e *sentences) hush(f *Fix, now time.Duration) bool {
	e.quiet = true
	if !e.cycle.open {
		return false
	}
	e.cycle.end()
	return e.finish(f, now)
}

// merge adds a sentence to the epoch.
func (e *sentences) merge(r *report) {
	w := &e.whole
	if r.clock.OK && !w.clock.OK {
		w.clock, e.stands = r.clock, r.clock == e.clock
	}
	if r.date.OK {
		w.date = r.date
	}
	if r.verdict != silent && w.verdict != void {
		w.verdict = r.verdict
	}
	w.mode = max(w.mode, r.mode)
	if r.quality != Unknown && (w.quality == Unknown || r.kind == nmea.TypeGGA) {
		w.quality = r.quality // GGA tells more than a letter can
	}
	e.found = e.found || r.verdict != silent || r.kind == nmea.TypeZDA

	// Where two sentences give the same, RMC knows the motion, GGA and GNS the rest.
	first := r.kind == nmea.TypeRMC || r.kind == nmea.TypeGGA || r.kind == nmea.TypeGNS
	fresh := r.fix.Has
	if !first {
		fresh &^= w.fix.Has
	}
	w.fix.Has |= fresh
	for _, v := range [...]struct {
		field    Fields
		to, from *float64
	}{
		{Position, &w.fix.LatitudeDeg, &r.fix.LatitudeDeg},
		{Position, &w.fix.LongitudeDeg, &r.fix.LongitudeDeg},
		{Altitude, &w.fix.AltitudeM, &r.fix.AltitudeM},
		{Ellipsoid, &w.fix.EllipsoidM, &r.fix.EllipsoidM},
		{Speed, &w.fix.SpeedMps, &r.fix.SpeedMps},
		{Course, &w.fix.CourseDeg, &r.fix.CourseDeg},
		{HDOP, &w.fix.HDOP, &r.fix.HDOP},
		{PDOP, &w.fix.PDOP, &r.fix.PDOP},
		{VDOP, &w.fix.VDOP, &r.fix.VDOP},
		{HorizontalAcc, &w.fix.HorizontalAccM, &r.fix.HorizontalAccM},
		{VerticalAcc, &w.fix.VerticalAccM, &r.fix.VerticalAccM},
	} {
		if fresh&v.field != 0 {
			*v.to = *v.from
		}
	}
	w.fix.Satellites = max(w.fix.Satellites, r.fix.Satellites)
}

// finish makes a Fix of the epoch. It reports false for one that says neither where nor when.
func (e *sentences) finish(f *Fix, now time.Duration) bool {
	if !e.found {
		return false
	}
	*f = e.whole.fix
	f.Protocol, f.Begun, f.At = NMEA, e.begun, now
	f.Time, f.TimeValid, f.DateValid = e.when()
	f.Mode, f.Quality = e.mode(), e.whole.quality
	strip(f)
	return true
}

// A fix of satellites has as many unknowns as it takes satellites: the clock, and two or three of the place.
const (
	satellites2D = 3
	satellites3D = 4
)

// mode is the epoch's.
func (e *sentences) mode() Mode {
	w := &e.whole
	counted := w.fix.Has&Satellites != 0 && w.quality < Estimated // what is not measured needs none
	switch {
	case w.verdict != valid || w.fix.Has&Position == 0 || e.stands:
		return NoFix
	case counted && w.fix.Satellites < satellites2D:
		return NoFix
	case w.mode != 0:
		return w.mode
	case w.fix.Has&Altitude == 0 || counted && w.fix.Satellites < satellites3D:
		return Fix2D
	}
	return Fix3D
}

// strip takes from a Fix without a fix what only one with it can have.
func strip(f *Fix) {
	if f.Mode != NoFix {
		return
	}
	f.Quality = Unknown
	f.Has &= Satellites | HDOP | PDOP | VDOP
	f.LatitudeDeg, f.LongitudeDeg, f.AltitudeM, f.EllipsoidM = 0, 0, 0, 0
	f.SpeedMps, f.CourseDeg, f.ClimbMps = 0, 0, 0
	f.HorizontalAccM, f.VerticalAccM, f.SpacialAccM, f.SpeedAccMps = 0, 0, 0, 0
}

// when returns the epoch's time. Without a date of its own it is that time of the day which is nearest to the epoch before.
func (e *sentences) when() (t time.Time, hasTime, hasDate bool) {
	clock, date := e.whole.clock, e.whole.date
	if !clock.OK {
		return t, false, false
	}
	switch {
	case date.OK:
		t = on(date.Value, clock.Value)
	case e.at.IsZero():
		return t.Add(clock.Value), true, false
	default:
		t = e.at.Truncate(24 * time.Hour).Add(clock.Value)
		if d := t.Sub(e.at); d > 12*time.Hour {
			t = t.Add(-24 * time.Hour)
		} else if d < -12*time.Hour {
			t = t.Add(24 * time.Hour)
		}
	}
	e.at = t
	return t, true, true
}

// on returns a time of a day.
func on(d nmea.Date, clock time.Duration) time.Time {
	return time.Date(d.Year, time.Month(d.Month), int(d.Day), 0, 0, 0, 0, time.UTC).Add(clock)
}

// qualityOf returns a quality by its number in GGA. Numbers that the standard does not have are not known.
func qualityOf(number int) Quality {
	if number < 0 || number > int(Simulated) {
		return Unknown
	}
	return Quality(number)
}
