package store_test

import (
	"database/sql"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// retained is a rig whose first frames were let go: those with the layouts and with the first record of the boot, which has
// no wall time.
func retained(t *testing.T) (r *rig, disk *simdisk.Disk) {
	t.Helper()
	disk = simdisk.New()
	r = newRigOn(t, disk, store.FramesOptions{SegmentBytes: 1 << 10, MinFree: 1, MaxBytes: 4 << 10})
	r.define(health)
	r.define(imu)
	for f := range int64(30) {
		for i := range int64(50) {
			n := f*50 + i
			r.put(imu, n*second/100, 0, 0, float32(n), float32(-n), "auto", n*n)
		}
		r.put(health, f*second/2, 0, 0, "ok", "", float64(f), "", -1.0, -1.0)
		r.commit(1000*second + f*second/3) // faster than real time: the boot's later frames place it otherwise
	}
	if err := r.index.Retain(t.Context()); err != nil || r.frames.First() < 10 {
		t.Fatalf("frames are left from %d on, %v", r.frames.First(), err)
	}
	return r, disk
}

// answers are what follows from the frames that are left. What a machine sent in all is known to the first index only.
func answers(t *testing.T, x *store.Index) []any {
	t.Helper()
	all := snapshot(t, x)
	m := all[0].([]ground.Machine)
	if len(m) == 1 {
		m[0].Records, m[0].Readings, m[0].Bytes = 0, 0, 0
	}
	latest, err := x.Latest(t.Context(), "rover", []string{"imu/sample.ticks"})
	if err != nil {
		t.Fatal(err)
	}
	return append(all, latest)
}

func TestRetentionTakesNothingThatExplainsWhatIsLeft(t *testing.T) {
	for what, end := range map[string]func(*rig, *simdisk.Disk) error{
		"a restart": func(r *rig, _ *simdisk.Disk) error { return r.frames.Close() },
		"a power cut": func(_ *rig, disk *simdisk.Disk) error {
			disk.Crash(rand.New(rand.NewPCG(1, 1)), simdisk.Lose)
			return nil
		},
	} {
		r, disk := retained(t)
		want := answers(t, r.index)
		if err := errors.Join(r.index.Close(), end(r, disk), os.Remove(r.path)); err != nil {
			t.Fatal(err)
		}
		r.reopen(disk)
		if got := answers(t, r.index); !reflect.DeepEqual(got, want) {
			t.Errorf("after %s, built again:\n%+v, want\n%+v", what, got, want)
		}
	}
}

// Where the newest record was let go before older ones, which came later, the newest of those is.
func TestRetentionMayTakeTheNewest(t *testing.T) {
	r := newRigOn(t, simdisk.New(), store.FramesOptions{SegmentBytes: 1 << 10, MinFree: 1, MaxBytes: 4 << 10})
	r.enc.Reset(telemetry.Stream{Device: "rover", Boot: telemetry.Boot{2}, Class: packet.Normal})
	r.define(imu)
	r.put(imu, 0, 9000*second, 0, float32(0), float32(0), "auto", int64(-1))
	r.commit(9000 * second)
	r.enc.Reset(telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: packet.Normal})
	r.seq = 0
	for range 3 {
		r.fill(1000 * second)
	}
	for _, step := range []func() error{
		func() error { return r.index.Retain(t.Context()) },
		func() error { err := r.index.Close(); r.open(); return err },
	} {
		if err := step(); err != nil || r.frames.First() == 1 {
			t.Fatalf("frames from %d on, %v", r.frames.First(), err)
		}
		latest, err := r.index.Latest(t.Context(), "rover", []string{"imu/sample.ticks"})
		if err != nil || len(latest) != 1 || latest[0].Value != int64(999*999) {
			t.Errorf("latest %+v, %v", latest, err)
		}
	}
}

