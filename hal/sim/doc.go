// Package sim is hardware that a plant wires up: a host whose pins, buses and lines end in functions and in models of chips.
//
//	component ──▶ handle ──▶ Wires ◀── plant: what an output does, what an input reads, which chip is on which bus
//
// A plant connects what the machine is to find, under the names of the real host, and gives the Wires to the machine as its
// hal.Host. A resource that is not wired is an error that names what is.
//
// There is no clock and no goroutine here: a function is called when a component calls its handle, and whoever wires gives
// edges their times. So a run is deterministic if the plant is. Everything belongs to one goroutine, or to goroutines that
// take turns, as in the simulator; only Open and closing of one Wires may overlap with each other. No handle allocates.
//
// The simulator and tests import it. It imports hal alone.
package sim
