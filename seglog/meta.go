package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/fulmar-io/fulmar/env"
)

// A metaStore keeps the cursor and the owner's metadata in two files that take turns, so that the one that is being
// written is never the only whole one. What Open found is not known to be durable: it is left alone until something
// newer is.
type metaStore struct {
	disk env.Disk
	dir  string

	seq    uint64
	named  uint64 // highest number used in a name
	cursor uint64 // as it was found
	saved  uint64 // as it is durable for sure; 0 until this life has saved it, for what was found may be of a save cut short
	files  [2]metaFile
	turn   int
	// unreadable is the last error of the disk's that hid a file from load.
	unreadable error
	old        []string // to be removed once something newer is durable
	buf        []byte
}

type metaFile struct {
	name string // empty if there is none yet
	file env.File
}

// load returns what was saved last and is whole. Damaged says that there was something and nothing of it is whole.
func (m *metaStore) load(names []string) (data []byte, damaged bool, err error) {
	found, hidden := false, false
	for _, name := range names {
		m.old = append(m.old, name)
		if n, ok := parseHex(strings.TrimSuffix(name, metaSuffix)); ok {
			m.named = max(m.named, n)
		}
		b, err := m.read(name)
		if err != nil {
			return nil, false, err
		}
		if b == nil {
			damaged, hidden = true, true
			continue
		}
		if seq := binary.LittleEndian.Uint64(b[16:]); !found || seq > m.seq {
			found = true
			m.seq, m.cursor, data = seq, binary.LittleEndian.Uint64(b[24:]), b[metaSize:]
		}
	}
	if hidden {
		m.seq += hiddenSaves
	}
	return data, damaged && !found, nil
}

// hiddenSaves is more than a file that cannot be read now can be ahead of those that can. It may be read again one day, and must not count
// then: what is saved from here on is newer.
const hiddenSaves = 1 << 32

// read returns a metadata file, nil if it is damaged.
func (m *metaStore) read(name string) ([]byte, error) {
	var b []byte
	var hidden error
	for attempt := 0; attempt < 2 && b == nil; attempt++ { // an error may pass
		f, err := m.disk.OpenFile(join(m.dir, name), false)
		if hidden = err; err != nil {
			continue
		}
		p := make([]byte, metaSize+MaxMeta)
		n, err := f.ReadAt(p, 0)
		if !errors.Is(err, io.EOF) {
			hidden = err
		}
		_ = f.Close()
		b = p[:n]
		if n < metaSize || string(b[:8]) != metaMagic {
			b = nil
			continue
		}
		size := binary.LittleEndian.Uint32(b[12:])
		if int64(size) > int64(n-metaSize) {
			b = nil
			continue
		}
		b = b[:metaSize+int(size)]
		if binary.LittleEndian.Uint32(b[36:]) != metaSum(b) {
			b = nil
		}
	}
	if b == nil {
		if hidden != nil {
			m.unreadable = failed("read", name, hidden)
		}
		return nil, nil
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return nil, versionError(name, v)
	}
	return b, nil
}

// readable reports whether what load found, or this life has saved since, is the newest there is. Otherwise nothing may take its
// place but what the owner says.
func (m *metaStore) readable() bool { return m.unreadable == nil || m.saved > 0 }

func metaSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:36], castagnoli), castagnoli, b[metaSize:])
}

