// Package tinygo runs the drivers of tinygo.org/x/drivers over hal, unchanged: those that compile under ordinary Go, 102
// packages of v0.37.0.
//
//	component ──▶ Device ──▶ a driver of tinygo.org/x/drivers ──▶ Bus, SPI, UART ──▶ hal
//
// Those drivers are written for microcontrollers, by many hands. Many swallow errors of the bus and return what was in their
// buffer; some read until a bit is set, however long that takes; some divide by what they read. So a call of a driver runs
// within Do, which contains it:
//
//   - the first error of the bus is kept and returned, whatever the driver makes of it;
//   - a driver that turns to the device again after it, in the same call, is stopped there: what it computes from what it did
//     not read is not written, and it does not try for ever;
//   - a call has a limit of transactions, and ends there, even out of a loop without end;
//   - a panic of the driver is an error.
//
// What this cannot contain: a loop of a driver that does not use its bus, the time of its time.Sleep, and what a driver
// that was stopped half-way has left in its own fields. Retries of a driver are not made either: retrying is its caller's.
//
// Nearly all of these drivers allocate for each transaction, as their buffers escape through the bus's interface; what each
// costs is in docs/hardware.md. In a control loop, the drivers of the rooms beside this one are to be preferred, which
// set devices up through these and read them themselves.
//
// Components and the drivers beside it import it.
package tinygo
