package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

const second = int64(1e9)

var (
	imu = &telemetry.Layout{Name: "imu/sample", Kind: telemetry.Reading, Fields: []telemetry.Field{
		{Name: "accel", Type: packet.Float32, Len: 2, Unit: "m/s2"}, {Name: "mode", Type: packet.String}, {Name: "ticks", Type: packet.Int64}}}
	events = &telemetry.Layout{Name: "imu/event", Kind: telemetry.Event, Fields: []telemetry.Field{{Name: "text", Type: packet.String}}}
	health = &telemetry.Layout{Name: "imu/health", Kind: telemetry.Health, Fields: []telemetry.Field{
		{Name: "status", Type: packet.String}, {Name: "reason", Type: packet.String}, {Name: "uptime", Type: packet.Float64, Unit: "s"},
		{Name: "last_event", Type: packet.String}, {Name: "last_event_age", Type: packet.Float64, Unit: "s"}, {Name: "last_packet_age", Type: packet.Float64, Unit: "s"}}}
	account = &telemetry.Layout{Name: "courier/account/normal", Kind: telemetry.Diagnostics, Fields: []telemetry.Field{
		{Name: "numbered", Type: packet.Uint64}, {Name: "delivered", Type: packet.Uint64}, {Name: "waiting", Type: packet.Uint64}, {Name: "lost_quota", Type: packet.Uint64}}}
	process = &telemetry.Layout{Name: "courier/process", Kind: telemetry.Diagnostics, Fields: []telemetry.Field{
		{Name: "resident", Type: packet.Uint64, Unit: "By"}, {Name: "restricted", Type: packet.String}}}
	task = &telemetry.Layout{Name: "imu/task/read", Kind: telemetry.Diagnostics, Fields: []telemetry.Field{
		{Name: "period", Type: packet.Int64, Unit: "ns"}, {Name: "runs", Type: packet.Uint64}, {Name: "jitter_p99", Type: packet.Int64, Unit: "ns"}}}
)

// ground is a log and an index over it, into which the test writes frames of one stream.
type rig struct {
	t      *testing.T
	o      store.FramesOptions
	frames *store.Frames
	index  *store.Index
	path   string
	enc    *frame.Encoder
	w      packet.Writer
	seq    uint64
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, simdisk.New(), store.FramesOptions{SegmentBytes: 4 << 10, MinFree: 1})
}

func newRigOn(t *testing.T, disk env.Disk, o store.FramesOptions) *rig {
	t.Helper()
	r := &rig{t: t, o: o, path: filepath.Join(t.TempDir(), "index.sqlite"), enc: frame.NewEncoder()}
	r.enc.Reset(telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: packet.Normal})
	r.reopen(disk)
	return r
}

// reopen opens the log and the index.
func (r *rig) reopen(disk env.Disk) {
	r.t.Helper()
	var err error
	if r.frames, err = store.OpenFrames(disk, "frames", r.o); err == nil {
		err = r.frames.Sync() // as package ingest does
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

func (r *rig) open() (rebuilt error) {
	r.t.Helper()
	index, rebuilt, err := store.OpenIndex(context.Background(), r.path, r.frames)
	if err != nil {
		r.t.Fatal(err)
	}
	r.index = index
	r.t.Cleanup(func() { _ = index.Close() })
	return rebuilt
}

// put adds a record to the frame that is being made.
func (r *rig) put(l *telemetry.Layout, mono, wall int64, severity packet.Severity, values ...any) {
	r.t.Helper()
	r.w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Seq: r.seq, Mono: mono, Wall: wall, Class: packet.Normal, Severity: severity})
	r.seq++
	for _, v := range values {
		switch v := v.(type) {
		case float64:
			r.w.Float64(v)
		case float32:
			r.w.Float32(v)
		case int64:
			r.w.Int64(v)
		case uint64:
			r.w.Uint64(v)
		case string:
			r.w.String(v)
		}
	}
	b, err := r.w.Bytes()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.enc.Append(l, b); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) define(l *telemetry.Layout) {
	r.put(telemetry.LayoutRecords, 0, 0, 0, string(l.AppendBinary(nil)))
}

