// Package order is how a ground's order for a machine is signed, and how the machine knows whose it is.
//
// A Signed order goes down the link inside the sealed session. That only a ground can seal there; the signature says which one it was, and
// stays with the order in the machine's journal, for whoever asks later who had it moved.
//
// # Form
//
// Integers are big endian.
//
//	offset  size
//	     0     1  version, 1
//	     1    16  the machine's session
//	    17    16  the challenge of that session
//	    33    16  process of the ground
//	    49     8  number, from 1 and ascending within the process and the session
//	    57     1  length of the machine's name
//	    58     …  the machine's name
//	     …     2  length of the order
//	     …     …  the order, as command.Order's Append writes it
//	     …     2  length of the certificate; 0 in the clear, where there is no signature
//	     …     …  the ground's certificate, X.509, DER
//	     …    64  Ed25519 over "fulmar order v1", a zero, and all before
//
// The challenge is of the machine's own making and new with each start of its process, and the order's deadline is by the machine's own clock. So
// an order is of no use in another session, for another machine, or later: whatever the clocks on the wall say.
//
// It starts no goroutine, knows no time, and may be imported by the rooms above row 4.
package order
