// Package arq decides what goes over a serial line when: the handshake, the cutting of messages into fragments, what is sent
// again, and the silence after which a connection is cut. It is a state machine without I/O: its methods are the events, each
// with the time it happened at, and what is to be done about them is collected as Effects. The bytes are specified in
// docs/serial.md.
//
// Fragments are repeated selectively. Every transmission has a number, and an acknowledgement names the latest one that
// arrived: a line keeps its order, so what was transmitted before that one and is not acknowledged is lost, at once and without
// a timer, repeats included. That also tells the round trip of exactly one transmission, so that Karn's ambiguity does not come
// up; the time to wait for an acknowledgement is that of RFC 6298, section 2, doubled with every one that did not come, with full jitter.
//
// The machine knows the line's rate and lets at most Lead of it wait in front of the line, in the system's buffers: what it
// decides to send next is sent next, an acknowledgement before a fragment.
//
// In: frames without their framing, messages, time. Out: framed bytes to write, messages, what became of the connection.
// Imported by link/serial only.
package arq
