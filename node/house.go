package node

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/spec"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// house is the node's own task: it publishes how the components, their tasks and the courier are.
type house struct {
	n    *Node
	task *sched.Task

	mu        sync.Mutex // held while something is published
	publisher *fulmar.Publisher
	events    *fulmar.Layout
	outputs   []*fulmar.Layout // of components, to be defined

	health   []*fulmar.Layout // by part
	timing   []*fulmar.Layout // by task
	machine  *fulmar.Layout
	process  [2]*fulmar.Layout // of the process with the components, and of that with the courier, if it is another
	accounts [packet.Classes]*fulmar.Layout
	links    []*fulmar.Layout // by link
	spool    *fulmar.Layout
	seen     []uint64 // by part: ChangedSeq that was told
	told     string   // the machine's status
	w        packet.Writer
	// status returns the courier's; replaced by Run, where the courier is another goroutine's.
	status  func() courier.Status
	figures func() processFigures // replaced by Run: in virtual time a process is not the machine's
	spooled uint64                // bytes, at the last round
	spoolAt time.Duration
}

// reserved reports whether a name is the node's own.
func reserved(component string) bool {
	return component == "courier" || component == "node" || component == "fulmar"
}

// healthFields are the fields of "component/health".
var healthFields = []fulmar.Field{
	{Name: "status", Type: packet.String},
	{Name: "reason", Type: packet.String},
	{Name: "uptime", Type: packet.Float64, Unit: "s"},
	{Name: "published", Type: packet.Uint64},
	{Name: "filtered", Type: packet.Uint64},
	{Name: "dropped", Type: packet.Uint64},
	{Name: "last_event", Type: packet.String},
	{Name: "last_event_age", Type: packet.Float64, Unit: "s"},
	{Name: "last_packet_age", Type: packet.Float64, Unit: "s"},
	{Name: "last_error", Type: packet.String},
	{Name: "last_error_age", Type: packet.Float64, Unit: "s"},
	{Name: "restarts", Type: packet.Uint64},
}

// timingFields are the fields of "component/task/name".
var timingFields = []fulmar.Field{
	{Name: "period", Type: packet.Int64, Unit: "ns"},
	{Name: "runs", Type: packet.Uint64},
	{Name: "misses", Type: packet.Uint64},
	{Name: "misses_in_a_row", Type: packet.Uint64},
	{Name: "overruns", Type: packet.Uint64},
	{Name: "jitter_p50", Type: packet.Int64, Unit: "ns"},
	{Name: "jitter_p99", Type: packet.Int64, Unit: "ns"},
	{Name: "jitter_max", Type: packet.Int64, Unit: "ns"},
	{Name: "exec_p99", Type: packet.Int64, Unit: "ns"},
	{Name: "response_p99", Type: packet.Int64, Unit: "ns"},
	{Name: "queued", Type: packet.Uint64},
	{Name: "queue_missed", Type: packet.Uint64},
}

// spoolFields are the fields of "courier/spool".
var spoolFields = []fulmar.Field{
	{Name: "bytes", Type: packet.Uint64, Unit: "By"},
	{Name: "quota", Type: packet.Uint64, Unit: "By"},
	{Name: "inflow", Type: packet.Float64, Unit: "By/s"},
	{Name: "in_flight", Type: packet.Uint64},
	{Name: "dead_letters", Type: packet.Uint64},
	{Name: "errors", Type: packet.Uint64},
	{Name: "ring_fullest", Type: packet.Float64},
	{Name: "link", Type: packet.String},
	{Name: "paused", Type: packet.String}, // why the ground asks to be left alone, if it does
}

// linkFields are the fields of "courier/link/1" and so on, in order of preference.
var linkFields = []fulmar.Field{
	{Name: "link", Type: packet.String},
	{Name: "state", Type: packet.String},
	{Name: "sent", Type: packet.Uint64, Unit: "By"},
	{Name: "repeats", Type: packet.Uint64},
	{Name: "failures", Type: packet.Uint64}, // in a row
	{Name: "error", Type: packet.String},    // the last one
	{Name: "round_trip", Type: packet.Int64, Unit: "ns"},
	{Name: "spent", Type: packet.Uint64, Unit: "By"}, // of its budget, in the last hour
}

