package rover_test

import (
	"math"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/machines/rover"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/sim/plant"
)

// judge is a component like any other: it watches the rover through its ports, and knows the truth.
type judge struct {
	truth   fulmar.In[rover.Signals]
	speed   fulmar.In[rover.SpeedLoop]
	heading fulmar.In[rover.HeadingLoop]
	pose    fulmar.In[rover.Pose]

	course   *rover.Course
	progress rover.Progress
	track    rms // true position off the course
	steer    rms // estimated position off the course: what the controller can help
	position rms // estimate off the true position
	angle    rms // estimated heading off the true one
	wheel    rms // true wheel speed off its setpoint
	body     rms // true speed off the cruise speed
	way      float64
	last     rover.Signals
}

type rms struct {
	sum, worst float64
	n          int
}

func (r *rms) add(x float64)  { r.sum, r.n, r.worst = r.sum+x*x, r.n+1, max(r.worst, math.Abs(x)) }
func (r *rms) value() float64 { return math.Sqrt(r.sum / float64(r.n)) }

func (j *judge) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "judge", DependsOn: []string{"drive"}, Tasks: []fulmar.Task{{
		Name: "watch", Period: 5 * time.Millisecond,
		Reads: []fulmar.Input{j.truth.From("world/signals"), j.speed.From("drive/speed"), j.heading.From("drive/heading"),
			j.pose.From("navigator/pose")},
		Step: j.watch,
	}}}
}

// settle is how long the rover takes to be at speed.
const settle = 3 * time.Second

func (j *judge) watch(s *fulmar.Step) error {
	if j.pose.Version() == 0 {
		return nil
	}
	v, p, w := j.truth.Get(), j.pose.Get(), j.speed.Get()
	j.track.add(j.course.Follow(&j.progress, v.East, v.North))
	j.position.add(math.Hypot(p.East-v.East, p.North-v.North))
	j.angle.add(math.Remainder(p.Heading-v.Heading, 2*math.Pi))
	if s.Now > settle {
		j.steer.add(j.heading.Get().CrossTrack)
		j.wheel.add(v.WheelMps[0] - w.SetpointLeft)
		j.wheel.add(v.WheelMps[1] - w.SetpointRight)
		j.body.add(v.Speed - 1.2)
	}
	j.way += math.Hypot(v.East-j.last.East, v.North-j.last.North)
	j.last = v
	return nil
}

func newJudge(t testing.TB) *judge {
	t.Helper()
	course, err := rover.NewFigureEight(6)
	if err != nil {
		t.Fatal(err)
	}
	return &judge{course: course}
}

// The bounds are a quarter to three quarters above the worst of the first twenty seeds, which
// FULMAR_ROVER_SEEDS=20 runs. Most of the distance from the course is the
// drift of the simulated receiver, 0.15 m in each axis, which no filter can know.
func TestDrivesItsCourse(t *testing.T) {
	seeds := uint64(4)
	if s := os.Getenv("FULMAR_ROVER_SEEDS"); s != "" {
		var err error
		if seeds, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("FULMAR_ROVER_SEEDS: %v", err)
		}
	}
	for seed := range seeds {
		j := newJudge(t)
		b := newBench(t, append(rover.Components(seed), j))
		b.run(60 * time.Second)
		t.Logf("seed %d: off the course rms %.3f, worst %.3f m; by its own estimate rms %.3f, worst %.3f m; pose rms %.3f, worst %.3f m; heading rms %.4f, worst %.4f rad;"+
			" wheels rms %.4f, worst %.4f m/s; speed rms %.4f m/s; %d laps, %.1f m", seed, j.track.value(), j.track.worst,
			j.steer.value(), j.steer.worst, j.position.value(), j.position.worst, j.angle.value(), j.angle.worst, j.wheel.value(), j.wheel.worst, j.body.value(),
			j.progress.Laps, j.way)
		for _, c := range []struct {
			what       string
			got, bound float64
		}{
			{"rms off the course, m", j.track.value(), 0.30},
			{"worst off the course, m", j.track.worst, 0.60},
			{"rms off the course by its own estimate, m", j.steer.value(), 0.035},
			{"worst off the course by its own estimate, m", j.steer.worst, 0.12},
			{"rms of the pose, m", j.position.value(), 0.40},
			{"rms of the heading, rad", j.angle.value(), 0.02},
			{"rms of the wheels' speeds, m/s", j.wheel.value(), 0.010},
			{"worst of the wheels' speeds, m/s", j.wheel.worst, 0.07},
			{"rms of the speed, m/s", j.body.value(), 0.003},
		} {
			if !(c.got <= c.bound) {
				t.Errorf("seed %d: %s: %.4f, at most %v", seed, c.what, c.got, c.bound)
			}
		}
		if j.progress.Laps != 1 || j.way < 1.85*j.course.LengthM() {
			t.Errorf("seed %d: %.1f m and %d laps in a minute", seed, j.way, j.progress.Laps)
		}
	}
}

