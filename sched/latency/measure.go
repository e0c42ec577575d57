package latency

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/sched/host"
	"github.com/fulmar-io/fulmar/spec"
)

// The loops that can be measured.
const (
	Sleep      = "sleep"      // sched.Executor in real time, sched.Sleep
	Hybrid     = "hybrid"     // sched.Executor in real time, sched.Hybrid
	Ticker     = "ticker"     // a goroutine with a time.Ticker
	Cyclictest = "cyclictest" // Debian's rt-tests
)

// Loops are all of them.
var Loops = []string{Sleep, Hybrid, Ticker, Cyclictest}

// Measured is how late each release that was served began, and how many passed unserved between them; cyclictest does not
// tell that.
type Measured struct {
	Late    []time.Duration
	Skipped int
}

// Measure runs a loop of the given period until it has served count releases. Nothing else of its kind should run in this
// process; cyclictest runs in one of its own. Alone says that the process does nothing else: then its other threads may be raised,
// as those of a control half are.
func Measure(ctx context.Context, loop string, period time.Duration, count int, alone bool) (Measured, error) {
	if period < spec.MinPeriod || count < 1 || count > maxCount {
		return Measured{}, fmt.Errorf("latency: %d releases of period %s: want 1 to %d, at least %s apart", count, period, maxCount, time.Duration(spec.MinPeriod))
	}
	switch loop {
	case Sleep:
		return executor(ctx, sched.RealTime{}, period, count, alone)
	case Hybrid:
		return executor(ctx, sched.RealTime{Wake: sched.Hybrid}, period, count, alone)
	case Ticker:
		return ticker(ctx, period, count)
	case Cyclictest:
		return cyclictest(ctx, period, count)
	}
	return Measured{}, fmt.Errorf("latency: no loop is called %q", loop)
}

// maxCount bounds the memory of a measurement.
const maxCount = 10_000_000

// executor measures the project's own loop. A step does what one must to be measured, and no more.
func executor(ctx context.Context, rt sched.RealTime, period time.Duration, count int, alone bool) (m Measured, err error) {
	taken := host.Prepare()
	defer func() { _ = taken.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	origin := time.Now()
	now := func() time.Duration { return time.Since(origin) }
	e := sched.NewExecutor(ctx, sched.Options{Now: now, RealTime: &rt})
	m.Late = make([]time.Duration, 0, count)
	var first, last time.Duration
	task := sched.NewTask("loop", spec.Timing{Period: int64(period)}.WithDefaults(), nil,
		func(time.Duration, time.Duration) error { return nil })
	task.Began = func(release, begin time.Duration) {
		switch {
		case len(m.Late) == count:
			cancel()
			return
		case len(m.Late) == 0:
			first = release
		}
		last = release
		m.Late = append(m.Late, begin-release)
	}
	if err := e.Add(task); err != nil {
		return m, err
	}
	if alone {
		if err := taken.Raise(); err != nil {
			return m, err
		}
	}
	e.Wait()
	if len(m.Late) < count {
		return m, context.Cause(ctx)
	}
	m.Skipped = int((last-first)/period) + 1 - count
	return m, nil
}

// ticker measures what a Go programmer would write first.
func ticker(ctx context.Context, period time.Duration, count int) (m Measured, err error) {
	m.Late = make([]time.Duration, 0, count)
	start := time.Now()
	t := time.NewTicker(period)
	defer t.Stop()
	for len(m.Late) < count {
		select {
		case <-ctx.Done():
			return m, context.Cause(ctx)
		case <-t.C:
		}
		// Of the ticker's grid, which begins where it was made, the last release that has come.
		m.Late = append(m.Late, time.Since(start)%period)
	}
	m.Skipped = max(int(time.Since(start)/period)-count, 0)
	return m, nil
}

// cyclictest runs the program of that name, with locked memory, at the priority that sched.RealTime has by default.
func cyclictest(ctx context.Context, period time.Duration, count int) (m Measured, err error) {
	c := exec.CommandContext(ctx, "cyclictest", "--quiet", "--verbose", "--nsecs", "--mlockall", "--priority", strconv.Itoa(sched.DefaultTop),
		"--interval", strconv.FormatInt(period.Microseconds(), 10), "--loops", strconv.Itoa(count))
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return m, errors.Join(fmt.Errorf("latency: cyclictest: %w", err), errors.New(stderr.String()))
	}
	m.Late = make([]time.Duration, 0, count)
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var thread, n int
		var ns int64
		if _, err := fmt.Sscanf(lines.Text(), "%d:%d:%d", &thread, &n, &ns); err == nil {
			m.Late = append(m.Late, time.Duration(ns))
		}
	}
	if len(m.Late) < count*9/10 {
		return m, fmt.Errorf("latency: cyclictest told of %d of %d releases", len(m.Late), count)
	}
	return m, nil
}

// Distribution is how late a loop was, in ascending order.
type Distribution []time.Duration

// Sort makes a distribution of what Measure returned, in its memory.
func Sort(late []time.Duration) Distribution {
	slices.Sort(late)
	return late
}

// Quantile returns the least lateness that a share q of all did not exceed, q from 0 to 1; 0 if there are none.
func (d Distribution) Quantile(q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return d[max(0, min(len(d)-1, int(q*float64(len(d))+0.999999)-1))]
}
