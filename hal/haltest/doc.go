// Package haltest tests drivers without their hardware: it records what a driver and a device say to each other, plays that
// back, breaks handles on purpose, and models chips by their registers.
//
//	driver ──▶ Recorder ──▶ hal.Host of the machine      on the bench, once
//	               └──▶ a recording, text
//	driver ──▶ Player ◀── the recording                  in a test
//	driver ──▶ Faults ──▶ Player, Registers, sim, …      what else can happen
//
// It is for tests and for the bench; no machine's loop imports it.
//
// # The format of a recording
//
// Lines of UTF-8, the first of them "hal recording 1". Empty lines, and lines that begin with '#', say nothing. Any other is
// one call: words with one blank between.
//
//	0 i2c:i2c-1:0x68 open
//	120400 i2c:i2c-1:0x68 tx w 75 r 68
//	1240000 i2c:i2c-1:0x68 tx w 3b r *6 ! no-answer "i2c-1: remote I/O error"
//	2000000 can:can0 receive r 123#0102 1FFFFFFF#R4
//
// The words are: nanoseconds since the recording began; the resource; the call. Then, where there is such a thing, w and what
// went out, r and what came in, n and how many bytes of w were taken if not all were, and ! and the error. An error is one of
// no-answer, gone, revoked, range, unsupported and other, with its text in quotes if there is more to it than that.
//
//	call     of           out                  in
//	open     any          rate=HZ mode=0…3 pull-up, those that are not 0
//	close    any
//	read     input                             high or low
//	edges    input                             NS:high or NS:low each, +N behind it for N that were missed
//	write    output       high or low
//	set      pwm          period and high, ns
//	volts    adc                               volts
//	count    counter                           counts
//	tx       i2c, spi     bytes                bytes; *N: N were asked for, and the call failed
//	read     uart                              bytes
//	write    uart         bytes
//	send     can          a frame
//	receive  can                               frames
//
// Bytes are two hexadecimal digits each. A frame is written as candump does: 3 digits of identifier, or 8 if it is extended,
// '#', and the data, or R and the length of a remote frame. Calls of edges, read (uart) and receive that brought nothing, and
// no error, are not written, nor are frames that cannot be.
package haltest
