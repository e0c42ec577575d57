package plant

import (
	"math"
	"math/rand/v2"
)

// sensors is the state of the sensors' errors. Each sensor has a generator of its own: how often one is read changes
// nothing for the others.
type sensors struct {
	imu, gnss, battery, temp *rand.Rand
	gyroBias                 float64
	accelBias                [3]float64
	biasAtS                  float64
	drift                    [2]float64
	fix                      GNSS
	nextFix                  uint64 // step
	everyFix                 uint64 // steps
}

func newSensors(p *Params, seed uint64) sensors {
	own := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	s := sensors{imu: own(1), gnss: own(2), battery: own(3), temp: own(4)}
	s.gyroBias = p.Sensors.GyroBiasRadS * s.imu.NormFloat64()
	for i := range s.accelBias {
		s.accelBias[i] = p.Sensors.AccelBias * s.imu.NormFloat64()
	}
	for i := range s.drift {
		s.drift[i] = p.Sensors.GNSSDriftM * s.gnss.NormFloat64()
	}
	s.everyFix = max(1, uint64(math.Round(p.Sensors.GNSSPeriodS/p.StepS)))
	s.nextFix = s.everyFix
	return s
}

// IMU is a sample of the inertial sensor. The body's frame is x forward, y left, z up.
type IMU struct {
	GyroZRadS float64
	// AccelMps2 is the specific force, as an accelerometer measures it: at rest it shows gravity upwards.
	AccelMps2 [3]float64
}

// IMU takes a sample. The gyro's bias walks with the time since the last one: over h seconds by GyroWalk·√h.
func (r *Rover) IMU() IMU {
	s, e, b := &r.sense, &r.p.Sensors, &r.body
	now := r.Time().Seconds()
	s.gyroBias += e.GyroWalk * math.Sqrt(now-s.biasAtS) * s.imu.NormFloat64()
	s.biasAtS = now
	m := IMU{GyroZRadS: b.yawRate + s.gyroBias + e.GyroNoiseRadS*s.imu.NormFloat64()}
	force := [3]float64{b.accel, b.speed * b.yawRate, Gravity}
	for i, f := range force {
		m.AccelMps2[i] = f + s.accelBias[i] + e.AccelNoise*s.imu.NormFloat64()
	}
	return m
}

// Encoders returns the ticks that the wheels' encoders have counted since the start.
func (r *Rover) Encoders() (left, right int64) {
	scale := float64(r.p.Sensors.TicksPerTurn) / (2 * math.Pi)
	return int64(math.Floor(r.wheel[0].angle * scale)), int64(math.Floor(r.wheel[1].angle * scale))
}

// GNSS is a solution of the receiver.
type GNSS struct {
	Epoch      uint64 // counts solutions; 0: there was none yet
	Fix        bool   // without a fix only Epoch and Satellites mean something
	Satellites int
	// Position, WGS 84.
	LatitudeDeg, LongitudeDeg float64
	SpeedMps                  float64 // over ground
	CourseDeg                 float64 // over ground, clockwise from north, 0 to 360
}

// GNSS returns the latest solution; the receiver makes one every GNSSPeriodS by its own clock.
func (r *Rover) GNSS() GNSS { return r.sense.fix }

// advance lets the receiver make its solutions. The correlated error is a first-order Gauss-Markov process, in discrete
// time x ← φ·x + σ·√(1 − φ²)·w with φ = exp(−T/τ), which keeps its standard deviation at σ for every T (R. G. Brown and
// P. Y. C. Hwang, Introduction to Random Signals and Applied Kalman Filtering, on Gauss-Markov processes).
func (s *sensors) advance(r *Rover, _ float64) {
	if r.steps != s.nextFix {
		return
	}
	s.nextFix += s.everyFix
	e, b := &r.p.Sensors, &r.body
	phi := math.Exp(-float64(s.everyFix) * r.p.StepS / e.GNSSDriftS)
	var white, speed [2]float64
	for i := range s.drift { // also without a fix: the errors live on
		s.drift[i] = phi*s.drift[i] + e.GNSSDriftM*math.Sqrt(1-phi*phi)*s.gnss.NormFloat64()
		white[i] = e.GNSSWhiteM * s.gnss.NormFloat64()
		speed[i] = e.GNSSSpeedMps * s.gnss.NormFloat64()
	}
	s.fix = GNSS{Epoch: s.fix.Epoch + 1}
	site := &r.p.Site
	if math.Hypot(b.east-site.ShadowEastM, b.north-site.ShadowNorthM) < site.ShadowM {
		s.fix.Satellites = 2
		return
	}
	s.fix.Fix, s.fix.Satellites = true, 14
	s.fix.LatitudeDeg, s.fix.LongitudeDeg = site.Geodetic(b.east+s.drift[0]+white[0], b.north+s.drift[1]+white[1])
	ve, vn := b.speed*math.Cos(b.heading)+speed[0], b.speed*math.Sin(b.heading)+speed[1]
	s.fix.SpeedMps = math.Hypot(ve, vn)
	if s.fix.CourseDeg = math.Atan2(ve, vn) * 180 / math.Pi; s.fix.CourseDeg < 0 {
		s.fix.CourseDeg += 360
	}
}

// WGS 84: the semi-major axis in metres, and the first eccentricity squared.
const (
	semiMajorM  = 6378137.0
	eccentric2  = 6.69437999014e-3
	degPerRad   = 180 / math.Pi
	radPerDeg   = math.Pi / 180
	fullCircleD = 360
)

// Geodetic returns the WGS 84 position of a point of the local frame, by the ellipsoid's radii of curvature at the origin:
// M = a(1−e²)/(1−e² sin² φ)^{3/2} along the meridian, N = a/√(1−e² sin² φ) across (any text on geodesy, e.g. P. D. Groves,
// Principles of GNSS, Inertial, and Multisensor Integrated Navigation Systems). It is off by
// the plane's own error, a millimetre or two at 100 m, which grows with the distance squared.
func (s Site) Geodetic(eastM, northM float64) (latitudeDeg, longitudeDeg float64) {
	sin, cos := math.Sincos(s.LatitudeDeg * radPerDeg)
	w2 := 1 - eccentric2*sin*sin
	n := semiMajorM / math.Sqrt(w2)
	m := n * (1 - eccentric2) / w2
	longitudeDeg = s.LongitudeDeg + eastM/(n*cos)*degPerRad
	switch {
	case longitudeDeg >= fullCircleD/2:
		longitudeDeg -= fullCircleD
	case longitudeDeg < -fullCircleD/2:
		longitudeDeg += fullCircleD
	}
	return s.LatitudeDeg + northM/m*degPerRad, longitudeDeg
}

// Battery takes a sample of the battery monitor: voltage at the terminals, current out of the battery.
func (r *Rover) Battery() (volt, ampere float64) {
	e := &r.p.Sensors
	return r.cell.terminalV + e.BatteryNoiseV*r.sense.battery.NormFloat64(), r.cell.currentA + e.BatteryNoiseA*r.sense.battery.NormFloat64()
}

// MotorTemps takes a sample of the motors' temperatures.
func (r *Rover) MotorTemps() (leftC, rightC float64) {
	e := &r.p.Sensors
	return r.wheel[0].tempC + e.TempNoiseC*r.sense.temp.NormFloat64(), r.wheel[1].tempC + e.TempNoiseC*r.sense.temp.NormFloat64()
}
