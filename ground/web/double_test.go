package web_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar/ground"
	"github.com/fulmar-io/fulmar/ground/live"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// double is a ground's store whose content is a formula: every sample is a function of its number, so that a test knows
// what must be drawn. What lies after until has not been committed yet; advance commits and publishes.
type double struct {
	hub   *live.Hub
	start int64 // ns

	mu       sync.Mutex
	until    int64 // guarded by mu; exclusive
	events   []ground.Event
	machines []ground.Machine
	fail     error // what every question answers, if set
}

// wave is one series of the double.
type wave struct {
	name   string
	typ    packet.Type
	unit   string
	kind   telemetry.Kind
	period time.Duration
	at     func(t float64) float64 // t in seconds since start
	// silent is when the series was lost, in seconds since start.
	silentFrom, silentTo float64
}

const second = int64(time.Second)

func sine(amp, hz, phase, offset float64) func(float64) float64 {
	return func(t float64) float64 {
		return offset + amp*math.Sin(2*math.Pi*hz*t+phase) + amp*0.06*math.Sin(2*math.Pi*hz*17.3*t) + amp*0.03*math.Sin(2*math.Pi*hz*41.7*t+1)
	}
}

func step(lo, hi, every float64) func(float64) float64 {
	return func(t float64) float64 {
		if math.Mod(t, 2*every) < every {
			return lo
		}
		return hi
	}
}

var waves = map[string][]wave{
	"rover": {
		{name: "imu.accel[0]", typ: packet.Float32, unit: "m/s2", period: 20 * time.Millisecond, at: sine(1.2, 0.21, 0, 0.1), silentFrom: 1500, silentTo: 1530},
		{name: "imu.accel[1]", typ: packet.Float32, unit: "m/s2", period: 20 * time.Millisecond, at: sine(0.7, 0.13, 1, -0.4), silentFrom: 1500, silentTo: 1530},
		{name: "imu.accel[2]", typ: packet.Float32, unit: "m/s2", period: 20 * time.Millisecond, at: sine(0.3, 0.37, 2, 9.81), silentFrom: 1500, silentTo: 1530},
		{name: "imu.gyro[0]", typ: packet.Float32, unit: "rad/s", period: 20 * time.Millisecond, at: sine(0.4, 0.31, 0, 0)},
		{name: "imu.gyro[1]", typ: packet.Float32, unit: "rad/s", period: 20 * time.Millisecond, at: sine(0.2, 0.11, 2, 0)},
		{name: "imu.gyro[2]", typ: packet.Float32, unit: "rad/s", period: 20 * time.Millisecond, at: sine(0.8, 0.05, 4, 0)},
		{name: "drive/left.setpoint", typ: packet.Float64, unit: "m/s", period: 50 * time.Millisecond, at: step(0.4, 1.1, 24)},
		{name: "drive/left.speed", typ: packet.Float64, unit: "m/s", period: 50 * time.Millisecond, at: func(t float64) float64 { return 0.75 + 0.35*math.Tanh(3*math.Sin(2*math.Pi*(t-2)/48+math.Pi)) }},
		{name: "drive/left.current", typ: packet.Float64, unit: "A", period: 50 * time.Millisecond, at: sine(2.1, 0.02, 0, 4.2)},
		{name: "drive/right.speed", typ: packet.Float64, unit: "m/s", period: 50 * time.Millisecond, at: func(t float64) float64 { return 0.74 + 0.36*math.Tanh(3*math.Sin(2*math.Pi*(t-2.5)/48+math.Pi)) }},
		{name: "battery.voltage", typ: packet.Float32, unit: "V", period: 500 * time.Millisecond, at: func(t float64) float64 { return 25.2 - t*0.0008 + 0.1*math.Sin(t/7) }},
		{name: "battery.charge", typ: packet.Float32, unit: "%", period: 500 * time.Millisecond, at: func(t float64) float64 { return max(0, 98-t*0.01) }},
		{name: "thermal.motor[0]", typ: packet.Float32, unit: "Cel", period: time.Second, at: sine(6, 0.002, 0, 48)},
		{name: "thermal.motor[1]", typ: packet.Float32, unit: "Cel", period: time.Second, at: func(t float64) float64 {
			if math.Mod(t, 97) < 3 {
				return math.NaN()
			}
			return 51 + 5*math.Sin(t/90)
		}},
		{name: "gnss.fix", typ: packet.Bool, period: time.Second, at: step(1, 0, 75)},
		{name: "gnss.satellites", typ: packet.Uint64, period: time.Second, at: func(t float64) float64 { return math.Round(11 + 4*math.Sin(t/40)) }},
		{name: "gnss.mode", typ: packet.String, period: time.Second, at: func(float64) float64 { return math.NaN() }},
		{name: "sched/drive.jitter", typ: packet.Float64, unit: "us", kind: telemetry.Diagnostics, period: time.Second, at: sine(14, 0.05, 0, 40)},
	},
	"boat-2": {
		{name: "hull.depth", typ: packet.Float64, unit: "m", period: time.Second, at: sine(2, 0.01, 0, 12)},
		{name: "hull.heading", typ: packet.Float64, unit: "deg", period: time.Second, at: func(t float64) float64 { return math.Mod(t*1.5, 360) }},
	},
	"drone-7": {},
}

