package plant

import (
	"fmt"
	"math"
	"time"
)

// Rover is a differential-drive rover in its world. It is for one goroutine at a time; none of its methods allocates.
type Rover struct {
	p     Params
	steps uint64
	left  time.Duration // time that is not yet a whole step
	step  time.Duration

	duty   [2]float64 // left, right
	wheel  [2]wheel
	body   body
	cell   cell
	energy Energy
	sense  sensors
}

// wheel is one driven wheel with its motor.
type wheel struct {
	speed    float64 // rad/s, of the wheel
	angle    float64 // rad, since the start
	currentA float64 // in the winding
	voltage  float64 // mean at the winding
	traction float64 // N, on the body
	tempC    float64
}

type body struct {
	east, north, heading float64
	speed, yawRate       float64
	accel                float64 // along x, mean of the last step
}

// Truth is what is really the case. Units are in the names; heading is counter-clockwise from east, not wrapped.
type Truth struct {
	Time                          time.Duration
	EastM, NorthM, HeadingRad     float64
	SpeedMps, YawRateRadS         float64
	WheelLeftRadS, WheelRightRadS float64
	CurrentLeftA, CurrentRightA   float64 // in the windings
	TempLeftC, TempRightC         float64
	BatteryV, BatteryA            float64 // at the terminals, out of the battery
	StateOfCharge                 float64
}

// Energy is where the battery's energy went since the start, in joules. Chemical = Heat + Overhead + Kinetic, up to the
// integration's error.
type Energy struct {
	ChemicalJ float64 // taken out of the cells
	HeatJ     float64 // in the battery's resistance, windings, friction, tyres
	OverheadJ float64 // drawn by the electronics
	KineticJ  float64 // that the rover has now
}

// NewRover returns a rover that stands at the origin and heads east. seed decides the sensors' errors.
func NewRover(p Params, seed uint64) (*Rover, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	step := time.Duration(math.Round(p.StepS * 1e9))
	if step <= 0 {
		return nil, fmt.Errorf("plant: %w: StepS is %v, must be at least 1 ns", ErrParams, p.StepS)
	}
	r := &Rover{p: p, step: step}
	r.p.StepS = step.Seconds()
	for i := range r.wheel {
		r.wheel[i].tempC = p.Body.AirTempC
	}
	r.cell = newCell(p.Battery)
	r.sense = newSensors(&r.p, seed)
	return r, nil
}

// Place puts the rover somewhere, at rest. The heading is counter-clockwise from east.
func (r *Rover) Place(eastM, northM, headingRad float64) {
	r.body = body{east: eastM, north: northM, heading: headingRad}
	for i := range r.wheel {
		r.wheel[i].speed = 0
	}
}

// SetDuty sets the PWM duty of the motors, −1 to 1; what is beyond is cut, NaN is 0. It holds until it is set again.
func (r *Rover) SetDuty(left, right float64) { r.duty = [2]float64{limitDuty(left), limitDuty(right)} }

func limitDuty(d float64) float64 {
	if d != d {
		return 0
	}
	return max(-1, min(1, d))
}

// MaxAdvance is the most that one Advance does. More than that has not passed for the rover: a process that was stopped
// for an hour must not compute an hour at once.
const MaxAdvance = time.Second

// Advance lets time pass, in whole steps, and keeps the rest for the next Advance. It returns the number of steps.
func (r *Rover) Advance(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	r.left += min(d, MaxAdvance)
	n := int(r.left / r.step)
	r.left -= time.Duration(n) * r.step
	for range n {
		r.one()
	}
	return n
}

// Time returns how much time has passed for the rover.
func (r *Rover) Time() time.Duration { return time.Duration(r.steps) * r.step }

// Truth returns what is really the case.
func (r *Rover) Truth() Truth {
	return Truth{
		Time: r.Time(), EastM: r.body.east, NorthM: r.body.north, HeadingRad: r.body.heading, SpeedMps: r.body.speed,
		YawRateRadS: r.body.yawRate, WheelLeftRadS: r.wheel[0].speed, WheelRightRadS: r.wheel[1].speed,
		CurrentLeftA: r.wheel[0].currentA, CurrentRightA: r.wheel[1].currentA,
		TempLeftC: r.wheel[0].tempC, TempRightC: r.wheel[1].tempC,
		BatteryV: r.cell.terminalV, BatteryA: r.cell.currentA, StateOfCharge: r.cell.charge,
	}
}

