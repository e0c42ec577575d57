package admission

import "github.com/prometheus/client_golang/prometheus"

var (
	strangersNow   = prometheus.NewDesc("fulmar_ground_strangers", "Connections for machines that have not authenticated yet.", nil, nil)
	strangersTotal = prometheus.NewDesc("fulmar_ground_strangers_total", "Connections for machines, by what became of them before they had authenticated.", []string{"result"}, nil)
)

// Metrics are the Counts of a ground's doors for machines, for Prometheus.
type Metrics []interface{ Strangers() Counts }

// Describe implements prometheus.Collector.
func (m Metrics) Describe(ch chan<- *prometheus.Desc) { ch <- strangersNow; ch <- strangersTotal }

// Collect implements prometheus.Collector. It may be called from any goroutine.
func (m Metrics) Collect(ch chan<- prometheus.Metric) {
	var c Counts
	for _, of := range m {
		c.Add(of.Strangers())
	}
	ch <- prometheus.MustNewConstMetric(strangersNow, prometheus.GaugeValue, float64(c.Strangers))
	for result, n := range map[string]uint64{"admitted": c.Admitted, "refused": c.Refused, "displaced": c.Displaced, "late": c.Late, "too_much": c.TooMuch} {
		ch <- prometheus.MustNewConstMetric(strangersTotal, prometheus.CounterValue, float64(n), result)
	}
}
