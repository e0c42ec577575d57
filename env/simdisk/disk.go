package simdisk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"
	"sync"

	"github.com/fulmar-io/fulmar/env"
)

// ErrCrashed is returned by the handles that were open when the disk crashed or the process was killed.
var ErrCrashed = errors.New("simdisk: handle of a process that is gone")

// A Disk implements env.Disk in memory.
type Disk struct {
	// OnOp, if set, is called after each operation, in the goroutine that made it, with no lock held: it may call Clone.
	// Set it before the disk is used.
	OnOp func(op Op, name string)
	// Quota bounds the bytes of all files, as the reader sees them; 0 is no bound. Set it before the disk is used, or
	// with SetQuota.
	Quota int64

	mu     sync.Mutex // guards everything below and the inodes
	life   int        // handles of an earlier life are dead
	dirs   map[string]*dir
	faults []*Fault
	ops    int
	struck int
}

// dir is one folder.
type dir struct {
	entries map[string]*inode // as a reader sees them
	durable map[string]*inode
	pending []entryChange // from durable to entries, in order
}

// entryChange puts node at name if node is not nil, and takes gone away if it is not empty.
type entryChange struct {
	name string
	node *inode
	gone string
}

func (c entryChange) apply(m map[string]*inode) {
	if c.gone != "" {
		delete(m, c.gone)
	}
	if c.node != nil {
		m[c.name] = c.node
	}
}

// inode is one file.
type inode struct {
	data    []byte // as a reader sees it
	durable []byte
	pending []change // from durable to data, in order
}

// change is a write, or a truncation to off if data is nil.
type change struct {
	off  int64
	data []byte
}

func (c change) apply(b []byte) []byte {
	if c.data == nil {
		return resize(b, c.off)
	}
	if end := c.off + int64(len(c.data)); end > int64(len(b)) {
		b = resize(b, end)
	}
	copy(b[c.off:], c.data)
	return b
}

// resize is append or cut to size; what is new is zero.
func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		clear(b[size:])
		return b[:size]
	}
	if size <= int64(cap(b)) {
		old := len(b)
		b = b[:size]
		clear(b[old:])
		return b
	}
	grown := make([]byte, size, size+size/2)
	copy(grown, b)
	return grown
}

// New returns an empty disk without quota and faults.
func New() *Disk {
	return &Disk{dirs: map[string]*dir{".": newDir()}}
}

func newDir() *dir {
	return &dir{entries: map[string]*inode{}, durable: map[string]*inode{}}
}

// Clone returns a copy of the disk as it is, with what is not synced, without faults and OnOp. Handles stay with the
// original.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &Disk{Quota: d.Quota, dirs: make(map[string]*dir, len(d.dirs))}
	nodes := map[*inode]*inode{nil: nil}
	copied := func(n *inode) *inode {
		if m, ok := nodes[n]; ok {
			return m
		}
		m := &inode{
			data:    append([]byte(nil), n.data...),
			durable: append([]byte(nil), n.durable...),
			pending: append([]change(nil), n.pending...), // the bytes of a change are never written again
		}
		nodes[n] = m
		return m
	}
	for name, from := range d.dirs {
		to := newDir()
		for k, n := range from.entries {
			to.entries[k] = copied(n)
		}
		for k, n := range from.durable {
			to.durable[k] = copied(n)
		}
		for _, e := range from.pending {
			to.pending = append(to.pending, entryChange{e.name, copied(e.node), e.gone})
		}
		c.dirs[name] = to
	}
	return c
}

// SetQuota changes Quota while the disk is in use.
func (d *Disk) SetQuota(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Quota = bytes
}

// Used returns the bytes of all files, as Quota counts them. It is not an operation.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used()
}

// Ops returns how many operations were made so far, failed ones included.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// do runs one operation under the lock unless a fault says otherwise, and then OnOp without it.
func (d *Disk) do(op Op, name string, f func(fault *Fault) error) error {
	d.mu.Lock()
	d.ops++
	fault := d.fault(op, name)
	var err error
	if fault != nil && fault.before(op) {
		err = fault.Err
	} else {
		err = f(fault)
	}
	d.mu.Unlock()
	if d.OnOp != nil {
		d.OnOp(op, name)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("simdisk: %s %s: %w", op, name, err)
	}
	return err
}

