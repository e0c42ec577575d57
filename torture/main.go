package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case errors.Is(err, errFailed):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	list := flags.Bool("list", false, "print the rows and what was covered so far, and do nothing")
	bugs := flags.Bool("bugs", false, "plant the bugs, or those that are named, instead of the rows")
	span := flags.Duration("for", 0, "no new work after this long; 0 for until everything is done")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	if *bugs {
		return runBugs(ctx, flags.Args())
	}
	fuzz, err := fuzzing()
	if err != nil {
		return err
	}
	planted, err := bugsIn(bugDir)
	if err != nil {
		return err
	}
	chosen, err := choose(append(rows(), fuzz, planting(planted)), flags.Args())
	if err != nil {
		return err
	}
	dir := os.Getenv("TORTURE_DIR")
	if dir == "" {
		dir = filepath.Join("torture", "state")
	}
	code, err := codeName(ctx)
	if err != nil {
		return err
	}
	s, err := openState(dir, code)
	if err != nil {
		return err
	}
	r := &runner{state: s, rows: chosen, out: os.Stdout, binaries: make(map[string]string)}
	if *span > 0 {
		r.until = time.Now().Add(*span)
	}
	if !*list {
		fmt.Printf("what is done is in %s\n", s.dir)
		err = r.run(ctx)
	}
	if r.report() > 0 {
		err = errors.Join(err, errFailed)
	}
	return err
}

// bugDir is where the patches are.
var bugDir = filepath.Join("torture", "bugs")

func runBugs(ctx context.Context, names []string) error {
	all, err := bugsIn(bugDir)
	if err != nil {
		return err
	}
	chosen := all
	if len(names) > 0 {
		if chosen, err = named(all, names); err != nil {
			return err
		}
	}
	caught, err := plantAll(ctx, ".", os.Stdout, chosen)
	if err == nil && caught < len(chosen) {
		err = errFailed
	}
	return err
}

// named returns the bugs of these names.
func named(all []bug, names []string) (list []bug, err error) {
	for _, name := range names {
		n := len(list)
		for _, b := range all {
			if b.name == name {
				list = append(list, b)
			}
		}
		if len(list) == n {
			return nil, fmt.Errorf("bugs: no patch %q", name)
		}
	}
	return list, nil
}
