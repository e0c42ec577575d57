// Package wire puts frames on a line that carries bytes: a serial port, a radio, a pipe. A frame is whole or it is not
// there: what is damaged is found by a checksum and dropped, and whatever came before it, a receiver is in step again at
// the next delimiter.
//
//	COBS( payload, CRC-32C of the payload, little endian ), 0x00
//
// COBS is consistent overhead byte stuffing (S. Cheshire and M. Baker, Consistent Overhead Byte Stuffing, IEEE/ACM
// Transactions on Networking, 1999): zeros are taken out of the data, so that a zero on the line is a delimiter and nothing
// else. It costs one byte, and one more for each 254. A delimiter more than needed is no frame and does no harm; a sender
// puts one before a frame after it was silent, so that noise which came meanwhile is not taken for the frame's beginning.
// A payload has at least one byte: the checksum of nothing is 0, and a line that is stuck would make frames of nothing.
//
// The checksum is CRC-32C (Castagnoli; the polynomial of RFC 3720, section 12.1), as everywhere in this project: processors
// have an instruction for it, and a tool that looks at both ends needs one. The CRC-32 of Ethernet would serve as well.
//
// In and out: bytes, in memory that the caller gives. A microcontroller compiles the same source: nothing here takes memory
// from the heap, nothing imports another package, errors are numbers. A value is for one goroutine at a time. Any package may
// import wire; link/serial and the firmware do.
package wire
