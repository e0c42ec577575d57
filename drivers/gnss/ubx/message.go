package ubx

import (
	"bytes"
	"encoding/binary"

	"github.com/fulmar-io/fulmar/hal"
)

// ErrLength: a payload is too short for what it should be. Longer ones are of newer versions, and are taken.
const ErrLength hal.Err = "ubx: the payload is too short"

// FixType is what a fix rests on.
type FixType uint8

// The fix types.
const (
	FixNone FixType = iota
	FixDeadReckoning
	Fix2D
	Fix3D
	FixCombined // satellites and dead reckoning
	FixTime     // time alone
)

// Carrier is how carrier phases were used.
type Carrier uint8

// The solutions with carrier phases.
const (
	CarrierNone Carrier = iota
	CarrierFloat
	CarrierFixed
)

// PVT is NAV-PVT: a fix, with everything about it.
type PVT struct {
	TOWMs                    uint32 // of the GPS week
	Year                     uint16 // UTC
	Month, Day               uint8
	Hour, Minute, Second     uint8
	Nano                     int32 // to be added to the second; negative too
	DateValid, TimeValid     bool
	Resolved                 bool // no doubt about the second is left
	TimeAccNs                uint32
	Fix                      FixType
	FixOK                    bool // within the receiver's limits of dilution and accuracy
	Differential             bool
	Carrier                  Carrier
	Satellites               uint8
	LongitudeE7, LatitudeE7  int32 // 1e-7°
	HeightMm, AltitudeMm     int32 // above the ellipsoid; above mean sea level
	HorizontalMm, VerticalMm uint32
	NorthMmps, EastMmps      int32
	DownMmps                 int32
	SpeedMmps                int32 // over ground
	HeadingE5                int32 // of motion, 1e-5°
	SpeedAccMmps             uint32
	HeadingAccE5             uint32
	PDOPE2                   uint16 // 0.01
	PositionInvalid          bool   // position and height are not to be used, whatever Fix says
}

// DecodePVT decodes the payload of NAV-PVT. Generation 7 sends 84 bytes, later ones 92, what they add is not decoded.
func DecodePVT(p []byte) (m PVT, err error) {
	if len(p) < 84 {
		return m, ErrLength
	}
	m = PVT{
		TOWMs: u4(p, 0), Year: u2(p, 4), Month: p[6], Day: p[7], Hour: p[8], Minute: p[9], Second: p[10],
		DateValid: p[11]&1 != 0, TimeValid: p[11]&2 != 0, Resolved: p[11]&4 != 0,
		TimeAccNs: u4(p, 12), Nano: i4(p, 16),
		Fix: FixType(p[20]), FixOK: p[21]&1 != 0, Differential: p[21]&2 != 0, Carrier: Carrier(p[21] >> 6),
		Satellites: p[23], LongitudeE7: i4(p, 24), LatitudeE7: i4(p, 28), HeightMm: i4(p, 32), AltitudeMm: i4(p, 36),
		HorizontalMm: u4(p, 40), VerticalMm: u4(p, 44), NorthMmps: i4(p, 48), EastMmps: i4(p, 52), DownMmps: i4(p, 56),
		SpeedMmps: i4(p, 60), HeadingE5: i4(p, 64), SpeedAccMmps: u4(p, 68), HeadingAccE5: u4(p, 72), PDOPE2: u2(p, 76),
		PositionInvalid: p[78]&1 != 0,
	}
	return m, nil
}

// SOL is NAV-SOL, the fix of receivers before NAV-PVT: in coordinates fixed to the earth (ECEF).
type SOL struct {
	TOWMs        uint32
	TOWNs        int32 // to be added to TOWMs; negative too
	Week         int16 // of GPS
	Fix          FixType
	FixOK        bool // within the receiver's limits of dilution and accuracy
	Differential bool
	WeekValid    bool
	TOWValid     bool
	PositionCm   [3]int32
	AccuracyCm   uint32 // of the position, in space
	VelocityCmps [3]int32
	SpeedAccCmps uint32
	PDOPE2       uint16 // 0.01
	Satellites   uint8
}

