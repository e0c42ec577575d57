package plant

import (
	"errors"
	"fmt"
	"math"
)

// ErrParams is wrapped by every error about a plant's parameters.
var ErrParams = errors.New("parameters are not physical")

// Gravity is standard gravity, in m/s².
const Gravity = 9.80665

// Params are a rover. Default is one; a test changes what it is about.
type Params struct {
	// StepS is the size of an inner step in seconds, at most 2 ms: beyond, the wheels' contact becomes unstable.
	StepS   float64
	Battery Battery
	Motor   Motor // both motors
	Body    Body
	Sensors Sensors
	Site    Site
}

// Battery is an accumulator: an open-circuit voltage that depends on the charge, behind a resistance.
type Battery struct {
	CapacityAh    float64
	ResistanceOhm float64 // internal resistance
	StateOfCharge float64 // at the start, 0 to 1
	OverheadW     float64 // what the electronics draw
	OpenCircuitV  [11]float64
	CutoffV       float64 // where the protection circuit stops the motors
}

// Motor is a brushed DC motor with its driver and gear. Its inductance is left out: the electrical time constant L/R of
// such motors is a tenth of a millisecond, the mechanical one a hundred times that.
type Motor struct {
	ResistanceOhm   float64 // of the winding, at 20 °C
	ConstantNmA     float64 // torque constant, N·m/A; the same number is the back-EMF constant in V·s/rad
	InertiaKgM2     float64 // of the rotor
	ViscousNms      float64 // viscous friction at the rotor, N·m·s/rad
	CoulombNm       float64 // Coulomb friction at the rotor
	CurrentLimitA   float64 // the driver keeps the winding's current within ±this
	GearRatio       float64 // rotor turns per wheel turn
	ThermalJK       float64 // heat capacity, J/K
	ThermalKW       float64 // thermal resistance to the air, K/W
	CopperPerKelvin float64 // how the winding's resistance rises, 1/K
}

// Body is the rover's body and wheels.
type Body struct {
	MassKg           float64
	YawInertiaKgM2   float64
	WheelRadiusM     float64
	WheelInertiaKgM2 float64 // of one wheel, without the motor
	TrackM           float64 // between the wheels' contacts
	RollingFactor    float64 // rolling resistance over weight
	ScrubNms         float64 // viscous resistance to yaw, N·m·s/rad
	ScrubNm          float64 // dry resistance to yaw
	SlipNsM          float64 // traction per slip speed, N·s/m, for one wheel
	Grip             float64 // traction of a wheel is at most Grip times its load
	AirTempC         float64
}

// Sensors are the sensors' errors.
type Sensors struct {
	TicksPerTurn  int     // of an encoder, per turn of the wheel
	GyroNoiseRadS float64 // white, standard deviation of one sample
	GyroBiasRadS  float64 // standard deviation of the bias at the start
	GyroWalk      float64 // bias random walk, rad/s/√s
	AccelNoise    float64 // white, m/s², standard deviation of one sample
	AccelBias     float64 // standard deviation of the bias of each axis, m/s²
	GNSSPeriodS   float64
	GNSSWhiteM    float64 // white part of a position's error, per axis
	GNSSDriftM    float64 // correlated part, per axis
	GNSSDriftS    float64 // its correlation time
	GNSSSpeedMps  float64 // white error of each axis of the velocity
	BatteryNoiseV float64
	BatteryNoiseA float64
	TempNoiseC    float64
}

// Site is where the rover drives.
type Site struct {
	LatitudeDeg, LongitudeDeg float64 // of the local frame's origin
	// A circle under trees, in the local frame, in which the receiver gets no fix. ShadowM 0: there is none.
	ShadowEastM, ShadowNorthM, ShadowM float64
}

