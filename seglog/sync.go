package seglog

import (
	"errors"
	"hash/crc32"
	"io/fs"
)

var errShortWrite = errors.New("short write")

// Sync makes everything appended before it durable: records, segments, their names. When it returns nil, Durable covers
// them. After an error nothing that was not durable is trusted to be on disk: the next Append or Sync writes it again,
// from memory, to a new segment. With nothing to do it returns nil at once.
func (l *Log) Sync() error {
	l.serial.Lock()
	defer l.serial.Unlock()
	return l.sync()
}

// sync is Sync with serial held.
func (l *Log) sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return failed("sync", l.dir, ErrClosed)
	case l.opt.ReadOnly:
		return failed("sync", l.dir, ErrReadOnly)
	case l.durable+1 == l.next:
		return nil
	case l.suspect:
		return l.begin()
	}
	target, bytes := l.next-1, len(l.pending)
	dirty := l.takeDirty()
	l.mu.Unlock()
	err := syncSegments(dirty)
	l.mu.Lock()
	for _, s := range dirty {
		s.syncing = false
		l.pin(s)
	}
	if err == nil && !l.named {
		err = l.syncNames()
	}
	if l.durable >= target {
		return nil // an Append had to begin a segment meanwhile, and wrote everything to it durably
	}
	if err != nil {
		l.suspect = true
		l.stats.Failures++
		return err
	}
	l.durable = target
	l.pending = l.pending[:copy(l.pending, l.pending[bytes:])]
	l.stats.Syncs++
	l.mark()
	l.removeGarbage()
	return nil
}

// takeDirty returns the segments that hold something not synced.
func (l *Log) takeDirty() []*segment {
	dirty := l.syncList[:0]
	for _, s := range l.segs[l.firstDirty():] {
		if s.dirty {
			s.dirty, s.syncing = false, true
			dirty = append(dirty, s)
		}
	}
	l.syncList = dirty
	return dirty
}

// firstDirty returns where in segs the ones begin that may be dirty: those with records that are not durable.
func (l *Log) firstDirty() int {
	i := len(l.segs)
	for i > 0 && l.segs[i-1].end > l.durable+1 {
		i--
	}
	return i
}

// pin keeps the file of a segment open while the writer needs it. It is the very descriptor that was written through
// that must be synced, for it is the one that is told of errors.
func (l *Log) pin(s *segment) {
	want := s == l.tail || s.dirty || s.syncing
	if want == s.pinned {
		return
	}
	s.pinned = want
	if want {
		l.files.mu.Lock()
		s.refs++
		l.files.mu.Unlock()
		return
	}
	l.files.release(s)
}

func syncSegments(dirty []*segment) error {
	for _, s := range dirty {
		if err := s.file.Sync(); err != nil {
			return failed("sync", s.name, err)
		}
	}
	return nil
}

// syncNames makes the names in the folder durable. After an error no name that was not durable is trusted to become so.
func (l *Log) syncNames() error {
	if err := l.disk.SyncDir(l.dir); err != nil {
		l.suspect = true
		return failed("sync folder", l.dir, err)
	}
	l.named = true
	return nil
}

// mark writes down how far everything is durable, so that after a crash damage can be told from a torn tail. It is itself
// not synced: the next Sync covers it. Its failure costs only that knowledge, and the descriptor.
func (l *Log) mark() {
	if l.tail == nil || l.sealed || l.suspect {
		return
	}
	s := l.tail
	off := s.size.Load()
	b := l.markBuf[:]
	l.codec.put(b, s.id, off, item{mark: true, index: l.next, durable: l.durable})
	if n, err := s.file.WriteAt(b, off); err != nil || n < len(b) {
		_ = l.writeFailed(s, err)
		return
	}
	s.size.Store(off + itemSize)
	l.bytes += itemSize
}

// begin begins a segment. If the log is suspect the new segment begins with every
// record that is not durable, and has its name only once they are on disk, so that it can supersede what was written
// before whatever happens. Otherwise it begins empty.
func (l *Log) begin() error {
	// If this fails half-way, a segment may be left behind that supersedes whatever would still be written to the old.
	l.sealed = true
	s, err := l.create()
	if err != nil {
		l.stats.Failures++
		return err
	}
	l.supersede(s)
	if !l.suspect {
		l.named = false
		return nil
	}
	l.stats.Rewritten += l.next - 1 - l.durable
	l.suspect, l.named = false, true
	l.durable = l.next - 1
	l.pending = l.pending[:0]
	l.stats.Syncs++
	l.mark()
	l.removeGarbage()
	return nil
}

