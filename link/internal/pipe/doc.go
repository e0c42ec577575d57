// Package pipe is what carriers with a network connection have in common: a Conn over a client library that knows neither
// contexts nor back-pressure, and a Steady network connection that tells a slow peer from a dead one.
//
// In: messages from the courier, and from a library's goroutine. Out: the same. Importers: the carriers under link.
package pipe
