// Package broker is the ground's own message broker: a NATS server with its MQTT listener, in this process, so that
// devices that speak MQTT and devices that speak NATS arrive at one subscription. It is for a ground without a broker of
// its own; where there is one, the ground connects to that.
//
// In: connections of machines, over MQTT 3.1.1 and NATS. Out: a link.Receiver with what they send. It is imported by the
// binary, and by tests that need a broker in their own process.
package broker
