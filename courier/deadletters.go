package courier

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// DeadLetters keeps the frames that the ground refused for good, with the reason, until someone looks at them. They are
// bounded: the oldest go first. It is for one goroutine.
type DeadLetters struct {
	log   *seglog.Log
	bytes int64
}

// DeadLetter is one refused frame.
type DeadLetter struct {
	Index  uint64
	Class  packet.Class
	Code   link.Code
	Reason string // what the ground said
	Frame  []byte
}

// maxLetter bounds a letter: a frame, and what the ground said of it.
const maxLetter = frame.MaxSize + 2*link.MaxReason

// OpenDeadLetters opens the dead letters in a folder, which is made if it does not exist.
func OpenDeadLetters(disk env.Disk, dir string, maxBytes int64) (*DeadLetters, error) {
	log, err := seglog.Open(disk, dir, seglog.Options{MaxRecord: maxLetter})
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	return &DeadLetters{log: log, bytes: maxBytes}, nil
}

// ReadDeadLetters opens the dead letters for looking, beside the machine that writes them perhaps: only Each may be called.
func ReadDeadLetters(disk env.Disk, dir string) (*DeadLetters, error) {
	log, err := seglog.Open(disk, dir, seglog.Options{MaxRecord: maxLetter, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	return &DeadLetters{log: log}, nil
}

// Add keeps a refused frame. It is durable on return.
func (d *DeadLetters) Add(class packet.Class, data []byte, r link.Refuse) error {
	reason := r.Text[:min(len(r.Text), link.MaxReason)]
	b := []byte{byte(class), byte(r.Code)}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(reason)))
	b = append(b, reason...)
	b = append(b, data...)
	for d.log.Bytes()+int64(len(b)) > d.bytes {
		end, _, ok := d.log.OldestSealed()
		if !ok {
			break
		}
		if err := d.log.TrimFront(end); err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
	}
	if _, err := d.log.Append(b); err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	if err := d.log.Sync(); err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	return nil
}

// Each calls yield with each letter, oldest first, until it returns false. Damaged ones are passed over.
func (d *DeadLetters) Each(yield func(DeadLetter) bool) error {
	for i := d.log.First(); i < d.log.Next(); i++ {
		b, err := d.log.ReadAt(i, nil)
		if errors.Is(err, seglog.ErrDamaged) {
			continue
		}
		if err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
		if len(b) < 4 {
			continue
		}
		n := int(binary.LittleEndian.Uint16(b[2:]))
		if n > len(b)-4 {
			continue
		}
		if !yield(DeadLetter{Index: i, Class: packet.Class(b[0]), Code: link.Code(b[1]), Reason: string(b[4 : 4+n]), Frame: b[4+n:]}) {
			break
		}
	}
	return nil
}

// Clear removes all letters, for what becomes of them is in other hands now.
func (d *DeadLetters) Clear() error {
	if err := d.log.TrimFront(d.log.Next()); err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	return nil
}

// Close closes the files.
func (d *DeadLetters) Close() error { return d.log.Close() }
