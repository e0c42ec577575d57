package plant

// cell is the battery's state.
type cell struct {
	b         Battery
	charge    float64 // 0 to 1
	terminalV float64
	currentA  float64 // out of the battery
	off       bool    // the protection circuit has stopped the motors; it stays so
}

func newCell(b Battery) cell {
	c := cell{b: b, charge: b.StateOfCharge}
	c.terminalV = c.openCircuit()
	return c
}

// openCircuit returns the voltage without load, linear between the table's points.
func (c *cell) openCircuit() float64 {
	const last = len(Battery{}.OpenCircuitV) - 1
	x := max(0, min(1, c.charge)) * float64(last)
	i := min(int(x), last-1)
	return c.b.OpenCircuitV[i] + (x-float64(i))*(c.b.OpenCircuitV[i+1]-c.b.OpenCircuitV[i])
}

// sagIterations is how often terminal voltage and current are brought into agreement. Each iteration shrinks the error by
// the battery's resistance over the motors' (a quarter, with Default).
const sagIterations = 10

// electric finds the currents of this step. A driver's output is taken as its mean: a motor sees duty·V, the battery sees
// duty·I. That conserves power, and it brakes back into the battery, as an H-bridge with synchronous switching does.
//
//	I = (d·V − k·N·ω)/R, within the current limit      V = Voc − Rb·I_battery
func (r *Rover) electric(h float64) {
	p, c := &r.p, &r.cell
	voc, v := c.openCircuit(), c.terminalV
	var current float64
	for range sagIterations {
		current = p.Battery.OverheadW / max(v, 1)
		for i := range r.wheel {
			w := &r.wheel[i]
			d := r.duty[i]
			if c.off {
				d = 0
			}
			emf := p.Motor.ConstantNmA * p.Motor.GearRatio * w.speed
			res := p.Motor.ResistanceOhm * (1 + p.Motor.CopperPerKelvin*(w.tempC-20))
			w.currentA = max(-p.Motor.CurrentLimitA, min(p.Motor.CurrentLimitA, (d*v-emf)/res))
			// Where the driver limits the current it switches off earlier: the mean voltage is what drives this current.
			w.voltage = emf + w.currentA*res
			current += w.voltage * w.currentA / max(v, 1)
		}
		v = voc - p.Battery.ResistanceOhm*current
	}
	c.terminalV, c.currentA = v, current
	if v < p.Battery.CutoffV {
		c.off = true
	}
	c.charge = max(0, min(1, c.charge-current*h/(p.Battery.CapacityAh*3600)))
	r.energy.ChemicalJ += voc * current * h
	r.energy.OverheadJ += p.Battery.OverheadW * h
	r.energy.HeatJ += p.Battery.ResistanceOhm * current * current * h
	for i := range r.wheel {
		w := &r.wheel[i]
		// Heat in the winding counts here; what the shaft got, k·I·ω, is in velocities' books as torque.
		res := p.Motor.ResistanceOhm * (1 + p.Motor.CopperPerKelvin*(w.tempC-20))
		r.energy.HeatJ += res * w.currentA * w.currentA * h
		r.wheelHeat(i, res*w.currentA*w.currentA*h)
		w.tempC -= (w.tempC - p.Body.AirTempC) / (p.Motor.ThermalKW * p.Motor.ThermalJK) * h
	}
}

// wheelHeat warms a motor, which is one body with one temperature: C·dT/dt = P − (T − T_air)/R_th.
func (r *Rover) wheelHeat(i int, joule float64) { r.wheel[i].tempC += joule / r.p.Motor.ThermalJK }
