// Package hal has the contracts between a machine and its hardware: a pin, a bus, a line, each small enough to fake in a
// test. Drivers are written against them and know no operating system.
//
//	drivers, components ──▶ hal ◀── hal/linux      devices of a Linux host
//	                            ◀── hal/sim        wires of a simulated plant
//	                            ◀── hal/haltest    recorded traffic, faults on purpose
//
// What a component touches it declares as a Resource, and it gets a handle for that one alone, from a Host. The handle is
// taken away with its Lease: from then on every call fails with ErrRevoked, also one that a step makes which nobody waits for
// any more.
//
// No method waits for something to happen: it takes as long as its transfer takes, and a Read without news returns none. So
// each may be called from a control loop. A handle is for one goroutine at a time; none of its methods allocates once it is
// open.
//
// The contracts are shared with microcontrollers: this package imports nothing but sync/atomic, and times are nanoseconds.
package hal
