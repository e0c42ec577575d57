package seglog

import (
	"errors"
	"fmt"

	"github.com/fulmar-io/fulmar/env"
)

// Errors that the methods of a Log wrap. After any of them the log goes on: call again.
var (
	// ErrFull: Options.MaxUnsynced is reached. Sync, then append again.
	ErrFull = errors.New("too much is not synced yet")
	// ErrQuota: Options.MaxBytes is reached. TrimFront what is needed least, then append again.
	ErrQuota = errors.New("quota reached")
	// ErrDiskFull: no space left, or less than Options.MinFree. Append again when there is.
	ErrDiskFull = errors.New("disk full")
	// ErrTooLarge: a record above Options.MaxRecord, a batch above Options.MaxUnsynced, metadata above MaxMeta or a
	// checkpoint above 64 MiB. Trying again is of no use.
	ErrTooLarge = errors.New("too large")
	// ErrTrimmed: the index is below First.
	ErrTrimmed = errors.New("trimmed")
	// ErrDamaged: what was written there cannot be read any more; see DamagedError.
	ErrDamaged = errors.New("damaged")
	// ErrVersion: the log was written by a newer build.
	ErrVersion = errors.New("written by a newer version")
	// ErrReadOnly: the log was opened with Options.ReadOnly.
	ErrReadOnly = errors.New("opened read-only")
	// ErrClosed: after Close.
	ErrClosed = errors.New("closed")
)

// A DamagedError tells which records are lost to damage on the disk. It wraps ErrDamaged and Cause.
type DamagedError struct {
	First, Last uint64 // indexes, both lost
	Segment     string // name of the file; empty if there is none for these indexes
	Offset      int64  // where in the file the damage begins, as near as it is known
	Cause       error  // what the disk said, nil if it only returned other bytes than were written
}

// Error implements error.
func (e *DamagedError) Error() string {
	what := fmt.Sprintf("record %d", e.First)
	if e.Last > e.First {
		what = fmt.Sprintf("records %d to %d", e.First, e.Last)
	}
	where := "segment missing"
	if e.Segment != "" {
		where = fmt.Sprintf("%s at %d", e.Segment, e.Offset)
	}
	if e.Cause != nil {
		return fmt.Sprintf("seglog: read %s: %s: damaged: %v", what, where, e.Cause)
	}
	return fmt.Sprintf("seglog: read %s: %s: damaged", what, where)
}

// Unwrap returns ErrDamaged and the cause.
func (e *DamagedError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrDamaged}
	}
	return []error{ErrDamaged, e.Cause}
}

// Unreadable reports whether the disk did not return a record, or returned an error with it. Asked again it may return
// it whole. A record that is damaged otherwise stays so.
func Unreadable(err error) bool {
	var d *DamagedError
	return errors.As(err, &d) && d.Cause != nil
}

// failed says what was being done, and says ErrDiskFull where the disk did in its own words.
func failed(op, thing string, err error) error {
	if err == nil {
		return nil
	}
	if env.IsDiskFull(err) {
		return fmt.Errorf("seglog: %s %s: %w: %w", op, thing, ErrDiskFull, err)
	}
	return fmt.Errorf("seglog: %s %s: %w", op, thing, err)
}
