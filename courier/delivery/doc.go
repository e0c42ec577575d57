// Package delivery decides which frame is sent when, over which link, and what an acknowledgement means. It is a state
// machine without I/O: its methods are the events, each with the time it happened at, and what is to be done about them
// is collected as Effects. Whoever drives it (the courier, or a world in virtual time) performs the effects in order and
// reports what came of them.
//
// Frames are named by (class, index) as the spool does. For each class the machine keeps a cursor into the spool; it
// asks for frames to be loaded, sends them, urgent before normal before bulk, keeps a bounded number in flight, and sends
// again what was not acknowledged in time. A frame is done when the ground's acknowledgement covers it, or when the
// ground refuses it for good. Nothing else ends a frame: not the number of attempts, not its age.
//
// Links are tried in order of preference, one connected at a time. A link's failures in a row (it cannot be dialled, or
// takes frames that nobody acknowledges) make its next attempt wait, with full jitter
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and at most ReconnectCap where nothing was sent; from Options.BreakAfter failures on, the
// breaker is open: an attempt then carries a single frame, the probe, until something is acknowledged.
package delivery
