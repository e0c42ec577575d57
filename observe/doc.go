// Package observe is how an operator's tools look into a running process: Prometheus metrics, liveness and readiness, and
// profiles where they are asked for. What is measured is each room's own business: a room implements
// prometheus.Collector and whoever wires the process registers it here.
package observe
