package mcap

import (
	"errors"
	"io"
)

// A Recovery tells how far a file could be read.
type Recovery struct {
	Messages uint64 // delivered
	// Offset is up to where the file was read: its size, unless the last of Damage is where it breaks off.
	Offset int64
	// Complete is whether the file has its end, and all of its CRCs hold.
	Complete bool
	// Damage has what could not be read, in the order of the file: at most 1,000 of them; More is how many there were
	// besides.
	Damage []*DamageError
	More   uint64
}

// Recover calls f for every message that can be read from a file that may be cut or damaged. Every message is as it
// was written, except for those that say Unchecked: of a chunk that is damaged or cut none is delivered. The Recovery is valid in any
// case. The error is one of reading (wraps ErrNotMCAP if the file is none), or that of f, which ends it.
func Recover(in io.Reader, o ReaderOptions, f func(Message) error) (Recovery, error) {
	var rec Recovery
	r, err := NewReader(in, o)
	if err != nil {
		return rec, err
	}
	for {
		m, err := r.Next()
		rec.Offset = r.Offset()
		var damage *DamageError
		switch {
		case errors.Is(err, io.EOF):
			rec.Complete = r.Complete() && len(rec.Damage) == 0
			return rec, nil
		case errors.As(err, &damage):
			const most = 1000
			if len(rec.Damage) < most {
				rec.Damage = append(rec.Damage, damage)
			} else {
				rec.More++
			}
			continue
		case err != nil:
			return rec, err
		}
		if err := f(m); err != nil {
			return rec, err
		}
		rec.Messages++
	}
}
