package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/node"
)

// machineSummary is how a machine was at its end. Times are ns.
type machineSummary struct {
	RealTime   bool               `json:"real_time"` // its tasks had real-time threads
	Tasks      []taskSummary      `json:"tasks"`
	Components []componentSummary `json:"components"`
}

type taskSummary struct {
	Name      string `json:"name"`
	PeriodNS  int64  `json:"period_ns"`
	Runs      uint64 `json:"runs"`
	Misses    uint64 `json:"misses"`
	Overruns  uint64 `json:"overruns"`
	JitterP50 int64  `json:"jitter_p50_ns"`
	JitterP99 int64  `json:"jitter_p99_ns"`
	JitterMax int64  `json:"jitter_max_ns"`
	ExecP99   int64  `json:"exec_p99_ns"`
	Missed    uint64 `json:"queue_missed"` // values that found no room in the queues it reads
}

type componentSummary struct {
	Name      string `json:"name"`
	Restarts  uint64 `json:"restarts"`
	Records   uint64 `json:"records"`
	LastError string `json:"last_error,omitempty"`
	LastEvent string `json:"last_event,omitempty"`
}

func machineSummaryOf(n *node.Node) machineSummary {
	s := machineSummary{RealTime: n.MachineHealth().RealTime}
	for _, t := range n.TaskStats() {
		s.Tasks = append(s.Tasks, taskSummary{Name: t.Component + "/" + t.Task, PeriodNS: int64(t.Period), Runs: t.Runs, Misses: t.Misses,
			Overruns: t.Overruns, JitterP50: int64(t.JitterP50), JitterP99: int64(t.JitterP99), JitterMax: int64(t.JitterMax), ExecP99: int64(t.ExecP99),
			Missed: t.QueueMissed})
	}
	for _, c := range n.Health() {
		s.Components = append(s.Components, componentSummary{Name: c.Name, Restarts: c.Restarts, Records: c.Published, LastError: c.LastError, LastEvent: c.LastEvent})
	}
	return s
}

// ran reports whether any step has run.
func (s machineSummary) ran() bool {
	return slices.ContainsFunc(s.Tasks, func(t taskSummary) bool { return t.Runs > 0 })
}

func (s machineSummary) print(w io.Writer) {
	threads := "ordinary goroutines"
	if s.RealTime {
		threads = "real-time threads"
	}
	fmt.Fprintf(w, "%-24s %8s %9s %7s %9s %10s %10s %10s %10s   in %s\n", "task", "period", "runs", "misses", "overruns", "jitter p50", "p99", "max", "exec p99", threads)
	us := func(ns int64) string { return time.Duration(ns).Round(100 * time.Nanosecond).String() }
	for _, t := range s.Tasks {
		fmt.Fprintf(w, "%-24s %8s %9d %7d %9d %10s %10s %10s %10s\n", t.Name, time.Duration(t.PeriodNS), t.Runs, t.Misses, t.Overruns,
			us(t.JitterP50), us(t.JitterP99), us(t.JitterMax), us(t.ExecP99))
	}
	for _, c := range s.Components {
		if c.Restarts > 0 || c.LastError != "" {
			fmt.Fprintf(w, "%s was made again %d times; its last error: %s\n", c.Name, c.Restarts, c.LastError)
		}
	}
}
