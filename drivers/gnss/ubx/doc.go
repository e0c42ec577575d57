// Package ubx speaks UBX, the binary protocol of u-blox receivers.
//
//	bytes of a line ──Framer──▶ Frame, its checksum verified ──Decode…──▶ PVT, SOL, DOP, TimeGPS, Version, Ack
//	                        └─▶ everything else, as it is: NMEA, say
//	values ──Append…──▶ bytes of frames: polls and configuration
//
// A frame is B5 62, a class, an id, a length, the payload, and a checksum of two bytes (RFC 1145's, 8 bits wide), all little
// endian. A Framer on a line where other things arrive must not lose them to two bytes of noise that look like the begin of a
// frame: it holds back what such a frame would span, and when its checksum is wrong, or GiveUp is called, it hands all of it
// on but the two bytes and looks for frames within.
//
// NAV-PVT is the message to ask for: everything about a fix at once. Receivers before generation 7 do not have it; their fix
// is in NAV-SOL, its dilution in NAV-DOP, the leap seconds in NAV-TIMEGPS.
//
// There are two ways to configure: a message for each matter (CFG-RATE, CFG-MSG, CFG-PRT), up to generation 8, and keys with
// values (CFG-VALSET), from protocol version 27 on, which is generation 9. The answer to MON-VER tells which one a receiver
// takes. Either is answered with ACK-ACK or ACK-NAK.
//
// Nothing here takes memory from the heap, and nothing waits. Drivers import it; it imports hal for its error type. A value is
// for one goroutine at a time.
//
// Layouts and keys are those of u-blox's protocol specifications for generations 7 and 8 (versions 14 to 23.01) and of its
// interface descriptions for generation 9 (version 27).
package ubx
