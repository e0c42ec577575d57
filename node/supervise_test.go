package node_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/node"
)

// gauge is a component that can be made again: it counts, reads what is before it, and fails as it is told.
type gauge struct {
	name, before string
	optional     string
	critical     bool
	restart      fulmar.Restart
	onMiss       fulmar.Task
	log          *journal
	lives        *atomic.Int64 // of all of its name
	life         int64
	step         func(g *gauge, s *fulmar.Step) error
	start        func(g *gauge) error
	seen         *atomic.Int64 // what it read last

	out fulmar.Out[int64]
	in  fulmar.In[int64]
	n   int64
}

func newGauge(log *journal, name, before string) *gauge {
	return &gauge{name: name, before: before, log: log, lives: new(atomic.Int64), seen: new(atomic.Int64)}
}

func (g *gauge) Renew() fulmar.Component {
	return &gauge{name: g.name, before: g.before, optional: g.optional, critical: g.critical, restart: g.restart, onMiss: g.onMiss, log: g.log, lives: g.lives,
		step: g.step, start: g.start, seen: g.seen}
}

func (g *gauge) Spec() fulmar.Spec {
	t := g.onMiss
	t.Name, t.Period, t.Writes, t.Step = "count", 10*time.Millisecond, []fulmar.Output{g.out.As("n")}, g.count
	s := fulmar.Spec{Name: g.name, Critical: g.critical, Restart: g.restart}
	if g.before != "" {
		s.DependsOn = []string{g.before}
		t.Reads = []fulmar.Input{g.in.From(g.before + "/n")}
	}
	if g.optional != "" {
		s.Optional = []string{g.optional}
		t.Reads = []fulmar.Input{g.in.From(g.optional + "/n")}
	}
	s.Tasks = []fulmar.Task{t}
	return s
}

func (g *gauge) count(s *fulmar.Step) error {
	g.n++
	g.seen.Store(g.in.Get())
	g.out.Set(1000*g.life + g.n)
	if g.step != nil {
		return g.step(g, s)
	}
	return nil
}

func (g *gauge) Start(context.Context) error {
	g.life = g.lives.Add(1)
	g.log.add("start " + g.name)
	if g.start != nil {
		return g.start(g)
	}
	return nil
}

func (g *gauge) Stop(context.Context) error {
	g.log.add("stop " + g.name)
	return nil
}

func (g *gauge) Safe() error {
	g.log.add("safe " + g.name)
	return nil
}

// live runs a machine for a while of virtual time and returns its health shortly before the end.
func live(t *testing.T, d time.Duration, parts ...fulmar.Component) (map[string]node.ComponentHealth, error) {
	t.Helper()
	n, err := node.New(options(parts...))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	health := make(map[string]node.ComponentHealth)
	time.AfterFunc(d-5*time.Millisecond, func() {
		for _, h := range n.Health() {
			health[h.Name] = h
		}
	})
	err = n.Run(ctx)
	return health, err
}

// What fails is made again, and what depends on it with it; the others notice nothing, and the ports go on.
func TestWhatFailsIsRebuilt(t *testing.T) {
	for what, fail := range map[string]func() error{
		"an error": func() error { return errors.New("no answer") },
		"a panic":  func() error { panic("no answer") },
	} {
		synctest.Test(t, func(t *testing.T) {
			var log journal
			bus, imu, drive, other := newGauge(&log, "bus", ""), newGauge(&log, "imu", "bus"), newGauge(&log, "drive", "imu"), newGauge(&log, "other", "bus")
			imu.step = func(g *gauge, _ *fulmar.Step) error {
				if g.life == 1 && g.n == 50 {
					return fail()
				}
				return nil
			}
			health, err := live(t, 2*time.Second, bus, imu, drive, other)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Join(log.all()[4:8], ", "), "stop drive, stop imu, start imu, start drive"; got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
			for name, lives := range map[*gauge]int64{bus: 1, imu: 2, drive: 2, other: 1} {
				h := health[name.name]
				if name.lives.Load() != lives || h.Status != fulmar.StatusOK || h.Restarts != uint64(lives-1) {
					t.Errorf("%s: %s has lived %d times: %+v", what, name.name, name.lives.Load(), h)
				}
			}
			if h := health["imu"]; !strings.Contains(h.LastError, "no answer") || h.ErrorAt == 0 {
				t.Errorf("%s: %+v", what, h)
			}
			if got := drive.seen.Load(); got < 2100 {
				t.Errorf("%s: drive reads %d of imu's second life", what, got)
			}
			if n := health["other"].Published; n < 198 {
				t.Errorf("%s: the other one published %d records in 2 s at 100 Hz", what, n)
			}
		})
	}
}

