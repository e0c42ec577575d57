// Package sched runs periodic tasks and measures how well: Portable in ordinary time with ordinary goroutines on any
// system, Virtual in the time of whoever drives it, in one goroutine and in a fixed order. Both follow spec.Clock, so a
// task's releases and misses are the same decisions everywhere.
//
// Portable makes no promise beyond the operating system's: a busy machine delays a release, which shows in the task's
// jitter and, beyond its deadline, as a miss.
package sched
