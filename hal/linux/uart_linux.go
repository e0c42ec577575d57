package linux

import (
	"errors"
	"fmt"
	"path/filepath"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

type uart struct{ device }

// openUART opens the line twice: the library sets it up, bit rates of any number included, but waits in its calls; ours does
// not wait, and reads and writes.
func (h *Host) openUART(r hal.Resource) (any, func() error, error) {
	path := r.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(h.dev, path)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, explain(err, path, filepath.Join(filepath.Dir(path), pattern(path)))
	}
	d := &uart{}
	d.init(system{}, fd, name.Of(r))
	// The kernel lets root open what is kept exclusively, perhaps by this very machine under another name.
	if taken, err := unix.IoctlGetInt(fd, unix.TIOCGEXCL); err == nil && taken != 0 {
		_ = d.close() // the first error is the one that matters
		return nil, nil, explain(unix.EBUSY, path, "")
	}
	if err := setUp(path, fd, r); err != nil {
		_ = d.close() // the first error is the one that matters
		return nil, nil, err
	}
	return d, d.release, nil
}

// release gives the line back: what is kept exclusively stays so for as long as anybody has it open, if nobody says otherwise.
func (d *uart) release() error {
	d.mu.Lock()
	if d.fd >= 0 {
		_ = unix.IoctlSetInt(d.fd, unix.TIOCNXCL, 0) // a line that is gone has nothing to give back
	}
	d.mu.Unlock()
	return d.close()
}

func setUp(path string, fd int, r hal.Resource) error {
	rate := r.RateHz
	if rate == 0 {
		rate = 9600
	}
	port, err := serial.Open(path, &serial.Mode{BaudRate: int(rate), DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit})
	if err != nil {
		return fmt.Errorf("set %d bits per second: %w", rate, err)
	}
	if err := port.Close(); err != nil {
		return fmt.Errorf("set %d bits per second: %w", rate, err)
	}
	if err := unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err != nil {
		return fmt.Errorf("keep others away: %w", err)
	}
	return nil
}

// pattern finds serial lines in the folder of one.
func pattern(path string) string {
	if filepath.Base(filepath.Dir(path)) == "dev" || len(filepath.Base(path)) > 3 && filepath.Base(path)[:3] == "tty" {
		return "tty[A-Z]*"
	}
	return "*"
}

// Read implements hal.UART.
func (d *uart) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost {
		return 0, d.gone
	}
	if len(p) == 0 {
		return 0, nil
	}
	switch n, err := unix.Read(d.fd, p); {
	case n > 0:
		return n, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	case err == nil, errors.Is(err, unix.EIO), errors.Is(err, unix.ENXIO): // hung up
		d.lost = true
		return 0, d.gone
	default:
		return 0, d.fail(err)
	}
}

// Write implements hal.UART.
func (d *uart) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost {
		return 0, d.gone
	}
	if len(p) == 0 {
		return 0, nil
	}
	switch n, err := unix.Write(d.fd, p); {
	case n >= 0 && err == nil:
		return n, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	case errors.Is(err, unix.EIO), errors.Is(err, unix.ENXIO):
		d.lost = true
		return 0, d.gone
	default:
		return 0, d.fail(err)
	}
}
