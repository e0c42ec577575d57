package serial

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// port is a serial port as the runtime's poller reads and writes it: the library's own Write
// waits where Close cannot end it.
type port struct{ *os.File }

// openPort opens a serial port and keeps others away. The library sets it up, bit rates of any number included.
func openPort(path string, baud int) (io.ReadWriteCloser, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	p := port{f}
	if err := p.setUp(path, baud); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return p, nil
}

func (p port) setUp(path string, baud int) error {
	// The kernel lets root open what is kept exclusively, perhaps by this very process.
	if taken, err := p.ioctl(func(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.TIOCGEXCL) }); err == nil && taken != 0 {
		return fmt.Errorf("%w: somebody has it already", unix.EBUSY)
	}
	set, err := serial.Open(path, &serial.Mode{BaudRate: baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit})
	if err == nil {
		err = set.Close()
	}
	if err != nil {
		return fmt.Errorf("set %d bits per second: %w", baud, err)
	}
	_, err = p.ioctl(func(fd int) (int, error) {
		// What came before this is of nobody whom we know.
		return 0, errors.Join(unix.IoctlSetInt(fd, unix.TIOCEXCL, 0), unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH))
	})
	return err
}

// ioctl calls f with the descriptor, which stays the poller's.
func (p port) ioctl(f func(fd int) (int, error)) (n int, err error) {
	raw, err := p.SyscallConn()
	if err != nil {
		return 0, err
	}
	if e := raw.Control(func(fd uintptr) { n, err = f(int(fd)) }); e != nil {
		return 0, e
	}
	return n, err
}

// Close gives the port back: what is kept exclusively stays so for as long as anybody has it open.
func (p port) Close() error {
	_, _ = p.ioctl(func(fd int) (int, error) { return 0, unix.IoctlSetInt(fd, unix.TIOCNXCL, 0) }) // one that is gone has nothing to give back
	return p.File.Close()
}