// split returns the folder of name, which must exist, and the rest.
func (d *Disk) split(name string) (*dir, string, error) {
	if !fs.ValidPath(name) {
		return nil, "", fs.ErrInvalid
	}
	in := d.dirs[path.Dir(name)]
	if in == nil {
		return nil, "", fs.ErrNotExist
	}
	return in, path.Base(name), nil
}

// OpenFile implements env.Disk.
func (d *Disk) OpenFile(name string, create bool) (env.File, error) {
	op := OpOpen
	if create {
		op = OpCreate
	}
	var f *file
	err := d.do(op, name, func(*Fault) error {
		in, base, err := d.split(name)
		if err != nil {
			return err
		}
		node := in.entries[base]
		switch {
		case create && node != nil:
			return fs.ErrExist
		case create:
			node = &inode{}
			in.change(entryChange{name: base, node: node})
		case node == nil:
			return fs.ErrNotExist
		}
		f = &file{disk: d, life: d.life, name: name, node: node}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (in *dir) change(c entryChange) {
	c.apply(in.entries)
	in.pending = append(in.pending, c)
}

// Remove implements env.Disk.
func (d *Disk) Remove(name string) error {
	return d.do(OpRemove, name, func(*Fault) error {
		in, base, err := d.split(name)
		if err != nil {
			return err
		}
		if in.entries[base] == nil {
			return fs.ErrNotExist
		}
		in.change(entryChange{gone: base})
		return nil
	})
}

// Rename implements env.Disk. Between two folders, a crash may leave both names or none.
func (d *Disk) Rename(oldName, newName string) error {
	return d.do(OpRename, newName, func(*Fault) error {
		from, oldBase, err := d.split(oldName)
		if err != nil {
			return err
		}
		to, newBase, err := d.split(newName)
		if err != nil {
			return err
		}
		node := from.entries[oldBase]
		if node == nil {
			return fs.ErrNotExist
		}
		if from == to {
			from.change(entryChange{name: newBase, node: node, gone: oldBase})
			return nil
		}
		to.change(entryChange{name: newBase, node: node})
		from.change(entryChange{gone: oldBase})
		return nil
	})
}

// MkdirAll implements env.Disk.
func (d *Disk) MkdirAll(name string) error {
	return d.do(OpMkdir, name, func(*Fault) error {
		if !fs.ValidPath(name) {
			return fs.ErrInvalid
		}
		for p := name; p != "."; p = path.Dir(p) {
			if d.dirs[p] == nil {
				d.dirs[p] = newDir()
			}
		}
		return nil
	})
}

// ReadDir implements env.Disk.
func (d *Disk) ReadDir(name string) ([]env.FileInfo, error) {
	var list []env.FileInfo
	err := d.do(OpReadDir, name, func(*Fault) error {
		in := d.dirs[name]
		if in == nil {
			return fs.ErrNotExist
		}
		for base, node := range in.entries {
			list = append(list, env.FileInfo{Name: base, Size: int64(len(node.data))})
		}
		return nil
	})
	sort.Slice(list, func(i, j int) bool { return strings.Compare(list[i].Name, list[j].Name) < 0 })
	return list, err
}

// SyncDir implements env.Disk.
func (d *Disk) SyncDir(name string) error {
	return d.do(OpSyncDir, name, func(fault *Fault) error {
		in := d.dirs[name]
		if in == nil {
			return fs.ErrNotExist
		}
		if fault == nil {
			for _, c := range in.pending {
				c.apply(in.durable)
			}
		}
		in.pending = in.pending[:0]
		return fault.err()
	})
}

// Free implements env.Disk. Without a quota there is a lot.
func (d *Disk) Free() (uint64, error) {
	free := uint64(1) << 50
	err := d.do(OpFree, ".", func(*Fault) error {
		if d.Quota > 0 {
			free = uint64(max(0, d.Quota-d.used()))
		}
		return nil
	})
	return free, err
}

// used sums the files that have a name; one that was removed while open counts no more, unlike on a real disk.
func (d *Disk) used() int64 {
	n := int64(0)
	for _, in := range d.dirs {
		for _, node := range in.entries {
			n += int64(len(node.data))
		}
	}
	return n
}
