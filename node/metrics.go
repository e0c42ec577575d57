package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/sched"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// metrics are a machine's, for Prometheus. Names are without a device where the label "device" is constant.
var metrics = struct {
	numbered, delivered, waiting, lost       *prometheus.Desc
	spoolBytes, spoolQuota, spoolErrors      *prometheus.Desc
	spooled, dead, ring, inFlight            *prometheus.Desc
	linkUp, linkSent, linkRepeats, linkFails *prometheus.Desc
	linkBudget, linkSpent, paused            *prometheus.Desc
	runs, misses                             *prometheus.Desc
	jitter, execution, response              *prometheus.Desc
	status, published, filtered, dropped     *prometheus.Desc
}{
	numbered:    desc("records_numbered_total", "Records that got a number.", "class"),
	delivered:   desc("records_delivered_total", "Records that the ground has acknowledged.", "class"),
	waiting:     desc("records_waiting", "Records on board that are not delivered yet.", "class"),
	lost:        desc("records_lost_total", "Records that were declared lost.", "class", "reason"),
	spoolBytes:  desc("spool_bytes", "Size of the spool on disk."),
	spoolQuota:  desc("spool_quota_bytes", "Size at which the spool's oldest records yield."),
	spoolErrors: desc("spool_errors_total", "Disk calls of the spool that failed."),
	spooled:     desc("spool_written_bytes_total", "Frames written to the spool."),
	dead:        desc("dead_letters_total", "Frames that the ground refused for good."),
	ring:        desc("ring_fullest_ratio", "Share of its capacity that the fullest producer's ring uses."),
	inFlight:    desc("frames_in_flight", "Frames that are sent and not acknowledged."),
	linkUp:      desc("link_up", "Whether the link is connected.", "link"),
	linkSent:    desc("link_sent_bytes_total", "Bytes of frames handed to the link, repeats included.", "link"),
	linkRepeats: desc("link_repeated_frames_total", "Frames that were sent again.", "link"),
	linkFails:   desc("link_failures", "Failures in a row.", "link"),
	linkBudget:  desc("link_budget_bytes", "Bytes of messages that the link may carry in an hour, where it has a budget.", "link"),
	linkSpent:   desc("link_spent_bytes", "Bytes of its budget that the link has carried in the last hour.", "link"),
	paused:      desc("delivery_paused_seconds", "How long the ground asks to be left alone with the records of a class; absent if it does not.", "class"),
	runs:        desc("task_runs_total", "Steps that ended.", "component", "task"),
	misses:      desc("task_misses_total", "Deadlines that were missed.", "component", "task"),
	jitter:      desc("task_jitter_seconds", "Begin of a step after its release.", "component", "task"),
	execution:   desc("task_execution_seconds", "Duration of a step.", "component", "task"),
	response:    desc("task_response_seconds", "End of a step after its release.", "component", "task"),
	status:      desc("component_status", "1 for the status that the component has.", "component", "status"),
	published:   desc("component_published_records_total", "Records that the component published.", "component"),
	filtered:    desc("component_filtered_records_total", "Records that a filter held back.", "component"),
	dropped:     desc("component_dropped_records_total", "Records that found no room in the ring.", "component"),
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("fulmar_machine_"+name, help, append([]string{"device"}, labels...), nil)
}

// Describe implements prometheus.Collector: the metrics depend on the components.
func (n *Node) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. It may be called from any goroutine at any time; before Run has opened the
// machine there is nothing to tell.
func (n *Node) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, append([]string{n.o.Device}, labels...)...)
	}
	if !n.running.Load() {
		return
	}
	n.collectCourier(send)
	for _, t := range n.TaskStats() {
		send(metrics.runs, prometheus.CounterValue, float64(t.Runs), t.Component, t.Task)
		send(metrics.misses, prometheus.CounterValue, float64(t.Misses), t.Component, t.Task)
	}
	for _, t := range n.tasks {
		jitter, execution, response := t.scheduled().Histograms()
		ch <- summary(metrics.jitter, jitter, n.o.Device, t.part.name, t.name)
		ch <- summary(metrics.execution, execution, n.o.Device, t.part.name, t.name)
		ch <- summary(metrics.response, response, n.o.Device, t.part.name, t.name)
	}
	for _, c := range n.Health() {
		for s := fulmar.StatusStopped; s <= fulmar.StatusFailed; s++ {
			v := 0.0
			if c.Status == s {
				v = 1
			}
			send(metrics.status, prometheus.GaugeValue, v, c.Name, s.String())
		}
		send(metrics.published, prometheus.CounterValue, float64(c.Published), c.Name)
		send(metrics.filtered, prometheus.CounterValue, float64(c.Filtered), c.Name)
		send(metrics.dropped, prometheus.CounterValue, float64(c.Dropped), c.Name)
	}
}

func (n *Node) collectCourier(send func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
	s := n.CourierStatus()
	for i, a := range s.Accounts {
		class := packet.ClassAt(i).String()
		send(metrics.numbered, prometheus.CounterValue, float64(a.Numbered), class)
		send(metrics.delivered, prometheus.CounterValue, float64(a.Delivered), class)
		send(metrics.waiting, prometheus.GaugeValue, float64(a.Waiting), class)
		for r := range ledger.Reason(ledger.Reasons) {
			if r.Valid() {
				send(metrics.lost, prometheus.CounterValue, float64(a.LostBy[r]), class, r.String())
			}
		}
	}
	send(metrics.spoolBytes, prometheus.GaugeValue, float64(s.SpoolBytes))
	send(metrics.spoolQuota, prometheus.GaugeValue, float64(s.Quota))
	send(metrics.spoolErrors, prometheus.CounterValue, float64(s.Counters.StoreErrors))
	send(metrics.spooled, prometheus.CounterValue, float64(s.Counters.FrameBytes))
	send(metrics.dead, prometheus.CounterValue, float64(s.Counters.DeadLetters))
	send(metrics.ring, prometheus.GaugeValue, s.RingFullest)
	send(metrics.inFlight, prometheus.GaugeValue, float64(s.InFlight))
	for _, p := range s.Pauses {
		send(metrics.paused, prometheus.GaugeValue, p.Left.Seconds(), p.Class.String())
	}
	for _, l := range s.Links {
		name, up := l.Name, 0.0
		if l.State.String() == "connected" {
			up = 1
		}
		send(metrics.linkUp, prometheus.GaugeValue, up, name)
		send(metrics.linkSent, prometheus.CounterValue, float64(l.SentBytes), name)
		send(metrics.linkRepeats, prometheus.CounterValue, float64(l.Repeats), name)
		send(metrics.linkFails, prometheus.GaugeValue, float64(l.Failures), name)
		if l.Budget > 0 {
			send(metrics.linkBudget, prometheus.GaugeValue, float64(l.Budget), name)
			send(metrics.linkSpent, prometheus.GaugeValue, float64(l.Spent), name)
		}
	}
}

func summary(d *prometheus.Desc, h *sched.Histogram, labels ...string) prometheus.Metric {
	q := h.Quantiles(0.5, 0.99, 0.999)
	return prometheus.MustNewConstSummary(d, h.Count(), h.Sum().Seconds(),
		map[float64]float64{0.5: q[0].Seconds(), 0.99: q[1].Seconds(), 0.999: q[2].Seconds()}, labels...)
}