// What reaches the ground's side in a minute: each port at its rate, nothing dropped, no release missed.
func TestRates(t *testing.T) {
	const span = 60 * time.Second
	b := newBench(t, rover.Components(1))
	b.run(span)
	for port, hz := range map[string]int{
		"world/signals": 200, "imu/sample": 200, "encoders/wheels": 200, "drive/speed": 200, "motors/duty": 200,
		"navigator/pose": 50, "drive/heading": 50, "battery/state": 10, "motors/temperature": 10, "gnss/fix": 5,
	} {
		// The first pose takes 25 ms, and before it there is nothing to follow.
		if got, want := b.tally.records[port], hz*60; got < want-1-hz/40 || got > want+1 {
			t.Errorf("%s: %d records in a minute, want %d", port, got, want)
		}
	}
	records := 0
	for _, n := range b.tally.records {
		records += n
	}
	perSecond, readings := float64(records)/span.Seconds(), float64(b.tally.readings)/span.Seconds()
	t.Logf("%.0f records/s, %.0f readings/s", perSecond, readings)
	if perSecond < 1000 || readings < 4500 {
		t.Errorf("%.0f records/s with %.0f readings/s", perSecond, readings)
	}
	for _, s := range b.node.TaskStats() {
		if want := uint64(span / s.Period); s.Runs != want && s.Runs != want+1 || s.Misses != 0 {
			t.Errorf("%s/%s: %d runs, %d missed; want %d runs", s.Component, s.Task, s.Runs, s.Misses, want)
		}
	}
	for _, h := range b.node.Health() {
		if h.Dropped != 0 {
			t.Errorf("%s dropped %d records", h.Name, h.Dropped)
		}
		if h.Status != fulmar.StatusOK {
			t.Errorf("%s is %v: %s", h.Name, h.Status, h.Reason)
		}
	}
}

// Under the trees at the course's eastern end there is no fix, once per lap; the rover says so and drives on.
func TestFixIsLostOncePerLap(t *testing.T) {
	b := newBench(t, rover.Components(2))
	outages, reckonings := 0, 0
	var lost, reckoning bool
	for at := time.Second; at <= 60*time.Second; at += 100 * time.Millisecond {
		b.run(at)
		g := b.health("gnss")
		if now := g.Status == fulmar.StatusDegraded; now != lost {
			lost = now
			if lost {
				outages++
				if g.Reason != "no fix" || g.LastEvent != "fix lost" {
					t.Errorf("degraded for %q, last event %q", g.Reason, g.LastEvent)
				}
			}
		}
		if now := b.health("navigator").Status == fulmar.StatusDegraded; now != reckoning {
			if reckoning = now; now {
				reckonings++
			}
		}
	}
	if outages != 2 || reckonings != 2 || lost || reckoning {
		t.Errorf("%d outages, %d times dead reckoning in two laps; lost at the end: %v", outages, reckonings, lost)
	}
	if got := b.tally.records["gnss/event"]; got != 5 { // acquired, and twice lost and acquired
		t.Errorf("%d events of the receiver, want 5", got)
	}
}

func TestMissionTellsWaypoints(t *testing.T) {
	b := newBench(t, rover.Components(3))
	b.run(29 * time.Second)
	if got := b.health("mission").LastEvent; got != "waypoint 7 reached" {
		t.Errorf("shortly before the lap's end: %q", got)
	}
	b.run(34 * time.Second)
	if got := b.health("mission").LastEvent; got != "lap done" {
		t.Errorf("after the lap's end: %q", got)
	}
	if got := b.tally.records["mission/event"]; got != rover.Waypoints+1 {
		t.Errorf("%d events in the first lap, want %d waypoints and the lap", got, rover.Waypoints)
	}
}

// A battery that is nearly empty and motors that cool badly are told, once, and the mission is degraded.
func TestMissionWarns(t *testing.T) {
	for want, change := range map[string]func(*plant.Params){
		"battery low": func(p *plant.Params) { p.Battery.StateOfCharge = 0.12 },
		"motor hot":   func(p *plant.Params) { p.Body.AirTempC = 79.7; p.Motor.ThermalJK = 20 },
	} {
		p := plant.Default()
		change(&p)
		list, err := rover.New(rover.Options{Seed: 1, Plant: &p})
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, list)
		b.run(3 * time.Second)
		if h := b.health("mission"); h.Status != fulmar.StatusDegraded || h.Reason != want {
			t.Errorf("%s: mission is %v: %q", want, h.Status, h.Reason)
		}
		if got := b.tally.records["mission/event"]; got != 1 {
			t.Errorf("%s: %d events in 3 s, want the warning alone", want, got)
		}
	}
}

