package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	bugs, err := bugsIn(filepath.Join("torture", "bugs"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if len(os.Args) > 1 {
		bugs = bugs[:0:0]
		all, _ := bugsIn(filepath.Join("torture", "bugs"))
		for _, b := range all {
			for _, a := range os.Args[1:] {
				if a == b.name {
					bugs = append(bugs, b)
				}
			}
		}
	}
	n, err := plantAll(ctx, ".", os.Stdout, bugs, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if n < len(bugs) {
		os.Exit(1)
	}
}