// accountFields are the fields of "courier/account/class": ledger.Account, a loss per reason.
func accountFields() []fulmar.Field {
	fields := []fulmar.Field{{Name: "numbered", Type: packet.Uint64}, {Name: "delivered", Type: packet.Uint64},
		{Name: "waiting", Type: packet.Uint64}}
	for r := range ledger.Reason(ledger.Reasons) {
		if r.Valid() {
			fields = append(fields, fulmar.Field{Name: "lost_" + r.String(), Type: packet.Uint64})
		}
	}
	return fields
}

func newHouse(n *Node, outputs []*fulmar.Layout) *house {
	h := &house{n: n, events: fulmar.EventLayout("node"), outputs: outputs, seen: make([]uint64, len(n.parts))}
	for _, p := range n.parts {
		h.health = append(h.health, &fulmar.Layout{Name: p.name + "/health", Kind: telemetry.Health, Fields: healthFields})
	}
	for _, t := range n.tasks {
		h.timing = append(h.timing, &fulmar.Layout{Name: t.part.name + "/task/" + t.name, Kind: telemetry.Diagnostics,
			Fields: timingFields})
	}
	for i := range h.accounts {
		h.accounts[i] = &fulmar.Layout{Name: "courier/account/" + packet.ClassAt(i).String(), Kind: telemetry.Diagnostics,
			Fields: accountFields()}
	}
	for i := range n.o.Courier.Delivery.Links {
		h.links = append(h.links, &fulmar.Layout{Name: "courier/link/" + strconv.Itoa(i+1), Kind: telemetry.Diagnostics, Fields: linkFields})
	}
	h.spool = &fulmar.Layout{Name: "courier/spool", Kind: telemetry.Diagnostics, Fields: spoolFields}
	h.machine = &fulmar.Layout{Name: "node/health", Kind: telemetry.Health, Fields: machineFields}
	for i, name := range []string{"node/process", "courier/process"} {
		h.process[i] = &fulmar.Layout{Name: name, Kind: telemetry.Diagnostics, Fields: processFields}
	}
	return h
}

// layouts returns every layout of the machine.
func (h *house) layouts() []*fulmar.Layout {
	all := append([]*fulmar.Layout{h.spool, h.events, h.machine, command.DeclarationLayout, command.OutcomeLayout}, h.outputs...)
	return slices.Concat(all, h.process[:], h.health, h.timing, h.accounts[:], h.links)
}

// open makes the publisher and publishes every layout of the machine, before anything that uses it.
func (h *house) open() (err error) {
	if h.publisher, err = fulmar.NewPublisher(h.n.region, houseProducer, h.n.filter()); err != nil {
		return err
	}
	if h.n.courier != nil {
		h.status = h.n.courier.Status
	}
	now := h.n.o.Clock.Now()
	for _, l := range h.layouts() {
		b, err := telemetry.AppendDefinition(&h.w, l, packet.Urgent, now.Mono, now.Wall)
		if err != nil {
			return fmt.Errorf("node: define %q: %w", l.Name, err)
		}
		if err := h.publisher.Publish(telemetry.Record{Layout: telemetry.LayoutRecords, Packet: b}); err != nil {
			return fmt.Errorf("node: define %q: %w", l.Name, err)
		}
	}
	if err := h.declare(); err != nil {
		return err
	}
	h.task = sched.NewTask("node/house", spec.Timing{Period: int64(h.n.o.HealthPeriod)}.WithDefaults(), nil,
		func(now, _ time.Duration) error { h.tell(now); return nil })
	return nil
}

// tell publishes one round. What finds no room is dropped and declared like everything else.
func (h *house) tell(now time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wall := h.n.o.Clock.Now().Wall
	for i, p := range h.n.parts {
		h.tellHealth(i, p, now, wall)
	}
	for i, t := range h.n.tasks {
		s := t.scheduled().Stats()
		h.begin(h.timing[i], packet.Normal, now, wall)
		h.w.Int64(int64(t.period))
		h.w.Uint64(s.Runs)
		h.w.Uint64(s.Misses)
		h.w.Uint64(s.Consecutive)
		h.w.Uint64(s.Overruns)
		h.w.Int64(int64(s.JitterP50))
		h.w.Int64(int64(s.JitterP99))
		h.w.Int64(int64(s.JitterMax))
		h.w.Int64(int64(s.ExecP99))
		h.w.Int64(int64(s.ResponseP99))
		queued, missed := t.queues()
		h.w.Uint64(queued)
		h.w.Uint64(missed)
		h.publish(h.timing[i])
	}
	h.tellMachine(now, wall)
	h.tellProcess(h.process[0], now, wall)
	if h.status != nil {
		h.tellCourier(now, wall)
	}
}

