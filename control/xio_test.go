package control_test

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/control"
)

// A recording of a nine-axis sensor, at 100 Hz for 135 s, that nobody of this project made (xioTechnologies/Fusion). It lies on a
// table, is turned by hand about each axis to and fro, lies, is spun at 200°/s off its centre for 5 s, is put back, and has a
// magnet beside it for 16 s. No true orientation comes with it. What is known all the same:
//
//   - While it lies, the mean of its accelerometer is the vertical.
//   - At the end it lies as at the beginning.
//   - The magnet does not turn it.
type xioRecording struct {
	at      []float64 // seconds
	samples []control.Inertial[float64]
	rests   []rest
}

// rest is a stretch during which the sensor lies.
type rest struct {
	from, to int // samples; to is not one of it
	vertical vec // the mean of Accel, with the length 1
	north    vec // the mean of Field
	rate     vec // the mean of Rate, rad/s
}

func readXIO(t testing.TB) *xioRecording {
	t.Helper()
	dir := os.Getenv("FULMAR_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, "xio-fusion", "sensor_data.csv"))
	if err != nil {
		if os.Getenv("FULMAR_REQUIRE_DATA") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs the recordings: ", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	r := &xioRecording{}
	for _, row := range rows[1:] { // a heading, then seconds, °/s, g and µT
		var v [10]float64
		for i := range v {
			if v[i], err = strconv.ParseFloat(row[i], 64); err != nil {
				t.Fatal(err)
			}
		}
		r.at = append(r.at, v[0])
		r.samples = append(r.samples, control.Inertial[float64]{Rate: vec{X: v[1] * degree, Y: v[2] * degree, Z: v[3] * degree},
			Accel: vec{X: v[4], Y: v[5], Z: v[6]}, Field: vec{X: v[7], Y: v[8], Z: v[9]}})
	}
	r.findRests()
	return r
}

const degree = math.Pi / 180

func (r *xioRecording) findRests() {
	quiet := make([]bool, len(r.samples))
	for i, s := range r.samples {
		quiet[i] = math.Sqrt(dot(s.Rate, s.Rate)) < 1.5*degree && math.Abs(math.Sqrt(dot(s.Accel, s.Accel))-0.993) < 0.03
	}
	for from := 0; from < len(quiet); {
		to := from
		for to < len(quiet) && quiet[to] {
			to++
		}
		if to-from >= 100 {
			r.rests = append(r.rests, r.mean(from, to))
		}
		from = to + 1
	}
}

func (r *xioRecording) mean(from, to int) rest {
	m := rest{from: from, to: to}
	n := float64(to - from)
	add := func(sum *vec, v vec) { sum.X, sum.Y, sum.Z = sum.X+v.X/n, sum.Y+v.Y/n, sum.Z+v.Z/n }
	for _, s := range r.samples[from:to] {
		add(&m.vertical, s.Accel)
		add(&m.north, s.Field)
		add(&m.rate, s.Rate)
	}
	m.vertical = unitOf(m.vertical)
	return m
}

// estimate runs a filter over the recording and returns its attitude after each sample.
func estimate[T control.Float](t testing.TB, r *xioRecording, f estimator[T]) []quat {
	t.Helper()
	qs := make([]quat, len(r.samples))
	dt := 0.01
	for i, s := range r.samples {
		if i > 0 {
			dt = r.at[i] - r.at[i-1]
		}
		mustUpdate(t, f, narrowSample[T](s), T(dt))
		qs[i] = wideQ(f.Attitude())
	}
	return qs
}

// with returns the recording with its samples changed.
func (r *xioRecording) with(change func(*control.Inertial[float64])) *xioRecording {
	c := *r
	c.samples = slices.Clone(r.samples)
	for i := range c.samples {
		change(&c.samples[i])
	}
	return &c
}

// gyroAlone integrates the gyro from the attitude that gravity and field of a rest show, less the rest's rate, over some samples.
func (r *xioRecording) gyroAlone(start rest, from, to int) []quat {
	north := fieldHeading(start)
	q := euler{Yaw: north * degree}.Quaternion().Times(levelled(start))
	var qs []quat
	for i := from; i < to; i++ {
		if i > 0 {
			w := r.samples[i].Rate
			q = q.Integrate(vec{X: w.X - start.rate.X, Y: w.Y - start.rate.Y, Z: w.Z - start.rate.Z}, r.at[i]-r.at[i-1])
		}
		qs = append(qs, q)
	}
	return qs
}

// levelled looks east, with the vertical of a rest.
func levelled(s rest) quat {
	v := s.vertical
	return about(vec{Y: 1}, math.Atan2(-v.X, math.Hypot(v.Y, v.Z))).Times(about(vec{X: 1}, math.Atan2(v.Y, v.Z)))
}

// fieldHeading is where the x axis looks by the mean field of a rest, in degrees counter-clockwise from magnetic east.
func fieldHeading(s rest) float64 {
	v := turnBy(levelled(s), s.north)
	return 90 - math.Atan2(v.Y, v.X)/degree
}

// leaning returns how far from up an attitude has what is vertical in the frame of the body, in degrees.
func leaning(q quat, vertical vec) float64 {
	v := turnBy(q, vertical)
	return math.Atan2(math.Hypot(v.X, v.Y), v.Z) / degree
}

// heading returns where the x axis looks, in degrees counter-clockwise from east.
func heading(q quat) float64 {
	v := turnBy(q, vec{X: 1})
	return math.Atan2(v.Y, v.X) / degree
}

// The rests by their number: the sensor has been spun before the one, and has a magnet beside it during the other.
const (
	spun     = 2
	magnetic = 4
)

// figures are what the recording tells of a run, in degrees.
type figures struct {
	arrival float64 // tilt when the sensor has just come to rest, the root of the mean square of five
	resting float64 // tilt while it rests, root of the mean square
	spin    float64 // tilt at most while it is spun, from the gyro alone, which starts at the rest before
	magnet  float64 // how far the magnet draws the heading, at most
	back    float64 // how far the heading has changed from the first rest to the last, less what the field says
}

func (r *xioRecording) judge(qs []quat) (f figures) {
	n := 0.0
	for i, s := range r.rests {
		if i > 0 {
			f.arrival += math.Pow(leaning(qs[s.from], s.vertical), 2) / float64(len(r.rests)-1)
		}
		for _, q := range qs[s.from:s.to] {
			f.resting += math.Pow(leaning(q, s.vertical), 2)
			n++
		}
	}
	f.arrival, f.resting = math.Sqrt(f.arrival), math.Sqrt(f.resting/n)
	from, to := r.rests[spun-1].to, r.rests[spun].from
	for i, q := range r.gyroAlone(r.rests[spun-1], from, to) {
		f.spin = max(f.spin, leaning(qs[from+i], turnBy(quat{W: q.W, X: -q.X, Y: -q.Y, Z: -q.Z}, vec{Z: 1})))
	}
	apart := func(a, b float64) float64 { return math.Abs(math.Remainder(a-b, 360)) }
	before := heading(qs[r.rests[magnetic-1].to-150]) // 1.5 s before: the magnet comes near before it touches the table
	for _, q := range qs[r.rests[magnetic].from:r.rests[magnetic].to] {
		f.magnet = max(f.magnet, apart(heading(q), before))
	}
	first, last := r.rests[0], r.rests[len(r.rests)-1]
	f.back = apart(heading(qs[last.to-1])-heading(qs[first.to-1]), fieldHeading(last)-fieldHeading(first))
	return f
}

// believing is how much of what comes is believed.
type believing struct {
	name  string
	field bool
	earth control.Earth[float64]
}

// ways are those the table has; gravity, strength and dip are what the first second shows.
func (r *xioRecording) ways() []believing {
	first, gravity := r.mean(0, 100), 0.0
	for _, s := range r.samples[:100] {
		gravity += math.Sqrt(dot(s.Accel, s.Accel)) / 100
	}
	strength := math.Sqrt(dot(first.north, first.north))
	gates := control.Earth[float64]{Gravity: gravity, Field: strength, Dip: math.Asin(-dot(first.vertical, first.north) / strength), DipTolerance: 0.1}
	settle := gates
	settle.Settle = 1
	return []believing{
		{"no magnetometer, all", false, control.Earth[float64]{}},
		{"no magnetometer, gates", false, gates},
		{"no magnetometer, gates, settle", false, settle},
		{"all", true, control.Earth[float64]{}},
		{"gates", true, gates},
		{"gates, settle", true, settle},
	}
}

// run has the three filters, with their default gains, look at the recording.
func (w *believing) run(t *testing.T, r *xioRecording) (runs [3][]quat) {
	if !w.field {
		r = r.with(func(s *control.Inertial[float64]) { s.Field = vec{} })
	}
	runs[0] = estimate(t, r, newComplementary(t, 0, w.earth))
	runs[1] = estimate(t, r, newMahony(t, control.MahonyGains[float64]{}, w.earth))
	runs[2] = estimate(t, r, newMadgwick(t, control.MadgwickGains[float64]{}, w.earth))
	return runs
}

// rms returns the root of the mean square of what is between two runs, in degrees.
func rms(a, b []quat) float64 {
	sum := 0.0
	for i := range a {
		sum += math.Pow(turned(a[i], b[i])/degree, 2)
	}
	return math.Sqrt(sum / float64(len(a)))
}

// The table of docs/control.md.
func TestXIO(t *testing.T) {
	r := readXIO(t)
	if len(r.samples) != 13_514 || len(r.rests) != 6 {
		t.Fatalf("%d samples with %d rests: is this the recording?", len(r.samples), len(r.rests))
	}
	var table, agreement strings.Builder
	row := func(method, name string, f figures) {
		fmt.Fprintf(&table, "| %s | %s | %.2f | %.2f | %.2f | %.2f | %.2f |\n", method, name, f.arrival, f.resting, f.spin, f.magnet, f.back)
	}
	alone := r.judge(r.gyroAlone(r.mean(0, 100), 0, len(r.samples)))
	row("gyro alone", "bias of the first second", alone)
	// What each way must keep, and where it is to show something, what it must exceed.
	limits := map[string][2]figures{
		"no magnetometer, all":           {{0, 0, 3, 0, 0}, {0.6, 0.3, 8, 0.3, 6}},
		"no magnetometer, gates":         {{0, 0, 3, 0, 0}, {1.3, 0.3, 8, 0.3, 1}},
		"no magnetometer, gates, settle": {{0, 0, 0, 0, 0}, {0.3, 0.2, 1.5, 0.3, 1}},
		"all":                            {{0, 0, 3, 80, 0}, {0.6, 0.3, 8, 180, 1}},
		"gates":                          {{0, 0, 3, 1, 0}, {1.3, 0.3, 8, 15, 1}},
		"gates, settle":                  {{0, 0, 0, 0, 0}, {0.3, 0.2, 1.5, 0.5, 1}},
	}
	for _, w := range r.ways() {
		runs := w.run(t, r)
		for i, run := range runs {
			f := r.judge(run)
			row(methods[i], w.name, f)
			within(t, methods[i]+", "+w.name, f, limits[w.name])
		}
		fmt.Fprintf(&agreement, "| %s | %.2f | %.2f | %.2f |\n", w.name, rms(runs[0], runs[1]), rms(runs[0], runs[2]), rms(runs[1], runs[2]))
		if d := max(rms(runs[0], runs[1]), rms(runs[0], runs[2])); strings.Contains(w.name, "settle") && d > 1 {
			t.Errorf("%s: the filters are %v° apart", w.name, d)
		}
	}
	t.Logf("\n| filter | believes | arrival | at rest | spin | magnet | heading at the end |\n| --- | --- | --- | --- | --- | --- | --- |\n%s", table.String())
	t.Logf("\n| believes | complementary and mahony | complementary and madgwick | mahony and madgwick |\n| --- | --- | --- | --- |\n%s", agreement.String())
	spin := r.gyroAlone(r.rests[spun-1], r.rests[spun-1].to, r.rests[spun].from+1)
	drift := leaning(spin[len(spin)-1], r.rests[spun].vertical)
	t.Logf("the gyro alone, which the spin is compared with, is off by %.2f° at the rest behind it", drift)
	within(t, "gyro alone", alone, [2]figures{{}, {0.6, 0.6, 1, 1, 6}})
	if drift > 0.6 {
		t.Errorf("the gyro alone is off by %v°: nothing to compare with", drift)
	}
}

// within checks that figures are within limits.
func within(t *testing.T, name string, f figures, limits [2]figures) {
	t.Helper()
	for what, v := range map[string][3]float64{
		"arrival": {f.arrival, limits[0].arrival, limits[1].arrival}, "at rest": {f.resting, limits[0].resting, limits[1].resting},
		"spin": {f.spin, limits[0].spin, limits[1].spin}, "magnet": {f.magnet, limits[0].magnet, limits[1].magnet},
		"heading at the end": {f.back, limits[0].back, limits[1].back},
	} {
		if !(v[0] >= v[1] && v[0] <= v[2]) {
			t.Errorf("%s: %s %.2f°, want %v to %v", name, what, v[0], v[1], v[2])
		}
	}
}

// A bias that is added to the gyro is found in the first rest, and is still known at the end. The gyro of the recording has had its
// own taken off: what is left of it is the mean rate of a rest.
func TestXIOBias(t *testing.T) {
	r := readXIO(t)
	added := vec{X: 1 * degree, Y: -2 * degree, Z: 1.5 * degree}
	r = r.with(func(s *control.Inertial[float64]) {
		s.Rate = vec{X: s.Rate.X + added.X, Y: s.Rate.Y + added.Y, Z: s.Rate.Z + added.Z}
	})
	ways := r.ways()
	e := ways[len(ways)-1].earth
	// Critically damped, (1 + Kp·t/2)·exp(−Kp·t/2) is 0.1 at Kp·t/2 = 3.89; exp(−t·ζ/β) is at 2.303·β/ζ.
	// The tilt that the bias makes meanwhile draws the heading, where the field dips as steeply as here, so it takes a little longer.
	formula := []float64{7.78, 11.51}
	for i, f := range []estimator[float64]{
		newMahony(t, control.MahonyGains[float64]{Kp: 1, Ki: 0.25}, e),
		newMadgwick(t, control.MadgwickGains[float64]{Beta: 0.05, Zeta: 0.01}, e),
	} {
		found, worst, dt := 0.0, 0.0, 0.01
		off := func(s rest) float64 {
			b := f.Bias()
			return apart(b, vec{X: s.rate.X + added.X, Y: s.rate.Y + added.Y, Z: s.rate.Z + added.Z}) / degree
		}
		for k, s := range r.samples {
			if k > 0 {
				dt = r.at[k] - r.at[k-1]
			}
			mustUpdate(t, f, s, dt)
			if now := off(r.rests[0]); k < r.rests[0].to && now > 0.27 {
				found = r.at[k]
			} else if k >= r.rests[0].to {
				worst = max(worst, now)
			}
		}
		last := off(r.rests[len(r.rests)-1])
		t.Logf("%s: a bias of 2.7°/s is within a tenth after %.1f s, formula %.1f s; later off by at most %.2f°/s, at the end by %.3f°/s",
			methods[i+1], found, formula[i], worst, last)
		// What the hand does, fast gains take for a bias for a while.
		if math.Abs(found/formula[i]-1) > 0.15 || last > 0.15 {
			t.Errorf("%s: after %v s, at the end off by %v°/s", methods[i+1], found, last)
		}
	}
}

// The machine's small processors have float32: over the whole recording it must not matter.
func TestXIOInBothTypes(t *testing.T) {
	r := readXIO(t)
	wide := estimate(t, r, newMahony(t, control.MahonyGains[float64]{Ki: 0.01}, control.Earth[float64]{}))
	single := estimate(t, r, newMahony(t, control.MahonyGains[float32]{Ki: 0.01}, control.Earth[float32]{}))
	worst := 0.0
	for i := range wide {
		worst = max(worst, turned(wide[i], single[i])/degree)
	}
	t.Logf("float32 is off float64 by at most %.2g°", worst)
	if worst > 1e-2 {
		t.Errorf("float32 is off float64 by %v°", worst)
	}
}
