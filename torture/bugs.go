package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// bug is a patch that breaks one thing.
type bug struct {
	name   string
	breaks string   // what, in a sentence
	check  []string // package, test, and what else the test is given
	patch  string   // the file, absolute
}

// What a patch's first lines begin with.
const (
	breaksPrefix = "Breaks: "
	checkPrefix  = "Caught by: "
)

// bugsIn reads the patches of a folder.
func bugsIn(dir string) ([]bug, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, fmt.Errorf("bugs: %w", err)
	}
	var list []bug
	for _, f := range files {
		b, err := readBug(f)
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("bugs: no patches in %s", dir)
	}
	return list, nil
}

func readBug(file string) (bug, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return bug{}, fmt.Errorf("bugs: %w", err)
	}
	b := bug{name: strings.TrimSuffix(filepath.Base(file), ".patch")}
	if b.patch, err = filepath.Abs(file); err != nil {
		return bug{}, fmt.Errorf("bugs: %w", err)
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	second, _, _ := strings.Cut(rest, "\n")
	what, ok1 := strings.CutPrefix(first, breaksPrefix)
	check, ok2 := strings.CutPrefix(second, checkPrefix)
	b.breaks, b.check = what, strings.Fields(check)
	if !ok1 || !ok2 || len(b.check) < 2 {
		return bug{}, fmt.Errorf("bugs: %s does not begin with %q and %q, package and test", file, breaksPrefix, checkPrefix)
	}
	return b, nil
}

// copyTree copies what git knows of the project, and what it would add, into a folder.
func copyTree(ctx context.Context, root, to string) error {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("bugs: list the project's files: %w", err)
	}
	for _, name := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(root, name), filepath.Join(to, name)); err != nil {
			return fmt.Errorf("bugs: copy %s: %w", name, err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed, and git has not been told
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, info.Mode().Perm())
}

// apply applies a patch in a folder, or takes it back.
func apply(ctx context.Context, dir, patch string, how ...string) error {
	c := exec.CommandContext(ctx, "git", append(append([]string{"apply"}, how...), patch)...)
	c.Dir = dir
	// A copy below a repository would otherwise pass for a part of that, in which the patch's paths do not exist.
	c.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("bugs: apply %s: %w: %s", filepath.Base(patch), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// outcome is what became of a planted bug.
type outcome struct {
	bug
	caught bool
	note   string
	took   time.Duration
}

// plant applies a bug to a copy of the project and demands that its check, which holds without, fails.
func plant(ctx context.Context, dir string, b bug) (o outcome) {
	o.bug = b
	begun := time.Now()
	defer func() { o.took = time.Since(begun) }()
	if v := runCheck(ctx, dir, b); !v.held() {
		o.note = "without the bug, " + b.check[1] + " does not hold: " + v.String()
		return o
	}
	if err := apply(ctx, dir, b.patch); err != nil {
		o.note = err.Error()
		return o
	}
	v := runCheck(ctx, dir, b)
	o.caught = v.caught()
	if !o.caught {
		o.note = "with the bug: " + v.String()
		if v.err != nil {
			o.note += "\n" + tail(v.output, 10)
		}
	}
	if err := apply(ctx, dir, b.patch, "-R"); err != nil {
		o.caught, o.note = false, err.Error()
	}
	return o
}

func runCheck(ctx context.Context, dir string, b bug) *verdict {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	args := []string{"test", "-trimpath", "-count=1", "-timeout=8m", "-v", "-run", "^" + b.check[1] + "$", b.check[0]}
	return runTests(ctx, dir, nil, "go", append(args, b.check[2:]...)...)
}

// tail is the last lines of a text.
func tail(s string, lines int) string {
	list := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(list[max(0, len(list)-lines):], "\n")
}

// plantAll plants bugs, prints what became of each, and returns how many were caught.
func plantAll(ctx context.Context, root string, out io.Writer, bugs []bug) (caught int, err error) {
	dir, err := os.MkdirTemp("", "fulmar-bugs-")
	if err != nil {
		return 0, fmt.Errorf("bugs: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := copyTree(ctx, root, dir); err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "%-20s %-58s %-10s %s\n", "bug", "check", "", "seconds")
	for _, b := range bugs {
		o := plant(ctx, dir, b)
		if ctx.Err() != nil {
			return caught, ctx.Err()
		}
		word := "NOT CAUGHT"
		if o.caught {
			word = "caught"
			caught++
		}
		fmt.Fprintf(out, "%-20s %-58s %-10s %7.1f\n", b.name, b.check[0]+" "+b.check[1], word, o.took.Seconds())
		if o.note != "" {
			fmt.Fprintf(out, "    %s\n", strings.ReplaceAll(o.note, "\n", "\n    "))
		}
	}
	fmt.Fprintf(out, "%d of %d planted bugs caught\n", caught, len(bugs))
	return caught, nil
}