// event publishes that something happened to the machine.
func (h *house) event(severity fulmar.Severity, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.n.o.Clock.Now()
	h.w.Reset(nil, packet.Header{Layout: uint64(h.events.ID()), Mono: now.Mono, Wall: now.Wall, Class: packet.Urgent, Severity: severity})
	h.w.String(text[:min(len(text), fulmar.MaxEventText)])
	h.publish(h.events)
}

func (h *house) tellHealth(i int, p *part, now time.Duration, wall int64) {
	health := p.monitor.Health()
	class := packet.Normal
	if health.ChangedSeq != h.seen[i] {
		h.seen[i], class = health.ChangedSeq, packet.Urgent
	}
	age := func(at int64) float64 {
		if at == 0 {
			return -1
		}
		return (now - time.Duration(at)).Seconds()
	}
	h.begin(h.health[i], class, now, wall)
	h.w.String(health.Status.String())
	h.w.String(health.Reason[:min(len(health.Reason), fulmar.MaxEventText)])
	h.w.Float64((now - time.Duration(p.startedAt.Load())).Seconds())
	h.w.Uint64(health.Published)
	h.w.Uint64(health.Filtered)
	h.w.Uint64(health.Dropped)
	h.w.String(health.LastEvent[:min(len(health.LastEvent), fulmar.MaxEventText)])
	h.w.Float64(age(health.EventAt))
	h.w.Float64(age(health.PacketAt))
	h.w.String(health.LastError[:min(len(health.LastError), fulmar.MaxEventText)])
	h.w.Float64(age(health.ErrorAt))
	h.w.Uint64(health.Restarts)
	h.publish(h.health[i])
}

func (h *house) tellCourier(now time.Duration, wall int64) {
	s := h.status()
	for i, a := range s.Accounts {
		h.begin(h.accounts[i], packet.Normal, now, wall)
		h.w.Uint64(a.Numbered)
		h.w.Uint64(a.Delivered)
		h.w.Uint64(a.Waiting)
		for r := range ledger.Reason(ledger.Reasons) {
			if r.Valid() {
				h.w.Uint64(a.LostBy[r])
			}
		}
		h.publish(h.accounts[i])
	}
	inflow := 0.0
	if dt := (now - h.spoolAt).Seconds(); dt > 0 && s.Counters.FrameBytes >= h.spooled {
		inflow = float64(s.Counters.FrameBytes-h.spooled) / dt
	}
	h.spooled, h.spoolAt = s.Counters.FrameBytes, now
	link, best := "none", delivery.Waiting
	for _, l := range s.Links { // the state of the one that is furthest
		if best = max(best, l.State); best == l.State {
			link = l.State.String()
		}
	}
	h.begin(h.spool, packet.Normal, now, wall)
	h.w.Uint64(uint64(s.SpoolBytes))
	h.w.Uint64(uint64(s.Quota))
	h.w.Float64(inflow)
	h.w.Uint64(uint64(s.InFlight))
	h.w.Uint64(s.Counters.DeadLetters)
	h.w.Uint64(s.Counters.StoreErrors)
	h.w.Float64(s.RingFullest)
	h.w.String(link)
	paused := ""
	for _, p := range s.Pauses {
		paused = p.Text
	}
	h.w.String(paused)
	h.publish(h.spool)
	h.tellLinks(s.Links, now, wall)
}

func (h *house) tellLinks(links []delivery.LinkStatus, now time.Duration, wall int64) {
	for i, l := range links[:min(len(links), len(h.links))] {
		h.begin(h.links[i], packet.Normal, now, wall)
		h.w.String(l.Name)
		h.w.String(l.State.String())
		h.w.Uint64(l.SentBytes)
		h.w.Uint64(l.Repeats)
		h.w.Uint64(uint64(l.Failures))
		h.w.String(l.LastError)
		h.w.Int64(int64(l.RTT))
		h.w.Uint64(uint64(l.Spent))
		h.publish(h.links[i])
	}
}

func (h *house) begin(l *fulmar.Layout, class packet.Class, now time.Duration, wall int64) {
	h.w.Reset(nil, packet.Header{Layout: uint64(l.ID()), Mono: int64(now), Wall: wall, Class: class})
}

func (h *house) publish(l *fulmar.Layout) {
	if b, err := h.w.Bytes(); err == nil {
		_ = h.publisher.Publish(telemetry.Record{Layout: l, Packet: b})
	}
}
