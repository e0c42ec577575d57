package node

import (
	"fmt"
	"os"
	"runtime"
	runtimemetrics "runtime/metrics"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// machineFields are the fields of "node/health": the components' health, rolled up.
var machineFields = []fulmar.Field{
	{Name: "status", Type: packet.String}, // ok, degraded, safe-state
	{Name: "reason", Type: packet.String},
	{Name: "uptime", Type: packet.Float64, Unit: "s"},
	{Name: "components", Type: packet.Uint64},
	{Name: "degraded", Type: packet.Uint64},
	{Name: "failed", Type: packet.Uint64},
	{Name: "restarts", Type: packet.Uint64},
	{Name: "misses", Type: packet.Uint64},
	{Name: "real_time", Type: packet.Bool},
}

// processFields are the fields of "node/process" and "courier/process": what belongs to a process and to no component.
var processFields = []fulmar.Field{
	{Name: "resident", Type: packet.Uint64, Unit: "By"},
	{Name: "heap", Type: packet.Uint64, Unit: "By"},
	{Name: "collections", Type: packet.Uint64},
	{Name: "goroutines", Type: packet.Uint64},
	{Name: "restricted", Type: packet.String}, // Options.Sandbox
}

// processFigures are what this process takes.
type processFigures struct{ resident, heap, collections, goroutines uint64 }

func thisProcess() processFigures {
	samples := []runtimemetrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	runtimemetrics.Read(samples)
	return processFigures{resident: residentBytes(), heap: samples[0].Value.Uint64(), collections: samples[1].Value.Uint64(),
		goroutines: uint64(runtime.NumGoroutine())}
}

// residentBytes is how much memory the process takes; 0 where the system does not say so in /proc.
func residentBytes() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident uint64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0
	}
	return resident * uint64(os.Getpagesize())
}

func (h *house) tellProcess(l *fulmar.Layout, now time.Duration, wall int64) {
	if h.figures == nil {
		return
	}
	f := h.figures()
	h.begin(l, packet.Normal, now, wall)
	h.w.Uint64(f.resident)
	h.w.Uint64(f.heap)
	h.w.Uint64(f.collections)
	h.w.Uint64(f.goroutines)
	h.w.String(h.n.o.Sandbox)
	h.publish(l)
}

// MachineHealth is how a machine is, over all its components.
type MachineHealth struct {
	Status           string // ok, degraded, or safe-state
	Reason           string // which component, and why; empty if it is ok
	Components       int
	Degraded, Failed int // of them
	Restarts, Misses uint64
	RealTime         bool // the components' tasks have real-time threads
}

// MachineHealth rolls up how the components are. It may be called from any goroutine.
func (n *Node) MachineHealth() MachineHealth {
	m := MachineHealth{Status: "ok", Components: len(n.parts), RealTime: n.realTime.Load()}
	for _, p := range n.parts {
		c := p.monitor.Health()
		m.Restarts += c.Restarts
		failed := c.Status == fulmar.StatusFailed
		switch {
		case failed:
			m.Failed++
		case c.Status == fulmar.StatusDegraded:
			m.Degraded++
		default:
			continue
		}
		if m.Status == "ok" || failed && m.Failed == 1 { // the first that has failed says more than one that is degraded
			m.Status, m.Reason = "degraded", p.name+": "+c.Reason
		}
	}
	if t := n.trouble.Load(); t != nil && m.Status == "ok" {
		m.Status, m.Reason = "degraded", *t
	}
	for _, t := range n.tasks {
		m.Misses += t.scheduled().Stats().Misses
	}
	if cause := n.safe.Load(); cause != nil {
		m.Status, m.Reason = "safe-state", (*cause).Error()
	}
	return m
}

func (h *house) tellMachine(now time.Duration, wall int64) {
	m := h.n.MachineHealth()
	class := packet.Normal
	if m.Status != h.told {
		h.told, class = m.Status, packet.Urgent
	}
	h.begin(h.machine, class, now, wall)
	h.w.String(m.Status)
	h.w.String(m.Reason[:min(len(m.Reason), fulmar.MaxEventText)])
	h.w.Float64((now - h.n.opened).Seconds())
	h.w.Uint64(uint64(m.Components))
	h.w.Uint64(uint64(m.Degraded))
	h.w.Uint64(uint64(m.Failed))
	h.w.Uint64(m.Restarts)
	h.w.Uint64(m.Misses)
	h.w.Bool(m.RealTime)
	h.publish(h.machine)
}
