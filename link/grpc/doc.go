// Package grpc is the carrier over gRPC: one bidirectional stream from each machine to its ground, without a broker in
// between. A Dialer is the machine's end; a Receiver is the ground's, which listens and serves every machine.
//
//	machine ── /fulmar.v1.Link/Carry, stream ⇄ stream ── ground
//
// # The wire
//
// Whoever has a gRPC library can speak it; no schema is needed, for a message of the stream is a message of the link, as it
// is: its own first bytes say version and kind, and it is read by link.Parse or package secure/seal. A client passes bytes through
// unchanged instead of encoding them.
//
//	method        /fulmar.v1.Link/Carry, bidirectional streaming, the machine is the client; one stream to a connection
//	content type  application/grpc, with any subtype; ours says +fulmar
//	message       0 to link.MaxMessage bytes, not compressed
//	metadata      fulmar-device: the machine's name. Over grpcs:// the certificate's counts, and another here is refused;
//	              over grpc:// it is all that there is
//	header        of the answer, sent when the stream is open: fulmar-device, the name under which the ground has it
//	trailer       of the answer, with the status: grpc-retry-pushback-ms, if the ground asks not to be dialled before that
//	status        PERMISSION_DENIED, UNAUTHENTICATED: this machine is not wanted. RESOURCE_EXHAUSTED: too many, or too large.
//	              ABORTED: a newer connection of the same machine took the place of this one. All else: dial again
//
// grpcs:// is HTTP/2 (ALPN h2) over TLS 1.3 with certificates on both ends; grpc:// is HTTP/2 with prior knowledge, for the bench.
//
// # Who is who
//
// A device's name is that of its certificate. Of several connections under one name the newest has the stream, as with
// MQTT; the others are told and closed, and a device has two connections at most. A revocation cuts open connections: see Cut.
//
// # Flow
//
// Nothing is dropped on the way up: what the ground does not receive is not read from the stream, and gRPC's own flow control
// pushes back to the machine's Send. No machine can fill the ground's inbox for the others: each has its share. Down, where the
// ground must not wait for one machine, what exceeds its queue is dropped with an error.
//
// Both ends send HTTP/2 pings when nothing comes. A connection is cut when there was no sign of life for twice the keepalive,
// but not because it is slow: see link/internal/pipe.
//
// # What a peer can take
//
//	not authenticated    64 KiB to send within 5 s, and 64 such connections at once: of more, the oldest are closed
//	authenticated        8 KiB of headers; 256 KiB of a window and one message; 1 MiB in the inbox, of 64 MiB for all; 1 MiB
//	                     that waits for it; 15 s without a stream
//
// In: whole messages from the courier and the ground's station. Out: the same at the other end. Imported by link/carrier, and by the
// binary for what Cut is.
package grpc
