// Package desk is where a machine takes orders: it knows whether one is a ground's, for this machine, in time, and new; it keeps a journal of
// all that it took and what became of each; and it answers.
//
// An order that is taken is durable in the journal before it is answered and before anybody carries it out. So it is carried out at most
// once, however often it comes: over another link, after a restart of either end, with its answer lost. It is handed to the components again
// only by a courier process that does not know whether the one before had; they remember what they had in their boot. Of one whose boot has
// ended before its outcome was known, the outcome is that this is not known.
//
// In flow orders as they come from the links, hails, and outcomes as they pass from the ring to the spool. Out flow receipts, orders for the
// components, and outcomes for what no component can tell of any more.
//
// Desk is a state machine over a journal (seglog): it starts no goroutine and knows no time but what it is given. It is for one
// goroutine, but for Sync. It is the courier's.
package desk
