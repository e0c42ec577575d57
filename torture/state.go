package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// state is what was done so far of the code as it is.
type state struct {
	dir   string
	Parts map[string]*progress
}

// progress is how far a part is.
type progress struct {
	Next     uint64            // the first case that was not done
	Covered  map[string]uint64 // by the test's units
	All      map[string]uint64 // how many there are, where the test says so
	Once     bool              // a part that is run once has been
	Failures []failure
	Seconds  float64
}

// failure is a stretch that did not hold.
type failure struct {
	First, End uint64
	Said       string // in a few words
	Output     string // the file
	Again      string // the command that shows it again
}

const stateFile = "state.json"

// openState opens the folder of a state of the code.
func openState(dir, code string) (*state, error) {
	s := &state{dir: filepath.Join(dir, code), Parts: make(map[string]*progress)}
	if err := os.MkdirAll(s.dir, 0o777); err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, s)
	}
	if err != nil {
		return nil, fmt.Errorf("torture: read what was done: %w", err)
	}
	return s, nil
}

// part returns what was done of a part.
func (s *state) part(name string) *progress {
	p := s.Parts[name]
	if p == nil {
		p = &progress{}
		s.Parts[name] = p
	}
	if p.Covered == nil {
		p.Covered, p.All = make(map[string]uint64), make(map[string]uint64)
	}
	return p
}

// save writes the state, so that an interruption leaves the one before or this one.
func (s *state) save() error {
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	name := filepath.Join(s.dir, stateFile)
	if err := os.WriteFile(name+".new", b, 0o666); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	return nil
}

// share is how much of a part is done, from 0 to 1.
func (p *progress) share(of *part) float64 {
	if len(of.want) == 0 {
		if p.Once {
			return 1
		}
		return 0
	}
	least := 1.0
	for unit := range of.want {
		least = min(least, float64(p.Covered[unit])/max(1, float64(p.goal(of, unit))))
	}
	return least
}

// goal is how many of a unit are to be covered, 0 where that is not known yet.
func (p *progress) goal(of *part, unit string) uint64 {
	if n := of.want[unit]; n != all {
		return n
	}
	return p.All[unit]
}

// codeName names the code as it is in the folder: what go builds, the patches and what the tests read, wherever git knows of it.
func codeName(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return "", fmt.Errorf("torture: list the project's files: %w", err)
	}
	sum := sha256.New()
	for _, name := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		ext := filepath.Ext(name)
		if ext != ".go" && ext != ".patch" && ext != ".sum" && ext != ".mod" && !strings.Contains(name, "testdata/") {
			continue
		}
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, and git has not been told
		}
		if err != nil {
			return "", fmt.Errorf("torture: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(b))
		sum.Write(b)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6]), nil
}
