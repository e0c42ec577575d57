// Package testbroker starts the brokers that tests need and that are not Go: Debian's Mosquitto, as a process on a random
// loopback port, with a configuration of its own, and with certificates of a test's own authority.
//
// In: the installed program. Out: the URL it listens on. Imported by tests only.
package testbroker
