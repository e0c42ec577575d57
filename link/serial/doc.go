// Package serial is the link over a serial line: a cable, or a pair of radio modems that behave like one. One line has one
// machine at one end and a ground at the other.
//
// Messages of up to link.MaxMessage are cut into fragments, which go in frames of package wire; what is damaged or lost is
// repeated selectively, so that each message arrives once, in order and whole while the connection lasts. Fragments and
// window are sized to the line's rate: at 9,600 baud a fragment is 76 bytes, and at most seven of them, two thirds of a second, are
// before what is sent next. Send returns when the last fragment has its place in the window. docs/serial.md specifies every
// byte, and has figures.
//
// Either end may start first, be restarted, or be unplugged. A connection has a random number of 32 bits for each end, so that
// what is left of an earlier one is dropped; an end that begins anew says so. A line that fails is opened again: by the ground
// itself, at the machine by whoever dials.
//
// A line has no TLS. Who can touch it can cut it, and can send messages under a machine's name; what protects content is
// secure/seal, end to end.
//
// What the other end can make this one keep is bounded: a message being put together (link.MaxMessage), a window of fragments
// (64 KiB at most), and messages that nobody received yet (256 KiB and one message); when these are full, the window closes.
//
// In: whole messages from the courier and the ground's station. Out: the same at the other end. Imported by link/carrier.
package serial
