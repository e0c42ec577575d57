//go:build unix

package ring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

type memory struct {
	b    []byte
	path string
	file *os.File // holds the lock; nil for memory that dies with the process
}

func createMemory(path string, size int) (memory, error) {
	if path == "" {
		b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return memory{}, fmt.Errorf("ring: create: map %d bytes: %w", size, err)
		}
		return memory{b: b}, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return memory{}, fmt.Errorf("ring: create: %w", err)
	}
	m, err := mapFile(f, path, size, false)
	if err != nil {
		return memory{}, errors.Join(fmt.Errorf("ring: create: %w", err), f.Close(), os.Remove(path))
	}
	return m, nil
}

func openMemory(path string, shared bool) (memory, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return memory{}, fmt.Errorf("ring: open: %w", owned(path, err))
	}
	m, err := mapFile(f, path, 0, shared)
	if err != nil {
		return memory{}, errors.Join(fmt.Errorf("ring: open: %w", err), f.Close())
	}
	return m, nil
}

// owned says whose file it is that this process may not open.
func owned(path string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return err
	}
	return fmt.Errorf("the file belongs to the user %d, this process to %d: %w", st.Uid, os.Geteuid(), err)
}

// mapFile locks and maps f, for this process alone or shared with others that say so; a size other than 0 is what the file is
// made to hold, with memory behind all of it.
func mapFile(f *os.File, path string, size int, shared bool) (memory, error) {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	if err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return memory{}, fmt.Errorf("%s: %w", path, ErrInUse)
		}
		return memory{}, fmt.Errorf("lock %s: %w", path, err)
	}
	if size > 0 {
		if err := preallocate(f, int64(size)); err != nil {
			return memory{}, fmt.Errorf("take %d bytes of shared memory: %w", size, err)
		}
	} else {
		st, err := f.Stat()
		if err != nil {
			return memory{}, err
		}
		if st.Size() < pageSize || st.Size() > pageSize+MaxProducers*(pageSize+MaxCapacity) {
			return memory{}, fmt.Errorf("%s: %w: %d bytes", path, ErrFormat, st.Size())
		}
		size = int(st.Size())
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return memory{}, fmt.Errorf("map %s: %w", path, err)
	}
	return memory{b: b, path: path, file: f}, nil
}

func (m memory) name() string { return m.path }

// share lets others share the memory.
func (m memory) share() error {
	if m.file == nil {
		return nil
	}
	if err := unix.Flock(int(m.file.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return fmt.Errorf("ring: share %s: %w", m.path, err)
	}
	return nil
}

func (m memory) bytes() []byte  { return m.b }
func (m memory) survives() bool { return m.file != nil }

func (m memory) close() error {
	err := unix.Munmap(m.b)
	if m.file != nil {
		err = errors.Join(err, m.file.Close())
	}
	return err
}

func (m memory) remove() error {
	if m.file == nil {
		return m.close()
	}
	return errors.Join(os.Remove(m.path), m.close())
}
