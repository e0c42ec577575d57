package command

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Limits. They are checked before memory is taken.
const (
	MaxDeclared  = 256      // commands of a machine
	MaxDoc       = 400      // bytes of a declaration's text
	MaxSchema    = 16 << 10 // bytes of a declaration's arguments
	MaxArguments = 64       // of an order
	MaxValues    = 4 << 10  // bytes of an order's arguments, names and values
	MaxBy        = 128      // bytes of who gave it
	MaxText      = 1 << 10  // bytes of an outcome's text; what is longer is cut
)

// ErrInvalid is wrapped by the errors of everything here that was not made by it.
var ErrInvalid = errors.New("not valid")

// ID names an order, and is never the same twice: 16 random bytes, written as 32 hexadecimal digits.
type ID [16]byte

// NewID draws one.
func NewID(random io.Reader) (id ID, err error) {
	if random == nil {
		random = rand.Reader
	}
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return ID{}, fmt.Errorf("command: %w", err)
	}
	return id, nil
}

// ParseID reads what String writes.
func ParseID(s string) (id ID, err error) {
	if n, err := hex.Decode(id[:], []byte(s[:min(len(s), 2*len(id))])); err != nil || n != len(id) || len(s) != 2*len(id) {
		return ID{}, fmt.Errorf("command: id %.40q: %w: want 32 hexadecimal digits", s, ErrInvalid)
	}
	return id, nil
}

// String returns the ID as 32 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// State is how far an order has come.
type State string

// The states, in the order in which an order goes through them. It may end from each, and may skip some: an outcome that arrives says that
// the order had.
const (
	Queued   State = "queued"   // the ground has it, durably; the machine was not reached yet
	Sent     State = "sent"     // on its way to the machine, which has not answered yet
	Accepted State = "accepted" // the machine has it, durably, and will tell what became of it
	Done     State = "done"
	Failed   State = "failed" // with the reason; also refused, too late, or expired before it was sent
)

// States are all of them.
func States() []State { return []State{Queued, Sent, Accepted, Done, Failed} }

// Ended reports whether nothing follows.
func (s State) Ended() bool { return s == Done || s == Failed }

// ValidateName says what is wrong with a command's name, which is component/command.
func ValidateName(name string) error {
	component, own, ok := strings.Cut(name, "/")
	if !ok || telemetry.ValidateDevice(component) != nil || telemetry.ValidateDevice(own) != nil {
		return fmt.Errorf("command: name %.140q: %w: want component/command, of a-z, 0-9, '-' and '_'", name, ErrInvalid)
	}
	return nil
}

// Declaration is a command that a machine takes.
type Declaration struct {
	Name      string          `json:"name"` // component/command
	Doc       string          `json:"doc"`
	Risk      Risk            `json:"risk"`
	Role      Role            `json:"role"`      // what whoever gives it must be at least
	Arguments json.RawMessage `json:"arguments"` // a JSON Schema of an object; its properties are scalars
}

// Validate says what is wrong with a declaration.
func (d Declaration) Validate() error {
	switch {
	case !d.Risk.Valid():
		return fmt.Errorf("command %s: %w: risk %.20q", d.Name, ErrInvalid, d.Risk)
	case !d.Role.Valid() || d.Role == Viewer:
		return fmt.Errorf("command %s: %w: role %.20q: a viewer commands nothing", d.Name, ErrInvalid, d.Role)
	case len(d.Doc) > MaxDoc || len(d.Arguments) > MaxSchema || !json.Valid(d.Arguments):
		return fmt.Errorf("command %s: %w: its text or its arguments", d.Name, ErrInvalid)
	}
	return ValidateName(d.Name)
}

// DeclarationLayout is the layout of declarations: one record each, when a boot begins.
var DeclarationLayout = &telemetry.Layout{Name: "node/commands", Kind: telemetry.Diagnostics, Fields: []telemetry.Field{
	{Name: "name", Type: packet.String}, {Name: "doc", Type: packet.String}, {Name: "risk", Type: packet.String},
	{Name: "role", Type: packet.String}, {Name: "arguments", Type: packet.String}}}

// AppendTo makes the record of a declaration.
func (d Declaration) AppendTo(w *packet.Writer, mono, wall int64) ([]byte, error) {
	w.Reset(nil, packet.Header{Layout: uint64(DeclarationLayout.ID()), Mono: mono, Wall: wall, Class: packet.Urgent})
	for _, s := range []string{d.Name, d.Doc, string(d.Risk), string(d.Role), string(d.Arguments)} {
		w.String(s)
	}
	return w.Bytes()
}

// ParseDeclaration reads the record of a declaration.
func ParseDeclaration(p []byte) (Declaration, error) {
	s, err := texts(p, 5)
	if err != nil {
		return Declaration{}, err
	}
	d := Declaration{Name: s[0], Doc: s[1], Risk: Risk(s[2]), Role: Role(s[3]), Arguments: json.RawMessage(s[4])}
	return d, d.Validate()
}

// Outcome is what became of an order that a machine had accepted.
type Outcome struct {
	ID    ID
	Name  string // of the command
	State State  // Done or Failed
	Text  string // why it failed; else what there is to say
}

// OutcomeLayout is the layout of outcomes.
var OutcomeLayout = &telemetry.Layout{Name: "node/command", Kind: telemetry.Event, Fields: []telemetry.Field{
	{Name: "id", Type: packet.String}, {Name: "command", Type: packet.String}, {Name: "state", Type: packet.String}, {Name: "text", Type: packet.String}}}

// AppendOutcome makes the record of an outcome. It allocates nothing: id is as ID's String says.
func AppendOutcome(w *packet.Writer, id, name string, state State, text string, mono, wall int64) ([]byte, error) {
	severity := packet.Info
	if state == Failed {
		severity = packet.Warning
	}
	w.Reset(nil, packet.Header{Layout: uint64(OutcomeLayout.ID()), Mono: mono, Wall: wall, Class: packet.Urgent, Severity: severity})
	w.String(id)
	w.String(name)
	w.String(string(state))
	w.String(text[:min(len(text), MaxText)])
	return w.Bytes()
}

// ParseOutcome reads the record of an outcome.
func ParseOutcome(p []byte) (o Outcome, err error) {
	s, err := texts(p, 4)
	if err != nil {
		return Outcome{}, err
	}
	if o.ID, err = ParseID(s[0]); err != nil {
		return Outcome{}, err
	}
	if o.Name, o.State, o.Text = s[1], State(s[2]), s[3]; !o.State.Ended() {
		return Outcome{}, fmt.Errorf("command: outcome: %w: state %.20q", ErrInvalid, o.State)
	}
	return o, ValidateName(o.Name)
}

// texts reads a record of n strings.
func texts(p []byte, n int) ([]string, error) {
	var r packet.Reader
	r.Reset(p)
	s := make([]string, n)
	for i := range s {
		s[i] = string(r.Bytes())
	}
	if err := r.Err(true); err != nil {
		return nil, fmt.Errorf("command: record: %w: %w", ErrInvalid, err)
	}
	return s, nil
}
