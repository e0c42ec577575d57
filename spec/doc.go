// Package spec declares when a task runs, in data that a machine on Linux and a microcontroller share. It has no code
// that runs a task: the executors are in sched and in firmware/kernel.
//
// It allocates nothing and imports nothing; any room may import it.
package spec