// Default returns a rover of 12 kg with a 4-cell lithium-ion battery and 30:1 gear motors, good for 1.9 m/s. The numbers are
// of the size that data sheets of such parts give; they are no particular product's.
func Default() Params {
	return Params{
		StepS: 0.001,
		Battery: Battery{
			CapacityAh: 5, ResistanceOhm: 0.08, StateOfCharge: 0.92, OverheadW: 6, CutoffV: 11.2,
			// Four cells of nickel-manganese-cobalt type, at 0 %, 10 % … 100 %.
			OpenCircuitV: [11]float64{12.00, 13.60, 14.08, 14.36, 14.56, 14.72, 14.96, 15.28, 15.68, 16.16, 16.72},
		},
		Motor: Motor{
			ResistanceOhm: 0.35, ConstantNmA: 0.025, InertiaKgM2: 4e-5, ViscousNms: 1e-5, CoulombNm: 0.006, CurrentLimitA: 15,
			GearRatio: 30, ThermalJK: 60, ThermalKW: 5, CopperPerKelvin: 0.00393,
		},
		Body: Body{
			MassKg: 12, YawInertiaKgM2: 0.6, WheelRadiusM: 0.1, WheelInertiaKgM2: 0.008, TrackM: 0.45, RollingFactor: 0.03,
			ScrubNms: 0.4, ScrubNm: 0.3, SlipNsM: 1000, Grip: 0.7, AirTempC: 20,
		},
		Sensors: Sensors{
			TicksPerTurn: 4096, GyroNoiseRadS: 0.002, GyroBiasRadS: 0.004, GyroWalk: 2e-5, AccelNoise: 0.05, AccelBias: 0.02,
			GNSSPeriodS: 0.2, GNSSWhiteM: 0.03, GNSSDriftM: 0.15, GNSSDriftS: 40, GNSSSpeedMps: 0.03,
			BatteryNoiseV: 0.01, BatteryNoiseA: 0.05, TempNoiseC: 0.1,
		},
		// The Bonneville Salt Flats, which are flat.
		Site: Site{LatitudeDeg: 40.7900, LongitudeDeg: -113.8000},
	}
}

// Validate reports the first parameter that no rover can have.
func (p Params) Validate() error {
	positive := []struct {
		name  string
		value float64
	}{
		{"StepS", p.StepS}, {"CapacityAh", p.Battery.CapacityAh}, {"Battery.ResistanceOhm", p.Battery.ResistanceOhm},
		{"Motor.ResistanceOhm", p.Motor.ResistanceOhm}, {"ConstantNmA", p.Motor.ConstantNmA}, {"InertiaKgM2", p.Motor.InertiaKgM2},
		{"CurrentLimitA", p.Motor.CurrentLimitA}, {"GearRatio", p.Motor.GearRatio}, {"ThermalJK", p.Motor.ThermalJK},
		{"ThermalKW", p.Motor.ThermalKW}, {"MassKg", p.Body.MassKg}, {"YawInertiaKgM2", p.Body.YawInertiaKgM2},
		{"WheelRadiusM", p.Body.WheelRadiusM}, {"TrackM", p.Body.TrackM}, {"SlipNsM", p.Body.SlipNsM}, {"Grip", p.Body.Grip},
		{"TicksPerTurn", float64(p.Sensors.TicksPerTurn)}, {"GNSSPeriodS", p.Sensors.GNSSPeriodS}, {"GNSSDriftS", p.Sensors.GNSSDriftS},
	}
	for _, f := range positive {
		if !(f.value > 0) || math.IsInf(f.value, 1) {
			return fmt.Errorf("plant: %w: %s is %v, must be positive", ErrParams, f.name, f.value)
		}
	}
	if p.StepS > 0.002 {
		return fmt.Errorf("plant: %w: StepS is %v, must be at most 0.002", ErrParams, p.StepS)
	}
	if soc := p.Battery.StateOfCharge; !(soc >= 0 && soc <= 1) {
		return fmt.Errorf("plant: %w: StateOfCharge is %v, must be 0 to 1", ErrParams, soc)
	}
	if lat := p.Site.LatitudeDeg; !(math.Abs(lat) <= 89) {
		return fmt.Errorf("plant: %w: LatitudeDeg is %v, must be within ±89: a tangent plane has no east at a pole", ErrParams, lat)
	}
	return nil
}
