package rover_test

import (
	"math"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/machines/rover"
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
	position rms // estimate off the true position
	angle    rms // estimated heading off the true one
	wheel    rms // true wheel speed off its setpoint
	body     rms // true speed off the cruise speed
	laps     uint64
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
		j.wheel.add(v.WheelMps[0] - w.SetpointLeft)
		j.wheel.add(v.WheelMps[1] - w.SetpointRight)
		j.body.add(v.Speed - 1.2)
	}
	j.laps = j.heading.Get().Lap
	return nil
}

func TestDrivesItsCourse(t *testing.T) {
	for seed := range uint64(4) {
		course, err := rover.NewFigureEight(6)
		if err != nil {
			t.Fatal(err)
		}
		j := &judge{course: course}
		b := newBench(t, append(rover.Components(seed), j))
		const span = 60 * time.Second
		b.run(span)
		t.Logf("seed %d: off the course rms %.3f m, worst %.3f m; pose rms %.3f m, worst %.3f m; heading rms %.4f rad, worst %.4f;"+
			" wheel speed rms %.4f m/s, worst %.4f; speed rms %.4f m/s; %d laps", seed, j.track.value(), j.track.worst,
			j.position.value(), j.position.worst, j.angle.value(), j.angle.worst, j.wheel.value(), j.wheel.worst, j.body.value(), j.laps)
		records := 0
		for name, n := range b.tally.records {
			records += n
			if seed == 0 {
				t.Logf("%-24s %6d", name, n)
			}
		}
		t.Logf("%.0f records/s, %.0f readings/s", float64(records)/span.Seconds(), float64(b.tally.readings)/span.Seconds())
	}
}
