package station

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fulmar-io/fulmar/telemetry/ledger"
)

// metrics are the ground's, for Prometheus.
var metrics = struct {
	frames, logBytes, behind, latency    *prometheus.Desc
	stored, queued, syncErrors, ready    *prometheus.Desc
	delivered, missing, lost, duplicates *prometheus.Desc
	insecure                             *prometheus.Desc
}{
	frames:     desc("frames_total", "Frames that arrived, by what became of them.", "result"),
	logBytes:   desc("log_bytes", "Size of the frame log on disk."),
	behind:     desc("index_behind_frames", "Frames that are committed and not indexed yet."),
	latency:    desc("publish_to_commit_seconds", "From a record's sampling to its commit here, by the machine's wall clock."),
	stored:     desc("stored_bytes_total", "Bytes of frames that were committed since the start."),
	queued:     desc("messages_queued", "Messages that arrived and wait to be looked at."),
	syncErrors: desc("sync_errors_total", "Times that frames could not be made durable."),
	ready:      desc("ready", "Whether frames can be taken for good, as /readyz says."),
	insecure:   desc("insecure", "1 if anybody may send, in the clear: for the bench."),
	delivered:  desc("records_delivered_total", "Records of a device that are committed.", "device"),
	missing:    desc("records_missing", "Records of a device that were numbered, have not arrived and are not declared lost.", "device"),
	lost:       desc("records_lost_total", "Records of a device that were declared lost.", "device", "reason"),
	duplicates: desc("duplicate_frames_total", "Frames of a device that came again and were dropped.", "device"),
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("fulmar_ground_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector: the metrics depend on the devices.
func (s *Station) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. It may be called from any goroutine.
func (s *Station) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	c := s.intake.Counters()
	for result, n := range map[string]uint64{"stored": c.Stored, "duplicate": c.Duplicates, "damaged": c.Damaged, "refused": c.Refused, "shed": c.Shed, "forged": c.Forged} {
		send(metrics.frames, prometheus.CounterValue, float64(n), result)
	}
	frames := s.intake.Frames()
	send(metrics.logBytes, prometheus.GaugeValue, float64(frames.Bytes()))
	send(metrics.behind, prometheus.GaugeValue, float64(frames.Durable()+1)-float64(s.index.Next()))
	send(metrics.stored, prometheus.CounterValue, float64(s.stored.Load()))
	send(metrics.queued, prometheus.GaugeValue, float64(s.turns.count()))
	send(metrics.syncErrors, prometheus.CounterValue, float64(s.syncErrors.Load()))
	ready := 1.0
	if s.Ready() != nil {
		ready = 0
	}
	send(metrics.ready, prometheus.GaugeValue, ready)
	insecure := 0.0
	if s.o.Ingest.Keys == nil {
		insecure = 1
	}
	send(metrics.insecure, prometheus.GaugeValue, insecure)
	h := s.index.Latency()
	q := h.Quantiles(0.5, 0.99, 0.999)
	ch <- prometheus.MustNewConstSummary(metrics.latency, h.Count(), h.Sum().Seconds(),
		map[float64]float64{0.5: q[0].Seconds(), 0.99: q[1].Seconds(), 0.999: q[2].Seconds()})
	for _, device := range s.intake.Devices() {
		a, duplicates := s.intake.Account(device)
		send(metrics.delivered, prometheus.CounterValue, float64(a.Delivered), device)
		send(metrics.missing, prometheus.GaugeValue, float64(a.Waiting), device)
		send(metrics.duplicates, prometheus.CounterValue, float64(duplicates), device)
		for r := range ledger.Reason(ledger.Reasons) {
			if r.Valid() {
				send(metrics.lost, prometheus.CounterValue, float64(a.LostBy[r]), device, r.String())
			}
		}
	}
}

// Ready returns why the station cannot take frames for good now, or nil.
func (s *Station) Ready() error {
	for _, since := range []*atomic.Int64{&s.failing, &s.refusing} {
		if at := since.Load(); at != 0 {
			return &failingError{since: time.Unix(0, at)}
		}
	}
	return nil
}

type failingError struct{ since time.Time }

func (e *failingError) Error() string {
	return "frames cannot be made durable since " + e.since.UTC().Format(time.RFC3339)
}
