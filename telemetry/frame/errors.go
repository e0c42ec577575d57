package frame

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fulmar-io/fulmar/telemetry"
)

// Errors that the errors of this package wrap.
var (
	// ErrCorrupt: these bytes are not an intact frame. Reading them again is of no use.
	ErrCorrupt = errors.New("corrupt frame")
	// ErrVersion: an intact frame of a version or mode that this build can't read.
	ErrVersion = errors.New("unsupported frame version")
	// ErrLimit: the frame asks for more than the Limits allow.
	ErrLimit = errors.New("frame exceeds the limits")
	// ErrFull: the record was not taken. Finish the frame, then append the record again.
	ErrFull = errors.New("frame full")
	// ErrRecord: the record can't be in this frame: not of this stream, out of sequence, or not of its layout. The
	// encoder is unchanged.
	ErrRecord = errors.New("record does not fit the frame")
)

// UnknownLayoutsError says that a frame is intact but that some of its layouts were not at hand. The records of the other
// layouts were decoded.
type UnknownLayoutsError struct {
	IDs []telemetry.LayoutID // in the order of the header; the caller's
}

// Error implements error.
func (e *UnknownLayoutsError) Error() string {
	ids := make([]string, len(e.IDs))
	for i, id := range e.IDs {
		ids[i] = id.String()
	}
	return "frame: decode: unknown layouts: " + strings.Join(ids, ", ")
}

func corrupt(what string) error { return fmt.Errorf("frame: %s: %w", what, ErrCorrupt) }