// boatSilent is how long before the double's first moment boat-2 fell silent.
const boatSilent = 3 * 3600 * second

func newDouble(hub *live.Hub, start, until int64) *double {
	d := &double{hub: hub, start: start, until: until}
	boot := telemetry.Boot{1, 2, 3}
	for i, e := range []struct {
		ago       int64
		component string
		severity  packet.Severity
		text      string
	}{
		{1500, "drive", packet.Info, "started after imu and battery"},
		{1320, "gnss", packet.Warning, "fix lost: 3 satellites"},
		{1210, "gnss", packet.Info, "fix regained: 9 satellites"},
		{840, "drive", packet.Error, "left: encoder silent for 120 ms; holding the last speed"},
		{600, "thermal", packet.Warning, "motor 1 above 55 °C"},
		{320, "courier", packet.Critical, "link mqtt down: connection refused"},
		{280, "courier", packet.Info, "link mqtt up; 4 212 records waiting"},
		{95, "imu", packet.Debug, "self-test passed"},
		{40, "drive", packet.Warning, "deadline missed 3 times in a row"},
	} {
		d.events = append(d.events, ground.Event{
			Device: "rover", Component: e.component, Time: until - e.ago*second, Severity: e.severity, Text: e.text,
			Stream: telemetry.Stream{Device: "rover", Boot: boot, Class: packet.Urgent}, Seq: uint64(i),
		})
	}
	return d
}

func (d *double) silent(device string) int64 {
	if device == "boat-2" {
		return boatSilent
	}
	return 0
}

// span returns the numbers [a, b) of w's samples with from ≤ time < to that are committed.
func (d *double) span(device string, w wave, from, to int64) (a, b int64) {
	p := int64(w.period)
	start := d.start - d.silent(device)
	to = min(to, d.until-d.silent(device))
	ceil := func(t int64) int64 { return max(0, (t-start+p-1)/p) }
	if from < start {
		from = start
	}
	return ceil(from), ceil(max(from, to))
}

func (d *double) sample(device string, w wave, k int64) (t int64, v float64, ok bool) {
	since := time.Duration(k * int64(w.period)).Seconds()
	t = d.start - d.silent(device) + k*int64(w.period)
	v = w.at(since)
	if w.typ == packet.Float32 {
		v = float64(float32(v))
	}
	return t, v, since < w.silentFrom || since >= w.silentTo
}

