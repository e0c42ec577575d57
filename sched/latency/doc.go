// Package latency measures how late a periodic loop begins: this project's in both its ways to wake, time.Ticker's, and
// that of cyclictest, the yardstick of real-time Linux, each over the same period; and draws the distributions.
//
// What is measured is the same everywhere: the time from a release on an absolute grid to the first instruction after
// waking, as CLOCK_MONOTONIC tells it. A release that passed while an earlier one was being served is left out, as
// cyclictest does it.
package latency