// save makes cursor and data durable. syncNames makes the names in the folder durable.
func (m *metaStore) save(cursor uint64, data []byte, syncNames func() error) error {
	m.seq++ // also after a failure: two of the same number must not differ
	m.buf = append(m.buf[:0], make([]byte, metaSize)...)
	m.buf = append(m.buf, data...)
	copy(m.buf, metaMagic)
	binary.LittleEndian.PutUint32(m.buf[8:], version)
	binary.LittleEndian.PutUint32(m.buf[12:], uint32(len(data)))
	binary.LittleEndian.PutUint64(m.buf[16:], m.seq)
	binary.LittleEndian.PutUint64(m.buf[24:], cursor)
	binary.LittleEndian.PutUint32(m.buf[36:], metaSum(m.buf))
	f := &m.files[m.turn]
	if err := m.write(f, syncNames); err != nil {
		// Its descriptor is not trusted again, nor its name to be durable.
		if f.file != nil {
			_ = f.file.Close()
			m.old = append(m.old, f.name)
		}
		*f = metaFile{}
		return err
	}
	m.saved = cursor
	m.turn = 1 - m.turn
	left := m.old[:0]
	for _, name := range m.old {
		if err := m.disk.Remove(join(m.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = append(left, name)
		}
	}
	m.old = left
	return nil
}

func (m *metaStore) write(f *metaFile, syncNames func() error) error {
	created := f.file == nil
	if created {
		m.named++
		f.name = fmt.Sprintf("%016x%s", m.named, metaSuffix)
		file, err := m.disk.OpenFile(join(m.dir, f.name), true)
		if err != nil {
			return failed("create", f.name, err)
		}
		f.file = file
	}
	n, err := f.file.WriteAt(m.buf, 0)
	if err == nil && n < len(m.buf) {
		err = errShortWrite
	}
	if err != nil {
		return failed("write", f.name, err)
	}
	if err := f.file.Sync(); err != nil {
		return failed("sync", f.name, err)
	}
	if created {
		return syncNames()
	}
	return nil
}

func (m *metaStore) close() {
	for i := range m.files {
		if m.files[i].file != nil {
			_ = m.files[i].file.Close()
		}
		m.files[i] = metaFile{}
	}
}

// SaveMeta makes up to MaxMeta bytes of the owner's durable, in place of those before and at once with what is trimmed. It
// is all or nothing, also across a power cut; after an error it may be either.
func (l *Log) SaveMeta(data []byte) error {
	if len(data) > MaxMeta {
		return fmt.Errorf("seglog: save %d bytes of metadata: %w: at most %d", len(data), ErrTooLarge, MaxMeta)
	}
	l.serial.Lock()
	defer l.serial.Unlock()
	l.mu.RLock()
	err, cursor := l.writable("save metadata"), l.cursor
	l.mu.RUnlock()
	if err != nil {
		return err
	}
	return l.save(cursor, data)
}

// save saves with serial held.
func (l *Log) save(cursor uint64, data []byte) error {
	err := l.meta.save(cursor, data, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.syncNames()
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.metaData = append(l.metaData[:0], data...)
	return nil
}

// saveCursor saves the cursor if it has moved, with serial held.
func (l *Log) saveCursor() error {
	l.mu.RLock()
	cursor, data := l.cursor, append([]byte(nil), l.metaData...)
	l.mu.RUnlock()
	if cursor == l.meta.saved || cursor == 1 {
		return nil
	}
	return l.save(cursor, data)
}

// Meta returns a copy of what SaveMeta saved last. If the process ended while SaveMeta was at it, this may be the new, and
// a power cut before the next SaveMeta may bring back the old.
func (l *Log) Meta() []byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return append([]byte{}, l.metaData...)
}

// TrimFront says that no record below upTo is needed any more. They cannot be read from then on; space is given back by
// whole segments, all but the last, and what is not durable stays until it is. Before a segment is removed it is made
// durable that it was not needed; otherwise that is saved with the next SaveMeta, segment or Close, and a crash before may
// bring records back. An upTo below First does nothing, one above Next is an error.
func (l *Log) TrimFront(upTo uint64) error {
	l.serial.Lock()
	defer l.serial.Unlock()
	remove, err := l.moveCursor(upTo)
	if err != nil || remove == 0 {
		return err
	}
	if err := l.keepCheckpoint(remove); err != nil {
		return err
	}
	if err := l.saveCursor(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for ; remove > 0; remove-- {
		s := l.segs[0]
		l.segs[0] = nil
		l.segs = l.segs[1:]
		if rerr := l.remove(s); rerr != nil {
			l.garbage = append(l.garbage, s) // tried again after the next Sync
			err = rerr
		}
	}
	return err
}

// keepCheckpoint makes durable what the first segments, that are about to go, are needed for: their names' successors, and
// a checkpoint in the segment behind them, which may have no record yet that a Sync has covered.
func (l *Log) keepCheckpoint(remove int) error {
	l.mu.RLock()
	covered, unsynced := l.segs[remove].first <= l.durable, l.durable+1 < l.next
	l.mu.RUnlock()
	if !covered && unsynced {
		if err := l.sync(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !covered && !unsynced { // a segment without records
		if l.tail == nil || l.suspect {
			if err := l.begin(); err != nil {
				return err
			}
		}
		if err := l.tail.file.Sync(); err != nil {
			l.suspect = true
			l.stats.Failures++
			return failed("sync", l.tail.name, err)
		}
	}
	if !l.named {
		return l.syncNames()
	}
	return nil
}

// moveCursor moves the cursor and returns how many segments can be removed.
func (l *Log) moveCursor(upTo uint64) (remove int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable("trim"); err != nil {
		return 0, err
	}
	if upTo > l.next {
		return 0, fmt.Errorf("seglog: trim up to %d: only %d is next", upTo, l.next)
	}
	l.cursor = max(l.cursor, upTo)
	for remove < len(l.segs)-1 && l.segs[remove].end <= min(l.cursor, l.durable+1) {
		remove++
	}
	return remove, nil
}

func (l *Log) writable(op string) error {
	switch {
	case l.closed:
		return failed(op, l.dir, ErrClosed)
	case l.opt.ReadOnly:
		return failed(op, l.dir, ErrReadOnly)
	}
	return nil
}
