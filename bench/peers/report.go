package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// median returns the middle one of what f says of some rounds.
func median[T cmp.Ordered](rounds []measured, f func(measured) T) T {
	list := make([]T, len(rounds))
	for i, m := range rounds {
		list[i] = f(m)
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// entrant is a way and its rounds.
type entrant struct {
	way    way
	note   string
	rounds []measured
}

func (e *entrant) rate() float64 { return median(e.rounds, measured.rate) }

// machineKind says on what this ran, and nothing by which it could be found.
func machineKind() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(l, "model name"); ok {
				model = strings.Trim(name, " \t:\n")
				break
			}
		}
	}
	return fmt.Sprintf("%s, %s/%s, Linux %s, %d cores of %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, release, runtime.NumCPU(), model)
}

func printTable(w io.Writer, list []*entrant) {
	fmt.Fprintln(w, "| | readings/s | request p50 / p99 | machine CPU-s per million | ground CPU-s per million | bytes/reading | machine MiB | ground MiB |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- | --- |")
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/1e6) }
	for _, e := range list {
		r := e.rounds
		fmt.Fprintf(w, "| %s | %.0f (%.0f to %.0f) | %s / %s ms | %.2f | %.2f | %.2f | %.0f | %.0f |\n", e.way.name()+e.note, e.rate(),
			slices.MinFunc(r, slower).rate(), slices.MaxFunc(r, slower).rate(),
			ms(median(r, func(m measured) time.Duration { return m.P50 })), ms(median(r, func(m measured) time.Duration { return m.P99 })),
			median(r, measured.senderCPU), median(r, measured.receiverCPU), median(r, measured.bytesEach), median(r, measured.senderMiB), median(r, measured.receiverMiB))
	}
}

func slower(a, b measured) int { return cmp.Compare(a.rate(), b.rate()) }

// target is something that Fulmar is held to.
type target struct {
	what       string
	got, limit float64
	unit       string
	atLeast    bool
}

func printTargets(w io.Writer, list []target) {
	fmt.Fprintln(w, "| target | measured | |")
	fmt.Fprintln(w, "| --- | --- | --- |")
	for _, t := range list {
		sign, met := "≤", t.got <= t.limit
		if t.atLeast {
			sign, met = "≥", t.got >= t.limit
		}
		verdict := "met"
		if !met {
			verdict = "**short**"
		}
		fmt.Fprintf(w, "| %s %s %s | %s | %s |\n", t.what, sign, strings.TrimSpace(number(t.limit)+" "+t.unit), strings.TrimSpace(number(t.got)+" "+t.unit), verdict)
	}
}

// number prints what is large without and what is small with decimals.
func number(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}
