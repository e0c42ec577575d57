//go:build darwin || freebsd

package env

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// On darwin (*os.File).Sync, which osFile inherits here, is F_FULLFSYNC: fsync alone stops at the drive's cache there.

func freeBytes(path string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("disk: free space of %s: %w", path, err)
	}
	if st.Bavail <= 0 { // freebsd counts below zero when root has used the reserve
		return 0, nil
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}
