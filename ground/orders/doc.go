// Package orders is what a ground remembers of the orders that people gave: a book, which brings each to its machine and notes what became of it.
//
// An order is queued when it is durable in the book's log. Then the machine is hailed, for the challenge of its session and the time by its
// own clock; the order is signed for these, with the deadline by that clock, and sent, again and again until the machine answers or the
// order's time is over. To one machine they go one after the other, in the order in which they were given. What becomes of an
// order that the machine has accepted arrives as a record, through whatever outage.
//
//	queued → sent → accepted → done
//	   ↓       ↓        ↓
//	failed  failed   failed
//
// An order whose time is over before the machine has answered has failed, and says that it may have been carried out if it had been sent;
// should the machine tell of it later, that counts. The log is also the ground's audit: every change of every order, with who gave it
// and when. It is read again at the start.
//
// In flow requests, answers of machines (link.Clock, link.Receipt), outcomes and declarations from the records that are indexed, and time. Out flow
// messages for machines, and changed entries for those who watch.
//
// Book is a state machine over a log (seglog): it starts no goroutine and reads no clock. It is for one goroutine, but for the function
// that BeginSync returns. Imported by station.
package orders
