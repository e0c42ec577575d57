// Package env is the machine's surroundings as interfaces: disk, clock, randomness. The real ones are here; the
// simulator's are in env/simdisk and in sim/world. Code that must run in virtual time, or survive a crash at every
// disk operation, takes them as arguments and never calls package os or package time for them.
//
// It imports nothing of the project and may be imported by every room.
package env
