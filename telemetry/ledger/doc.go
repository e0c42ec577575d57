// Package ledger has the accounts that every hop keeps of the records that pass it, so that at every hop
//
//	numbered = delivered + waiting + lost
//
// holds to the record. Account is the sums, Set the numbers themselves. Neither is safe for concurrent use.
package ledger
