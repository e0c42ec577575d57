package world_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/courier/batch"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/internal/extent"
	"github.com/fulmar-io/fulmar/sim/world"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

var (
	oneSeed = flag.Uint64("world.seed", 0, "run only this seed")
	seeds   = flag.Uint64("world.seeds", 200, "how many seeds to run")
	minutes = flag.Int("world.minutes", 2, "virtual minutes per seed")
)

// sensor publishes records of one class, each with an identity of its own.
type sensor struct {
	name   string
	class  fulmar.Class
	period time.Duration
	burst  float64 // probability that a step publishes
	big    bool
	fails  bool // now and then, and is made again
	nextID func() uint64
	rng    *rand.Rand
	out    fulmar.Out[sample]
}

type sample struct {
	ID     uint64  `fulmar:"id"`
	Speed  float64 `unit:"m/s"`
	Accel  [3]float32
	Note   string
	Active bool
}

func (s *sensor) Spec() fulmar.Spec {
	return fulmar.Spec{Name: s.name, Tasks: []fulmar.Task{{
		Name: "sample", Period: s.period, Writes: []fulmar.Output{s.out.As("sample", s.class)}, Step: s.step,
	}}}
}

// Renew implements fulmar.Renewer.
func (s *sensor) Renew() fulmar.Component {
	return &sensor{name: s.name, class: s.class, period: s.period, burst: s.burst, big: s.big, fails: s.fails, nextID: s.nextID, rng: s.rng}
}

func (s *sensor) step(st *fulmar.Step) error {
	if s.fails && s.rng.IntN(300) == 0 {
		if s.rng.IntN(2) == 0 {
			panic("for the test")
		}
		return errors.New("no answer")
	}
	if s.rng.Float64() >= s.burst {
		return nil
	}
	v := sample{ID: s.nextID(), Speed: s.rng.NormFloat64(), Active: s.rng.IntN(2) == 0}
	v.Accel[1] = float32(st.Now.Seconds())
	if s.rng.IntN(20) == 0 {
		v.Note = s.text(s.rng.IntN(10))
	}
	if s.big {
		v.Note = s.text(s.rng.IntN(3000))
	}
	s.out.Set(v)
	if s.rng.IntN(500) == 0 {
		st.Event(fulmar.Warning, "something odd")
	}
	return nil
}

// text is n digits that do not compress well.
func (s *sensor) text(n int) string {
	b := make([]byte, 0, n+20)
	for len(b) < n {
		b = strconv.AppendUint(b, s.rng.Uint64(), 36)
	}
	return string(b[:n])
}

func components(big, fail bool) func(*rand.Rand, func() uint64) []fulmar.Component {
	return func(rng *rand.Rand, nextID func() uint64) []fulmar.Component {
		own := func() *rand.Rand { return rand.New(rand.NewPCG(rng.Uint64(), 2)) }
		return []fulmar.Component{
			&sensor{name: "imu", class: fulmar.Normal, period: 50 * time.Millisecond, burst: 1, fails: fail, nextID: nextID, rng: own()},
			&sensor{name: "alarm", class: fulmar.Urgent, period: time.Second, burst: 0.3, nextID: nextID, rng: own()},
			&sensor{name: "trace", class: fulmar.Bulk, period: 40 * time.Millisecond, burst: 0.7, big: big, nextID: nextID, rng: own()},
		}
	}
}

