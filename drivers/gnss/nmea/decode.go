package nmea

const (
	// MpsPerKnot: a nautical mile is 1852 m.
	MpsPerKnot = 1852.0 / 3600
	mpsPerKmh  = 1 / 3.6
)

func scaled(v Maybe[float64], k float64) Maybe[float64] {
	v.Value *= k
	return v
}

func (f *fields) err() error {
	if f.bad {
		return ErrField
	}
	return nil
}

// DecodeRMC decodes an RMC. The error is ErrType or ErrField; so it is for the others.
func DecodeRMC(s Sentence) (m RMC, err error) {
	if s.Type() != TypeRMC {
		return m, ErrType
	}
	f := of(s)
	m.Time = f.clock()
	m.Valid = f.status()
	m.Position = f.position()
	m.SpeedMps = scaled(f.positive(), MpsPerKnot)
	m.CourseDeg = f.course()
	m.Date = f.date()
	m.VariationDeg = f.positive()
	switch f.letter() {
	case 'W':
		m.VariationDeg = scaled(m.VariationDeg, -1)
	case 'E', 0:
	default:
		f.bad = true
	}
	m.Mode = Mode(f.letter())
	return m, f.err()
}

// DecodeGGA decodes a GGA.
func DecodeGGA(s Sentence) (m GGA, err error) {
	if s.Type() != TypeGGA {
		return m, ErrType
	}
	f := of(s)
	m.Time = f.clock()
	m.Position = f.position()
	m.Quality = f.whole(9).Value
	m.Satellites = f.whole(999)
	m.HDOP = f.positive()
	m.AltitudeM = f.measured('M')
	m.SeparationM = f.measured('M')
	return m, f.err()
}

// DecodeGSA decodes a GSA.
func DecodeGSA(s Sentence) (m GSA, err error) {
	if s.Type() != TypeGSA {
		return m, ErrType
	}
	f := of(s)
	f.letter() // whether the dimension is chosen by hand
	m.Mode = f.dimension()
	for range m.Satellites {
		if id := f.whole(999); id.OK {
			m.Satellites[m.Used] = id.Value
			m.Used++
		}
	}
	m.PDOP = f.positive()
	m.HDOP = f.positive()
	m.VDOP = f.positive()
	m.System = f.system()
	return m, f.err()
}

// dimension reads 1 to 3, or nothing. One maker has an E there for dead reckoning, which is no dimension.
func (f *fields) dimension() Maybe[int] {
	switch c := f.letter(); c {
	case 0, 'E':
		return Maybe[int]{}
	case '1', '2', '3':
		return some(int(c - '0'))
	}
	f.bad = true
	return Maybe[int]{}
}

// system reads a hexadecimal digit. Versions before 4.11 end before it, and what some makers add there is something else.
func (f *fields) system() Maybe[int] {
	b := f.next()
	if len(b) != 1 {
		return Maybe[int]{}
	}
	v, ok := hexDigit(b[0])
	if !ok {
		return Maybe[int]{}
	}
	return some(int(v))
}

// DecodeGLL decodes a GLL.
func DecodeGLL(s Sentence) (m GLL, err error) {
	if s.Type() != TypeGLL {
		return m, ErrType
	}
	f := of(s)
	m.Position = f.position()
	m.Time = f.clock()
	m.Valid = f.status()
	m.Mode = Mode(f.letter())
	return m, f.err()
}

// DecodeVTG decodes a VTG.
func DecodeVTG(s Sentence) (m VTG, err error) {
	if s.Type() != TypeVTG {
		return m, ErrType
	}
	f := of(s)
	m.CourseDeg = f.course()
	f.unit('T')
	m.MagneticCourseDeg = f.course()
	f.unit('M')
	m.SpeedMps = scaled(f.positive(), MpsPerKnot)
	f.unit('N')
	kmh := f.positive()
	f.unit('K')
	if !m.SpeedMps.OK {
		m.SpeedMps = scaled(kmh, mpsPerKmh)
	}
	m.Mode = Mode(f.letter())
	return m, f.err()
}

// DecodeZDA decodes a ZDA.
func DecodeZDA(s Sentence) (m ZDA, err error) {
	if s.Type() != TypeZDA {
		return m, ErrType
	}
	f := of(s)
	m.Time = f.clock()
	day, month, year := f.whole(31), f.whole(12), f.whole(9999)
	if day.OK || month.OK || year.OK {
		m.Date = f.day(year.Value, month.Value, day.Value, day.OK && month.OK && year.OK)
	}
	return m, f.err()
}

// DecodeGNS decodes a GNS.
func DecodeGNS(s Sentence) (m GNS, err error) {
	if s.Type() != TypeGNS {
		return m, ErrType
	}
	f := of(s)
	m.Time = f.clock()
	m.Position = f.position()
	modes := f.next()
	f.bad = f.bad || len(modes) == 0
	m.Mode = NoFix
	for _, c := range modes {
		if rank(Mode(c)) > rank(m.Mode) {
			m.Mode = Mode(c)
		}
	}
	m.Satellites = f.whole(999)
	m.HDOP = f.positive()
	m.AltitudeM = f.number()
	m.SeparationM = f.number()
	return m, f.err()
}

// rank orders modes by how good a fix is.
func rank(m Mode) int {
	order := [...]Mode{NoFix, Simulated, Manual, Estimated, Autonomous, Differential, Precise, FloatRTK, RTK}
	for i, o := range order {
		if o == m {
			return i
		}
	}
	return -1
}

// DecodeGST decodes a GST.
func DecodeGST(s Sentence) (m GST, err error) {
	if s.Type() != TypeGST {
		return m, ErrType
	}
	f := of(s)
	m.Time = f.clock()
	m.RangeRMSM = f.positive()
	m.SemiMajorM = f.positive()
	m.SemiMinorM = f.positive()
	m.SemiMajorDeg = f.course()
	m.LatitudeM = f.positive()
	m.LongitudeM = f.positive()
	m.AltitudeM = f.positive()
	return m, f.err()
}