// commit ends the frame, makes it durable and indexes it.
func (r *rig) commit(received int64) []ground.Update {
	r.t.Helper()
	b, err := r.enc.Finish(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	i, err := r.frames.Append(received, b)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.frames.Sync(); err != nil {
		r.t.Fatal(err)
	}
	updates, err := r.index.Add(context.Background(), []store.Item{{Index: i, Received: received, Committed: received, Data: b}}, true)
	if err != nil {
		r.t.Fatal(err)
	}
	return updates
}

// fill writes ten frames of 100 samples each, 100 Hz from time 0 on, wall time wall0 + mono.
func (r *rig) fill(wall0 int64) {
	r.define(imu)
	for f := range int64(10) {
		for i := range int64(100) {
			n := f*100 + i
			r.put(imu, n*second/100, wall0+n*second/100, 0, float32(n), float32(-n), "auto", n*n)
		}
		r.commit(wall0 + (f+1)*second)
	}
}

func TestRangesAreSamplesOrBuckets(t *testing.T) {
	r := newRig(t)
	const wall0 = 1000 * second
	r.fill(wall0)
	ctx := context.Background()
	q := ground.RangeQuery{Device: "rover", Series: []string{"imu/sample.accel[1]", "imu/sample.ticks"}, From: wall0 + 2*second, To: wall0 + 3*second, Buckets: 100}
	got, err := r.index.Range(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(got[0].Time) != 100 || got[0].Min != nil || got[0].Mean[0] != -200 || got[1].Mean[99] != 299*299 || got[0].Time[99] != wall0+299*second/100 {
		t.Errorf("samples %+v", got)
	}
	q.From, q.To, q.Buckets = wall0, wall0+10*second, 10
	if got, err = r.index.Range(ctx, q); err != nil {
		t.Fatal(err)
	}
	b := got[1]
	if len(b.Time) != 10 || b.Count[3] != 100 || b.Min[3] != 300*300 || b.Max[3] != 399*399 || b.Time[3] != wall0+3*second {
		t.Errorf("buckets %+v", b)
	}
	mean := 0.0
	for n := 300.0; n < 400; n++ {
		mean += n * n / 100
	}
	if math.Abs(b.Mean[3]-mean) > 1e-6 {
		t.Errorf("mean %v, want %v", b.Mean[3], mean)
	}
	// From is inclusive and To is not, also inside a frame.
	q.From, q.To, q.Buckets = wall0+299*second/100, wall0+350*second/100, 100
	if got, err = r.index.Range(ctx, q); err != nil {
		t.Fatal(err)
	}
	if n := got[1].Mean; len(n) != 51 || n[0] != 299*299 || n[50] != 349*349 {
		t.Errorf("from the last sample of a frame to the middle of the next: %v", n)
	}
	for what, bad := range map[string]ground.RangeQuery{
		"another machine": {Device: "boat", Series: q.Series, To: 1, Buckets: 1},
		"another series":  {Device: "rover", Series: []string{"imu/sample.nope"}, To: 1, Buckets: 1},
	} {
		if _, err := r.index.Range(ctx, bad); !errors.Is(err, ground.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := r.index.Range(ctx, ground.RangeQuery{Device: "rover", Series: q.Series, From: 5, To: 5, Buckets: 1}); err == nil {
		t.Error("an empty range passes")
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := r.index.Range(ended, q); !errors.Is(err, context.Canceled) {
		t.Errorf("a question that nobody waits for: %v", err)
	}
}

// A value that is no number counts as a sample and is left out of the bucket's mean, least and largest.
func TestBucketsLeaveOutWhatIsNoNumber(t *testing.T) {
	r := newRig(t)
	r.define(imu)
	nan := float32(math.NaN())
	for i, v := range []float32{1, nan, 3, nan, nan} {
		r.put(imu, int64(i), 1000+int64(i), 0, v, v, "auto", int64(i))
	}
	r.commit(2000)
	got, err := r.index.Range(context.Background(), ground.RangeQuery{Device: "rover", Series: []string{"imu/sample.accel[0]"}, From: 1000, To: 1006, Buckets: 2})
	if err != nil {
		t.Fatal(err)
	}
	b := got[0]
	if len(b.Time) != 2 || b.Count[0] != 3 || b.Mean[0] != 2 || b.Min[0] != 1 || b.Max[0] != 3 || b.Count[1] != 2 || !math.IsNaN(b.Mean[1]) {
		t.Errorf("buckets %+v", b)
	}
}

func TestSeriesAndLatest(t *testing.T) {
	r := newRig(t)
	r.fill(second)
	ctx := context.Background()
	series, err := r.index.Series(ctx, "rover")
	if err != nil {
		t.Fatal(err)
	}
	if len(series) != 4 || series[0].Name != "imu/sample.accel[0]" || series[0].Unit != "m/s2" || series[0].Rows != 1000 ||
		series[0].From != second || series[0].To != second+999*second/100 || series[2].Type != packet.String {
		t.Errorf("series %+v", series)
	}
	latest, err := r.index.Latest(ctx, "rover", []string{"imu/sample.mode", "imu/sample.accel[0]"})
	if err != nil {
		t.Fatal(err)
	}
	if len(latest) != 2 || latest[0].Value != "auto" || latest[1].Value != float32(999) || latest[1].Time != series[0].To {
		t.Errorf("latest %+v", latest)
	}
}

// A boot that does not know the time is placed by when its first frame arrived.
func TestWithoutWallTime(t *testing.T) {
	r := newRig(t)
	r.define(imu)
	r.put(imu, 5*second, 0, 0, float32(1), float32(2), "", int64(3))
	r.commit(1000 * second)
	r.put(imu, 8*second, 0, 0, float32(1), float32(2), "", int64(4))
	r.commit(2000 * second)
	latest, err := r.index.Latest(context.Background(), "rover", []string{"imu/sample.ticks"})
	if err != nil || len(latest) != 1 || latest[0].Time != 1003*second || latest[0].Value != int64(4) {
		t.Errorf("latest %+v, %v", latest, err)
	}
}

func TestEvents(t *testing.T) {
	r := newRig(t)
	r.define(events)
	for i, s := range []packet.Severity{packet.Info, packet.Warning, packet.Error, packet.Info} {
		r.put(events, 0, int64(i+1)*second, s, fmt.Sprint("event ", i))
	}
	updates := r.commit(10 * second)
	if len(updates) != 1 || len(updates[0].Events) != 4 {
		t.Errorf("watchers are told %+v", updates)
	}
	ctx := context.Background()
	list, err := r.index.Events(ctx, ground.EventQuery{Device: "rover", Least: packet.Warning, Limit: 10})
	if err != nil || len(list) != 2 || list[0].Text != "event 2" || list[0].Component != "imu" || list[1].Severity != packet.Warning || list[1].Seq != 2 {
		t.Errorf("events %+v, %v", list, err)
	}
	if list, _ = r.index.Events(ctx, ground.EventQuery{Device: "rover", From: 2 * second, To: 4 * second, Limit: 1}); len(list) != 1 || list[0].Text != "event 2" {
		t.Errorf("events in a range %+v", list)
	}
	if _, err := r.index.Events(ctx, ground.EventQuery{Device: "rover", Limit: 0}); err == nil {
		t.Error("a limit of 0 passes")
	}
}

func (r *rig) describe() {
	for _, l := range []*telemetry.Layout{health, account, task, process} {
		r.define(l)
	}
	r.put(health, 0, 100*second, 0, "degraded", "no fix", 42.0, "fix lost", 3.0, 0.5)
	r.put(account, 0, 100*second, 0, uint64(10), uint64(6), uint64(3), uint64(1))
	r.put(task, 0, 100*second, 0, int64(5_000_000), uint64(77), int64(1234))
	r.put(process, 0, 100*second, 0, uint64(30<<20), "files, ports")
	r.commit(101 * second)
}

func checkMachine(t *testing.T, x *store.Index) {
	t.Helper()
	machines, err := x.Machines(context.Background())
	if err != nil || len(machines) != 1 {
		t.Fatalf("machines %+v, %v", machines, err)
	}
	m := machines[0]
	want := ground.Component{Name: "imu", Status: ground.StatusDegraded, Reason: "no fix", UptimeSeconds: 42, LastEvent: "fix lost",
		LastEventTime: 97 * second, LastPacket: 100*second - second/2, Time: 100 * second}
	if m.Device != "rover" || m.Status != ground.StatusDegraded || len(m.Components) != 1 || m.Components[0] != want || m.Boots != 1 {
		t.Errorf("machine %+v", m)
	}
	if want := (ground.Process{Name: "courier", ResidentBytes: 30 << 20, Restricted: "files, ports", Time: 100 * second}); !slices.Equal(m.Processes, []ground.Process{want}) {
		t.Errorf("processes %+v", m.Processes)
	}
	if a := m.Ledger.Machine; a.Numbered != 10 || a.LostBy[ledger.Quota] != 1 || a.Check() != nil {
		t.Errorf("ledger %+v", m.Ledger)
	}
	if len(m.Tasks) != 1 || m.Tasks[0].Name != "read" || m.Tasks[0].Runs != 77 || m.Tasks[0].JitterP99NS != 1234 {
		t.Errorf("tasks %+v", m.Tasks)
	}
}

func TestMachinesTellHowTheyAre(t *testing.T) {
	r := newRig(t)
	r.describe()
	checkMachine(t, r.index)
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	r.open() // nothing in memory any more
	checkMachine(t, r.index)
}

// A frame that comes late tells how things were, not how they are.
func TestLateFramesDoNotTurnBackHealth(t *testing.T) {
	r := newRig(t)
	r.define(health)
	r.put(health, 10*second, 10*second, 0, "ok", "", 1.0, "", -1.0, -1.0)
	r.commit(11 * second)
	r.put(health, 5*second, 5*second, 0, "failed", "no fix", 1.0, "", -1.0, -1.0)
	r.commit(12 * second)
	machines, err := r.index.Machines(context.Background())
	if err != nil || len(machines) != 1 || machines[0].Status != ground.StatusOK {
		t.Errorf("machines %+v, %v", machines, err)
	}
}

// Frames that come before their layouts are read when those have come.
func TestLayoutsMayComeLater(t *testing.T) {
	r := newRig(t)
	r.define(task)
	r.commit(second)
	r.put(task, 0, second, 0, int64(5_000_000), uint64(77), int64(1234))
	r.put(imu, 0, second, 0, float32(1), float32(2), "x", int64(7))
	r.commit(2 * second)
	missing := map[string][]telemetry.LayoutID{"rover": {imu.ID()}}
	if got := r.index.Missing(10); !reflect.DeepEqual(got, missing) {
		t.Errorf("missing %v", got)
	}
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	if got := r.index.Missing(10); !reflect.DeepEqual(got, missing) {
		t.Errorf("missing %v after another start", got)
	}
	r.define(imu)
	r.commit(3 * second)
	if got := r.index.Missing(10); len(got) != 0 {
		t.Errorf("missing %v", got)
	}
	latest, err := r.index.Latest(context.Background(), "rover", []string{"imu/sample.ticks"})
	if err != nil || len(latest) != 1 || latest[0].Value != int64(7) {
		t.Errorf("latest %+v, %v", latest, err)
	}
	series, err := r.index.Series(context.Background(), "rover")
	if err != nil || len(series) != imu.Series()+task.Series() || slices.ContainsFunc(series, func(s ground.Series) bool { return s.Rows != 1 }) {
		t.Errorf("series %+v, %v", series, err)
	}
}

// A layout beyond what a device may have is not learnt, is named once with the setting that says so, and is not asked for; what was
// known before is still read, also after another start.
func TestLayoutsBeyondTheQuotaAreNotTaken(t *testing.T) {
	for name, c := range map[string]struct {
		quota store.Quota
		why   string
	}{
		"layouts": {store.Quota{Layouts: 1}, "1 layouts of a device: raise limits.layouts"},
		"series":  {store.Quota{Series: imu.Series() + task.Series() - 1}, `with layout "imu/sample" it would have`},
	} {
		r := newRig(t)
		r.index.Quota = c.quota
		r.define(task)
		r.commit(second)
		r.define(imu)
		r.put(imu, 0, second, 0, float32(1), float32(2), "x", int64(7))
		r.put(task, 0, second, 0, int64(5_000_000), uint64(77), int64(1234))
		r.commit(2 * second)
		if got := r.index.Missing(10); len(got) != 0 {
			t.Errorf("%s: asked for %v", name, got)
		}
		beyond := r.index.Beyond()
		if len(beyond) != 1 || len(beyond["rover"]) != 1 || !strings.Contains(beyond["rover"][imu.ID()], c.why) {
			t.Errorf("%s: beyond %v", name, beyond)
		}
		if again := r.index.Beyond(); again != nil {
			t.Errorf("%s: said twice: %v", name, again)
		}
		r.put(task, 0, 2*second, 0, int64(5_000_000), uint64(78), int64(1234))
		r.commit(3 * second)
		latest, err := r.index.Latest(context.Background(), "rover", []string{"imu/task/read.runs"})
		if err != nil || len(latest) != 1 || latest[0].Value != uint64(78) {
			t.Errorf("%s: latest %+v, %v", name, latest, err)
		}
		if err := r.index.Close(); err != nil {
			t.Fatal(err)
		}
		r.open() // under no quota: a person raised it
		r.define(imu)
		r.commit(4 * second)
		latest, err = r.index.Latest(context.Background(), "rover", []string{"imu/sample.ticks"})
		if err != nil || len(latest) != 1 || latest[0].Value != int64(7) {
			t.Errorf("%s: with the quota raised: latest %+v, %v", name, latest, err)
		}
	}
}

// snapshot is all that an index answers.
func snapshot(t *testing.T, x *store.Index) []any {
	t.Helper()
	ctx := context.Background()
	machines, err := x.Machines(ctx)
	if err != nil {
		t.Fatal(err)
	}
	series, err := x.Series(ctx, "rover")
	if err != nil {
		t.Fatal(err)
	}
	traces, err := x.Range(ctx, ground.RangeQuery{Device: "rover", Series: []string{"imu/sample.ticks"}, To: 1 << 60, Buckets: 5000})
	if err != nil {
		t.Fatal(err)
	}
	return []any{machines, series, traces}
}

func TestTheIndexFollowsFromTheFrames(t *testing.T) {
	r := newRig(t)
	r.fill(1000 * second)
	before := snapshot(t, r.index)
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(){
		"gone": func() { _ = os.Remove(r.path) },
		"garbage": func() {
			_ = os.WriteFile(r.path, []byte("this is no database, but it is long enough to look like one"), 0o600)
		},
		"damaged": func() {
			b, err := os.ReadFile(r.path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 100; i < len(b); i += 50 {
				b[i] ^= 0x55
			}
			if err := os.WriteFile(r.path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		spoil()
		rebuilt := r.open()
		if (rebuilt == nil) != (name == "gone") {
			t.Errorf("%s: rebuilt because of %v", name, rebuilt)
		}
		if after := snapshot(t, r.index); !reflect.DeepEqual(before, after) {
			t.Errorf("%s: answers differ:\n%+v\n%+v", name, before, after)
		}
		if err := r.index.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Wherever it is damaged, the index opens, and one that noticed answers as before.
func TestEveryPageOfTheIndexMayBeDamaged(t *testing.T) {
	r := newRig(t)
	r.fill(1000 * second)
	before := snapshot(t, r.index)
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	noticed := 0
	for at := 0; at < len(sound); at += page {
		b := append([]byte(nil), sound...)
		for i := at; i < at+page; i += 50 {
			b[i] ^= 0x55
		}
		if err := os.WriteFile(r.path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if r.open() != nil {
			noticed++
			if after := snapshot(t, r.index); !reflect.DeepEqual(before, after) {
				t.Errorf("page %d: answers differ:\n%+v\n%+v", at/page, before, after)
			}
		}
		if err := r.index.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if noticed < 3 {
		t.Errorf("damage was noticed in %d of %d pages", noticed, len(sound)/page)
	}
}

func TestAnIndexOfALaterVersionIsNamed(t *testing.T) {
	r := newRig(t)
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", r.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.path + ".sum"); err != nil { // that build would have left its own
		t.Fatal(err)
	}
	_, _, err = store.OpenIndex(context.Background(), r.path, r.frames)
	if !errors.Is(err, store.ErrVersion) {
		t.Errorf("error %v", err)
	}
}

func TestWhatIsIndexedTwiceCountsOnce(t *testing.T) {
	r := newRig(t)
	r.fill(1000 * second)
	before := snapshot(t, r.index)
	if err := r.index.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, data, err := r.frames.Read(2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.index.Add(context.Background(), []store.Item{{Index: 2, Data: data}}, true); err != nil {
		t.Fatal(err)
	}
	if after := snapshot(t, r.index); !reflect.DeepEqual(before, after) {
		t.Errorf("answers differ:\n%+v\n%+v", before, after)
	}
	// What the index has found in the log may be told again together with what comes after it.
	items := []store.Item{{Index: 10, Data: data}}
	if _, items[0].Data, err = r.frames.Read(10); err != nil {
		t.Fatal(err)
	}
	r.put(imu, 11*second, 1011*second, 0, float32(1), float32(2), "auto", int64(7))
	b, err := r.enc.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	at, err := r.frames.Append(1012*second, b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.index.Add(context.Background(), append(items, store.Item{Index: at, Received: 1012 * second, Data: b}), true); err != nil {
		t.Fatal(err)
	}
	was, is := before[0].([]ground.Machine), snapshot(t, r.index)[0].([]ground.Machine)
	if is[0].Records != was[0].Records+1 {
		t.Errorf("%d records and one more are %d", was[0].Records, is[0].Records)
	}
}

func TestRetentionForgetsTheOldest(t *testing.T) {
	r := newRigOn(t, simdisk.New(), store.FramesOptions{SegmentBytes: 1 << 10, MinFree: 1, MaxBytes: 4 << 10})
	r.define(events)
	r.put(events, 0, 1000*second, packet.Info, "long ago")
	for range 3 {
		r.fill(1000 * second)
	}
	r.put(events, 0, 1000*second, packet.Info, "now")
	r.commit(1011 * second)
	err := r.index.Retain(context.Background())
	first := r.frames.First()
	if err != nil || first < 10 || r.frames.Bytes() > 6<<10 {
		t.Fatalf("first %d, %d bytes, %v", first, r.frames.Bytes(), err)
	}
	series, err := r.index.Series(context.Background(), "rover")
	if err != nil || len(series) != 5 || series[0].Rows != 1 || series[1].Rows != (r.frames.Next()-1-first)*100 {
		t.Errorf("series %+v with frames %d to %d, %v", series, first, r.frames.Next(), err)
	}
	list, err := r.index.Events(context.Background(), ground.EventQuery{Device: "rover", Limit: 10})
	if err != nil || len(list) != 1 || list[0].Text != "now" {
		t.Errorf("events %+v, %v", list, err)
	}
}

func TestAFullDiskIsNamed(t *testing.T) {
	disk := simdisk.New()
	frames, err := store.OpenFrames(disk, "frames", store.FramesOptions{MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	disk.SetQuota(1)
	if _, err := frames.Append(1, make([]byte, 1000)); !errors.Is(err, store.ErrFull) {
		t.Errorf("error %v", err)
	}
}
