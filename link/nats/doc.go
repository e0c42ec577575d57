// Package nats is the carrier over NATS core: at most once, which is what a link needs to be, since delivery is
// acknowledged end to end. A Dialer is the machine's end, a Receiver the ground's; grounds that share a queue group share
// the devices.
//
//	machine ── fulmar.v1.DEVICE.up ──→ server ── fulmar.v1.*.up ──→ ground
//	machine ←─ fulmar.v1.DEVICE.down ─ server ←──────────────────── ground
//
// Two machines with one device name both get what the ground sends to it; NATS has no identifier by which the server would
// cut one off.
//
// In: whole messages from the courier and the ground's station. Out: the same at the other end, or not at all. Imported by
// ground/broker, the binary and tests.
package nats
