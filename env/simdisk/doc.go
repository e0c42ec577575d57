// Package simdisk is a disk in memory that can do to its files what a real one may do: lose what was not synced, keep it
// in part or out of order, fill the unsynced range with garbage, fail a call, run full, lie about a second fsync.
//
// Every file has the content that a reader sees and the content that is durable, and in between the changes that no Sync
// has covered; a folder has the same for its entries. Crash is a power cut: each unsynced change is kept, dropped or
// mangled as the given source of luck decides, so the same seed gives the same disk. Kill is the end of a process:
// everything written stays. After either, the handles of the life before return ErrCrashed.
//
//	d := simdisk.New()
//	… use d as an env.Disk …
//	after := d.Clone()
//	after.Crash(rng, simdisk.Random)
//	… open what is there now, check it …
//
// A test that wants a crash after every operation sets OnOp and clones there. Inject makes chosen calls fail.
//
// What is modelled harshly on purpose: a file's Sync does not make its entry durable; entry changes persist in any
// order; a failed Sync or SyncDir forgets what it should have written, so that the next one succeeds without it, as Linux
// does. What is not: sectors that were synced never change, unless FlipBit or SetFile does it.
//
// It imports env and may be imported by every room and by tests. A Disk may be used from several goroutines.
package simdisk
