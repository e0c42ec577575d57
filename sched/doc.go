// Package sched runs periodic tasks and measures how well: Executor in real time on Linux, in threads of their own, or in
// ordinary time with ordinary goroutines on any system; Virtual in the time of whoever drives it, in one goroutine and in a
// fixed order. All follow spec.Clock, so a task's releases and misses are the same decisions everywhere. Analyze tells
// beforehand whether the tasks can meet their deadlines.
//
// Ordinary time makes no promise beyond the operating system's: a busy machine delays a release, which shows in the task's
// jitter and, beyond its deadline, as a miss.
package sched
