package seglog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/fulmar-io/fulmar/env"
)

// Options of a log. The zero value works.
type Options struct {
	// SegmentSize is at how many bytes a segment ends, default 8 MiB; a batch or rewritten records may make one longer.
	// Space is given back by whole segments, and a clean start reads about one.
	SegmentSize int64
	// MaxRecord bounds a payload in bytes, default 1 MiB, at most 64 MiB. Records of other sizes that are in the log
	// already are read all the same.
	MaxRecord int
	// MaxUnsynced bounds the bytes that are appended and not synced yet, default 8 MiB and at least one record. They are
	// kept in memory, to be written again if the disk fails.
	MaxUnsynced int
	// MaxBytes bounds the bytes of all segments, default 0 for no bound, else at least 4 SegmentSize. Append returns
	// ErrQuota rather than exceed it. The beginning of a segment may, by the size of a checkpoint, and records that are
	// written again after an error, by MaxUnsynced.
	MaxBytes int64
	// MinFree is what Append leaves free on the disk, in bytes, default 0. It is looked at when a segment begins and
	// every MiB. A disk that cannot tell is not asked again.
	MinFree uint64
	// Checkpoint returns the owner's state after all records appended so far. It is called from Append, AppendBatch and
	// Sync when a segment begins, must not call the Log, and its result is copied. Nil for an empty checkpoint.
	Checkpoint func() []byte
	// Rand makes the identities of segments differ from those of logs that were on the disk before; default
	// env.SystemRand.
	Rand env.Rand
	// ReadOnly leaves the folder as it is: nothing is written, made or removed, and what would do so returns ErrReadOnly.
	// What a writer appends after Open is not seen.
	ReadOnly bool
}

// MaxMeta bounds what SaveMeta takes, in bytes.
const MaxMeta = 4096

const (
	defaultSegmentSize = 8 << 20
	defaultMaxRecord   = 1 << 20
	defaultMaxUnsynced = 8 << 20
	freeStride         = 1 << 20
)

func (o Options) withDefaults() (Options, error) {
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegmentSize
	}
	if o.MaxRecord == 0 {
		o.MaxRecord = defaultMaxRecord
	}
	if o.MaxUnsynced == 0 {
		o.MaxUnsynced = defaultMaxUnsynced
	}
	if o.Rand == nil {
		o.Rand = env.SystemRand{}
	}
	if o.SegmentSize < 0 || o.MaxRecord < 0 || o.MaxRecord > maxRecord || o.MaxUnsynced < 0 || o.MaxBytes < 0 {
		return o, fmt.Errorf("seglog: options: a size is negative, or MaxRecord above %d", maxRecord)
	}
	if o.MaxBytes > 0 && o.MaxBytes < 4*o.SegmentSize {
		return o, fmt.Errorf("seglog: options: MaxBytes %d is below 4 segments of %d", o.MaxBytes, o.SegmentSize)
	}
	o.MaxUnsynced = max(o.MaxUnsynced, itemBytes(o.MaxRecord))
	return o, nil
}

// A Log is open in one process at a time. All methods may be called concurrently; records are numbered in the order in
// which Append took them. A Sync in progress does not hold up Append or readers.
type Log struct {
	opt    Options
	dir    string
	disk   env.Disk
	files  files
	report Report

	// serial is held by Sync, TrimFront, SaveMeta and Close, before mu.
	serial sync.Mutex
	meta   metaStore // guarded by serial
	// mu guards everything below. It is held while a record is written, not while one is made durable, except when
	// records are written again after an error.
	mu     sync.RWMutex
	closed bool

	segs    []*segment // ascending, each from its first to before the next one's
	garbage []*segment // superseded; removed once the names in the folder are durable
	next    uint64
	found   uint64 // next, when it was opened
	durable uint64
	cursor  uint64
	epoch   uint32

	tail    *segment // the last of segs if it is being written, else nil
	sealed  bool     // nothing more is written to tail
	suspect bool     // what is not durable must be written again, to a new segment
	named   bool     // the names in the folder are durable

	pending []byte // the items of the records durable+1 to next-1, as they were written
	codec   itemCodec
	markBuf [itemSize]byte
	// syncList is the segments that the Sync in progress is at; guarded by serial.
	syncList []*segment
	bytes    int64 // of segs and garbage
	checked  int64 // bytes written since Free was looked at
	noFree   bool  // the disk cannot tell
	stats    Stats
	readers  chan *Reader // that ReadAt has done with

	metaData        []byte // the owner's, as it was saved last
	checkpoint      []byte // as found by Open
	checkpointIndex uint64
}

