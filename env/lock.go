package env

import "errors"

// ErrLocked is wrapped by the error of LockFolder when another process holds the lock.
var ErrLocked = errors.New("in use by another process")
