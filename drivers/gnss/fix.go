package gnss

import "time"

// Mode is the dimension of a fix.
type Mode uint8

// The modes, by their numbers in GSA.
const (
	NoFix Mode = 1
	Fix2D Mode = 2 // the height is held, not measured
	Fix3D Mode = 3
)

// String returns the mode in a word.
func (m Mode) String() string {
	switch m {
	case NoFix:
		return "none"
	case Fix2D:
		return "2D"
	case Fix3D:
		return "3D"
	}
	return "invalid"
}

// Quality is what a fix rests on. What is estimated, entered by hand or simulated is a fix too for a receiver: look, before a
// machine moves by it.
type Quality uint8

// The qualities, by their numbers in GGA.
const (
	Unknown Quality = iota
	Autonomous
	Differential
	Precise
	RTKFixed
	RTKFloat
	Estimated // dead reckoning
	Manual
	Simulated
)

// Fields is a set of what a Fix has.
type Fields uint16

// What a Fix can have. The date and the time have bools of their own.
const (
	Position  Fields = 1 << iota // LatitudeDeg, LongitudeDeg
	Altitude                     // AltitudeM
	Ellipsoid                    // EllipsoidM
	Speed
	Course
	Climb
	Satellites
	HDOP
	PDOP
	VDOP
	HorizontalAcc
	VerticalAcc
	SpacialAcc
	SpeedAcc
)

// Protocol is what a Fix came by.
type Protocol uint8

// The protocols.
const (
	NMEA Protocol = iota + 1
	UBX
)

// Fix is what a receiver said of one epoch. What is not in Has is 0. Without a fix there is neither position nor motion, also
// where a receiver repeats its last ones.
type Fix struct {
	// Begun and At are when the epoch's first message was taken from the line, and when it was complete: times of Poll, monotonic.
	// The solution itself is older than Begun, by what the receiver computes.
	Begun, At time.Duration
	// Time is the receiver's, UTC. Without DateValid it is on 1 January of year 1; a receiver that has never had a fix may be
	// wrong about both, and in NMEA does not say so. A leap second is the first second of the next day.
	Time                 time.Time
	TimeValid, DateValid bool

	Protocol Protocol
	Mode     Mode
	Quality  Quality
	Has      Fields

	LatitudeDeg  float64 // north is positive
	LongitudeDeg float64 // east is positive
	AltitudeM    float64 // above mean sea level, by the receiver's own model
	EllipsoidM   float64 // above the ellipsoid of WGS 84
	SpeedMps     float64 // over ground
	CourseDeg    float64 // over ground, clockwise from true north, 0 to 360
	ClimbMps     float64
	Satellites   int // in use. By sentences of NMEA before 4.1 it ends at 12
	HDOP         float64
	PDOP         float64
	VDOP         float64
	// The accuracies are the receiver's estimates, one standard deviation: of the position in the plane, in height, in space,
	// and of the speed.
	HorizontalAccM float64
	VerticalAccM   float64
	SpacialAccM    float64
	SpeedAccMps    float64
}

// Contains reports whether a Fix has all of some fields.
func (f *Fix) Contains(all Fields) bool { return f.Has&all == all }

// set sets a field and says that the Fix has it.
func set[T any](f *Fix, field Fields, at *T, v T) {
	f.Has |= field
	*at = v
}

// maxFixes is how many fixes wait for Next: what Poll can complete while a loop at 1 Hz listens to a receiver at 20 Hz.
const maxFixes = 32

// queue holds fixes until they are taken.
type queue struct {
	fixes    [maxFixes]Fix
	first, n int
	total    uint64
	overruns uint64
}

// push adds a fix; if there is no room, the oldest goes.
func (q *queue) push(f *Fix) {
	if q.n == len(q.fixes) {
		q.first = (q.first + 1) % len(q.fixes)
		q.n--
		q.overruns++
	}
	q.fixes[(q.first+q.n)%len(q.fixes)] = *f
	q.n++
	q.total++
}

func (q *queue) pop() (f Fix, ok bool) {
	if q.n == 0 {
		return f, false
	}
	f = q.fixes[q.first]
	q.first = (q.first + 1) % len(q.fixes)
	q.n--
	return f, true
}
