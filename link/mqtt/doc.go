// Package mqtt is the carrier over an MQTT broker: MQTT 5, or 3.1.1 where the broker knows nothing newer. A Dialer is the
// machine's end, a Receiver the ground's.
//
//	machine ── fulmar/v1/DEVICE/up ──→ broker ── fulmar/v1/+/up ──→ ground
//	machine ←─ fulmar/v1/DEVICE/down ─ broker ←──────────────────── ground
//
// Both ways messages go at QoS 0. A broker's acknowledgement would say that the broker has the message; a link needs no
// such promise, for delivery is what the ground acknowledges after its commit, and what is lost is sent again from the
// spool. TCP pushes back where the broker is slow.
//
// A machine's client identifier is "fulmar-" and its device name, and every connection starts clean. A broker cuts the
// older of two connections with one identifier: a machine that dials again need not wait until the broker has noticed that
// its former connection is dead. Two machines configured with the same name cut each other off, over and over; a broker
// that gives its reasons, as MQTT 5 allows, lets the machine say so, and where it only closes the machine says that this
// may be why.
//
// In: whole messages from the courier and the ground's station. Out: the same at the other end, or not at all. Imported by
// the binary and by tests.
package mqtt
