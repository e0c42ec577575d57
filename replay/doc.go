// Package replay sends a recording through a courier, as if a machine had just lived it: every message is published,
// numbered, spooled and delivered like a live one, with the recording's own monotonic time. It is imported by the binary.
package replay
