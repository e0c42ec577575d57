package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

func (h *Host) open(r hal.Resource) (any, func() error, error) {
	switch r.Kind {
	case hal.KindInput, hal.KindOutput:
		return h.openPin(system{}, r)
	case hal.KindPWM:
		return h.openPWM(r)
	case hal.KindADC:
		return h.openADC(r)
	case hal.KindCounter:
		return h.openCounter(r)
	case hal.KindI2C:
		return h.openI2C(system{}, r)
	case hal.KindSPI:
		return h.openSPI(system{}, r)
	case hal.KindUART:
		return h.openUART(r)
	case hal.KindCAN:
		return h.openCAN(r)
	}
	return nil, nil, hal.ErrUnsupported
}

// explain adds to an error of opening a file what a person can do: pattern finds the files that there are.
func explain(err error, path, pattern string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		have, _ := filepath.Glob(pattern) // a pattern of ours has no error
		for i := range have {
			have[i] = filepath.Base(have[i])
		}
		return fmt.Errorf("there is no %s: %s: %w", path, name.Listed(filepath.Base(path), have), err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s", err, membership(path))
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w: somebody has it already", err)
	}
	return err
}

// membership says which group may open a file.
func membership(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "its folder is closed to this user"
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "it is closed to this user"
	}
	if info.Mode().Perm()&0o060 == 0 || stat.Gid == 0 {
		return fmt.Sprintf("%s is for root alone: a rule of udev can give it to a group", path)
	}
	group := strconv.Itoa(int(stat.Gid))
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return fmt.Sprintf("%s is for the group %s: usermod -aG %s USER, and log in again", path, group, group)
}

// device is an open file and its errors. Its mutex guards fd against closing.
type device struct {
	mu   sync.Mutex
	k    kernel
	fd   int  // -1 when it is closed
	lost bool // it is closed, or gone

	what           string
	noAnswer, gone error
}

func (d *device) init(k kernel, fd int, what string) {
	d.k, d.fd, d.what = k, fd, what
	d.noAnswer = fmt.Errorf("linux: %s: %w", what, hal.ErrNoAnswer)
	d.gone = fmt.Errorf("linux: %s: %w", what, hal.ErrGone)
}

func (d *device) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return nil
	}
	err := d.k.close(d.fd)
	d.fd, d.lost = -1, true
	if err != nil {
		return fmt.Errorf("linux: close %s: %w", d.what, err)
	}
	return nil
}

// fail makes one of the errors that a caller can tell apart of what the kernel says (i2c/fault-codes, and others alike). What is
// gone stays gone.
func (d *device) fail(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.EREMOTEIO), errors.Is(err, unix.ETIMEDOUT), errors.Is(err, unix.EAGAIN),
		errors.Is(err, unix.EIO), errors.Is(err, unix.EBUSY), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EPROTO):
		return d.noAnswer
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.EBADF), errors.Is(err, unix.ESHUTDOWN), errors.Is(err, unix.ENETDOWN):
		d.lost = true
		return d.gone
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ERANGE), errors.Is(err, unix.EMSGSIZE):
		return fmt.Errorf("linux: %s: %w: %w", d.what, hal.ErrRange, err)
	}
	return fmt.Errorf("linux: %s: %w", d.what, err)
}
