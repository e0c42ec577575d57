// Package nats is the carrier over NATS core: at most once, which is what a link needs to be, since delivery is
// acknowledged end to end. A Dialer is the machine's end, a Receiver the ground's; grounds that share a queue group share
// the devices.
package nats
