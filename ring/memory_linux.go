package ring

import (
	"os"

	"golang.org/x/sys/unix"
)

// preallocate takes the memory now: a store to a page that tmpfs cannot back would be a SIGBUS in a control loop.
func preallocate(f *os.File, size int64) error {
	return unix.Fallocate(int(f.Fd()), 0, 0, size)
}
