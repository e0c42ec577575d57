// Package replay sends a recording through a courier, as if a machine had just lived it: every message is published,
// numbered, spooled and delivered like a live one, with the recording's own monotonic time. It is imported by the binary.
//
// A recording has no wall time: the ground dates a boot by when the first of it arrives. What arrives first are the layouts, and
// they are stamped so that no message is dated after it is published: at speed 1, and slower, with the time of the first
// message, so that all are dated as if they were live; faster, so that the last one is dated when it is published, at speed 0 at
// once. To know that, a recording is read twice.
package replay
