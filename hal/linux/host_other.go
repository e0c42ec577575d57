//go:build !linux

package linux

import (
	"fmt"
	"runtime"

	"github.com/fulmar-io/fulmar/hal"
)

func (h *Host) open(hal.Resource) (any, func() error, error) {
	return nil, nil, fmt.Errorf("the hardware of a %s host: %w", runtime.GOOS, hal.ErrUnsupported)
}
