// Package packet is the row form of a record: what a component publishes, what the ring carries between the
// two halves of a machine, and what firmware sends over a wire.
//
// A packet is a fixed header followed by the values of one layout, in the layout's order, little endian and
// unaligned. It names its layout by hash and carries no field names, so a packet means nothing without the
// layout: that is what makes it small.
//
//	offset  size  field
//	     0     8  layout (telemetry.LayoutID)
//	     8     8  sequence number within (device, boot, class); 0 until it is numbered
//	    16     8  monotonic time, ns since the boot's origin
//	    24     8  wall time, ns since 1970-01-01 UTC; 0 when the machine does not know
//	    32     1  class
//	    33     1  severity
//	    34     2  reserved, 0
//	    36     4  length of the values in bytes
//	    40     …  values
//
// A float64, int64 or uint64 takes 8 bytes, a float32 4, a bool 1 (0 or 1), a string 4 bytes of length and then
// its bytes. A vector is its elements one after the other.
//
// The package allocates nothing and imports nothing that does: it compiles for a microcontroller without a heap.
// Nothing in it is safe for concurrent use unless it says so; functions on []byte only read their argument.
package packet
