// Package link is what lies between a machine and the ground: carriers that take whole messages of up to 512 KiB,
// frames one way and acknowledgements the other, and that may lose, delay, duplicate, reorder and cut. Nothing above a
// link trusts it: delivery is what the ground's acknowledgement says, never what a carrier returned.
//
// A carrier implements two small interfaces, Dialer for the machine's end and Receiver for the ground's, and passes the
// conformance suite in link/linktest. Carriers: mqtt, nats, grpc, serial, file.
//
// The messages themselves are here too: see Message.
package link
