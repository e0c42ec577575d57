package rover

import "github.com/fulmar-io/fulmar"

// GNSS is the driver of the satellite receiver.
type GNSS struct {
	signals fulmar.In[Signals]
	fix     fulmar.Out[Fix]
	last    Fix // poll's own
}

// NewGNSS returns the component with its defaults.
func NewGNSS() *GNSS { return &GNSS{} }

// Fix is a solution of the receiver. Without a fix, position, speed and course are those of the last one.
type Fix struct {
	Valid      bool    `fulmar:"fix"`
	Satellites uint32  `unit:"1"`
	Latitude   float64 `unit:"deg"`
	Longitude  float64 `unit:"deg"`
	Speed      float64 `unit:"m/s"`
	Course     float64 `unit:"deg"` // clockwise from north

	Epoch uint64 `fulmar:"-"`
}

// Spec implements fulmar.Component.
func (c *GNSS) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "gnss", DependsOn: []string{"world"},
		Tasks: []fulmar.Task{{
			// The receiver solves at 5 Hz by its own clock. Asking at that rate would add up to 200 ms of age, so it is
			// asked ten times as often, and what is published is what is new.
			Name: "poll", Period: coursePeriod, Budget: stepBudget, Offset: readPhase,
			Reads:  []fulmar.Input{c.signals.From("world/signals")},
			Writes: []fulmar.Output{c.fix.As("fix")},
			Step:   c.poll,
		}},
	}
}

// Renew implements fulmar.Renewer.
func (c *GNSS) Renew() fulmar.Component { return NewGNSS() }

func (c *GNSS) poll(s *fulmar.Step) error {
	v := c.signals.Get().GNSS
	if v.Epoch == c.last.Epoch {
		return nil
	}
	had, first := c.last.Valid, c.last.Epoch == 0
	c.last.Epoch, c.last.Valid, c.last.Satellites = v.Epoch, v.Fix, uint32(v.Satellites)
	if v.Fix {
		c.last.Latitude, c.last.Longitude, c.last.Speed, c.last.Course = v.LatitudeDeg, v.LongitudeDeg, v.SpeedMps, v.CourseDeg
	}
	c.fix.Set(c.last)
	switch {
	case !v.Fix && (had || first):
		s.Degraded("no fix")
		s.Event(fulmar.Warning, "fix lost")
	case v.Fix && !had:
		s.OK()
		s.Event(fulmar.Info, "fix acquired")
	}
	return nil
}