func (d *double) trace(device string, w wave, from, to int64) ground.Trace {
	tr := ground.Trace{Series: w.name, Time: []int64{}, Mean: []float64{}}
	a, b := d.span(device, w, from, to)
	for k := a; k < b; k++ {
		if t, v, ok := d.sample(device, w, k); ok {
			tr.Time = append(tr.Time, t)
			tr.Mean = append(tr.Mean, v)
		}
	}
	return tr
}

// bucketed divides [from, to) as RangeQuery says.
func bucketed(tr ground.Trace, from, to int64, n int) ground.Trace {
	if len(tr.Time) <= n {
		return tr
	}
	out := ground.Trace{Series: tr.Series}
	width := float64(to-from) / float64(n)
	last := -1
	for i, t := range tr.Time {
		k := min(int(float64(t-from)/width), n-1)
		v := tr.Mean[i]
		if k != last {
			out.Time = append(out.Time, from+int64(float64(k)*width))
			out.Mean, out.Min, out.Max, out.Count = append(out.Mean, 0), append(out.Min, v), append(out.Max, v), append(out.Count, 0)
			last = k
		}
		j := len(out.Time) - 1
		out.Mean[j] += v
		out.Min[j], out.Max[j] = min(out.Min[j], v), max(out.Max[j], v)
		out.Count[j]++
	}
	for j := range out.Mean {
		out.Mean[j] /= float64(out.Count[j])
	}
	return out
}

func find(device, name string) (wave, error) {
	list, ok := waves[device]
	if !ok {
		return wave{}, fmt.Errorf("double: machine %q: %w", device, ground.ErrNotFound)
	}
	i := slices.IndexFunc(list, func(w wave) bool { return w.name == name })
	if i < 0 {
		return wave{}, fmt.Errorf("double: series %q of %q: %w", name, device, ground.ErrNotFound)
	}
	return list[i], nil
}

// advance commits what is due by t and publishes it: one update per machine, as a frame would.
func (d *double) advance(t int64) {
	d.mu.Lock()
	from := d.until
	d.until = max(from, t)
	u := ground.Update{Device: "rover"}
	for _, w := range waves["rover"] {
		if tr := d.trace("rover", w, from, d.until); len(tr.Time) > 0 {
			u.Traces = append(u.Traces, tr)
		}
	}
	d.mu.Unlock()
	d.hub.Publish(u)
}

// happen commits and publishes an event.
func (d *double) happen(e ground.Event) {
	d.mu.Lock()
	e.Device, e.Seq = "rover", uint64(len(d.events))
	e.Stream = telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1, 2, 3}, Class: packet.Urgent}
	d.events = append(d.events, e)
	d.mu.Unlock()
	d.hub.Publish(ground.Update{Device: "rover", Events: []ground.Event{e}})
}

func (d *double) lock() (func(), error) {
	d.mu.Lock()
	return d.mu.Unlock, d.fail
}

// Machines implements ground.Source.
func (d *double) Machines(context.Context) ([]ground.Machine, error) {
	unlock, err := d.lock()
	defer unlock()
	if err != nil {
		return nil, err
	}
	if d.machines != nil {
		return slices.Clone(d.machines), nil
	}
	return []ground.Machine{d.boat(), d.drone(), d.rover()}, nil
}

func (d *double) boat() ground.Machine {
	at := d.until - boatSilent
	return ground.Machine{
		Device: "boat-2", FirstSeen: d.start - boatSilent, LastSeen: at, Boots: 1, Status: ground.StatusOK, Records: 1800, Readings: 3600, Bytes: 40_000,
		Components: []ground.Component{{Name: "hull", Status: ground.StatusOK, UptimeSeconds: 1800, LastPacket: at, Time: at}},
	}
}

func (d *double) drone() ground.Machine {
	return ground.Machine{Device: "drone-7", FirstSeen: d.until - 4*second, LastSeen: d.until - 2*second, Boots: 1, Status: ground.StatusStarting}
}

