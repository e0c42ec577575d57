package simdisk

import (
	"io"
	"io/fs"
	"syscall"
)

// file is a handle.
type file struct {
	disk   *Disk
	life   int
	name   string
	node   *inode
	closed bool
}

// alive is called under the disk's lock.
func (f *file) alive() error {
	if f.life != f.disk.life {
		return ErrCrashed
	}
	if f.closed {
		return fs.ErrClosed
	}
	return nil
}

func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.disk.do(OpRead, f.name, func(*Fault) error {
		if err := f.alive(); err != nil {
			return err
		}
		if off < 0 {
			return fs.ErrInvalid
		}
		if off < int64(len(f.node.data)) {
			n = copy(p, f.node.data[off:])
		}
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.disk.do(OpWrite, f.name, func(fault *Fault) error {
		if err := f.alive(); err != nil {
			return err
		}
		if off < 0 {
			return fs.ErrInvalid
		}
		fits := int64(len(p))
		err := fault.err()
		if fault != nil {
			fits /= 2 // before() has seen to it that the fault is a short write
		}
		if d := f.disk; d.Quota > 0 {
			if more := off + fits - int64(len(f.node.data)); more > 0 {
				if lack := more - max(0, d.Quota-d.used()); lack > 0 {
					fits, err = max(0, fits-lack), syscall.ENOSPC
				}
			}
		}
		n = int(fits)
		if n > 0 {
			f.node.change(change{off, append([]byte(nil), p[:n]...)})
		}
		return err
	})
	return n, err
}

func (n *inode) change(c change) {
	n.data = c.apply(n.data)
	n.pending = append(n.pending, c)
}

func (f *file) Truncate(size int64) error {
	return f.disk.do(OpTruncate, f.name, func(*Fault) error {
		if err := f.alive(); err != nil {
			return err
		}
		if size < 0 {
			return fs.ErrInvalid
		}
		f.node.change(change{off: size})
		return nil
	})
}

func (f *file) Sync() error {
	return f.disk.do(OpSync, f.name, func(fault *Fault) error {
		if err := f.alive(); err != nil {
			return err
		}
		if fault == nil {
			for _, c := range f.node.pending {
				f.node.durable = c.apply(f.node.durable)
			}
		}
		f.node.pending = f.node.pending[:0]
		return fault.err()
	})
}

func (f *file) Size() (size int64, err error) {
	err = f.disk.do(OpSize, f.name, func(*Fault) error {
		size = int64(len(f.node.data))
		return f.alive()
	})
	return size, err
}

// Close is not an operation: it cannot fail with a fault, and nothing depends on it.
func (f *file) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.alive(); err != nil {
		return err
	}
	f.closed = true
	return nil
}
