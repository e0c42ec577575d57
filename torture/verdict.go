package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/fulmar-io/fulmar/internal/extent"
)

// verdict is what a run of tests came to.
type verdict struct {
	passed  []string          // the tests at the top that held
	failed  []string          // those that failed by their own word
	skipped []string          // those that did not look
	covered map[string]uint64 // what they say they covered
	all     map[string]uint64 // and of how many
	took    time.Duration
	output  string
	err     error // the process could not be run, did not compile, crashed, or took too long
}

// held reports that something was tested and that nothing was wrong.
func (v *verdict) held() bool {
	return v.err == nil && len(v.failed) == 0 && len(v.skipped) == 0 && len(v.passed) > 0
}

// caught reports that a test said that something is wrong, as opposed to a build that failed or a process that was cut short.
func (v *verdict) caught() bool { return len(v.failed) > 0 }

// String is the verdict in a few words.
func (v *verdict) String() string {
	switch {
	case v.caught():
		return "failed: " + strings.Join(v.failed, ", ")
	case v.err != nil:
		return v.err.Error()
	case len(v.skipped) > 0:
		return "skipped: " + strings.Join(v.skipped, ", ")
	case len(v.passed) == 0:
		return "no test ran"
	}
	return "held"
}

// runTests runs a command that is a verbose run of Go tests and reads what it says.
func runTests(ctx context.Context, dir string, env []string, name string, args ...string) *verdict {
	begun := time.Now()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), env...)
	c.WaitDelay = 10 * time.Second
	out, err := c.CombinedOutput()
	v := readVerdict(strings.NewReader(string(out)))
	v.output, v.took = string(out), time.Since(begun)
	if err != nil && len(v.failed) == 0 {
		v.err = fmt.Errorf("%s: %w", name, err)
		if ctx.Err() != nil {
			v.err = fmt.Errorf("%s: %w", name, errors.Join(ctx.Err(), err))
		}
	}
	return v
}

// readVerdict reads the output of tests.
func readVerdict(r io.Reader) *verdict {
	v := &verdict{covered: make(map[string]uint64), all: make(map[string]uint64)}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		if n, what, ok := extent.Line(line); ok {
			v.covered[what] += n
		}
		if n, what, ok := extent.AllLine(line); ok {
			v.all[what] = n
		}
		for prefix, list := range map[string]*[]string{"--- PASS: ": &v.passed, "--- FAIL: ": &v.failed} {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				test, _, _ := strings.Cut(rest, " ")
				*list = append(*list, test)
			}
		}
		// A part that was skipped counts as well: it is not there in what was covered.
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "--- SKIP: "); ok {
			test, _, _ := strings.Cut(rest, " ")
			v.skipped = append(v.skipped, test)
		}
	}
	if err := lines.Err(); err != nil {
		v.err = fmt.Errorf("read the tests' output: %w", err)
	}
	return v
}