// create makes the file of a new segment.
func (l *Log) create() (*segment, error) {
	h := header{first: l.next, durable: l.durable, cursor: l.cursor, state: l.next}
	if l.suspect {
		h.first = l.durable + 1
	}
	var checkpoint []byte
	if l.opt.Checkpoint != nil {
		checkpoint = l.opt.Checkpoint()
	}
	if len(checkpoint) > maxCheckpoint {
		return nil, failed("checkpoint", l.dir, ErrTooLarge)
	}
	h.size, h.sum = len(checkpoint), crc32.Checksum(checkpoint, castagnoli)
	l.epoch++
	h.segment = uint64(l.epoch)<<32 | l.opt.Rand.Uint64()&0xffffffff
	s := &segment{first: h.first, id: h.segment, name: segmentName(h.first, h.segment), end: maxIndex}
	head := make([]byte, headerSize+pad(len(checkpoint)))
	putHeader(head, h)
	copy(head[headerSize:], checkpoint)

	temp := join(l.dir, s.name+tempSuffix)
	f, err := l.disk.OpenFile(temp, true)
	if err != nil {
		return nil, failed("create", s.name, err)
	}
	l.files.mu.Lock()
	defer l.files.mu.Unlock()
	s.refs, s.pinned = 1, true
	s.file = f
	if err := l.fill(s, head); err != nil {
		_ = f.Close()
		// What is left behind has no records, or those that the next attempt writes again and supersedes.
		_ = l.disk.Remove(temp)
		_ = l.disk.Remove(join(l.dir, s.name))
		return nil, err
	}
	l.files.adopt(s, f)
	return s, nil
}

// fill writes the beginning of a new segment and gives it its name.
func (l *Log) fill(s *segment, head []byte) error {
	if err := writeAll(s, head, 0); err != nil {
		return err
	}
	size := int64(len(head))
	if l.suspect {
		l.place(l.pending, s, size)
		if err := writeAll(s, l.pending, size); err != nil {
			return err
		}
		size += int64(len(l.pending))
		if err := s.file.Sync(); err != nil {
			return failed("sync", s.name, err)
		}
	}
	s.size.Store(size)
	name := join(l.dir, s.name)
	if err := l.disk.Rename(name+tempSuffix, name); err != nil {
		return failed("rename", s.name, err)
	}
	if l.suspect {
		return l.syncNames()
	}
	return nil
}

func writeAll(s *segment, b []byte, off int64) error {
	if len(b) == 0 {
		return nil
	}
	n, err := s.file.WriteAt(b, off)
	if err == nil && n < len(b) {
		err = errShortWrite
	}
	return failed("write", s.name, err)
}

// supersede puts a new segment at the end of the log. From its first index on, it counts and nothing older does.
func (l *Log) supersede(s *segment) {
	before := l.tail
	l.tail, l.sealed = s, false
	if before != nil {
		l.pin(before)
	}
	if l.suspect {
		for _, old := range l.segs[l.firstDirty():] { // nobody needs to sync these: their records are in the new one
			old.dirty = false
			l.pin(old)
		}
	}
	keep := len(l.segs)
	for keep > 0 && l.segs[keep-1].first >= s.first {
		keep--
	}
	l.garbage = append(l.garbage, l.segs[keep:]...)
	clear(l.segs[keep:])
	l.segs = append(l.segs[:keep], s)
	if keep > 0 {
		l.segs[keep-1].end = s.first
	}
	l.bytes += s.size.Load()
}

// removeGarbage removes what is superseded, once what supersedes it is sure to be there after a crash.
func (l *Log) removeGarbage() {
	if !l.named {
		return
	}
	left := l.garbage[:0]
	for _, s := range l.garbage {
		if err := l.remove(s); err != nil {
			left = append(left, s)
		}
	}
	clear(l.garbage[len(left):])
	l.garbage = left
}

// remove removes a segment's file. Readers that are at it may finish.
func (l *Log) remove(s *segment) error {
	if err := l.disk.Remove(join(l.dir, s.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove", s.name, err)
	}
	l.bytes -= s.size.Load()
	l.files.discard(s)
	return nil
}
