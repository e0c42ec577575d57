package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fulmar-io/fulmar/sched/host"
	"github.com/fulmar-io/fulmar/sched/latency"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "Measure this host", Args: knownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(benchLoopCommand(), benchTurnCommand(), benchLoadCommand())
	return c
}

type benchOptions struct {
	period, length time.Duration
	turns          int
	loops, loads   []string
	svg            string
	json           bool
}

// The loads under which loops are measured.
const (
	loadNone    = "none"
	loadStress  = "stress"  // stress-ng: processors, memory, disk
	loadMachine = "machine" // another process of this binary: two busy goroutines, garbage, telemetry
	loadSingle  = "single"  // the same in the loop's own process
	loadCollect = "collect" // collections of garbage in the loop's own process, which else rests
)

var loads = []string{loadNone, loadStress, loadMachine, loadSingle, loadCollect}

func benchLoopCommand() *cobra.Command {
	o := benchOptions{}
	c := &cobra.Command{
		Use:   "loop",
		Short: "How late a loop begins on this host: ours, time.Ticker's and cyclictest's",
		Long: `Measure how late a periodic loop begins: the real-time loop of a machine, sleeping until each release or spinning for the
last of it (hybrid), a goroutine with a time.Ticker, and cyclictest of Debian's rt-tests. They take turns in one run, each in
a process of its own, first on the host as it is and then under load: "stress" is stress-ng on all processors, memory and
disk; "machine" is another process that has two goroutines busy, makes 200 MB of garbage a second and publishes 100,000
readings a second into a spool. "single" is the same within each loop's own process, what a machine of one process is like, and
"collect" a garbage collection each 20 ms there, and nothing else; with these cyclictest, which is no process of ours, has
"machine" and "none" beside it.

Printed are the medians of the turns' percentiles, and the percentiles of all turns together. What the host of a virtual machine
stole meanwhile stands beside them: beyond p99 that rules all loops alike. Other work on the host should rest.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return benchLoop(c, o) },
	}
	c.Flags().DurationVar(&o.period, "period", time.Millisecond, "of the loops")
	c.Flags().DurationVar(&o.length, "for", 5*time.Second, "length of a turn")
	c.Flags().IntVar(&o.turns, "turns", 10, "turns of each loop under each load")
	c.Flags().StringSliceVar(&o.loops, "loop", latency.Loops, "loops, separated by commas")
	c.Flags().StringSliceVar(&o.loads, "load", []string{loadNone, loadStress, loadMachine}, "loads, separated by commas: "+strings.Join(loads, ", "))
	c.Flags().StringVar(&o.svg, "svg", "", "draw the distributions into this file; it must not exist")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON array on stdout")
	return c
}

// loopResult is what one loop came to under one load.
type loopResult struct {
	Load  string `json:"load"`
	Loop  string `json:"loop"`
	Turns int    `json:"turns"`
	// Medians of the turns', in ns.
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	// Of all turns together, in ns.
	P999  time.Duration `json:"p99_9_ns"`
	P9999 time.Duration `json:"p99_99_ns"`
	Max   time.Duration `json:"max_ns"`
	// Skipped is the share of releases that passed unserved; cyclictest does not tell its own.
	Skipped float64 `json:"skipped"`
	// Stolen is the processor time that the host of a virtual machine took during the turns, in ns.
	Stolen time.Duration `json:"stolen_ns"`

	p50, p99 []time.Duration // of the turns
	late     []time.Duration
	skipped  int
}

func benchLoop(c *cobra.Command, o benchOptions) error {
	if o.turns < 1 || o.length < 10*o.period {
		return &usageError{err: fmt.Errorf("bench loop: %d turns of %s", o.turns, o.length), hint: "a turn has at least 10 periods"}
	}
	var results []*loopResult
	for _, load := range o.loads {
		stop, err := startLoad(c.Context(), load)
		if err != nil {
			return err
		}
		found, err := o.measure(c, load)
		if err := errors.Join(err, stop()); err != nil {
			return err
		}
		results = append(results, found...)
	}
	if o.svg != "" {
		if err := writeNew(o.svg, func(w io.Writer) error { return latency.WriteSVG(w, panels(results)) }); err != nil {
			return err
		}
	}
	if o.json {
		return json.NewEncoder(c.OutOrStdout()).Encode(results)
	}
	printLoops(c.OutOrStdout(), results)
	return nil
}

// measure lets the loops take turns under one load. A loop that this host does not have is left out, and it is said why.
func (o benchOptions) measure(c *cobra.Command, load string) ([]*loopResult, error) {
	var results []*loopResult
	for _, loop := range o.loops {
		results = append(results, &loopResult{Load: load, Loop: loop})
	}
	for turn := range o.turns {
		for i := range results {
			r := results[(i+turn)%len(results)]
			if r.Turns < 0 {
				continue
			}
			before := stolen()
			m, err := takeTurn(c.Context(), r.Loop, load, o.period, int(o.length/o.period))
			if errors.Is(err, exec.ErrNotFound) {
				fmt.Fprintf(c.ErrOrStderr(), "%s is left out: %v\n", r.Loop, err)
				r.Turns = -1
				continue
			}
			if err != nil {
				return nil, err
			}
			r.Turns++
			r.Stolen += stolen() - before
			d := latency.Sort(m.Late)
			r.p50, r.p99 = append(r.p50, d.Quantile(0.5)), append(r.p99, d.Quantile(0.99))
			r.late = append(r.late, m.Late...)
			r.skipped += m.Skipped
		}
	}
	results = slices.DeleteFunc(results, func(r *loopResult) bool { return r.Turns < 0 })
	if len(results) == 0 {
		return nil, &hintedError{err: errors.New("bench loop: this host has none of these loops"), hint: "cyclictest is in Debian's rt-tests"}
	}
	for _, r := range results {
		all := latency.Sort(r.late)
		r.P50, r.P99 = latency.Sort(r.p50).Quantile(0.5), latency.Sort(r.p99).Quantile(0.5)
		r.Skipped = float64(r.skipped) / float64(r.skipped+len(r.late))
		r.P999, r.P9999, r.Max = all.Quantile(0.999), all.Quantile(0.9999), all.Quantile(1)
	}
	return results, nil
}

func stolen() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	steal, _ := host.Stolen(string(b))
	return steal
}

// takeTurn measures a loop in a process of its own.
func takeTurn(ctx context.Context, loop, load string, period time.Duration, count int) (m latency.Measured, err error) {
	if loop == latency.Cyclictest {
		if load == loadSingle {
			stop, err := startLoad(ctx, loadMachine)
			if err != nil {
				return m, err
			}
			defer func() { err = errors.Join(err, stop()) }()
		}
		return latency.Measure(ctx, loop, period, count, false)
	}
	self, err := os.Executable()
	if err != nil {
		return m, err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "bench", "turn", loop, period.String(), strconv.Itoa(count), load)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err != nil {
		return m, fmt.Errorf("bench loop: %s: %w: %s", loop, err, strings.TrimSpace(stderr.String()))
	}
	return m, nil
}

// benchTurnCommand is a process of bench loop's.
func benchTurnCommand() *cobra.Command {
	return &cobra.Command{Use: "turn LOOP PERIOD COUNT LOAD", Hidden: true, Args: cobra.ExactArgs(4), RunE: func(c *cobra.Command, args []string) error {
		period, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		count, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		stop, alone, err := loadHere(c.Context(), args[3])
		if err != nil {
			return err
		}
		m, err := latency.Measure(c.Context(), args[0], period, count, alone)
		if err := errors.Join(err, stop()); err != nil {
			return err
		}
		return json.NewEncoder(c.OutOrStdout()).Encode(m)
	}}
}

// startLoad starts what is to disturb the loops, and returns when it does.
func startLoad(ctx context.Context, load string) (stop func() error, err error) {
	var cmd *exec.Cmd
	switch load {
	case loadNone, loadSingle, loadCollect: // these each turn starts itself
		return func() error { return nil }, nil
	case loadStress:
		n := strconv.Itoa(runtime.NumCPU())
		cmd = exec.CommandContext(ctx, "stress-ng", "--cpu", n, "--vm", "1", "--vm-bytes", "64M", "--hdd", "1", "--hdd-bytes", "64M", "--temp-path", os.TempDir())
	case loadMachine:
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cmd = exec.CommandContext(ctx, self, "bench", "load")
	default:
		return nil, &usageError{err: fmt.Errorf("bench loop: load %q", load), hint: "loads are " + strings.Join(loads, ", ")}
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	// Both tell with their first line that they have begun: stress-ng on stderr, as it logs.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return nil, &hintedError{hint: "stress-ng is in Debian's package of that name; or leave this load out with --load", err: errors.Join(fmt.Errorf("bench loop: load %s: %w", load, err), r.Close(), w.Close())}
	}
	lines := bufio.NewScanner(r)
	if err := w.Close(); err != nil {
		return nil, err
	}
	if !lines.Scan() {
		return nil, fmt.Errorf("bench loop: load %s: it ended at once: %w", load, cmd.Wait())
	}
	said := lines.Text()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
			said = lines.Text()
		}
	}()
	return func() error {
		interrupted := cmd.Process.Signal(os.Interrupt)
		<-drained
		if interrupted != nil {
			return fmt.Errorf("bench loop: load %s ended by itself: %w: %s", load, interrupted, said)
		}
		_ = cmd.Wait() // that it was interrupted is no error
		return r.Close()
	}, nil
}

func panels(results []*loopResult) []latency.Panel {
	var list []latency.Panel
	for _, r := range results {
		if len(list) == 0 || list[len(list)-1].Title != "load: "+r.Load {
			list = append(list, latency.Panel{Title: "load: " + r.Load})
		}
		p := &list[len(list)-1]
		p.Curves = append(p.Curves, latency.Curve{Name: r.Loop, Late: r.late})
	}
	return list
}

func skipped(r *loopResult) string {
	if r.Loop == latency.Cyclictest {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*r.Skipped)
}

func printLoops(w io.Writer, results []*loopResult) {
	fmt.Fprintf(w, "%-8s %-11s %10s %10s %8s %8s %10s %10s %10s %8s %8s\n", "load", "loop", "p50", "p99", "÷ p50", "÷ p99", "p99.9", "p99.99", "max", "skipped", "stolen")
	for _, r := range results {
		of := slices.IndexFunc(results, func(o *loopResult) bool { return o.Load == r.Load && o.Loop == latency.Cyclictest })
		ratio := func(a, b time.Duration) string { return fmt.Sprintf("%.2f", float64(a)/float64(b)) }
		r50, r99 := "-", "-"
		if of >= 0 && results[of].P50 > 0 {
			r50, r99 = ratio(r.P50, results[of].P50), ratio(r.P99, results[of].P99)
		}
		us := func(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d)/1e3) }
		fmt.Fprintf(w, "%-8s %-11s %10s %10s %8s %8s %10s %10s %10s %8s %8s\n", r.Load, r.Loop, us(r.P50), us(r.P99), r50, r99, us(r.P999), us(r.P9999), us(r.Max),
			skipped(r), r.Stolen)
	}
	fmt.Fprintf(w, "p50 and p99 are the medians of %d turns, ÷ their ratios to cyclictest's; the others are of all turns together.\n", results[0].Turns)
}
