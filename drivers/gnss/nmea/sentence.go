package nmea

import (
	"time"

	"github.com/fulmar-io/fulmar/hal"
)

// The errors of a decoder. Each refuses the sentence as a whole.
const (
	ErrType  hal.Err = "nmea: the sentence is of another type"
	ErrField hal.Err = "nmea: a field cannot be read"
)

// Sentence is what is between $ and *, its checksum verified.
type Sentence []byte

// Type is what a sentence is about.
type Type uint8

// The types that can be decoded. Other is any other.
const (
	Other Type = iota
	TypeRMC
	TypeGGA
	TypeGSA
	TypeGLL
	TypeVTG
	TypeZDA
	TypeGNS
	TypeGST
	Types // how many there are
)

// String returns the three letters of a type.
func (t Type) String() string {
	names := [Types]string{"other", "RMC", "GGA", "GSA", "GLL", "VTG", "ZDA", "GNS", "GST"}
	if t < Types {
		return names[t]
	}
	return "invalid"
}

// Type returns the type of a sentence from its address: two letters of the talker, three of the type.
func (s Sentence) Type() Type {
	if len(s) < 6 || s[5] != ',' || s[0] == 'P' { // P is a maker's own
		return Other
	}
	switch [3]byte(s[2:5]) {
	case [3]byte{'R', 'M', 'C'}:
		return TypeRMC
	case [3]byte{'G', 'G', 'A'}:
		return TypeGGA
	case [3]byte{'G', 'S', 'A'}:
		return TypeGSA
	case [3]byte{'G', 'L', 'L'}:
		return TypeGLL
	case [3]byte{'V', 'T', 'G'}:
		return TypeVTG
	case [3]byte{'Z', 'D', 'A'}:
		return TypeZDA
	case [3]byte{'G', 'N', 'S'}:
		return TypeGNS
	case [3]byte{'G', 'S', 'T'}:
		return TypeGST
	}
	return Other
}

// Talker returns who sends: GP is GPS, GL GLONASS, GA Galileo, GB or BD BeiDou, GQ or QZ QZSS, GI NavIC, GN several together.
// It is 0 for a sentence without one.
func (s Sentence) Talker() [2]byte {
	if len(s) < 6 || s[0] == 'P' {
		return [2]byte{}
	}
	return [2]byte(s[:2])
}

// Position is a place on WGS 84, or on what the receiver was set to.
type Position struct {
	LatitudeDeg  float64 // north is positive
	LongitudeDeg float64 // east is positive
}

// Mode is how a fix was found, a letter of the standard; 0 where a sentence of an older version does not say.
type Mode byte

// The modes.
const (
	Autonomous   Mode = 'A'
	Differential Mode = 'D'
	Estimated    Mode = 'E' // dead reckoning
	FloatRTK     Mode = 'F'
	Manual       Mode = 'M'
	NoFix        Mode = 'N'
	Precise      Mode = 'P'
	RTK          Mode = 'R'
	Simulated    Mode = 'S'
)

// RMC is the recommended minimum: when, where, how fast, whither.
type RMC struct {
	Time      Maybe[time.Duration] // UTC, since midnight
	Valid     bool
	Position  Maybe[Position]
	SpeedMps  Maybe[float64] // over ground
	CourseDeg Maybe[float64] // over ground, from true north
	Date      Maybe[Date]
	// VariationDeg is the magnetic one, east is positive.
	VariationDeg Maybe[float64]
	Mode         Mode
}

// GGA is a fix with its height.
type GGA struct {
	Time     Maybe[time.Duration] // UTC, since midnight
	Position Maybe[Position]
	// Quality is 0 without a fix, also where it is left empty; 1 GPS, 2 differential, 3 PPS, 4 RTK, 5 float RTK, 6 estimated, 7 manual, 8 simulated.
	Quality     int
	Satellites  Maybe[int] // in use. Up to version 4.0 it ends at 12
	HDOP        Maybe[float64]
	AltitudeM   Maybe[float64] // above mean sea level
	SeparationM Maybe[float64] // of the geoid above the ellipsoid
}

// GSA is the dimension of a fix and its dilution. Receivers of several constellations send one for each.
type GSA struct {
	Mode             Maybe[int] // 1 none, 2 2D, 3 3D
	Satellites       [12]int    // their numbers; 0 is none
	Used             int        // how many of them there are
	PDOP, HDOP, VDOP Maybe[float64]
	System           Maybe[int] // from version 4.11 on: 1 GPS, 2 GLONASS, 3 Galileo, 4 BeiDou, 5 QZSS, 6 NavIC
}

// GLL is a position.
type GLL struct {
	Position Maybe[Position]
	Time     Maybe[time.Duration] // UTC, since midnight
	Valid    bool
	Mode     Mode
}

// VTG is a velocity over ground.
type VTG struct {
	CourseDeg         Maybe[float64] // from true north
	MagneticCourseDeg Maybe[float64]
	SpeedMps          Maybe[float64] // that in knots; where it is missing, that in km/h
	Mode              Mode
}

// ZDA is the time and the whole date.
type ZDA struct {
	Time Maybe[time.Duration] // UTC, since midnight
	Date Maybe[Date]
}

// GNS is a fix of several constellations.
type GNS struct {
	Time        Maybe[time.Duration] // UTC, since midnight
	Position    Maybe[Position]
	Mode        Mode // the best of the constellations'
	Satellites  Maybe[int]
	HDOP        Maybe[float64]
	AltitudeM   Maybe[float64] // above mean sea level
	SeparationM Maybe[float64] // of the geoid above the ellipsoid
}

// GST is how far off a fix may be: standard deviations.
type GST struct {
	Time         Maybe[time.Duration] // UTC, since midnight
	LatitudeM    Maybe[float64]
	LongitudeM   Maybe[float64]
	AltitudeM    Maybe[float64]
	RangeRMSM    Maybe[float64] // of the ranges that went into the fix
	SemiMajorM   Maybe[float64] // of the ellipse of error
	SemiMinorM   Maybe[float64]
	SemiMajorDeg Maybe[float64] // its direction, from true north
}
