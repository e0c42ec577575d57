package store

import (
	"encoding/json"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
)

// Heard is what records say about commands.
type Heard struct {
	Stream   telemetry.Stream
	Declared []command.Declaration
	Outcomes []command.Outcome
}

// HeardOf reads a record of commands; it says nothing of another.
func HeardOf(s Stored) Heard {
	h := Heard{Stream: s.Stream}
	switch s.Record.Layout.ID() {
	case command.DeclarationLayout.ID():
		if d, err := command.ParseDeclaration(s.Record.Packet); err == nil {
			h.Declared = append(h.Declared, d)
		}
	case command.OutcomeLayout.ID():
		if o, err := command.ParseOutcome(s.Record.Packet); err == nil {
			h.Outcomes = append(h.Outcomes, o)
		}
	}
	return h
}

// hear notes what a block says about commands, for who is told when it is committed.
func (w *writer) hear(s telemetry.Stream, b *frame.Block) {
	text := func(column, row int) string { return b.Columns[column].Str[row] }
	h := Heard{Stream: s}
	switch b.Layout.ID() {
	case command.DeclarationLayout.ID():
		for i := range b.Rows {
			d := command.Declaration{Name: text(0, i), Doc: text(1, i), Risk: command.Risk(text(2, i)), Role: command.Role(text(3, i)), Arguments: json.RawMessage(text(4, i))}
			if d.Validate() == nil {
				h.Declared = append(h.Declared, d)
			}
		}
	case command.OutcomeLayout.ID():
		for i := range b.Rows {
			o := command.Outcome{Name: text(1, i), State: command.State(text(2, i)), Text: text(3, i)}
			var err error
			if o.ID, err = command.ParseID(text(0, i)); err == nil && o.State.Ended() {
				h.Outcomes = append(h.Outcomes, o)
			}
		}
	default:
		return
	}
	w.heard = append(w.heard, h)
}

// sentence is what an event's record says to a person: of an outcome what became of which command.
func sentence(b *frame.Block, column, row int) string {
	if b.Layout.ID() != command.OutcomeLayout.ID() {
		return b.Columns[column].Str[row]
	}
	s := "command " + b.Columns[1].Str[row] + " " + b.Columns[2].Str[row]
	if text := b.Columns[3].Str[row]; text != "" {
		s += ": " + text
	}
	return s
}
