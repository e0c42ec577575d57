package rover

import (
	"time"

	"github.com/fulmar-io/fulmar"
)

// IMU is the driver of the inertial sensor.
type IMU struct {
	signals fulmar.In[Signals]
	before  fulmar.In[Inertial] // what it told last itself, in an earlier life too
	sample  fulmar.Out[Inertial]
	last    time.Duration // read's own: the previous sample's time
	angle   float64       // read's own
	primed  bool          // read's own: last and angle go on from somewhere
}

// NewIMU returns the component with its defaults.
func NewIMU() *IMU { return &IMU{} }

// Inertial is a sample of the IMU; the body's frame is x forward, y left, z up.
type Inertial struct {
	GyroZ  float32 `unit:"rad/s"`
	AccelX float32 `unit:"m/s2"`
	AccelY float32 `unit:"m/s2"`
	AccelZ float32 `unit:"m/s2"`
	// Angle is the gyro's rate summed up since the start, bias included, and Time the sensor's time. A reader of a lower
	// rate takes the difference of two Angles: it loses nothing of what the gyro saw in between, also when it was late,
	// where the latest rate alone would alias.
	Angle float64       `fulmar:"-"`
	Time  time.Duration `fulmar:"-"`
}

// Spec implements fulmar.Component.
func (c *IMU) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "imu", DependsOn: []string{"world"},
		Tasks: []fulmar.Task{{
			Name: "read", Period: fastPeriod, Budget: stepBudget, Offset: readPhase,
			Reads:  []fulmar.Input{c.signals.From("world/signals"), c.before.From("imu/sample")},
			Writes: []fulmar.Output{c.sample.As("sample", fulmar.Bulk)},
			Step:   c.read,
		}},
	}
}

// Renew implements fulmar.Renewer.
func (c *IMU) Renew() fulmar.Component { return NewIMU() }

func (c *IMU) read(*fulmar.Step) error {
	v := c.signals.Get()
	if c.signals.Version() == 0 || v.Time == c.last {
		return nil // nothing new: a sample published twice would look like a sensor that froze
	}
	if !c.primed { // after a rebuild the sum goes on; what was turned meanwhile nobody summed up
		c.primed, c.angle, c.last = true, c.before.Get().Angle, v.Time
	}
	c.angle += v.IMU.GyroZRadS * (v.Time - c.last).Seconds()
	c.last = v.Time
	c.sample.Set(Inertial{
		GyroZ:  float32(v.IMU.GyroZRadS),
		AccelX: float32(v.IMU.AccelMps2[0]), AccelY: float32(v.IMU.AccelMps2[1]), AccelZ: float32(v.IMU.AccelMps2[2]),
		Angle: c.angle, Time: v.Time,
	})
	return nil
}
