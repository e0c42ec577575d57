package rover

import (
	"time"

	"github.com/fulmar-io/fulmar"
)

// Motors is the driver of the motors: it hands on the duties it is told, and stops when it is told nothing any more.
type Motors struct {
	command fulmar.In[SpeedLoop]
	duty    fulmar.Out[Duty]
	version uint64        // actuate's own: of the last command
	silence time.Duration // actuate's own: since the last command
	stopped bool          // actuate's own

	signals     fulmar.In[Signals]
	temperature fulmar.Out[MotorTemperature]
}

// NewMotors returns the component with its defaults.
func NewMotors() *Motors { return &Motors{} }

// Renew implements fulmar.Renewer.
func (c *Motors) Renew() fulmar.Component { return NewMotors() }

// Duty is what the motors' drivers put out, −1 to 1.
type Duty struct {
	Left  float64 `unit:"1"`
	Right float64 `unit:"1"`
}

// MotorTemperature is how warm the motors are.
type MotorTemperature struct {
	Left  float64 `unit:"Cel"`
	Right float64 `unit:"Cel"`
}

// commandTimeout is how long a duty holds without a new command: a rover whose controller is gone must not drive on.
const commandTimeout = 100 * time.Millisecond

// Spec implements fulmar.Component.
func (c *Motors) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "motors", DependsOn: []string{"world"}, Critical: true,
		Tasks: []fulmar.Task{
			{
				Name: "actuate", Period: fastPeriod, Budget: stepBudget, Offset: actPhase,
				Reads:  []fulmar.Input{c.command.From("drive/speed")},
				Writes: []fulmar.Output{c.duty.As("duty")},
				Step:   c.actuate,
			},
			{
				Name: "sense", Period: slowPeriod, Budget: stepBudget, Offset: readPhase,
				Reads:  []fulmar.Input{c.signals.From("world/signals")},
				Writes: []fulmar.Output{c.temperature.As("temperature")},
				Step:   c.sense,
			},
		},
	}
}

func (c *Motors) actuate(s *fulmar.Step) error {
	if v := c.command.Version(); v != c.version {
		c.version, c.silence = v, 0
		if c.stopped {
			c.stopped = false
			s.OK()
		}
		command := c.command.Get()
		c.duty.Set(Duty{Left: command.DutyLeft, Right: command.DutyRight})
		return nil
	}
	c.silence += s.Dt
	if c.silence >= commandTimeout && !c.stopped {
		c.stopped = true
		s.Degraded("no command")
		s.Event(fulmar.Error, "motors stopped: no command")
		c.duty.Set(Duty{})
	}
	return nil
}

func (c *Motors) sense(*fulmar.Step) error {
	if c.signals.Version() != 0 {
		v := c.signals.Get().MotorC
		c.temperature.Set(MotorTemperature{Left: v[0], Right: v[1]})
	}
	return nil
}
