// Package nmea reads sentences of NMEA 0183, as satellite receivers send them.
//
//	bytes of a line ──Framer──▶ Sentence, its checksum verified ──Decode──▶ RMC, GGA, GSA, GLL, VTG, ZDA, GNS, GST
//
// A Framer finds sentences in whatever arrives: half ones, noise, another protocol between them. It gives out those alone
// whose checksum is right, and counts the rest. A decoder turns one into values with units: what a field left empty is absent
// (Maybe), never 0. A field that cannot be read, a minute of 61 say, refuses the sentence as a whole: its checksum is right,
// so the receiver meant something else than what would be read.
//
// What the checksum cannot see, nobody can: it is the exclusive or of the bytes, so two flips of the same bit, or two bytes
// that changed places, get through. A single flip never does.
//
// Nothing here takes memory from the heap, and nothing waits. Drivers import it; it imports hal for its error type. A value is
// for one goroutine at a time.
//
// The sentences are those of NMEA 0183 up to version 4.11; talkers are any two letters, and a receiver's own sentences ($P…)
// come out of the Framer with the type Other.
package nmea