// The definitions and the index each know the layouts: one may be damaged.
func TestDamagedDefinitionsAreMended(t *testing.T) {
	r, disk := retained(t)
	want := answers(t, r.index)
	if err := errors.Join(r.index.Close(), r.frames.Close()); err != nil {
		t.Fatal(err)
	}
	list, err := disk.ReadDir("frames/definitions")
	if err != nil || len(list) == 0 {
		t.Fatalf("files %v, %v", list, err)
	}
	for _, f := range list {
		if err := disk.Remove("frames/definitions/" + f.Name); err != nil {
			t.Fatal(err)
		}
	}
	r.reopen(disk)
	if err := errors.Join(r.index.Close(), r.frames.Close(), os.Remove(r.path)); err != nil {
		t.Fatal(err)
	}
	r.reopen(disk)
	got := answers(t, r.index)
	if is, was := got[1].([]ground.Series), want[1].([]ground.Series); len(is) != len(was) || is[0].Rows != was[0].Rows {
		t.Errorf("series %+v, want %+v", is, was)
	}
}

// Frames that the index does not have yet may be what explains others.
func TestRetentionWaitsForTheIndex(t *testing.T) {
	r, _ := retained(t)
	r.put(imu, 0, 0, 0, float32(0), float32(0), "auto", int64(0))
	b, err := r.enc.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	behind := r.frames.Next()
	for range 200 {
		if _, err := r.frames.Append(2000*second, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.frames.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := r.index.Retain(t.Context()); err != nil || r.frames.First() > behind {
		t.Errorf("frames are left from %d on, and are not indexed from %d on; %v", r.frames.First(), behind, err)
	}
}

// Someone who only reads sees frames that another process lets go as trimmed, not as damaged.
func TestAReaderBesideRetention(t *testing.T) {
	dir := t.TempDir()
	disk, err := env.NewOSDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	o := store.FramesOptions{SegmentBytes: 1 << 10, MinFree: 1, MaxBytes: 4 << 10}
	frames, err := store.OpenFrames(disk, "frames", o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = frames.Close() }()
	for range 100 {
		if _, err := frames.Append(1, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := frames.Sync(); err != nil {
		t.Fatal(err)
	}
	o.ReadOnly = true
	reader, err := store.OpenFrames(disk, "frames", o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	if _, err := frames.Retain(frames.Next()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := reader.Read(1); !errors.Is(err, seglog.ErrTrimmed) {
		t.Errorf("a frame that was let go: %v", err)
	}
	if _, _, err := reader.Read(100); err != nil {
		t.Errorf("a frame that is there: %v", err)
	}
}

// A ground lets go of a frame that its reader has found and not read yet, and whose layouts came after the reader began:
// these are among the definitions by then.
func TestAReaderBesideRetentionFindsWhatExplains(t *testing.T) {
	dir := t.TempDir()
	disk, err := env.NewOSDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, disk, store.FramesOptions{SegmentBytes: 1 << 10, MinFree: 1, MaxBytes: 4 << 10})
	var items []store.Item
	r.define(imu)
	for f := range int64(40) {
		for i := range int64(50) {
			r.put(imu, f*second, (1000+f)*second, 0, float32(i), float32(f), "auto", f*50+i)
		}
		b, err := r.enc.Finish(nil)
		if err != nil {
			t.Fatal(err)
		}
		at, err := r.frames.Append(1000*second, b)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, store.Item{Index: at, Received: 1000 * second, Data: b})
	}
	if err := r.frames.Sync(); err != nil {
		t.Fatal(err)
	}
	o := r.o
	o.ReadOnly = true
	frames, err := store.OpenFrames(disk, "frames", o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = frames.Close() }()
	if _, err := r.index.Add(t.Context(), items, false); err != nil {
		t.Fatal(err)
	}
	if err := r.index.Retain(t.Context()); err != nil || r.frames.First() == 1 {
		t.Fatalf("frames from %d on, %v", r.frames.First(), err)
	}
	index, _, err := store.OpenIndex(t.Context(), filepath.Join(t.TempDir(), "index.sqlite"), frames)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = index.Close() }()
	series, err := index.Series(t.Context(), "rover")
	if err != nil || len(series) != imu.Series() || series[0].Rows != (r.frames.Next()-r.frames.First())*50 {
		t.Errorf("series %+v, %v", series, err)
	}
}

// What is newest is told by the order of boots and the monotonic clock, which cannot be set back.
func TestTheNewestIsNotToldByTheWallClock(t *testing.T) {
	r := newRig(t)
	ahead, right := telemetry.Boot{1}, telemetry.Boot{2}
	report := func(boot telemetry.Boot, mono, wall int64, status string) {
		t.Helper()
		r.enc.Reset(telemetry.Stream{Device: "rover", Boot: boot, Class: packet.Normal})
		r.define(health)
		r.put(health, mono, wall, 0, status, "", 1.0, "", -1.0, -1.0)
		r.commit(5000 * second)
	}
	check := func(when string, want ground.Status) {
		t.Helper()
		for range 2 {
			machines, err := r.index.Machines(t.Context())
			if err != nil || len(machines) != 1 || machines[0].Status != want {
				t.Errorf("%s: %+v, %v", when, machines, err)
			}
			latest, err := r.index.Latest(t.Context(), "rover", []string{"imu/health.status"})
			if err != nil || len(latest) != 1 || latest[0].Value != string(want) {
				t.Errorf("%s: %+v, %v", when, latest, err)
			}
			if err := r.index.Close(); err != nil { // and again from the disk
				t.Fatal(err)
			}
			r.open()
		}
	}
	report(ahead, 10*second, 9000*second, "ok")
	check("a clock that is ahead", ground.StatusOK)
	report(ahead, 20*second, 4000*second, "degraded")
	check("it was set back", ground.StatusDegraded)
	report(right, 1*second, 3000*second, "failed")
	check("another boot", ground.StatusFailed)
	report(ahead, 30*second, 4010*second, "stopped")
	check("late from the boot before", ground.StatusFailed)
	report(right, second/2, 6000*second, "starting")
	check("late from this boot", ground.StatusFailed)
}

func TestAnIndexOfAnEarlierVersionIsBroughtUpToDate(t *testing.T) {
	r := newRig(t)
	r.describe()
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", r.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"newest", "newest_boot", "newest_mono"} {
		if _, err := db.Exec("ALTER TABLE layout DROP COLUMN " + q); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec("PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.path + ".sum"); err != nil { // that build left none
		t.Fatal(err)
	}
	if rebuilt := r.open(); rebuilt != nil {
		t.Errorf("it was set aside: %v", rebuilt)
	}
	checkMachine(t, r.index)
}

// What was rolled back is indexed whole with the next frames.
func TestTheIndexRecoversFromAFailedChange(t *testing.T) {
	r := newRig(t)
	var items []store.Item
	add := func(index bool) {
		t.Helper()
		b, err := r.enc.Finish(nil)
		if err != nil {
			t.Fatal(err)
		}
		at, err := r.frames.Append(3*second, b)
		if err == nil {
			err = r.frames.Sync()
		}
		items = append(items, store.Item{Index: at, Received: 3 * second, Data: b})
		if err == nil && index {
			_, err = r.index.Add(t.Context(), items, false)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.put(imu, 0, second, 0, float32(1), float32(2), "x", int64(7))
	add(true)
	r.put(imu, 1, second+1, 0, float32(1), float32(2), "x", int64(8))
	add(false)
	r.define(imu)
	add(false)
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(r.path)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("ALTER TABLE progress RENAME TO elsewhere"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.index.Add(t.Context(), items, true); err == nil {
		t.Fatal("an index without its progress takes frames")
	}
	if _, err := db.Exec("ALTER TABLE elsewhere RENAME TO progress"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.index.Add(t.Context(), items, true); err != nil {
		t.Fatal(err)
	}
	series, err := r.index.Series(t.Context(), "rover")
	if err != nil || len(series) != imu.Series() || series[0].Rows != 2 {
		t.Errorf("series %+v, %v", series, err)
	}
}
