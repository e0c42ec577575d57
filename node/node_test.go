package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/node"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/filter"
)

// part is a component that notes what happens to it.
type part struct {
	name     string
	after    []string
	critical bool
	startErr error
	stop     func(context.Context) error
	tasks    []fulmar.Task
	log      *journal
}

// journal is what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (p *part) Spec() fulmar.Spec {
	return fulmar.Spec{Name: p.name, DependsOn: p.after, Critical: p.critical, Tasks: p.tasks}
}

func (p *part) Start(context.Context) error {
	p.log.add("start " + p.name)
	return p.startErr
}

func (p *part) Stop(ctx context.Context) error {
	p.log.add("stop " + p.name)
	if p.stop != nil {
		return p.stop(ctx)
	}
	return nil
}

// ownRings keeps a machine's shared memory to the test.
type ownRings struct{}

func (ownRings) Create(_ string, o ring.Options) (*ring.Region, error) { return ring.Create("", o) }
func (ownRings) Leftovers(_, _ string) ([]*ring.Region, error)         { return nil, nil }

func options(parts ...fulmar.Component) node.Options {
	return node.Options{Device: "rover", Components: parts, Disk: simdisk.New(), Rings: ownRings{}, Random: rand.Reader,
		Rand: mrand.New(mrand.NewPCG(1, 2)), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), StopTimeout: time.Second}
}

func TestStartFollowsDependenciesAndStopGoesBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		n, err := node.New(options(
			&part{name: "drive", after: []string{"imu", "motors"}, log: &log},
			&part{name: "imu", after: []string{"bus"}, log: &log},
			&part{name: "motors", log: &log},
			&part{name: "bus", log: &log},
		))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := n.Run(ctx); err != nil {
			t.Fatal(err)
		}
		want := "start motors, start bus, start imu, start drive, stop drive, stop imu, stop bus, stop motors"
		if got := strings.Join(log.all(), ", "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestAStartThatFailsUnwinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		n, err := node.New(options(&part{name: "bus", log: &log}, &part{name: "imu", after: []string{"bus"}, startErr: errors.New("wrong chip id"), log: &log},
			&part{name: "drive", after: []string{"imu"}, log: &log}))
		if err != nil {
			t.Fatal(err)
		}
		err = n.Run(context.Background())
		if err == nil || !strings.Contains(err.Error(), `component "imu": start: wrong chip id`) {
			t.Errorf("error %v", err)
		}
		if got, want := strings.Join(log.all(), ", "), "start bus, start imu, stop imu, stop bus"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestAComponentThatDoesNotStopIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		release := make(chan struct{})
		n, err := node.New(options(&part{name: "bus", log: &log}, &part{name: "imu", after: []string{"bus"}, log: &log,
			stop: func(context.Context) error { <-release; return nil }}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err = n.Run(ctx)
		close(release)
		if err == nil || !strings.Contains(err.Error(), `stop "imu": took longer than 1s`) {
			t.Errorf("error %v", err)
		}
		if lines := log.all(); lines[len(lines)-1] != "stop bus" {
			t.Errorf("the rest was not stopped: %v", lines)
		}
	})
}

// A machine is nothing without a critical component: all stop, in order, and the courier goes on.
func TestACriticalComponentThatStaysDownIsTheSafeState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		steps, others := 0, 0
		fails := &part{name: "drive", critical: true, after: []string{"imu"}, log: &log, tasks: []fulmar.Task{{Name: "loop", Period: 10 * time.Millisecond,
			Step: func(*fulmar.Step) error {
				if steps++; steps == 5 {
					panic("nil map")
				}
				return nil
			}}}}
		other := &part{name: "imu", log: &log, tasks: []fulmar.Task{{Name: "loop", Period: time.Millisecond, Step: func(*fulmar.Step) error { others++; return nil }}}}
		n, err := node.New(options(fails, other))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = n.Run(ctx)
		if err == nil || !strings.Contains(err.Error(), `critical component "drive" failed: task loop: panic: nil map`) {
			t.Errorf("error %v", err)
		}
		if steps != 5 || others < 40 || others > 45 {
			t.Errorf("%d steps, %d of the other task's", steps, others)
		}
		if got, want := strings.Join(log.all(), ", "), "start imu, start drive, stop drive, stop imu"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// The others keep their rate when a component that is not critical fails; its health says why.
func TestAFailureIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		others := 0
		bad := &part{name: "camera", log: &log, tasks: []fulmar.Task{{Name: "grab", Period: time.Millisecond,
			Step: func(*fulmar.Step) error { return errors.New("no frame") }}}}
		good := &part{name: "imu", log: &log, tasks: []fulmar.Task{{Name: "loop", Period: 10 * time.Millisecond, Step: func(*fulmar.Step) error { others++; return nil }}}}
		n, err := node.New(options(bad, good))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var health []node.ComponentHealth
		time.AfterFunc(900*time.Millisecond, func() { health = n.Health() })
		if err := n.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if others < 99 || others > 101 {
			t.Errorf("%d steps in a second at 100 Hz", others)
		}
		if h := health[0]; h.Status != fulmar.StatusFailed || h.Reason != "task grab: no frame" {
			t.Errorf("health %+v", h)
		}
	})
}

// What a filter holds back is counted as filtered and has no number; what is left is numbered without gaps.
func TestWhatAFilterHoldsBackIsCounted(t *testing.T) {
	run := func(rules ...filter.Rule) (health map[string]fulmar.Health, numbered uint64) {
		set, err := filter.New(rules)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			var log journal
			var accel, raw, volts fulmar.Out[float64]
			imu := &part{name: "imu", log: &log, tasks: []fulmar.Task{{Name: "loop", Period: 10 * time.Millisecond,
				Writes: []fulmar.Output{accel.As("accel"), raw.As("raw")}, Step: func(s *fulmar.Step) error {
					accel.Set(float64(s.Run))
					raw.Set(1)
					if s.Run == 50 {
						s.Event(fulmar.Info, "half of it")
						s.Event(fulmar.Warning, "half of it is gone")
					}
					return nil
				}}}}
			battery := &part{name: "battery", log: &log, tasks: []fulmar.Task{{Name: "loop", Period: 10 * time.Millisecond,
				Writes: []fulmar.Output{volts.As("volts")}, Step: func(*fulmar.Step) error { volts.Set(12); return nil }}}}
			o := options(imu, battery)
			o.Filter = set.NewFilter
			n, err := node.New(o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 995*time.Millisecond)
			defer cancel()
			if err := n.Run(ctx); err != nil {
				t.Fatal(err)
			}
			health = make(map[string]fulmar.Health)
			for _, h := range n.Health() {
				health[h.Name] = h.Health
			}
			for _, a := range n.CourierStatus().Accounts {
				if a.Lost() != 0 || a.Numbered != a.Delivered+a.Waiting {
					t.Errorf("account %+v", a)
				}
				numbered += a.Numbered
			}
		})
		return health, numbered
	}
	whole, all := run()
	if h := whole["imu"]; h.Published < 200 || h.Filtered != 0 {
		t.Fatalf("without rules: %+v", h)
	}
	some, rest := run(filter.Rule{Match: "imu/accel", OneOf: 10}, filter.Rule{Match: "imu/raw", Drop: true},
		filter.Rule{MinSeverity: fulmar.Warning}, filter.Rule{Match: "battery/*", Deadband: &filter.Deadband{Absolute: 0.1}})
	// Per 100 steps: 10 of accel, none of raw, the warning; and one of the battery.
	steps := (whole["imu"].Published - 2) / 2
	if h := some["imu"]; h.Published != (steps+9)/10+1 || h.Published+h.Filtered != whole["imu"].Published {
		t.Errorf("imu: %d published, %d filtered, of %d", h.Published, h.Filtered, whole["imu"].Published)
	}
	if h := some["battery"]; h.Published != 1 || h.Filtered != whole["battery"].Published-1 {
		t.Errorf("battery: %d published, %d filtered, of %d", h.Published, h.Filtered, whole["battery"].Published)
	}
	if filtered := some["imu"].Filtered + some["battery"].Filtered; rest != all-filtered {
		t.Errorf("%d records have a number, of %d, and %d were held back", rest, all, filtered)
	}
}