// A component that fails again and again is left down: the machine goes on without it, or goes to its safe state.
func TestTooOftenIsEnough(t *testing.T) {
	for _, critical := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var log journal
			imu, drive, other := newGauge(&log, "imu", ""), newGauge(&log, "drive", "imu"), newGauge(&log, "other", "")
			imu.restart = fulmar.Restart{Most: 3}
			drive.critical = critical
			imu.step = func(*gauge, *fulmar.Step) error { return errors.New("no answer") }
			health, err := live(t, 5*time.Second, imu, drive, other)
			if imu.lives.Load() != 4 {
				t.Errorf("it lived %d times", imu.lives.Load())
			}
			if h := health["imu"]; h.Status != fulmar.StatusFailed || !strings.Contains(h.Reason, "no answer; it failed 4 times within 1m0s and stays down") {
				t.Errorf("%+v", h)
			}
			if h := health["drive"]; h.Status != fulmar.StatusFailed || h.Reason != "it depends on imu, which stays down" {
				t.Errorf("%+v", h)
			}
			wants := fulmar.StatusOK
			if critical {
				wants = fulmar.StatusStopped
			}
			if h := health["other"]; h.Status != wants {
				t.Errorf("critical %v: %+v", critical, h)
			}
			if (err != nil) != critical || critical && !strings.Contains(err.Error(), `critical component "drive" cannot be without "imu"`) {
				t.Errorf("critical %v: %v", critical, err)
			}
			for _, name := range []string{"imu", "drive", "other"} {
				count := func(verb string) (n int) {
					for _, l := range log.all() {
						if l == verb+" "+name {
							n++
						}
					}
					return n
				}
				if count("start") != count("stop") {
					t.Errorf("%s was started %d times and stopped %d times", name, count("start"), count("stop"))
				}
			}
		})
	}
}

func TestARebuildThatDoesNotStartIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		imu := newGauge(&log, "imu", "")
		imu.step = func(g *gauge, _ *fulmar.Step) error {
			if g.life == 1 {
				return errors.New("unplugged")
			}
			return nil
		}
		imu.start = func(g *gauge) error {
			if g.life == 2 || g.life == 3 {
				return errors.New("still unplugged")
			}
			return nil
		}
		health, err := live(t, 3*time.Second, imu)
		if h := health["imu"]; err != nil || imu.lives.Load() != 4 || h.Status != fulmar.StatusOK || h.LastError != "start: still unplugged" {
			t.Errorf("%d lives, %+v, %v", imu.lives.Load(), h, err)
		}
	})
}

// A step that does not end is left alone; what comes of it later goes nowhere.
func TestAStepThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		release := make(chan struct{})
		imu, other := newGauge(&log, "imu", ""), newGauge(&log, "other", "")
		ended := make(chan struct{})
		imu.step = func(g *gauge, s *fulmar.Step) error {
			if g.life == 1 && g.n == 10 {
				<-release
				s.Event(fulmar.Critical, "too late")
				s.Degraded("too late")
				g.out.Set(-1)
				close(ended)
				return errors.New("too late")
			}
			return nil
		}
		time.AfterFunc(2500*time.Millisecond, func() { close(release) })
		health, err := live(t, 3*time.Second, imu, other)
		<-ended
		if err != nil {
			t.Fatal(err)
		}
		if h := health["imu"]; imu.lives.Load() != 2 || h.Status != fulmar.StatusOK || !strings.Contains(h.LastError, "task count: its step does not end") || h.LastEvent != "" {
			t.Errorf("%d lives, %+v", imu.lives.Load(), h)
		}
		if lines := log.all(); !slices.Contains(lines, "safe imu") || slices.Index(lines, "stop imu") < slices.Index(lines, "safe imu") {
			t.Errorf("%v", lines)
		}
		if n := health["other"].Published; n < 298 {
			t.Errorf("the other one published %d records in 3 s at 100 Hz", n)
		}
	})
}

// A failure just before the end takes no time from the steps that are under way: they are not given up.
func TestTheEndDoesNotCutShortATakeDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		imu, drive := newGauge(&log, "imu", ""), newGauge(&log, "drive", "imu")
		imu.step = func(g *gauge, _ *fulmar.Step) error {
			if g.n == 20 { // at 190 ms
				return errors.New("no answer")
			}
			return nil
		}
		drive.step = func(g *gauge, _ *fulmar.Step) error {
			if g.n == 15 { // from 140 ms on
				<-time.After(400 * time.Millisecond)
			}
			return nil
		}
		if _, err := live(t, 300*time.Millisecond, imu, drive); err != nil {
			t.Error(err)
		}
		if got, want := strings.Join(log.all(), ", "), "start imu, start drive, stop drive, stop imu"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// Also at the end nothing waits for a step that hangs.
func TestAMachineEndsThoughAStepHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		release := make(chan struct{})
		imu := newGauge(&log, "imu", "")
		imu.step = func(*gauge, *fulmar.Step) error { <-release; return nil }
		_, err := live(t, 500*time.Millisecond, imu)
		close(release)
		if err != nil || !slices.Contains(log.all(), "safe imu") {
			t.Errorf("%v, %v", err, log.all())
		}
	})
}

func TestMissPoliciesOfTheMachine(t *testing.T) {
	late := func(at int64) func(*gauge, *fulmar.Step) error {
		return func(g *gauge, _ *fulmar.Step) error {
			if g.n == at {
				<-time.After(15 * time.Millisecond)
			}
			return nil
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var log journal
		imu := newGauge(&log, "imu", "")
		imu.onMiss.OnMiss, imu.step = fulmar.Degrade, late(50)
		health, err := live(t, time.Second, imu)
		if h := health["imu"]; err != nil || h.Status != fulmar.StatusDegraded || h.Reason != "task count misses its deadline" {
			t.Errorf("shortly after a miss %+v, %v", h, err)
		}
		imu = newGauge(&log, "imu", "")
		imu.onMiss.OnMiss, imu.step = fulmar.Degrade, late(50)
		if health, err = live(t, 2*time.Second, imu); err != nil || health["imu"].Status != fulmar.StatusOK {
			t.Errorf("after many in time %+v, %v", health["imu"], err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var log journal
		drive, other := newGauge(&log, "drive", ""), newGauge(&log, "other", "")
		drive.onMiss.OnMiss, drive.step = fulmar.SafeState, late(50)
		health, err := live(t, time.Second, drive, other)
		if err == nil || !strings.Contains(err.Error(), `task "count" of "drive" missed a deadline that it must not miss`) {
			t.Errorf("error %v", err)
		}
		for _, h := range health {
			if h.Status != fulmar.StatusStopped || h.Reason != "the machine is in its safe state" {
				t.Errorf("%+v", h)
			}
		}
	})
}

// A machine that is to end while it starts ends in order: who starts may finish first, and what had started stops.
func TestAMachineThatIsStoppedWhileItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		bus, imu := newGauge(&log, "bus", ""), newGauge(&log, "imu", "bus")
		imu.start = func(*gauge) error {
			<-time.After(500 * time.Millisecond) // it looks at no context
			log.add("imu has started")
			return nil
		}
		n, err := node.New(options(bus, imu, newGauge(&log, "drive", "imu")))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
		if got, want := strings.Join(log.all(), ", "), "start bus, start imu, imu has started, stop imu, stop bus"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// What may be unplugged does not keep its machine from starting: it and what depends on it come when it is there; the others run from
// the start. What must be there does.
func TestAMachineStartsWithoutWhatMayBeMissing(t *testing.T) {
	for _, may := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var log journal
			imu, drive, other := newGauge(&log, "imu", ""), newGauge(&log, "drive", "imu"), newGauge(&log, "other", "")
			imu.restart.FromStart = may
			imu.start = func(g *gauge) error {
				if g.life < 4 {
					return errors.New("no answer")
				}
				return nil
			}
			health, err := live(t, 3*time.Second, imu, drive, other)
			if !may {
				if err == nil || !strings.Contains(err.Error(), `component "imu": start: no answer`) {
					t.Errorf("what must be there is not, and: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]int64{"imu": 4, "drive": 1, "other": 1} {
				g := map[string]*gauge{"imu": imu, "drive": drive, "other": other}[name]
				if h := health[name]; h.Status != fulmar.StatusOK || g.lives.Load() != want {
					t.Errorf("%s is %v in its life %d, want %d: %s", name, h.Status, g.lives.Load(), want, h.Reason)
				}
			}
			if n := health["other"].Published; n < 298 {
				t.Errorf("the other one published %d records in 3 s at 100 Hz", n)
			}
			if n := health["drive"].Published; n < 150 || n > 280 {
				t.Errorf("drive published %d records, of the time that imu was there", n)
			}
			if h := health["imu"]; !strings.Contains(h.LastError, "no answer") {
				t.Errorf("%+v", h)
			}
		})
	}
}
