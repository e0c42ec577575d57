package env

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A Disk is a folder tree. Names are relative to its root, slash-separated and clean ("spool/urgent/0001.seg").
// Nothing is durable until it was synced: a file's bytes and length by File.Sync, a file's existence, name or removal by
// SyncDir on its folder. A Disk may be used from several goroutines; that two of them do not write one file at the same
// time is the caller's business.
type Disk interface {
	// OpenFile opens an existing file for reading and writing, or with create makes a new one that must not exist.
	// An open file may be renamed and removed; it stays readable and writable until it is closed.
	OpenFile(name string, create bool) (File, error)
	// Remove removes a file.
	Remove(name string) error
	// Rename replaces newName by oldName atomically. Both folders must be synced for it to last.
	Rename(oldName, newName string) error
	// MkdirAll makes a folder and its parents, durably.
	MkdirAll(name string) error
	// ReadDir lists the files (not folders) of a folder, by name.
	ReadDir(name string) ([]FileInfo, error)
	// SyncDir makes the entries of a folder durable.
	SyncDir(name string) error
	// Free returns the bytes that can still be written by an unprivileged user. Where the system cannot tell, the error
	// wraps errors.ErrUnsupported.
	Free() (uint64, error)
}

// A File is an open file. Reads may run concurrently with each other and with one writer, as in a POSIX system; a read
// that overlaps a write in progress may see either content.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	// Sync makes what was written durable. After an error the kernel may have dropped the pages: the file must not be
	// trusted to hold, now or later, what the failed Sync covered.
	Sync() error
	Size() (int64, error)
	Close() error
}

// FileInfo is one entry of a folder.
type FileInfo struct {
	Name string // without the folder
	Size int64
}

// OSDisk is the operating system's disk below a root folder.
type OSDisk struct{ root string }

// NewOSDisk returns the disk below root, which is made if it does not exist.
func NewOSDisk(root string) (*OSDisk, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	top := root // the lowest folder that exists already
	for {
		if _, err := os.Stat(top); !errors.Is(err, fs.ErrNotExist) || top == filepath.Dir(top) {
			break
		}
		top = filepath.Dir(top)
	}
	if err := os.MkdirAll(root, 0o750); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	if err := syncUp(root, top); err != nil {
		return nil, err
	}
	return &OSDisk{root: root}, nil
}

// syncUp makes the folders from below top down to path durable, by syncing the parent of each.
func syncUp(path, top string) error {
	for len(path) > len(top) {
		path = filepath.Dir(path)
		if err := syncDir(path); err != nil {
			return err
		}
	}
	return nil
}

// Path returns where name is in the operating system's terms.
func (d *OSDisk) Path(name string) string { return filepath.Join(d.root, filepath.FromSlash(name)) }

// OpenFile implements Disk.
func (d *OSDisk) OpenFile(name string, create bool) (File, error) {
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE | os.O_EXCL
	}
	f, err := openFile(d.Path(name), flag, 0o640)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	return osFile{f}, nil
}

// Remove implements Disk.
func (d *OSDisk) Remove(name string) error { return os.Remove(d.Path(name)) }

// Rename implements Disk.
func (d *OSDisk) Rename(oldName, newName string) error {
	return os.Rename(d.Path(oldName), d.Path(newName))
}

// MkdirAll implements Disk.
func (d *OSDisk) MkdirAll(name string) error {
	p := d.Path(name)
	if err := os.MkdirAll(p, 0o750); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	// Also when the folders were there: whoever made them may have been killed before this.
	return syncUp(p, d.root)
}

// ReadDir implements Disk.
func (d *OSDisk) ReadDir(name string) ([]FileInfo, error) {
	entries, err := os.ReadDir(d.Path(name))
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	list := make([]FileInfo, 0, len(entries))
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since the folder was read
		}
		if err != nil {
			return nil, fmt.Errorf("disk: %w", err)
		}
		list = append(list, FileInfo{Name: e.Name(), Size: info.Size()})
	}
	return list, nil
}

// SyncDir implements Disk.
func (d *OSDisk) SyncDir(name string) error { return syncDir(d.Path(name)) }

// Free implements Disk.
func (d *OSDisk) Free() (uint64, error) { return freeBytes(d.root) }

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