func (d *double) rover() ground.Machine {
	n := uint64((d.until - d.start) / second)
	ago := func(s int64) int64 { return d.until - s*second }
	up := float64(n)
	return ground.Machine{
		Device: "rover", FirstSeen: d.start, LastSeen: d.until, Boots: 3, Status: ground.StatusDegraded,
		Records: 93 * n, Readings: 431 * n, Bytes: 2100 * n,
		Components: []ground.Component{
			{Name: "battery", Status: ground.StatusOK, UptimeSeconds: up, LastPacket: ago(0), Time: ago(1)},
			{Name: "courier", Status: ground.StatusOK, UptimeSeconds: up, LastEvent: "link mqtt up; 4 212 records waiting", LastEventTime: ago(280), LastPacket: ago(1), Time: ago(1)},
			{Name: "drive", Status: ground.StatusDegraded, Reason: "left: encoder silent for 120 ms", UptimeSeconds: up, LastEvent: "deadline missed 3 times in a row", LastEventTime: ago(40), LastPacket: ago(0), Time: ago(1)},
			{Name: "gnss", Status: ground.StatusStarting, Reason: "waiting for a fix: 3 satellites", UptimeSeconds: 12, LastEvent: "fix lost: 3 satellites", LastEventTime: ago(1320), LastPacket: ago(1), Time: ago(1)},
			{Name: "imu", Status: ground.StatusOK, UptimeSeconds: up, LastEvent: "self-test passed", LastEventTime: ago(95), LastPacket: ago(0), Time: ago(1)},
			{Name: "lidar", Status: ground.StatusFailed, Reason: "i2c-1 0x62: no answer after 5 attempts; next in 32 s", Time: ago(1)},
			{Name: "recorder", Status: ground.StatusStopped, Time: ago(1)},
			{Name: "thermal", Status: ground.StatusOK, UptimeSeconds: up, LastPacket: ago(1), Time: ago(1)},
		},
		Tasks: []ground.Task{
			{Component: "drive", Name: "control", PeriodNS: 10e6, Runs: 100 * n, Misses: 17, JitterP50NS: 8_200, JitterP99NS: 61_000, JitterMaxNS: 1_840_000, ExecP99NS: 240_000, Time: ago(1)},
			{Component: "imu", Name: "sample", PeriodNS: 2e6, Runs: 500 * n, Misses: 0, JitterP50NS: 5_100, JitterP99NS: 39_000, JitterMaxNS: 412_000, ExecP99NS: 95_000, Time: ago(1)},
			{Component: "battery", Name: "poll", PeriodNS: 500e6, Runs: 2 * n, JitterP50NS: 21_000, JitterP99NS: 180_000, JitterMaxNS: 950_000, ExecP99NS: 3_100_000, Time: ago(1)},
			{Component: "gnss", Name: "parse", PeriodNS: 200e6, Runs: 5 * n, Misses: 2, JitterP50NS: 19_000, JitterP99NS: 140_000, JitterMaxNS: 2_300_000, ExecP99NS: 800_000, Time: ago(1)},
		},
		Processes: []ground.Process{
			{Name: "courier", ResidentBytes: 31 << 20, Restricted: "files, ports, processes, system calls", Time: ago(1)},
			{Name: "node", ResidentBytes: 26 << 20, Restricted: "files, system calls", Time: ago(1)},
		},
		Ledger: ground.Ledger{
			Machine:     ledger.Account{Numbered: 93*n + 480, Delivered: 93 * n, Waiting: 150, LostBy: [ledger.Reasons]uint64{ledger.Overflow: 28, ledger.Unclean: 302}},
			MachineTime: ago(1),
			Ground:      ledger.Account{Numbered: 93*n + 480, Delivered: 93*n + 40, LostBy: [ledger.Reasons]uint64{ledger.Overflow: 28, ledger.Unclean: 302}},
			Duplicates:  12, SpoolBytes: 18 << 20, SpoolQuota: 64 << 20, SpoolInPerSecond: 2180,
		},
	}
}

