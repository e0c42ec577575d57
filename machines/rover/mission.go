package rover

import "github.com/fulmar-io/fulmar"

// Mission tells a person what happens: waypoints, laps, a battery that runs low, a motor that gets hot.
type Mission struct {
	heading     fulmar.In[HeadingLoop]
	power       fulmar.In[Power]
	temperature fulmar.In[MotorTemperature]
	before      fulmar.In[MissionProgress] // what it told last itself, in an earlier life too
	progress    fulmar.Out[MissionProgress]

	// What follows is watch's own.
	started  bool
	waypoint uint32
	lap      uint64
	low      bool
	hot      bool
}

// NewMission returns the component with its defaults.
func NewMission() *Mission { return &Mission{} }

// Renew implements fulmar.Renewer.
func (c *Mission) Renew() fulmar.Component { return NewMission() }

// MissionProgress is how far the mission is.
type MissionProgress struct {
	Laps      uint64 `unit:"1"`
	Waypoints uint64 `unit:"1"` // reached, in all laps
}

// Thresholds, each with the value at which the trouble is taken to be over: without it, a value that dithers at the
// threshold would be an alarm per step.
const (
	lowChargePct, lowChargeOverPct = 20.0, 25.0
	hotMotorC, hotMotorOverC       = 80.0, 70.0
)

// An event's text is a constant: to build one would take memory in a step.
var waypointTexts = [Waypoints]string{
	"waypoint 8 reached", "waypoint 1 reached", "waypoint 2 reached", "waypoint 3 reached",
	"waypoint 4 reached", "waypoint 5 reached", "waypoint 6 reached", "waypoint 7 reached",
}

// Spec implements fulmar.Component.
func (c *Mission) Spec() fulmar.Spec {
	return fulmar.Spec{
		Name: "mission", DependsOn: []string{"drive", "battery", "motors"},
		Tasks: []fulmar.Task{{
			Name: "watch", Period: slowPeriod, Budget: stepBudget, Offset: actPhase,
			Reads: []fulmar.Input{c.heading.From("drive/heading"), c.power.From("battery/state"),
				c.temperature.From("motors/temperature"), c.before.From("mission/progress")},
			Writes: []fulmar.Output{c.progress.As("progress", fulmar.Urgent)},
			Step:   c.watch,
		}},
	}
}

func (c *Mission) watch(s *fulmar.Step) error {
	c.course(s)
	if c.power.Version() != 0 {
		charge := c.power.Get().Charge
		if switched(&c.low, charge < lowChargePct, charge > lowChargeOverPct) {
			tell(s, c.low, "battery low", "battery recovered")
		}
	}
	if c.temperature.Version() != 0 {
		t := c.temperature.Get()
		hottest := max(t.Left, t.Right)
		if switched(&c.hot, hottest > hotMotorC, hottest < hotMotorOverC) {
			tell(s, c.hot, "motor hot", "motor has cooled down")
		}
	}
	switch {
	case c.low:
		s.Degraded("battery low")
	case c.hot:
		s.Degraded("motor hot")
	default:
		s.OK()
	}
	return nil
}

func (c *Mission) course(s *fulmar.Step) {
	if !c.started {
		p := c.before.Get()
		c.started, c.lap, c.waypoint = true, p.Laps, uint32(p.Waypoints%Waypoints)
	}
	h := c.heading.Get()
	if h.Waypoint != c.waypoint {
		c.waypoint = h.Waypoint
		s.Event(fulmar.Info, waypointTexts[h.Waypoint%Waypoints])
		c.progress.Set(MissionProgress{Laps: h.Lap, Waypoints: h.Lap*Waypoints + uint64(h.Waypoint)})
	}
	if h.Lap != c.lap {
		c.lap = h.Lap
		s.Event(fulmar.Info, "lap done")
	}
}

// switched sets a state that goes on with one condition and off with another, and reports whether it changed.
func switched(state *bool, on, off bool) bool {
	before := *state
	*state = on || before && !off
	return *state != before
}

func tell(s *fulmar.Step, bad bool, begin, end string) {
	if bad {
		s.Event(fulmar.Warning, begin)
		return
	}
	s.Event(fulmar.Info, end)
}
