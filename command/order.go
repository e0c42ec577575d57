package command

import (
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf8"
)

// Order is a command that was given.
type Order struct {
	ID        ID
	Name      string        // component/command
	Arguments []Argument    // as they were given; what is not given is as the command's declaration says
	By        string        // who gave it, for people and the audit
	Role      Role          // what that one may do
	Deadline  time.Duration // on the machine's clock, since its boot: what has not begun by then is too late
}

// Argument is a value for one of a command's arguments, as text.
type Argument struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// MaxOrder is how long an order is at most, in bytes.
const MaxOrder = 8 << 10

// Validate says what is wrong with an order by itself.
func (o Order) Validate() error {
	if err := ValidateName(o.Name); err != nil {
		return err
	}
	n := 0
	for i, a := range o.Arguments {
		n += len(a.Name) + len(a.Value)
		if i >= MaxArguments || n > MaxValues || !utf8.ValidString(a.Name) || !utf8.ValidString(a.Value) || a.Name == "" {
			return fmt.Errorf("command %s: %w: at most %d arguments, of %d bytes together, in UTF-8", o.Name, ErrInvalid, MaxArguments, MaxValues)
		}
		for _, b := range o.Arguments[:i] {
			if a.Name == b.Name {
				return fmt.Errorf("command %s: %w: argument %.60q twice", o.Name, ErrInvalid, a.Name)
			}
		}
	}
	switch {
	case o.By == "" || len(o.By) > MaxBy || !utf8.ValidString(o.By):
		return fmt.Errorf("command %s: %w: who gave it: 1 to %d bytes", o.Name, ErrInvalid, MaxBy)
	case !o.Role.Valid():
		return fmt.Errorf("command %s: %w: role %.20q", o.Name, ErrInvalid, o.Role)
	}
	return nil
}

// Append appends the order's binary form: id, deadline (int64, ns), and with a length (uint16) before each: name, who, role, and the
// arguments, whose number (uint8) precedes them. Integers are little endian.
func (o Order) Append(b []byte) []byte {
	b = append(b, o.ID[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(o.Deadline))
	for _, s := range []string{o.Name, o.By, string(o.Role)} {
		b = appendText(b, s)
	}
	b = append(b, byte(len(o.Arguments)))
	for _, a := range o.Arguments {
		b = appendText(appendText(b, a.Name), a.Value)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...)
}

// ParseOrder reads what Append wrote, and validates it.
func ParseOrder(b []byte) (o Order, err error) {
	if len(b) > MaxOrder {
		return Order{}, fmt.Errorf("command: order of %d bytes: %w", len(b), ErrInvalid)
	}
	r := reader{rest: b}
	copy(o.ID[:], r.take(len(o.ID)))
	if d := r.take(8); d != nil {
		o.Deadline = time.Duration(binary.LittleEndian.Uint64(d))
	}
	o.Name, o.By, o.Role = r.text(), r.text(), Role(r.text())
	if n := r.take(1); n != nil && n[0] <= MaxArguments {
		for range n[0] {
			o.Arguments = append(o.Arguments, Argument{Name: r.text(), Value: r.text()})
		}
	}
	if r.bad || len(r.rest) > 0 {
		return Order{}, fmt.Errorf("command: order of %d bytes: %w", len(b), ErrInvalid)
	}
	return o, o.Validate()
}

type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) text() string {
	n := r.take(2)
	if n == nil {
		return ""
	}
	return string(r.take(int(binary.LittleEndian.Uint16(n))))
}

// Values returns the arguments by name.
func (o Order) Values() map[string]string {
	m := make(map[string]string, len(o.Arguments))
	for _, a := range o.Arguments {
		m[a.Name] = a.Value
	}
	return m
}
