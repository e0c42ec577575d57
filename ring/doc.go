// Package ring is the shared memory in which the two halves of a machine meet: the control half publishes packets, the
// courier half takes them. It is one file in memory that outlives both (/dev/shm on Linux), so a SIGKILL of either, in
// the middle of anything, loses no packet whose Publish had returned.
//
// A Region belongs to one boot. It holds, per class, the next sequence number and the ceiling below which numbers may
// be given out, and, per producer, a bounded ring of slots. A producer belongs to one task: it has its ring to itself and
// never waits. A packet gets its number when its slot is filled; when the ring is full the packet is dropped and counted,
// and the next packet that fits first takes numbers for all that were dropped and declares them lost. So the numbers of a
// class are given out without gaps across all producers, each exactly once.
//
//	offset      content
//	     0      magic, version, geometry, device, boot, CRC-32C: written once
//	   512      per class: next, ceiling, durable, wanted; each on its own cache line
//	  2048      two bells, of wanted and of durable: how often it rang, how many wait for it
//	  4096      per producer: 4 KiB of control (head, tail, dropped per class, claim), then its slots
//
// A slot is a commit word (32 bits of its position's tag, 8 of kind, 24 of length), the CRC-32C of its content, and the
// content, padded to 8 bytes. The commit word is stored after the content and the head after the commit word, atomically;
// the tag shows that a slot was written in this lap. Integers are in the machine's byte order: both halves run on the same machine.
//
// Who publishes may wait until a packet is on disk (AwaitDurable): wanted tells the courier half, which then commits at once, and the bells wake
// the one and the other: futexes on Linux, which work between processes.
//
// Where memory cannot be shared (Windows) a Region is ordinary memory: Survives then reports false, and a crash of the
// process loses what was not yet spooled.
//
// Imported by the root package (publishing) and by courier (taking).
package ring
