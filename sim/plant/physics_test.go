package plant

import (
	"math"
	"testing"
	"time"
)

// stiff is a rover with what the closed forms leave out taken away: a battery whose voltage stays, motors that stay cold.
func stiff() Params {
	p := Default()
	for i := range p.Battery.OpenCircuitV {
		p.Battery.OpenCircuitV[i] = 15
	}
	p.Battery.ResistanceOhm = 1e-9
	p.Motor.ThermalJK = 1e12
	return p
}

func newRover(t testing.TB, p Params) *Rover {
	t.Helper()
	r, err := NewRover(p, 1)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func drive(r *Rover, left, right float64, d time.Duration) {
	r.SetDuty(left, right)
	for ; d > 0; d -= MaxAdvance {
		r.Advance(min(d, MaxAdvance))
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %.6g, closed form %.6g, off by more than %.2g", what, got, want, tolerance)
	}
}

// At a steady speed the motor's torque is what friction and rolling resistance take:
// N·(k·I − b·N·ω − T_c) = r·F with I = (d·V − k·N·ω)/R and F = c_rr·m·g/2.
func TestSteadySpeed(t *testing.T) {
	for _, d := range []float64{0.2, 0.5, -0.5, 0.9} {
		p := stiff()
		r := newRover(t, p)
		drive(r, d, d, 10*time.Second)
		m, b := p.Motor, p.Body
		force := b.RollingFactor * b.MassKg * Gravity / 2
		n, k := m.GearRatio, m.ConstantNmA
		omega := (n*k*math.Abs(d)*15/m.ResistanceOhm - n*m.CoulombNm - b.WheelRadiusM*force) / (n*n*k*k/m.ResistanceOhm + n*n*m.ViscousNms)
		v := omega*b.WheelRadiusM - force/b.SlipNsM
		near(t, "speed", r.Truth().SpeedMps, math.Copysign(v, d), 1e-4)
		near(t, "wheel's speed", r.Truth().WheelLeftRadS, math.Copysign(omega, d), 1e-4)
		near(t, "yaw rate", r.Truth().YawRateRadS, 0, 0)
	}
}

// Without torque (k ≈ 0) dry friction alone stops the rover: (m + 2·J/r²)·a = c_rr·m·g + 2·N·T_c/r, and it stays.
func TestSpinDownByDryFriction(t *testing.T) {
	p := stiff()
	p.Motor.ConstantNmA, p.Motor.ViscousNms = 1e-12, 0
	r := newRover(t, p)
	const v0 = 1.5
	r.body.speed = v0
	for i := range r.wheel {
		r.wheel[i].speed = v0 / p.Body.WheelRadiusM
	}
	b := p.Body
	a := (b.RollingFactor*b.MassKg*Gravity + 2*p.Motor.GearRatio*p.Motor.CoulombNm/b.WheelRadiusM) /
		(b.MassKg + 2*p.wheelInertia()/(b.WheelRadiusM*b.WheelRadiusM))
	half := time.Duration(v0 / a / 2 * 1e9)
	drive(r, 0, 0, half)
	near(t, "speed half way", r.Truth().SpeedMps, v0/2, 0.005)
	drive(r, 0, 0, half+50*time.Millisecond)
	if got := r.Truth().SpeedMps; got != 0 {
		t.Errorf("still moves at %v m/s, should have stopped", got)
	}
	near(t, "way", r.Truth().EastM, v0*v0/(2*a), 0.005)
	before := r.Truth()
	drive(r, 0, 0, 5*time.Second)
	if after := r.Truth(); after.EastM != before.EastM || after.HeadingRad != before.HeadingRad {
		t.Error("crept away from where friction had stopped it")
	}
}

// With duty 0 the bridge shorts the motor, and without dry friction the speed decays by exp(−t/τ) with
// τ = M/(2·N²·(k²/R + b)/r²), M = m + 2·J/r².
func TestBrakesByShortCircuit(t *testing.T) {
	p := stiff()
	p.Motor.CoulombNm, p.Motor.CurrentLimitA, p.Body.RollingFactor, p.Body.SlipNsM, p.StepS = 0, 1000, 0, 5000, 0.0001
	p.Body.Grip = 100
	r := newRover(t, p)
	r.body.speed = 1
	for i := range r.wheel {
		r.wheel[i].speed = 1 / p.Body.WheelRadiusM
	}
	m, rad := p.Motor, p.Body.WheelRadiusM
	mass := p.Body.MassKg + 2*p.wheelInertia()/(rad*rad)
	tau := mass / (2 * m.GearRatio * m.GearRatio * (m.ConstantNmA*m.ConstantNmA/m.ResistanceOhm + m.ViscousNms) / (rad * rad))
	drive(r, 0, 0, 100*time.Millisecond)
	near(t, "speed", r.Truth().SpeedMps, math.Exp(-0.1/tau), 0.01)
}

// A wheel that turns faster than the other makes a circle: R = B/2·(ω_r + ω_l)/(ω_r − ω_l) where nothing slips.
func TestTurningRadius(t *testing.T) {
	p := stiff()
	p.Body.ScrubNm, p.Body.ScrubNms, p.Body.RollingFactor = 0, 0, 0
	r := newRover(t, p)
	drive(r, 0.5, 0.6, 5*time.Second)
	a := r.Truth()
	want := p.Body.TrackM / 2 * (a.WheelRightRadS + a.WheelLeftRadS) / (a.WheelRightRadS - a.WheelLeftRadS)
	near(t, "radius from the rates", a.SpeedMps/a.YawRateRadS, want, 1e-3)
	drive(r, 0.5, 0.6, time.Duration(math.Pi/a.YawRateRadS*1e9))
	b := r.Truth()
	near(t, "half a circle's chord", math.Hypot(b.EastM-a.EastM, b.NorthM-a.NorthM), 2*want, 0.01)
	near(t, "turn", b.HeadingRad-a.HeadingRad, math.Pi, 0.01)
	if a.YawRateRadS <= 0 {
		t.Error("the right wheel is faster: the turn must be to the left")
	}
}

// A wheel's traction ends at the grip: on ice the rover gets away no faster than g·Grip.
func TestGripLimitsAcceleration(t *testing.T) {
	p := stiff()
	p.Body.Grip, p.Body.RollingFactor = 0.05, 0
	r := newRover(t, p)
	drive(r, 1, 1, time.Second)
	near(t, "speed after 1 s", r.Truth().SpeedMps, 0.05*Gravity, 0.005)
	if rim := r.RimSpeeds(); rim[0] < 1.5 {
		t.Errorf("the wheels turn at %v m/s, should spin", rim[0])
	}
}

func TestBatteryDrainAndSag(t *testing.T) {
	p := stiff()
	p.Battery.OverheadW = 30
	r := newRover(t, p)
	drive(r, 0, 0, time.Minute)
	near(t, "charge after a minute", r.Truth().StateOfCharge, p.Battery.StateOfCharge-30.0/15*60/(p.Battery.CapacityAh*3600), 1e-9)

	p.Battery.ResistanceOhm = 0.5
	r = newRover(t, p)
	drive(r, 0, 0, time.Second)
	// V = Voc − R·P/V, so V = (Voc + √(Voc² − 4·R·P))/2.
	near(t, "voltage under load", r.Truth().BatteryV, (15+math.Sqrt(15*15-4*0.5*30))/2, 1e-6)

	p = Default()
	p.Battery.StateOfCharge = 0.02
	r = newRover(t, p)
	drive(r, 1, 1, time.Minute)
	if got := r.Truth(); got.SpeedMps != 0 || r.RimSpeeds()[0] != 0 {
		t.Errorf("drives at %v m/s with an empty battery", got.SpeedMps)
	}
}

// A motor that is held by friction warms by I²·R: T(t) = T_air + R_th·P·(1 − exp(−t/(R_th·C))).
func TestTemperature(t *testing.T) {
	p := stiff()
	p.Motor.CoulombNm, p.Motor.CopperPerKelvin, p.Motor.ThermalJK, p.Motor.CurrentLimitA = 10, 0, 4, 4
	p.StepS = 0.002
	r := newRover(t, p)
	heat := 4 * 4 * p.Motor.ResistanceOhm
	drive(r, 0.5, -0.5, 20*time.Second)
	tau := p.Motor.ThermalKW * p.Motor.ThermalJK
	near(t, "warmth after one time constant", r.Truth().TempLeftC-20, p.Motor.ThermalKW*heat*(1-math.Exp(-20/tau)), 0.01)
	drive(r, 0.5, -0.5, 200*time.Second)
	near(t, "equilibrium", r.Truth().TempRightC-20, p.Motor.ThermalKW*heat, 0.01)

	// With copper's resistance rising, at constant current: ΔT = R_th·I²·R·(1 + α·ΔT), so ΔT = q/(1 − α·q).
	p.Motor.CopperPerKelvin = 0.00393
	r = newRover(t, p)
	drive(r, 0.5, -0.5, 300*time.Second)
	q := p.Motor.ThermalKW * heat
	near(t, "equilibrium with copper", r.Truth().TempLeftC-20, q/(1-0.00393*q), 0.01)
}

// What leaves the cells is heat, overhead, or motion: through starts, turns, braking and reversing.
func TestEnergyBalance(t *testing.T) {
	r := newRover(t, Default())
	heat := 0.0
	for i, d := range [][2]float64{{0.8, 0.8}, {0.3, 0.9}, {-0.5, -0.5}, {1, -1}, {0, 0}, {0.6, 0.5}} {
		drive(r, d[0], d[1], 2*time.Second)
		e := r.Energy()
		used := e.HeatJ + e.OverheadJ + e.KineticJ
		if math.Abs(e.ChemicalJ-used) > 0.005*e.ChemicalJ {
			t.Errorf("phase %d: %.2f J out of the cells, %.2f J accounted for (%+v)", i, e.ChemicalJ, used, e)
		}
		if e.HeatJ <= heat {
			t.Errorf("phase %d: heat fell from %v to %v J", i, heat, e.HeatJ)
		}
		heat = e.HeatJ
	}
}

func TestSmallerStepsConverge(t *testing.T) {
	at := func(step float64) Truth {
		p := Default()
		p.StepS = step
		r := newRover(t, p)
		for _, d := range [][2]float64{{0.8, 0.6}, {0.2, 0.7}, {-0.4, 0.3}} {
			drive(r, d[0], d[1], time.Second)
		}
		return r.Truth()
	}
	exact := at(0.00002)
	var last float64
	for _, step := range []float64{0.001, 0.0005, 0.00025} {
		got := at(step)
		off := math.Hypot(got.EastM-exact.EastM, got.NorthM-exact.NorthM)
		t.Logf("step %v: position off by %.3g m, heading by %.3g rad", step, off, got.HeadingRad-exact.HeadingRad)
		if step == 0.001 && off > 0.01 {
			t.Errorf("the default step is off by %v m after 3 s", off)
		}
		if last != 0 && (off > 0.65*last || off < 0.3*last) { // first order: half, and the reference has a step too
			t.Errorf("half the step: %v m off, was %v: not of first order", off, last)
		}
		last = off
	}
}
