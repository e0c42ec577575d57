// Package spool keeps a machine's frames on disk from the moment they were batched until the ground has them: one
// crash-safe log per class, so that bulk can yield to the quota without touching what is urgent.
//
// Besides frames a class's log holds marks: where a boot begins and ends, up to where numbers were reserved, and what
// yielded. State is what follows from the log by reading it from its beginning; each segment's checkpoint and the
// cursor's metadata keep it, so that opening reads only the last segment.
//
// The account of a class, its part of the ledger, comes from two sides. What was numbered, and what was lost before it
// was spooled, follows from what was appended. What was delivered, refused, damaged or discarded follows from the
// cursor, and is counted when the cursor passes it: after a crash the cursor may be behind, frames are sent again, and
// nothing is counted twice.
//
// A spool has an identity, of its folder and not of its path: what its boots leave outside, in shared memory, is found by it.
//
// A Spool does disk calls and nothing else: no goroutines, no clock. It is for one goroutine, except that Sync may run
// while Load does.
package spool
