// Package queue is the bounded queue that carriers keep between a client library and whoever receives: it takes without
// waiting, refuses what exceeds its limits, and gives out what it holds before it says that there is no more to come.
//
// In: messages from a library's goroutine. Out: the same, in order. Importers: the carriers under link.
package queue