// chaos is what a seed's world is like: each trouble is absent in some worlds, so that the others are seen alone too.
func chaos(seed uint64) world.Config {
	rng := rand.New(rand.NewPCG(seed, 42))
	maybe := func(p float64, v float64) float64 {
		if rng.Float64() < p {
			return v * rng.Float64()
		}
		return 0
	}
	c := world.Config{
		Seed: seed, Components: components(seed%3 == 0, seed%5 == 1),
		Machines:    1 + rng.IntN(2),
		Loss:        maybe(0.7, 0.3),
		Duplication: maybe(0.7, 0.5),
		Delay:       time.Duration(1+rng.IntN(400)) * time.Millisecond,
		Partitions:  time.Duration(maybe(0.6, 60) * float64(time.Second)),
		Kills:       time.Duration(maybe(0.5, 60) * float64(time.Second)),
		PowerCuts:   time.Duration(maybe(0.5, 60) * float64(time.Second)),
		GroundDie:   time.Duration(maybe(0.5, 40) * float64(time.Second)),
		Spool:       spool.Options{MaxBytes: 64 << 20, MinFree: 1},
		Delivery:    delivery.Options{InFlightFrames: 1 + rng.IntN(64), BackoffCap: 10 * time.Second},
	}
	if rng.IntN(4) == 0 {
		c.Components = components(true, seed%5 == 1)
		c.Spool.MaxBytes = 256 << 10 // of which a segment is an eighth: things yield
		c.Partitions = 15 * time.Second
	}
	if rng.IntN(5) == 0 {
		c.Components = components(true, seed%5 == 1)
		c.RingBytes = 1 // the least there is: it overflows when the disk is full or slow
	}
	if rng.IntN(2) == 0 {
		c.DiskFaults = time.Duration(maybe(0.8, 40) * float64(time.Second))
		c.DiskFull = time.Duration(maybe(0.5, 60) * float64(time.Second))
	}
	if rng.IntN(3) == 0 {
		c.ClockJumps = time.Duration(maybe(0.8, 30) * float64(time.Second))
		c.ColdClocks = rng.IntN(2) == 0
	}
	if rng.IntN(3) == 0 { // two links, the second not for everything
		c.Links = 2
		if rng.IntN(2) == 0 {
			c.Delivery.Links = make([]delivery.Link, 2)
			c.Delivery.Links[1].Never[packet.Bulk.Index()] = true
		}
	}
	if rng.IntN(6) == 0 { // nothing is ever well for long
		c.DiskFaults = time.Duration(4+rng.IntN(10)) * time.Second
		c.Kills, c.PowerCuts, c.GroundDie = c.Kills/3, c.PowerCuts/2, c.GroundDie/2
	}
	for i := range c.Batch {
		c.Batch[i] = batch.Limits{Records: 1 + rng.IntN(200), Age: time.Duration(1+rng.IntN(2000)) * time.Millisecond}
	}
	return c
}

// sealedChaos is a seed's world with sealed messages, as the binary has by default, and mostly with somebody on the way who has seen everything.
func sealedChaos(seed uint64, keys *world.Keys) world.Config {
	c := chaos(seed)
	if seed%10 != 0 {
		c.Keys = keys
	}
	if seed%4 != 0 {
		c.Attacks = 0.3
	}
	return c
}

func newKeys(t *testing.T) *world.Keys {
	t.Helper()
	keys, err := world.NewKeys(t.TempDir(), 2)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestEveryRecordIsAccountedFor(t *testing.T) {
	keys := newKeys(t)
	first, end := extent.Of(t, *seeds)
	first, last := first+1, end
	if s := os.Getenv("FULMAR_WORLD_SEEDS"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("FULMAR_WORLD_SEEDS: %v", err)
		}
		last = n
	}
	if *oneSeed != 0 {
		first, last = *oneSeed, *oneSeed
	}
	extent.Covered(t, last-first+1, "worlds")
	t.Cleanup(func() {
		if t.Logf("%d messages over second links", second.Load()); last-first > 20 && second.Load() == 0 {
			t.Error("no second link was ever used")
		}
	})
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			if err := live(sealedChaos(seed, keys), time.Duration(*minutes)*time.Minute); err != nil {
				t.Errorf("%v\nto see it again: go test ./sim/world -run TestEveryRecord -world.seed=%d", err, seed)
			}
		})
	}
}

// TestASeedIsOneWorld runs worlds in which everything goes wrong twice. What a seed showed once it must show again, whenever
// the garbage collector runs.
func TestASeedIsOneWorld(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	keys := newKeys(t)
	digests := make(map[[32]byte]uint64)
	for seed := uint64(1); seed <= 12; seed++ {
		c := sealedChaos(seed, keys)
		c.Loss, c.Duplication, c.Partitions = 0.1, 0.2, 20*time.Second
		c.Kills, c.PowerCuts, c.GroundDie = 15*time.Second, 25*time.Second, 20*time.Second
		c.DiskFaults, c.DiskFull = 10*time.Second, 40*time.Second
		c.ClockJumps, c.ColdClocks = 10*time.Second, true
		var first [32]byte
		for run, percent := range []int{5, 400} {
			debug.SetGCPercent(percent)
			w, err := world.New(c)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(w.Run(time.Minute), w.Settle(time.Hour), w.Judge()); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			sum, err := w.Digest()
			if err := errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			if run == 0 {
				first = sum
			} else if sum != first {
				t.Errorf("seed %d: two runs, two outcomes", seed)
			}
		}
		if other, same := digests[first]; same {
			t.Errorf("seeds %d and %d have one outcome: the digest says nothing", other, seed)
		}
		digests[first] = seed
	}
}

// second counts what went over the second links of all worlds that have one.
var second atomic.Uint64

func live(c world.Config, d time.Duration) (err error) {
	w, err := world.New(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.Run(d); err != nil {
		return err
	}
	if err := w.Settle(time.Hour); err != nil {
		return err
	}
	if carried := w.Carried(); len(carried) > 1 {
		second.Add(carried[1])
	}
	return w.Judge()
}
