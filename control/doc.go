// Package control holds what closes a loop: a PID controller, alone or in a cascade, filters of first and second order, a
// slew limiter, trapezoidal profiles of motion, angles that wrap, orientations, and what estimates them: a complementary
// filter, and those of Mahony and Madgwick.
//
// Numbers flow in and out, nothing else: no clock, no logger, no I/O. A caller passes the time that has really passed
// since its last step (fulmar.Step.Dt, in seconds), because a loop that assumes its nominal period is wrong exactly when
// the machine is busy.
//
// The same source runs on the machine, in the simulator and on a microcontroller. So nothing here takes memory from the
// heap, nothing imports another package, and everything is generic over float32 and float64: with float32 no operation is
// done in float64, which a Cortex-M4F would have to emulate.
//
// A value that is not finite does not get in: a controller or filter that is given NaN or ±Inf, or a dt that is not
// positive, holds its output and its state and counts that it did (Held). A sensor's one bad sample must not stay in an
// integrator for good.
//
// The frame of a body is x forward, y to the left, z up; that of the earth x east, y north, z up. A heading is
// counter-clockwise from east. Angles are in radians.
//
// Any package may import control; control imports none. A value is for one goroutine at a time.
//
// The formulas are those of K. J. Åström and T. Hägglund, Advanced PID Control (ISA, 2006), and of the chapter on PID
// control in K. J. Åström and R. M. Murray, Feedback Systems (Princeton University Press). Those of the attitude are derived
// where they stand, for methods of R. Mahony, T. Hamel and J.-M. Pflimlin, Nonlinear Complementary Filters on the Special
// Orthogonal Group (IEEE Transactions on Automatic Control, 2008) and of S. Madgwick, An efficient orientation filter for
// inertial and inertial/magnetic sensor arrays (2010).
package control

// Float is what the package computes with. On a microcontroller it is float32.
type Float interface {
	~float32 | ~float64
}
