package env

import (
	"context"
	"errors"
	"time"
)

// ErrLocked is wrapped by the error of LockFolder when another process holds the lock.
var ErrLocked = errors.New("in use by another process")

// lockRetry is how often WaitForFolder tries, and lockTold how long it does so before it tells.
const lockRetry, lockTold = 20 * time.Millisecond, 500 * time.Millisecond

// WaitForFolder is LockFolder that waits for whoever has the folder, until ctx ends. If that takes longer than half a second, waiting
// is called, once, unless it is nil.
func WaitForFolder(ctx context.Context, dir string, waiting func()) (unlock func() error, err error) {
	again := time.NewTicker(lockRetry)
	defer again.Stop()
	tell := time.NewTimer(lockTold)
	defer tell.Stop()
	for {
		if unlock, err = LockFolder(dir); err == nil || !errors.Is(err, ErrLocked) {
			return unlock, err
		}
		select {
		case <-again.C:
		case <-tell.C:
			if waiting != nil {
				waiting()
			}
		case <-ctx.Done():
			return nil, err
		}
	}
}
