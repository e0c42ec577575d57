package desk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/seglog"
	"github.com/fulmar-io/fulmar/telemetry"
)

// Kind is what a Note says.
type Kind uint8

// The kinds. The numbers are part of the journal.
const (
	Took    Kind = 1 // an order was taken
	Refused Kind = 2 // and was not, why is in the outcome's text
	Ended   Kind = 3 // what became of one that was taken
)

// String returns the kind in a word.
func (k Kind) String() string {
	switch k {
	case Took:
		return "accepted"
	case Refused:
		return "refused"
	case Ended:
		return "ended"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Note is an entry of a machine's journal of orders.
type Note struct {
	Kind    Kind
	Boot    telemetry.Boot
	At      time.Duration // of the boot
	Wall    int64         // ns since 1970; 0 if it is not known
	From    string        // which ground signed it; empty in the clear, and for Ended
	Order   command.Order
	Outcome command.Outcome // of Ended; its Text of Refused
}

// maxNote bounds an entry, in bytes.
const maxNote = 1 + 16 + 8 + 8 + 2 + 256 + 2 + command.MaxOrder + 1 + command.MaxText

// append writes the entry: kind, boot, at, wall, and with a length of two bytes each, from and the order; then whether it is done, and the
// outcome's text to the end. Integers are little endian.
func (n Note) append(b []byte) []byte {
	b = append(append(b, byte(n.Kind)), n.Boot[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(n.At))
	b = binary.LittleEndian.AppendUint64(b, uint64(n.Wall))
	from := n.From[:min(len(n.From), 256)]
	b = append(binary.LittleEndian.AppendUint16(b, uint16(len(from))), from...)
	o := n.Order.Append(nil)
	b = append(binary.LittleEndian.AppendUint16(b, uint16(len(o))), o...)
	done := byte(0)
	if n.Outcome.State == command.Done {
		done = 1
	}
	return append(append(b, done), n.Outcome.Text[:min(len(n.Outcome.Text), command.MaxText)]...)
}

var errNote = errors.New("desk: not an entry of a journal")

func parseNote(b []byte) (n Note, err error) {
	if len(b) < 1+16+8+8+2 {
		return Note{}, errNote
	}
	n.Kind, n.Boot = Kind(b[0]), telemetry.Boot(b[1:17])
	n.At, n.Wall = time.Duration(binary.LittleEndian.Uint64(b[17:])), int64(binary.LittleEndian.Uint64(b[25:]))
	from, rest, ok := cut(b[33:])
	if !ok {
		return Note{}, errNote
	}
	content, rest, ok := cut(rest)
	if !ok || len(rest) < 1 || n.Kind < Took || n.Kind > Ended {
		return Note{}, errNote
	}
	n.From = string(from)
	if n.Order, err = command.ParseOrder(content); err != nil {
		return Note{}, fmt.Errorf("%w: %w", errNote, err)
	}
	n.Outcome = command.Outcome{ID: n.Order.ID, Name: n.Order.Name, Text: string(rest[1:])}
	switch {
	case n.Kind == Ended && rest[0] == 1:
		n.Outcome.State = command.Done
	case n.Kind != Took:
		n.Outcome.State = command.Failed
	}
	return n, nil
}

// cut cuts what has its length before it.
func cut(b []byte) (head, rest []byte, ok bool) {
	if len(b) < 2 || len(b)-2 < int(binary.LittleEndian.Uint16(b)) {
		return nil, nil, false
	}
	n := 2 + int(binary.LittleEndian.Uint16(b))
	return b[2:n], b[n:], true
}

// Read calls f with each entry of a journal, the oldest first, and with an error for one that is damaged. It may be read beside the machine that writes it.
func Read(disk env.Disk, dir string, f func(Note, error)) (err error) {
	log, err := seglog.Open(disk, dir, seglog.Options{MaxRecord: maxNote, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("desk: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	for i := log.First(); i < log.Next(); i++ {
		b, err := log.ReadAt(i, nil)
		if err != nil {
			f(Note{}, err)
			continue
		}
		f(parseNote(b))
	}
	return nil
}
