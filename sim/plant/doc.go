// Package plant holds the physics of what machines drive, for whoever has no machine: the demo, tests, scenarios.
//
// Rover is a differential-drive rover of some twelve kilograms: a battery, two geared DC motors that get warm, two driven
// wheels that slip a little, a body, and the sensors such a machine carries with the errors they have. What flows in is a
// PWM duty per motor and the time that passes; what flows out are sensor readings, and the truth, which no controller may
// see but every test wants.
//
// Everything is deterministic. The seed decides the sensors' noise, and nothing else; the trajectory follows from the
// duties and the times alone, bit for bit on one architecture. There is no clock in here: Advance says how much time has
// passed, in steps of a fixed size, and what is left over is kept for the next Advance. So a plant driven in real time and
// one driven in virtual time are the same plant.
//
// # Integration
//
// The step is 1 ms by default and the scheme is semi-implicit Euler: first the velocities from the forces, then the
// positions from the new velocities. A Runge-Kutta scheme of higher order would not earn its cost: Coulomb friction,
// rolling resistance, and the limits of current and traction make the forces discontinuous, and across a discontinuity
// every scheme is of first order. Semi-implicit Euler allows friction to be what it is in addition: an impulse that can
// stop a body within the step, and never turn it back. Tests hold the error to its order in the step's size.
//
// # Frames and units
//
// The local frame is east, north, up; heading is counter-clockwise from east, in radians; the body's frame is x forward, y
// left, z up. Only what a receiver says is in receivers' units: degrees, and course clockwise from north. Names carry their
// units: SpeedMps is metres per second, TorqueNm newton metres.
//
// Rows above sim and machines may import plant; what would run on a real machine must not.
package plant