func TestMachinesThatDoNotFitTogether(t *testing.T) {
	var log journal
	step := func(*fulmar.Step) error { return nil }
	p := func(name string, after ...string) *part { return &part{name: name, after: after, log: &log} }
	var in fulmar.In[float64]
	reads := p("drive")
	reads.tasks = []fulmar.Task{{Name: "t", Period: time.Second, Step: step, Reads: []fulmar.Input{in.From("imu/rate")}}}
	zero := p("drive")
	zero.tasks = []fulmar.Task{{Name: "t", Step: step}}
	for want, parts := range map[string][]fulmar.Component{
		"a cycle of dependencies: a → b → c → a":           {p("x", "a"), p("a", "b"), p("b", "c"), p("c", "a"), p("d")},
		`"a" depends on "gone"`:                            {p("a", "gone")},
		`two components are named "a"`:                     {p("a"), p("a")},
		`"courier" is the name of a part of every machine`: {p("courier")},
		`reads "imu/rate", which no component writes`:      {reads},
		"period must be":                                   {zero},
		"its name must be":                                 {p("IMU")},
	} {
		if _, err := node.New(options(parts...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if len(log.all()) != 0 {
		t.Errorf("New had side effects: %v", log.all())
	}
}

func TestASecondProcessIsToldThatTheMachineRuns(t *testing.T) {
	dir := t.TempDir()
	var text bytes.Buffer
	rings := node.SharedRings{Dir: dir, Logger: slog.New(slog.NewTextHandler(&text, nil))}
	r, err := rings.Create("a1", ring.Options{Device: "rover", Producers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !r.Survives() {
		t.Skip("this system has no shared memory that outlives a process")
	}
	if _, err := rings.Leftovers("a1", "rover"); !errors.Is(err, ring.ErrInUse) || !strings.Contains(fmt.Sprint(err), "running already") {
		t.Errorf("error %v", err)
	}
	if left, err := rings.Leftovers("a1", "rov"); err != nil || len(left) != 0 {
		t.Errorf("another machine's ring: %v, %v", left, err)
	}
	// One of the same name with a spool of its own: neither sees the other's.
	if left, err := rings.Leftovers("b2", "rover"); err != nil || len(left) != 0 {
		t.Errorf("another spool's ring: %v, %v", left, err)
	}
	own, err := rings.Create("b2", ring.Options{Device: "rover", Boot: telemetry.Boot{1}, Producers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if _, err := rings.Leftovers("b2", "rover"); !errors.Is(err, ring.ErrInUse) {
		t.Errorf("its own: %v", err)
	}
}

// rover opens a machine on a disk, with rings in a folder that others use too.
func rover(t *testing.T, disk *simdisk.Disk, rings node.SharedRings) (*node.Node, error) {
	t.Helper()
	o := options()
	o.Disk, o.Rings, o.Logger = disk, rings, rings.Logger
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return n, n.Open()
}

// What a killed process left is found by the spool's identity: wherever its folder was moved to, and by no other machine of
// that name.
func TestARingIsFoundWhereverItsSpoolIs(t *testing.T) {
	var log bytes.Buffer
	rings := node.SharedRings{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil))}
	here, other := simdisk.New(), simdisk.New()
	n, err := rover(t, here, rings)
	if err != nil {
		t.Fatal(err)
	}
	if !n.Region().Survives() {
		t.Skip("this system has no shared memory that outlives a process")
	}
	m, err := rover(t, other, rings)
	if err != nil {
		t.Fatalf("beside another of its name: %v", err)
	}
	// A copy of the folder is the same spool, and its ring is in use: it is not taken away from who lives.
	if _, err := rover(t, here.Clone(), rings); !errors.Is(err, ring.ErrInUse) || !strings.Contains(err.Error(), `"rover" is running already`) ||
		!strings.Contains(err.Error(), "copied") {
		t.Errorf("a copy: %v", err)
	}
	numbered := n.Region().Next(fulmar.Urgent)
	if numbered == 0 {
		t.Fatal("nothing was published")
	}
	if err := errors.Join(n.Region().Close(), m.Close(true)); err != nil {
		t.Fatal(err)
	}
	here.Kill()
	if m, err = rover(t, other, rings); err != nil || strings.Contains(log.String(), "recovered") {
		t.Fatalf("another machine: %v\n%s", err, log.String())
	}
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	moved := here.Clone()
	if n, err = rover(t, moved, rings); err != nil || !strings.Contains(log.String(), fmt.Sprintf("records=%d", numbered)) {
		t.Fatalf("moved: %v\n%s", err, log.String())
	}
	if strings.Contains(log.String(), "identity") {
		t.Errorf("an identity that was there is complained about:\n%s", log.String())
	}
	if err := n.Close(true); err != nil {
		t.Fatal(err)
	}
	// Without its identity a spool is another one, and says so.
	files, err := moved.ReadDir("spool/identity")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if err := errors.Join(moved.Remove("spool/identity/"+f.Name), moved.SyncDir("spool/identity")); err != nil {
			t.Fatal(err)
		}
	}
	if n, err = rover(t, moved, rings); err != nil || !strings.Contains(log.String(), "identity was missing") {
		t.Errorf("without an identity: %v\n%s", err, log.String())
	}
	if err := n.Close(true); err != nil {
		t.Fatal(err)
	}
}

// wallClock is a clock whose wall time the test sets.
type wallClock struct{ wall time.Time }

func (c wallClock) Now() env.Time { return env.Time{Wall: c.wall.UnixNano()} }

// Boots sort in the order in which they began, also when the clock was set back between two of them, and whether the boot
// before had ended or was killed.
func TestBootsAscendThoughTheClockIsSetBack(t *testing.T) {
	disk, rings := simdisk.New(), node.SharedRings{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	right := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var last telemetry.Boot
	for i, wall := range []time.Time{right, right.Add(-48 * time.Hour), time.Unix(0, 0), right.Add(time.Second), right.Add(time.Second), time.Unix(0, 0)} {
		o := options()
		o.Disk, o.Rings, o.Clock = disk, rings, wallClock{wall}
		n, err := node.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Open(); err != nil {
			t.Fatal(err)
		}
		boot := n.Region().Boot()
		if boot.Compare(last) <= 0 {
			t.Errorf("at %s boot %s came after %s", wall, boot, last)
		}
		last = boot
		if i%2 == 0 {
			disk.Kill()
			_ = n.Region().Close()
			continue
		}
		if err := n.Close(true); err != nil { // the ring is gone
			t.Fatal(err)
		}
	}
}

// A start that the disk cut short leaves nothing behind that keeps the next one from starting, in the same process too.
func TestAStartThatTheDiskCutShortIsTriedAgain(t *testing.T) {
	rings := node.SharedRings{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	disk := simdisk.New()
	failed := 0
	for after := range 200 {
		o := options()
		o.Disk, o.Rings = disk, rings
		disk.Inject(simdisk.Fault{Ops: simdisk.OpChange, After: after, Err: syscall.EIO})
		n, err := node.New(o)
		if err != nil {
			t.Fatal(err)
		}
		err = n.Open()
		disk.Heal()
		if err == nil {
			if err := n.Close(false); err != nil {
				t.Fatal(err)
			}
			break
		}
		if !errors.Is(err, syscall.EIO) {
			t.Fatalf("after %d: %v", after, err)
		}
		failed++
	}
	if failed < 10 || failed == 200 {
		t.Errorf("%d starts failed", failed)
	}
}