// Stats is the state of a log in numbers.
type Stats struct {
	First, Next, Durable uint64
	Segments             int
	Bytes                int64  // of the segments on disk
	Unsynced             int    // bytes appended and not durable
	Syncs                uint64 // that had something to do and succeeded
	Failures             uint64 // writes and syncs that failed
	Rewritten            uint64 // records that were written again, to another segment
}

// Stats returns the state of the log.
func (l *Log) Stats() Stats {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := l.stats
	s.First, s.Next, s.Durable = l.cursor, l.next, l.durable
	s.Segments, s.Bytes, s.Unsynced = len(l.segs), l.bytes, len(l.pending)
	return s
}

// First returns the lowest index that is not trimmed.
func (l *Log) First() uint64 { return l.Stats().First }

// Next returns the index that the next record will get. It starts at 1.
func (l *Log) Next() uint64 { return l.Stats().Next }

// Durable returns the index up to which every record survives a power cut; 0 if there is none. Right after Open it may be
// below what it was: what is not proven durable will be written again.
func (l *Log) Durable() uint64 { return l.Stats().Durable }

// Bytes returns how much the segments take on disk.
func (l *Log) Bytes() int64 { return l.Stats().Bytes }

// SegmentCount returns how many segments there are.
func (l *Log) SegmentCount() int { return l.Stats().Segments }

// Append writes a record and returns its index. When it returns, the record survives the end of the process; a power cut
// only after Sync. The payload is copied. After an error the record is not in the log, but may be found there if the
// process ends before anything else is appended. Errors: ErrFull, ErrQuota, ErrDiskFull, ErrTooLarge, what the disk said.
func (l *Log) Append(payload []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.admit(1, len(payload), itemBytes(len(payload))); err != nil {
		return 0, err
	}
	from := len(l.pending)
	l.encode(l.next, payload)
	return l.write(from, 1)
}

