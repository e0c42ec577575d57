//go:build unix && !linux

package ring

import "os"

// preallocate only sets the size: these systems have no portable way to take the blocks, so a full disk can still fault.
func preallocate(f *os.File, size int64) error { return f.Truncate(size) }