// A rover whose controller has gone silent stops.
func TestMotorsStopWithoutCommands(t *testing.T) {
	list := rover.Components(1)
	for i, c := range list {
		if c.Spec().Name == "drive" {
			list[i] = &mute{}
		}
	}
	w := &watcher{}
	b := newBench(t, append(list, w))
	b.run(2 * time.Second)
	if v := w.truth.Get().Speed; v < 0.8 {
		t.Fatalf("drives at %v m/s before the silence", v)
	}
	b.run(2400 * time.Millisecond)
	if h := b.health("motors"); h.Status != fulmar.StatusDegraded || h.Reason != "no command" {
		t.Errorf("motors are %v: %q", h.Status, h.Reason)
	}
	b.run(4 * time.Second)
	if v := w.truth.Get().Speed; v != 0 {
		t.Errorf("still drives at %v m/s", v)
	}
}

// mute stands in for drive and falls silent after 2 s.
type mute struct {
	heading fulmar.Out[rover.HeadingLoop]
	speed   fulmar.Out[rover.SpeedLoop]
}

func (m *mute) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "drive", Tasks: []fulmar.Task{{
		Name: "speed", Period: 5 * time.Millisecond,
		Writes: []fulmar.Output{m.heading.As("heading"), m.speed.As("speed")},
		Step: func(s *fulmar.Step) error {
			if s.Now < 2*time.Second {
				m.speed.Set(rover.SpeedLoop{DutyLeft: 0.5, DutyRight: 0.5})
			}
			return nil
		},
	}}}
}

type watcher struct{ truth fulmar.In[rover.Signals] }

func (w *watcher) Spec() fulmar.Spec {
	return fulmar.Spec{Name: "watcher", Tasks: []fulmar.Task{{
		Name: "watch", Period: 10 * time.Millisecond, Reads: []fulmar.Input{w.truth.From("world/signals")},
		Step: func(*fulmar.Step) error { return nil },
	}}}
}

func TestSameSeedSameRun(t *testing.T) {
	end := func(seed uint64) rover.Signals {
		w := &watcher{}
		b := newBench(t, append(rover.Components(seed), w))
		b.run(10 * time.Second)
		return w.truth.Get()
	}
	a, b, other := end(4), end(4), end(5)
	if a != b {
		t.Errorf("two runs of one seed end at %+v and %+v", a, b)
	}
	if a.East == other.East {
		t.Error("another seed ends at the same place: its sensors' errors reach nothing")
	}
}

// A whole lap of all steps: waypoints, the loss of the fix and its return included.
func TestStepsAllocateNothing(t *testing.T) {
	const lap = 31 * time.Second
	b := newBench(t, rover.Components(1), func(o *node.Options) { o.RingBytes = 8 << 20 }) // nobody empties it meanwhile
	tasks := b.node.Tasks()
	tasks = tasks[:len(tasks)-1] // the last is the node's own
	next := make([]time.Duration, len(tasks))
	for i, task := range tasks {
		next[i] = time.Duration(task.Timing.Offset)
	}
	n := testing.AllocsPerRun(1, func() { // twice, the second time is counted
		for end := b.now + lap; b.now < end; b.now += time.Millisecond / 2 {
			for i, task := range tasks {
				if b.now < next[i] {
					continue
				}
				period := time.Duration(task.Timing.Period)
				next[i] += period
				if err := task.Step(b.now, period); err != nil {
					t.Error(err)
				}
				task.Leave()
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations in a lap", n)
	}
	if events := b.tally.records["gnss/event"] + b.tally.records["mission/event"]; events != 5+2*(rover.Waypoints+1) {
		t.Errorf("%d events: the laps did not go through what they should", events)
	}
}

func TestSpecsAreValid(t *testing.T) {
	loops := map[string]time.Duration{}
	for _, c := range rover.Components(1) {
		s := c.Spec()
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
		for _, task := range s.Tasks {
			loops[s.Name+"/"+task.Name] = task.Period
		}
	}
	if loops["drive/speed"] != 5*time.Millisecond || loops["drive/heading"] != 20*time.Millisecond {
		t.Errorf("the loops run at %v and %v, want 200 Hz and 50 Hz", loops["drive/speed"], loops["drive/heading"])
	}
}

// A gyro that is off by degrees per second bends the heading until the navigator has learnt by how much.
func TestNavigatorLearnsTheGyrosBias(t *testing.T) {
	p := plant.Default()
	p.Sensors.GyroBiasRadS = 0.05
	list, err := rover.New(rover.Options{Seed: 1, Plant: &p})
	if err != nil {
		t.Fatal(err)
	}
	j := newJudge(t)
	b := newBench(t, append(list, j))
	b.run(30 * time.Second)
	learnt := j.pose.Get().GyroBias
	if math.Abs(learnt) < 0.02 {
		t.Fatalf("learnt a bias of %v rad/s: too little to see anything by", learnt)
	}
	j.angle = rms{}
	b.run(60 * time.Second)
	t.Logf("bias %.4f rad/s, heading rms %.4f rad from then on", learnt, j.angle.value())
	if limit := 0.5 * math.Abs(learnt); j.angle.value() > limit { // not knowing it would leave bias·T/kh, four times that
		t.Errorf("heading off by rms %.4f rad with a bias of %.4f rad/s, at most %.4f", j.angle.value(), learnt, limit)
	}
}
