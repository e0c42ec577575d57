package linux

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is what is asked of the kernel about device files; tests have one of their own, which reads the structures as the
// kernel's headers define them.
type kernel interface {
	open(path string) (fd int, err error)
	ioctl(fd int, request uint32, argument unsafe.Pointer) error
	read(fd int, p []byte) (int, error)
	nonblock(fd int) error
	close(fd int) error
}

// system is the real one.
type system struct{}

func (system) open(path string) (int, error) {
	return unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
}

func (system) ioctl(fd int, request uint32, argument unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(argument))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return errno
	}
}

func (system) read(fd int, p []byte) (int, error) { return unix.Read(fd, p) }
func (system) nonblock(fd int) error              { return unix.SetNonblock(fd, true) }
func (system) close(fd int) error                 { return unix.Close(fd) }

// Directions of an ioctl, as asm-generic/ioctl.h packs them: that of most architectures.
const (
	toKernel   = 1
	fromKernel = 2
)

func request(direction uint32, group, number byte, size uintptr) uint32 {
	return direction<<30 | uint32(size)<<16 | uint32(group)<<8 | uint32(number)
}

// packsIoctls reports whether this architecture packs them so.
func packsIoctls() bool {
	switch runtime.GOARCH {
	case "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le", "sparc64":
		return false
	}
	return true
}
