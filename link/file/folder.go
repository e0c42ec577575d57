package file

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/link"
)

// A file is: the magic, the message's length and its CRC-32C, little endian, and the message.
const (
	magic      = "FULMARM1"
	headerSize = len(magic) + 8
	suffix     = ".msg"
	temporary  = ".fulmar-"
	digits     = 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Limits of one device's folder, in one direction. The zero value of each field means its default.
type Limits struct {
	Count int   // messages. Default 10,000
	Bytes int64 // of the files. Default 1 GiB
}

func (l Limits) withDefaults() Limits {
	if l.Count <= 0 {
		l.Count = 10_000
	}
	if l.Bytes <= 0 {
		l.Bytes = 1 << 30
	}
	return l
}

// tree is the root folder. It is opened for each look and each message, so that a stick can be unmounted and another be
// mounted meanwhile; nothing outside of it is reached, whatever links lie in it.
type tree string

// open opens the root folder, which must be there: a stick that is not plugged in is a link that is down.
func (t tree) open() (*os.Root, error) { return os.OpenRoot(string(t)) }

// sync makes the entries of folders durable.
func (t tree) sync(names ...string) error {
	disk, err := env.NewOSDisk(string(t)) // is there
	for _, name := range names {
		if err == nil {
			err = disk.SyncDir(name)
		}
	}
	return err
}

// make makes a folder of the second level, durably.
func (t tree) make(name string) (err error) {
	root, err := t.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := root.MkdirAll(name, 0o750); err != nil {
		return err
	}
	return t.sync(path.Dir(name), ".")
}

// folder is one device's, in one direction: of its writer or of its reader.
type folder struct {
	tree
	name string

	// The writer's account: at most so much is there, less what the other end has removed since the last look.
	next  uint64
	count int
	bytes int64

	// The reader's: what it saw and has not taken, and what it told of.
	pending []entry
	told    map[string]stamp
}

// entry is a message's file.
type entry struct {
	name string
	stamp
}

// stamp changes when a file does.
type stamp struct {
	size    int64
	written time.Time
}

// list returns the messages that are there, oldest first, and their bytes. A folder that is not there is empty.
func (f *folder) list() (list []entry, bytes int64, err error) {
	root, err := f.open()
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	dir, err := root.Open(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	for {
		batch, err := dir.ReadDir(1024)
		for _, e := range batch {
			if _, ok := number(e.Name()); !ok || !e.Type().IsRegular() {
				continue
			}
			info, err := e.Info()
			if err != nil {
				continue // removed since
			}
			list = append(list, entry{e.Name(), stamp{info.Size(), info.ModTime()}})
			bytes += info.Size()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		if len(list) > maxListed {
			break // the rest has its turn when these are gone
		}
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return list, bytes, nil
}

// maxListed bounds what is remembered of a folder that somebody filled.
const maxListed = 100_000

// number reads a message's file name.
func number(name string) (uint64, bool) {
	s, ok := strings.CutSuffix(name, suffix)
	if !ok || len(s) != digits {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// survey brings the writer's account up to date. Numbers go on where the highest that is there ends.
func (f *folder) survey() error {
	list, bytes, err := f.list()
	if err != nil {
		return err
	}
	f.count, f.bytes = len(list), bytes
	if len(list) > 0 {
		last, _ := number(list[len(list)-1].name)
		f.next = max(f.next, last+1)
	}
	return nil
}

// room reports whether a message of so many bytes fits within the limits.
func (f *folder) room(l Limits, size int) (bool, error) {
	fits := func() bool { return f.count < l.Count && (f.count == 0 || f.bytes+int64(size+headerSize) <= l.Bytes) }
	if fits() {
		return true, nil
	}
	if err := f.survey(); err != nil {
		return false, err
	}
	return fits(), nil
}

// write adds a message, durably.
func (f *folder) write(message []byte) (err error) {
	root, err := f.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	temp := path.Join(f.name, temporary+rand.Text())
	if err = writeFile(root, temp, message); err == nil {
		err = f.publish(root, temp)
	}
	if err != nil {
		_ = root.Remove(temp) // the error that matters is the one at hand
		return err
	}
	f.count++
	f.bytes += int64(headerSize + len(message))
	return f.sync(f.name)
}

// publish gives a file the next number. A former connection of this device, not yet closed, may have used it.
func (f *folder) publish(root *os.Root, temp string) error {
	for {
		name := path.Join(f.name, fmt.Sprintf("%0*d%s", digits, f.next, suffix))
		f.next++
		if _, err := root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return root.Rename(temp, name)
		} else if err != nil {
			return err
		}
	}
}

// sweep removes what a writer that was killed left unfinished.
func (f *folder) sweep() (err error) {
	root, err := f.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	dir, err := root.Open(f.name)
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(maxListed)
	if err = errors.Join(err, dir.Close()); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, temporary) {
			if err := root.Remove(path.Join(f.name, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func writeFile(root *os.Root, name string, message []byte) (err error) {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	var header [headerSize]byte
	copy(header[:], magic)
	binary.LittleEndian.PutUint32(header[len(magic):], uint32(len(message)))
	binary.LittleEndian.PutUint32(header[len(magic)+4:], crc32.Checksum(message, castagnoli))
	if _, err := file.Write(header[:]); err != nil {
		return err
	}
	if _, err := file.Write(message); err != nil {
		return err
	}
	return file.Sync()
}

// take reads and removes the oldest message; ok is false if there is none. What is no message is left and told.
func (f *folder) take(log *slog.Logger) (message []byte, ok bool, err error) {
	if len(f.pending) == 0 {
		if f.pending, _, err = f.list(); err != nil {
			return nil, false, err
		}
		f.forget()
	}
	if len(f.pending) == 0 {
		return nil, false, nil
	}
	root, err := f.open()
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for len(f.pending) > 0 {
		e := f.pending[0]
		f.pending = f.pending[1:]
		if f.told[e.name] == e.stamp {
			continue
		}
		name := path.Join(f.name, e.name)
		message, err := read(root, name, e.size)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			f.tell(log, e, err)
			continue
		}
		if err := root.Remove(name); err != nil {
			return nil, false, err // it would come again and again
		}
		return message, true, nil
	}
	return nil, false, nil
}

// read reads a message's file.
func read(root *os.Root, name string, size int64) (message []byte, err error) {
	if size < int64(headerSize) || size > int64(headerSize+link.MaxMessage) {
		return nil, fmt.Errorf("%d bytes: want %d to %d", size, headerSize, headerSize+link.MaxMessage)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	b := make([]byte, size)
	if _, err := io.ReadFull(file, b); err != nil {
		return nil, err
	}
	if string(b[:len(magic)]) != magic {
		return nil, errors.New("not a message")
	}
	length, sum := binary.LittleEndian.Uint32(b[len(magic):]), binary.LittleEndian.Uint32(b[len(magic)+4:])
	message = b[headerSize:]
	if int(length) != len(message) {
		return nil, fmt.Errorf("%d of %d bytes", len(message), length)
	}
	if crc32.Checksum(message, castagnoli) != sum {
		return nil, errors.New("checksum mismatch")
	}
	return message, nil
}

// tell says once that a file is no message; again when it has changed, as one does that is still being copied.
func (f *folder) tell(log *slog.Logger, e entry, why error) {
	if f.told == nil {
		f.told = make(map[string]stamp)
	}
	f.told[e.name] = e.stamp
	log.Warn("file is not a whole message; it is left where it is", "file", path.Join(f.name, e.name), "error", why)
}

// forget drops what was told of files that are gone.
func (f *folder) forget() {
	if len(f.told) == 0 {
		return
	}
	there := make(map[string]bool, len(f.pending))
	for _, e := range f.pending {
		there[e.name] = true
	}
	for name := range f.told {
		if !there[name] {
			delete(f.told, name)
		}
	}
}