// DecodeSOL decodes the payload of NAV-SOL.
func DecodeSOL(p []byte) (m SOL, err error) {
	if len(p) < 52 {
		return m, ErrLength
	}
	m = SOL{
		TOWMs: u4(p, 0), TOWNs: i4(p, 4), Week: int16(u2(p, 8)), Fix: FixType(p[10]),
		FixOK: p[11]&1 != 0, Differential: p[11]&2 != 0, WeekValid: p[11]&4 != 0, TOWValid: p[11]&8 != 0,
		PositionCm: [3]int32{i4(p, 12), i4(p, 16), i4(p, 20)}, AccuracyCm: u4(p, 24),
		VelocityCmps: [3]int32{i4(p, 28), i4(p, 32), i4(p, 36)}, SpeedAccCmps: u4(p, 40),
		PDOPE2: u2(p, 44), Satellites: p[47],
	}
	return m, nil
}

// DOP is NAV-DOP: dilution of precision, in 0.01.
type DOP struct {
	TOWMs                  uint32
	GDOPE2, PDOPE2, TDOPE2 uint16
	VDOPE2, HDOPE2         uint16
}

// DecodeDOP decodes the payload of NAV-DOP.
func DecodeDOP(p []byte) (m DOP, err error) {
	if len(p) < 18 {
		return m, ErrLength
	}
	return DOP{TOWMs: u4(p, 0), GDOPE2: u2(p, 4), PDOPE2: u2(p, 6), TDOPE2: u2(p, 8), VDOPE2: u2(p, 10), HDOPE2: u2(p, 12)}, nil
}

// TimeGPS is NAV-TIMEGPS.
type TimeGPS struct {
	TOWMs     uint32
	TOWNs     int32 // to be added to TOWMs; negative too
	Week      int16
	Leap      int8 // GPS time minus UTC, in seconds
	TOWValid  bool
	WeekValid bool
	LeapValid bool
	AccNs     uint32
}

// DecodeTimeGPS decodes the payload of NAV-TIMEGPS.
func DecodeTimeGPS(p []byte) (m TimeGPS, err error) {
	if len(p) < 16 {
		return m, ErrLength
	}
	return TimeGPS{
		TOWMs: u4(p, 0), TOWNs: i4(p, 4), Week: int16(u2(p, 8)), Leap: int8(p[10]),
		TOWValid: p[11]&1 != 0, WeekValid: p[11]&2 != 0, LeapValid: p[11]&4 != 0, AccNs: u4(p, 12),
	}, nil
}

// DecodeAck returns which message an ACK-ACK or ACK-NAK answers.
func DecodeAck(p []byte) (k Kind, err error) {
	if len(p) < 2 {
		return k, ErrLength
	}
	return Kind{p[0], p[1]}, nil
}

// Version is MON-VER: what a receiver is.
type Version struct {
	software [30]byte
	hardware [10]byte
	// Protocol is the version of UBX that it speaks, times 100: 1800 is 18.00. It is 0 where it does not say, which is so up to
	// generation 6.
	Protocol int
}

// Software returns the name of the firmware.
func (v Version) Software() string { return text(v.software[:]) }

// Hardware returns the number of the hardware.
func (v Version) Hardware() string { return text(v.hardware[:]) }

// HasKeys reports whether it is configured with CFG-VALSET.
func (v Version) HasKeys() bool { return v.Protocol >= 2700 }

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// DecodeVersion decodes the payload of MON-VER.
func DecodeVersion(p []byte) (v Version, err error) {
	if len(p) < len(v.software)+len(v.hardware) {
		return v, ErrLength
	}
	p = p[copy(v.software[:], p):]
	p = p[copy(v.hardware[:], p):]
	for ; len(p) >= 30; p = p[30:] {
		// Firmware of generations 7 and 8 has a blank there, later ones an equals sign.
		rest, ok := bytes.CutPrefix(p[:30], protver)
		if ok && (rest[0] == '=' || rest[0] == ' ') {
			v.Protocol = hundredths(rest[1:])
		}
	}
	return v, nil
}

var protver = []byte("PROTVER")

// hundredths reads the number that b begins with, as 18.00, of which it takes two places.
func hundredths(b []byte) int {
	v, places, point := 0, 0, false
	for _, c := range b {
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' || places == 2 || v >= 1e6 {
			break
		}
		v = v*10 + int(c-'0')
		if point {
			places++
		}
	}
	for ; places < 2; places++ {
		v *= 10
	}
	return v
}

func u2(p []byte, at int) uint16 { return binary.LittleEndian.Uint16(p[at:]) }
func u4(p []byte, at int) uint32 { return binary.LittleEndian.Uint32(p[at:]) }
func i4(p []byte, at int) int32  { return int32(u4(p, at)) }
