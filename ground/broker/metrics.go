package broker

import "github.com/prometheus/client_golang/prometheus"

var (
	strangersNow   = prometheus.NewDesc("fulmar_ground_strangers", "Connections to the broker that have not authenticated yet.", nil, nil)
	strangersTotal = prometheus.NewDesc("fulmar_ground_strangers_total", "Connections to the broker, by what became of them before they had authenticated.", []string{"result"}, nil)
)

// Describe implements prometheus.Collector.
func (b *Broker) Describe(ch chan<- *prometheus.Desc) { ch <- strangersNow; ch <- strangersTotal }

// Collect implements prometheus.Collector. It may be called from any goroutine.
func (b *Broker) Collect(ch chan<- prometheus.Metric) {
	c := b.Strangers()
	ch <- prometheus.MustNewConstMetric(strangersNow, prometheus.GaugeValue, float64(c.Strangers))
	for result, n := range map[string]uint64{"admitted": c.Admitted, "refused": c.Refused, "displaced": c.Displaced, "late": c.Late, "too_much": c.TooMuch} {
		ch <- prometheus.MustNewConstMetric(strangersTotal, prometheus.CounterValue, float64(n), result)
	}
}