// AppendBatch writes records with one call of the disk and returns the index of the first. It is as Append otherwise:
// after a power cut a part of the batch may be there, after an error none of it is in the log.
func (l *Log) AppendBatch(payloads ...[]byte) (uint64, error) {
	largest, total := 0, 0
	for _, p := range payloads {
		largest = max(largest, len(p))
		total += itemBytes(len(p))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.admit(len(payloads), largest, total); err != nil {
		return 0, err
	}
	from := len(l.pending)
	for i, p := range payloads {
		l.encode(l.next+uint64(i), p)
	}
	return l.write(from, len(payloads))
}

// admit checks every limit before count records of total bytes with headers are taken, and begins a segment if they need
// one.
func (l *Log) admit(count, largest, total int) error {
	switch {
	case l.closed:
		return failed("append", l.dir, ErrClosed)
	case l.opt.ReadOnly:
		return failed("append", l.dir, ErrReadOnly)
	case largest > l.opt.MaxRecord:
		return fmt.Errorf("seglog: append %d bytes: %w: a record is at most %d", largest, ErrTooLarge, l.opt.MaxRecord)
	case total > l.opt.MaxUnsynced:
		return fmt.Errorf("seglog: append %d bytes: %w: a batch is at most %d", total, ErrTooLarge, l.opt.MaxUnsynced)
	case count == 0:
		return nil
	case len(l.pending)+total > l.opt.MaxUnsynced:
		return fmt.Errorf("seglog: append %d bytes: %w: %d of %d", total, ErrFull, len(l.pending), l.opt.MaxUnsynced)
	case l.opt.MaxBytes > 0 && l.bytes+int64(total)+itemSize > l.opt.MaxBytes:
		return fmt.Errorf("seglog: append %d bytes: %w: %d of %d", total, ErrQuota, l.bytes, l.opt.MaxBytes)
	}
	if l.tail == nil || l.sealed || l.suspect ||
		l.tail.size.Load()+int64(total) > l.opt.SegmentSize && l.next > l.tail.first {
		l.checked = freeStride
		if err := l.leaveFree(total); err != nil {
			return err
		}
		return l.begin()
	}
	return l.leaveFree(total)
}

// leaveFree looks from time to time whether the disk has room for bytes more above Options.MinFree.
func (l *Log) leaveFree(bytes int) error {
	l.checked += int64(bytes)
	if l.opt.MinFree == 0 || l.noFree || l.checked < freeStride {
		return nil
	}
	free, err := l.disk.Free()
	if err != nil { // if the disk has trouble, writing will tell
		l.noFree = errors.Is(err, errors.ErrUnsupported)
		return nil
	}
	if free < l.opt.MinFree+uint64(bytes) {
		return fmt.Errorf("seglog: append %d bytes: %w: %d bytes free, %d to be left", bytes, ErrDiskFull, free, l.opt.MinFree)
	}
	l.checked = 0
	return nil
}

// encode puts a record behind pending, without its header, which depends on where it will lie.
func (l *Log) encode(index uint64, payload []byte) {
	at := len(l.pending)
	var head [itemSize + 8]byte
	l.pending = append(l.pending, head[:itemSize]...)
	l.pending = append(l.pending, payload...)
	l.pending = append(l.pending, head[itemSize:][:pad(len(payload))-len(payload)]...)
	putUnplaced(l.pending[at:], item{size: len(payload), index: index, sum: crc32.Checksum(payload, castagnoli)})
}

// place completes the headers of the items in b, which will lie at off in a segment, and learns where they are.
func (l *Log) place(b []byte, s *segment, off int64) {
	for len(b) > 0 {
		it := getUnplaced(b)
		it.durable = l.durable
		l.codec.put(b, s.id, off, it)
		l.files.learn(s, it.index, off)
		n := itemBytes(it.size)
		b, off = b[n:], off+int64(n)
	}
}

// write writes count records, which are in pending from there on, to the tail.
func (l *Log) write(from, count int) (uint64, error) {
	b := l.pending[from:]
	if len(b) == 0 {
		return l.next, nil
	}
	s := l.tail
	off := s.size.Load()
	l.files.mu.Lock()
	l.place(b, s, off)
	l.files.mu.Unlock()
	if n, err := s.file.WriteAt(b, off); err != nil || n < len(b) {
		l.pending = l.pending[:from]
		return 0, l.writeFailed(s, err)
	}
	first := l.next
	s.size.Store(off + int64(len(b)))
	s.dirty = true
	l.bytes += int64(len(b))
	l.next += uint64(count)
	return first, nil
}

// writeFailed ends the tail. On a full disk what it holds is as good as before; after any other error it is not trusted.
func (l *Log) writeFailed(s *segment, err error) error {
	if err == nil {
		err = errShortWrite
	}
	l.stats.Failures++
	l.sealed = true
	if !env.IsDiskFull(err) {
		l.suspect = true
	}
	return failed("write", s.name, err)
}

// Close syncs what was appended and is not durable, and closes the files. The error is that of the Sync; the log is closed
// all the same. Readers fail from then on. If nothing was appended since Open the segments are left as they are: an owner
// that could not restore its state has none that could become a checkpoint.
func (l *Log) Close() error {
	l.serial.Lock()
	defer l.serial.Unlock()
	if l.isClosed() {
		return nil
	}
	var err error
	if !l.opt.ReadOnly {
		if l.Next() > l.found {
			err = l.sync()
		}
		if l.meta.readable() {
			err = errors.Join(err, l.saveCursor())
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tail != nil && err == nil && !l.suspect {
		// The last mark is proof of what was durable, which spares the next start to write it again. Without it nothing
		// is lost, so its error is none.
		_ = l.tail.file.Sync()
	}
	l.closed = true
	l.tail = nil
	for _, s := range l.segs {
		s.dirty = false
		l.pin(s)
	}
	l.files.closeAll()
	l.meta.close()
	return err
}

func (l *Log) isClosed() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.closed
}

// OldestSealed returns where the oldest segment ends, if it is not the last one, and its bytes: TrimFront(end) gives back that
// segment's space.
func (l *Log) OldestSealed() (end uint64, bytes int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segs) < 2 {
		return 0, 0, false
	}
	return l.segs[1].first, l.segs[0].size.Load(), true
}
