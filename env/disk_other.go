//go:build unix && !linux && !darwin && !freebsd

package env

import (
	"errors"
	"fmt"
)

func freeBytes(path string) (uint64, error) {
	return 0, fmt.Errorf("disk: free space of %s: %w", path, errors.ErrUnsupported)
}
