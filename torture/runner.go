package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/fulmar-io/fulmar/internal/extent"
)

// runner does rows, a chunk at a time.
type runner struct {
	state    *state
	rows     []row
	out      io.Writer
	until    time.Time // no new work after it; zero for none
	binaries map[string]string
}

// next returns the part that is furthest behind.
func (r *runner) next() (of *row, p *part) {
	least := 1.0
	for i := range r.rows {
		for j := range r.rows[i].parts {
			candidate := &r.rows[i].parts[j]
			if share := r.state.part(candidate.name()).share(candidate); share < least {
				of, p, least = &r.rows[i], candidate, share
			}
		}
	}
	return of, p
}

// run works until everything is done, the time is over, or the context ends: then what is half done is not counted.
func (r *runner) run(ctx context.Context) error {
	for ctx.Err() == nil && (r.until.IsZero() || time.Now().Before(r.until)) {
		of, p := r.next()
		if p == nil {
			return nil
		}
		if err := r.chunk(ctx, of, p); err != nil {
			return err
		}
	}
	return nil
}

// limit is how long a chunk may take. It is meant to take about a minute.
const limit = time.Hour

func (r *runner) chunk(ctx context.Context, of *row, p *part) error {
	done := r.state.part(p.name())
	first, end := done.Next, done.Next+p.chunk
	var env []string
	if len(p.want) > 0 {
		env = []string{extent.Env + "=" + extent.String(first, end)}
	}
	v, again := r.test(ctx, p, env)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil // what is half done is not counted
	}
	done.Next, done.Once = end, true
	done.Seconds += v.took.Seconds()
	for unit, n := range v.covered {
		done.Covered[unit] += n
	}
	maps.Copy(done.All, v.all)
	for unit := range p.want {
		if v.held() && !p.fuzz && (v.covered[unit] == 0 || done.goal(p, unit) == 0) {
			v.err = fmt.Errorf("it did not say how many %s it covered", unit)
		}
	}
	if !v.held() {
		if err := r.note(done, of, failure{First: first, End: end, Said: v.String(), Again: again}, v.output); err != nil {
			return err
		}
	}
	fmt.Fprintf(r.out, "%-9s %s: %s, %.0f s: %s\n", of.name, p.name(), describe(p, done), v.took.Seconds(), v)
	return r.state.save()
}

// test runs a part's test, whose binary is made once.
func (r *runner) test(ctx context.Context, p *part, env []string) (v *verdict, again string) {
	switch {
	case p.fuzz:
		return fuzz(ctx, p)
	case p.bug != nil:
		return plantOne(ctx, p.bug)
	}
	args := append([]string{"-test.run", "^" + p.test + "$", "-test.v", "-test.timeout", limit.String()}, p.args...)
	again = strings.TrimSpace(strings.Join(env, " ") + " go test " + p.pkg + " -count=1 -timeout " + limit.String() + " -run '^" + p.test + "$' " + strings.Join(p.args, " "))
	binary, err := r.binary(ctx, p.pkg)
	if err != nil {
		return &verdict{err: err}, again
	}
	return runTests(ctx, p.pkg, env, binary, args...), again
}

// plantOne plants one bug.
func plantOne(ctx context.Context, b *bug) (v *verdict, again string) {
	begun := time.Now()
	var out strings.Builder
	caught, err := plantAll(ctx, ".", &out, []bug{*b})
	v = &verdict{covered: make(map[string]uint64), took: time.Since(begun), output: out.String(), err: err}
	if caught == 1 {
		v.passed = []string{b.name}
		v.covered["bug caught"] = 1
	} else if err == nil {
		v.failed = []string{b.name}
	}
	return v, "go run ./torture -bugs " + b.name
}

// fuzz fuzzes a target for a chunk of seconds.
func fuzz(ctx context.Context, p *part) (v *verdict, again string) {
	args := []string{"test", "-run", "^$", "-fuzz", "^" + p.test + "$", "-fuzztime", fmt.Sprintf("%ds", p.chunk), "-v", p.pkg}
	v = runTests(ctx, ".", nil, "go", args...)
	// Go's defect: a run that ends by the clock now and then fails for that alone.
	if v.caught() && strings.Contains(v.output, "context deadline exceeded") && !strings.Contains(v.output, "Failing input") {
		v.failed, v.passed, v.err = nil, []string{p.test}, nil
	}
	v.covered[fuzzSeconds] = p.chunk
	return v, "go " + strings.Join(args, " ")
}

func (r *runner) binary(ctx context.Context, pkg string) (string, error) {
	if b := r.binaries[pkg]; b != "" {
		return b, nil
	}
	b, err := filepath.Abs(filepath.Join(r.state.dir, strings.ReplaceAll(strings.TrimPrefix(pkg, "./"), "/", "-")+".test"))
	if err != nil {
		return "", fmt.Errorf("torture: %w", err)
	}
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", b, pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("torture: build the tests of %s: %w: %s", pkg, err, tail(string(out), 5))
	}
	r.binaries[pkg] = b
	return b, nil
}

// note keeps a failure with its output.
func (r *runner) note(done *progress, of *row, f failure, output string) error {
	f.Output = filepath.Join(r.state.dir, fmt.Sprintf("%s-%d-%d.log", of.name, len(done.Failures)+1, f.First))
	if err := os.WriteFile(f.Output, []byte(output), 0o666); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	done.Failures = append(done.Failures, f)
	return nil
}

// describe says how far a part is.
func describe(p *part, done *progress) string {
	var list []string
	for unit, n := range done.Covered {
		s := thousands(n) + " " + unit
		if want := done.goal(p, unit); want > 0 {
			s = thousands(n) + " of " + thousands(want) + " " + unit
		}
		list = append(list, s)
	}
	sort.Strings(list)
	if len(list) == 0 {
		return "nothing yet"
	}
	return strings.Join(list, ", ")
}

// report prints the table, and says whether anything failed.
func (r *runner) report() (failures int) {
	fmt.Fprintf(r.out, "\n%-9s %9s %9s  %s\n", "row", "done", "failures", "covered")
	for _, row := range r.rows {
		for i := range row.parts {
			p := &row.parts[i]
			done := r.state.part(p.name())
			failures += len(done.Failures)
			fmt.Fprintf(r.out, "%-9s %7.1f %% %9d  %s (%s, %.0f s)\n", row.name, 100*done.share(p), len(done.Failures), describe(p, done), p.name(), done.Seconds)
			for _, f := range done.Failures {
				fmt.Fprintf(r.out, "          %s\n          output: %s\n          again: %s\n", f.Said, f.Output, f.Again)
			}
		}
	}
	return failures
}

var errFailed = errors.New("torture: something did not hold")