// Energy returns where the energy went.
func (r *Rover) Energy() Energy {
	e := r.energy
	p := &r.p
	e.KineticJ = 0.5*p.Body.MassKg*r.body.speed*r.body.speed + 0.5*p.Body.YawInertiaKgM2*r.body.yawRate*r.body.yawRate
	for i := range r.wheel {
		e.KineticJ += 0.5 * p.wheelInertia() * r.wheel[i].speed * r.wheel[i].speed
	}
	return e
}

// wheelInertia is that of a wheel with the rotor behind its gear.
func (p *Params) wheelInertia() float64 {
	return p.Body.WheelInertiaKgM2 + p.Motor.GearRatio*p.Motor.GearRatio*p.Motor.InertiaKgM2
}

// one is one inner step: electricity, then velocities, then positions, then heat, then the sensors that have a clock of
// their own.
func (r *Rover) one() {
	h := r.p.StepS
	r.electric(h)
	r.velocities(h)
	r.positions(h)
	r.steps++
	r.sense.advance(r, h)
}

// velocities applies the forces. A wheel's contact is a viscous one, F = SlipNsM·(slip speed), cut off at the grip: what
// is left of the slip curve of a tyre for one that hardly slips.
func (r *Rover) velocities(h float64) {
	p, b := &r.p, &r.body
	half := p.Body.TrackM / 2
	grip := p.Body.Grip * p.Body.MassKg * Gravity / 2
	gear, inertia := p.Motor.GearRatio, p.wheelInertia()
	before := b.speed
	var push, turn float64
	for i := range r.wheel {
		w := &r.wheel[i]
		side := half
		if i == 0 {
			side = -half
		}
		slip := w.speed*p.Body.WheelRadiusM - (b.speed + b.yawRate*side)
		w.traction = max(-grip, min(grip, p.Body.SlipNsM*slip))
		push += w.traction
		turn += w.traction * side
		torque := gear*(p.Motor.ConstantNmA*w.currentA-p.Motor.ViscousNms*gear*w.speed) - w.traction*p.Body.WheelRadiusM
		old := w.speed
		w.speed = friction(old+h*torque/inertia, h*gear*p.Motor.CoulombNm/inertia)
		mean := (old + w.speed) / 2
		viscous := p.Motor.ViscousNms * gear * gear * old * mean
		coulomb := (torque*h - inertia*(w.speed-old)) * mean
		r.energy.HeatJ += viscous*h + coulomb + w.traction*(mean*p.Body.WheelRadiusM)*h
		r.wheelHeat(i, viscous*h+coulomb)
	}
	oldYaw := b.yawRate
	b.speed = friction(b.speed+h*push/p.Body.MassKg, h*p.Body.RollingFactor*Gravity)
	b.yawRate = friction(b.yawRate+h*(turn-p.Body.ScrubNms*b.yawRate)/p.Body.YawInertiaKgM2, h*p.Body.ScrubNm/p.Body.YawInertiaKgM2)
	b.accel = (b.speed - before) / h
	// What the wheels gave and the body did not keep became heat in the tyres and the ground.
	r.energy.HeatJ -= p.Body.MassKg * (b.speed - before) * (b.speed + before) / 2
	r.energy.HeatJ -= p.Body.YawInertiaKgM2 * (b.yawRate - oldYaw) * (b.yawRate + oldYaw) / 2
}

// friction takes up to loss from the magnitude of a velocity: dry friction stops what moves and never turns it back.
func friction(v, loss float64) float64 {
	if math.Abs(v) <= loss {
		return 0
	}
	return v - math.Copysign(loss, v)
}

// positions moves the body along the chord of the step's arc.
func (r *Rover) positions(h float64) {
	b := &r.body
	mid := b.heading + b.yawRate*h/2
	b.east += b.speed * math.Cos(mid) * h
	b.north += b.speed * math.Sin(mid) * h
	b.heading += b.yawRate * h
	for i := range r.wheel {
		r.wheel[i].angle += r.wheel[i].speed * h
	}
}

// RimSpeeds returns how fast the wheels' rims really move, in m/s: left, right.
func (r *Rover) RimSpeeds() [2]float64 {
	return [2]float64{r.wheel[0].speed * r.p.Body.WheelRadiusM, r.wheel[1].speed * r.p.Body.WheelRadiusM}
}