// Series implements ground.Source.
func (d *double) Series(_ context.Context, device string) ([]ground.Series, error) {
	unlock, err := d.lock()
	defer unlock()
	if err != nil {
		return nil, err
	}
	list, ok := waves[device]
	if !ok {
		return nil, fmt.Errorf("double: machine %q: %w", device, ground.ErrNotFound)
	}
	out := []ground.Series{}
	for _, w := range list {
		a, b := d.span(device, w, 0, math.MaxInt64)
		from, _, _ := d.sample(device, w, a)
		to, _, _ := d.sample(device, w, max(a, b-1))
		out = append(out, ground.Series{Name: w.name, Type: w.typ, Unit: w.unit, Kind: max(w.kind, telemetry.Reading), From: from, To: to, Rows: uint64(b - a)})
	}
	return out, nil
}

// Latest implements ground.Source.
func (d *double) Latest(_ context.Context, device string, series []string) ([]ground.Sample, error) {
	unlock, err := d.lock()
	defer unlock()
	if err != nil {
		return nil, err
	}
	out := []ground.Sample{}
	for _, name := range series {
		w, err := find(device, name)
		if err != nil {
			return nil, err
		}
		_, b := d.span(device, w, 0, math.MaxInt64)
		if b == 0 {
			continue
		}
		t, v, _ := d.sample(device, w, b-1)
		s := ground.Sample{Series: name, Time: t, Value: v}
		switch w.typ {
		case packet.Float32:
			s.Value = float32(v)
		case packet.Bool:
			s.Value = v != 0
		case packet.Uint64:
			s.Value = uint64(v)
		case packet.String:
			s.Value = "autonomous"
		}
		out = append(out, s)
	}
	return out, nil
}

// Range implements ground.Source.
func (d *double) Range(_ context.Context, q ground.RangeQuery) ([]ground.Trace, error) {
	unlock, err := d.lock()
	defer unlock()
	if err != nil {
		return nil, err
	}
	if q.Buckets < 1 || q.From >= q.To {
		return nil, errors.New("double: range: bad query")
	}
	out := []ground.Trace{}
	for _, name := range q.Series {
		w, err := find(q.Device, name)
		if err != nil {
			return nil, err
		}
		out = append(out, bucketed(d.trace(q.Device, w, q.From, q.To), q.From, q.To, q.Buckets))
	}
	return out, nil
}

// Events implements ground.Source.
func (d *double) Events(_ context.Context, q ground.EventQuery) ([]ground.Event, error) {
	unlock, err := d.lock()
	defer unlock()
	if err != nil {
		return nil, err
	}
	if _, ok := waves[q.Device]; !ok {
		return nil, fmt.Errorf("double: machine %q: %w", q.Device, ground.ErrNotFound)
	}
	out := []ground.Event{}
	for _, e := range slices.Backward(d.events) {
		if e.Device == q.Device && e.Severity >= q.Least && e.Time >= q.From && (q.To == 0 || e.Time < q.To) && len(out) < q.Limit {
			out = append(out, e)
		}
	}
	return out, nil
}

// Export implements ground.Exporter: a row per sample.
func (d *double) Export(ctx context.Context, w io.Writer, format, device string, series []string, from, to int64) (done ground.Exported, err error) {
	if format != "csv" {
		_, err = io.WriteString(w, "\x89MCAP0\r\n")
		return done, err
	}
	if to == 0 {
		to = math.MaxInt64
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	out := csv.NewWriter(w)
	for _, name := range series {
		wv, err := find(device, name)
		if err != nil {
			return done, err
		}
		tr := d.trace(device, wv, from, to)
		done.Records += uint64(len(tr.Time))
		for i, t := range tr.Time {
			_ = out.Write([]string{strconv.FormatInt(t, 10), name, strconv.FormatFloat(tr.Mean[i], 'g', -1, 64)})
		}
	}
	if strings.Contains(device, "drone") {
		return done, errors.New("double: nothing to export")
	}
	out.Flush()
	return done, out.Error()
}
