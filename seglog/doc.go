// Package seglog is a crash-safe log of records in segment files: the spool of a machine and the frame store of the
// ground. What Append returned survives the end of the process, what Sync returned a power cut; after either, and with
// whatever decay the disk adds, Open opens, a reader gets the records bit for bit or is told which are lost, and no
// record comes back under an index that is not its own.
//
//	log, err := seglog.Open(disk, "spool", seglog.Options{Checkpoint: owner.State})
//	state, from := log.Checkpoint()
//	r := log.Reader(from) // restore the owner's state: the checkpoint, then the few records after it
//	…
//	index, err := log.Append(record)
//	err = log.Sync()               // group commit: durable
//	err = log.TrimFront(index + 1) // not needed any more
//
// Records go in through Append, are numbered from 1 without gaps, and come out through Reader and ReadAt; they leave
// through TrimFront, by whole segments. The package starts no goroutine and knows no time; disk and luck come in from
// outside. It imports env only and may be imported by every room above. A folder belongs to one Log at a time; that two
// processes do not open it for writing is the caller's business (ReadOnly may be opened beside a writer).
//
// # Files
//
// All integers are little endian, all CRCs CRC-32C. A segment is a file "FIRST-IDENTITY.seg", each 16 hex digits: the
// index of its first record, and an identity whose upper half, the epoch, is one more than that of any segment before and
// whose lower half is random. While it is made its name ends in ".tmp". It begins with
//
//	offset  size  header
//	     0     8  magic "FULMARSL"
//	     8     4  format version, 1
//	    12     4  length of the checkpoint in bytes
//	    16     8  first index
//	    24     8  identity
//	    32     8  durable: every record up to this index was durable when the segment began
//	    40     8  cursor: no record below this index was needed when the segment began
//	    48     8  the checkpoint is the owner's state after the records below this index
//	    56     4  CRC of the checkpoint
//	    60     4  CRC of bytes 0 to 59; magic, version and this stay where they are in every version
//	    64     …  the checkpoint, padded with zeros to a multiple of 8
//
// and then has items, each at a multiple of 8:
//
//	offset  size  item
//	     0     4  "FSR1", a record, or "FSM1", a mark
//	     4     4  length of the payload in bytes, 0 for a mark
//	     8     8  index; of a mark, the one that the next record gets
//	    16     8  durable: every record up to this index was durable when the item was written
//	    24     4  CRC of the payload
//	    28     4  CRC of the segment's identity (8), the item's offset in the file (8) and bytes 0 to 27
//	    32     …  the payload, padded with zeros to a multiple of 8
//
// So an item says where it belongs, and a block that was misdirected, or is left over from another segment, another life
// or another log, is no item. The name of the file has all that is needed to read the items: a damaged header costs the
// checkpoint, and nothing else. A damaged payload costs its record. A damaged item header costs its record: the reader
// looks for the next item that says that it lies where it does. A mark is written after each Sync, and is not synced.
//
// The cursor and the owner's metadata are in files "NUMBER.meta", two that take turns, of which the whole one with the
// highest sequence number counts:
//
//	offset  size  metadata
//	     0     8  magic "FULMARSM"
//	     8     4  format version, 1
//	    12     4  length of the owner's bytes, at most 4096
//	    16     8  sequence number
//	    24     8  cursor
//	    32     4  0
//	    36     4  CRC of bytes 0 to 35 and the owner's bytes
//	    40     …  the owner's bytes
//
// # Rules
//
// Nothing is ever written over: a segment is appended to by one life of one writer, in order, and only where nothing was
// written before. A life begins with a new segment. From there follow a few rules:
//
//  1. From its first index on, a segment counts and no older one (of a lower epoch) does.
//  2. A segment gets its name after its content was written. If it begins below what is next, because it holds records
//     that are in an older segment too, its content is synced before it gets the name. So a segment that supersedes
//     records of another has them, durably.
//  3. What "durable" says in a header, record or mark is a fact: Sync had returned, for files and names. What is proven
//     durable and cannot be read is damage: it is declared, and its index is not given out again.
//  4. The log ends behind what is proven durable, plus the whole records that follow one after the other. The first that
//     is not whole is a torn tail: it and all behind it are cut, and by rules 1 and 2 cannot come back, because the
//     next segment begins there.
//  5. Records that are in the log and not proven durable are written again, into the next segment, even if they can be
//     read: the process before may have been told of an error of fsync, after which Linux shows pages that are not on
//     disk and lets the next fsync succeed.
//  6. After an error of fsync, of a write, or of syncing the folder, it is the same within one life: what is not durable
//     is kept in memory until it is, and is written again into a new segment, with the same indexes. Only a full disk is
//     excepted: the segment takes no more records, but those that it has are synced.
//  7. A file is removed when what supersedes it, or the cursor above it and the checkpoint behind it, is durable.
//  8. A checkpoint counts if it is whole and not ahead of the records that its segment and those before have.
//
// Where sectors cannot be read at all, rule 4 would cut what may be durable; there the indexes that may have been used
// are passed over and declared.
package seglog
