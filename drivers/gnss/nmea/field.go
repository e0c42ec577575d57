package nmea

import (
	"bytes"
	"time"
)

// Maybe is a value that a sentence may leave out. Value is the zero value then.
type Maybe[T any] struct {
	Value T
	OK    bool
}

func some[T any](v T) Maybe[T] { return Maybe[T]{v, true} }

// Date is a day of the calendar.
type Date struct {
	Year       int
	Month, Day uint8
}

// fields walks over the fields of a sentence. A field after the last is empty: older versions of the standard have fewer.
// bad is set once one could not be read.
type fields struct {
	rest  []byte
	ended bool
	bad   bool
}

// of returns the fields after the address.
func of(s Sentence) fields {
	f := fields{rest: s}
	f.next()
	return f
}

func (f *fields) next() []byte {
	if f.ended {
		return nil
	}
	field, rest, more := bytes.Cut(f.rest, comma)
	f.rest, f.ended = rest, !more
	return field
}

var comma = []byte{','}

// powers of ten that float64 has exactly.
var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// decimal reads a number without an exponent, at most 18 digits: m·10^-scale.
func decimal(b []byte) (m int64, scale int, ok bool) {
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative, b = b[0] == '-', b[1:]
	}
	digits, point := 0, false
	for _, c := range b {
		switch {
		case c == '.' && !point:
			point = true
		case c >= '0' && c <= '9' && digits < 18:
			m = m*10 + int64(c-'0')
			digits++
			if point {
				scale++
			}
		default:
			return 0, 0, false
		}
	}
	if negative {
		m = -m
	}
	return m, scale, digits > 0
}

// number reads a number, or nothing.
func (f *fields) number() Maybe[float64] {
	b := f.next()
	if len(b) == 0 {
		return Maybe[float64]{}
	}
	m, scale, ok := decimal(b)
	if !ok {
		f.bad = true
		return Maybe[float64]{}
	}
	return some(float64(m) / tens[scale])
}

// positive reads a number that cannot be negative.
func (f *fields) positive() Maybe[float64] {
	v := f.number()
	if v.Value < 0 {
		f.bad = true
	}
	return v
}

// course reads an angle from 0 to 360.
func (f *fields) course() Maybe[float64] {
	v := f.positive()
	if v.Value > 360 {
		f.bad = true
	}
	return v
}

// measured reads a number and the letter of its unit, which must be the one that the standard has there, or be missing.
func (f *fields) measured(unit byte) Maybe[float64] {
	v := f.number()
	f.unit(unit)
	return v
}

func (f *fields) unit(unit byte) {
	if u := f.next(); len(u) > 1 || len(u) == 1 && u[0] != unit {
		f.bad = true
	}
}

// whole reads a number from 0 to limit that has no fraction.
func (f *fields) whole(limit int64) Maybe[int] {
	b := f.next()
	if len(b) == 0 {
		return Maybe[int]{}
	}
	m, scale, ok := decimal(b)
	if !ok || scale > 0 || m < 0 || m > limit {
		f.bad = true
		return Maybe[int]{}
	}
	return some(int(m))
}

// letter reads one byte, or 0.
func (f *fields) letter() byte {
	switch b := f.next(); len(b) {
	case 0:
		return 0
	case 1:
		return b[0]
	default:
		f.bad = true
		return 0
	}
}

// status reads whether data are valid, A, or a warning is out, V.
func (f *fields) status() (valid bool) {
	switch f.letter() {
	case 'A':
		return true
	case 'V':
	default:
		f.bad = true
	}
	return false
}

// angle reads ddmm.mmm and the letter of its half of the earth; limit is in degrees.
func (f *fields) angle(limit int64, plus, minus byte) Maybe[float64] {
	b, half := f.next(), f.letter()
	if len(b) == 0 {
		return Maybe[float64]{}
	}
	m, scale, ok := decimal(b)
	if !ok || b[0] < '0' || half != plus && half != minus {
		f.bad = true
		return Maybe[float64]{}
	}
	unit := int64(1) // of the last digit, in minutes: the degrees are split off before anything is rounded
	for range scale {
		unit *= 10
	}
	if scale > 15 { // 100 degrees of such minutes do not fit
		f.bad = true
		return Maybe[float64]{}
	}
	whole, minutes := m/(100*unit), m%(100*unit)
	if minutes >= 60*unit || whole > limit || whole == limit && minutes > 0 {
		f.bad = true
		return Maybe[float64]{}
	}
	v := float64(whole) + float64(minutes)/tens[scale]/60
	if half == minus {
		v = -v
	}
	return some(v)
}

// position reads a latitude and a longitude: both or none.
func (f *fields) position() Maybe[Position] {
	lat := f.angle(90, 'N', 'S')
	lon := f.angle(180, 'E', 'W')
	if lat.OK != lon.OK {
		f.bad = true
	}
	if f.bad || !lat.OK {
		return Maybe[Position]{}
	}
	return some(Position{lat.Value, lon.Value})
}

// two reads two digits.
func two(b []byte) (v int, ok bool) {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return 0, false
	}
	return int(b[0]-'0')*10 + int(b[1]-'0'), true
}

// clock reads hhmmss and a fraction of up to 9 digits: the time since midnight. A leap second, 60, is the day's end.
func (f *fields) clock() Maybe[time.Duration] {
	b := f.next()
	if len(b) == 0 {
		return Maybe[time.Duration]{}
	}
	f.bad = f.bad || len(b) < 6 || len(b) > 16 || len(b) > 6 && b[6] != '.'
	if f.bad {
		return Maybe[time.Duration]{}
	}
	h, ok1 := two(b)
	m, ok2 := two(b[2:])
	s, ok3 := two(b[4:])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		f.bad = true
		return Maybe[time.Duration]{}
	}
	t := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	unit := 100 * time.Millisecond
	for _, c := range b[min(7, len(b)):] {
		if c < '0' || c > '9' {
			f.bad = true
			return Maybe[time.Duration]{}
		}
		t += time.Duration(c-'0') * unit
		unit /= 10
	}
	return some(t)
}

// date reads ddmmyy. The standard has two digits for the year: 80 to 99 are of the 20th century, GPS began in 1980.
func (f *fields) date() Maybe[Date] {
	b := f.next()
	if len(b) == 0 {
		return Maybe[Date]{}
	}
	if len(b) != 6 {
		f.bad = true
		return Maybe[Date]{}
	}
	day, ok1 := two(b)
	month, ok2 := two(b[2:])
	year, ok3 := two(b[4:])
	if year += 1900; year < 1980 {
		year += 100
	}
	return f.day(year, month, day, ok1 && ok2 && ok3)
}

// day returns a date if there is such a day.
func (f *fields) day(year, month, day int, ok bool) Maybe[Date] {
	lengths := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	if !ok || month < 1 || month > 12 || day < 1 {
		f.bad = true
		return Maybe[Date]{}
	}
	last := lengths[month-1]
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		last = 29
	}
	if day > last {
		f.bad = true
		return Maybe[Date]{}
	}
	return some(Date{year, uint8(month), uint8(day)})
}
