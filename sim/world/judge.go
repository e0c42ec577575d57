package world

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// list is what a machine published, as the world saw it: per stream the numbers whose Publish returned, and the number
// from which on a power cut may have taken them.
type list map[telemetry.Stream]*published

type published struct {
	numbers ledger.Set
	safe    uint64 // numbers below it were durable when the power went; all, if it did not
}

func (l list) add(s telemetry.Stream, seq uint64) {
	p := l[s]
	if p == nil {
		p = &published{safe: ^uint64(0)}
		l[s] = p
	}
	p.numbers.Add(ledger.Range{First: seq, Count: 1})
}

func (l list) mayLose(s telemetry.Stream, from uint64) {
	if p := l[s]; p != nil {
		p.safe = min(p.safe, from)
	}
}

// Judge holds what is at the ground against what was published: each record whose Publish returned is stored exactly
// once, or lost for a reason that allows it, and declared so; every ledger balances and agrees; and the boots of a machine
// sort in the order in which they began. Call it settled.
func (w *World) Judge() error {
	stored, lost, err := w.readGround()
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range w.machines {
		for stream, p := range m.published {
			errs = append(errs, judgeStream(stream, p, stored[stream], lost[stream]))
		}
		errs = append(errs, m.judgeAccounts(w.ground), m.judgeBoots())
	}
	return errors.Join(errs...)
}

// readGround reads every frame in the ground's log.
func (w *World) readGround() (stored map[telemetry.Stream]*ledger.Set, lost map[telemetry.Stream]*losses, err error) {
	stored, lost = make(map[telemetry.Stream]*ledger.Set), make(map[telemetry.Stream]*losses)
	frames := w.ground.intake.Frames()
	dec := frame.NewDecoder(frame.Limits{})
	var catalog telemetry.Catalog
	catalog.Add(telemetry.LayoutRecords)
	ids := make(map[uint64]string)
	for pass := range 2 { // the first finds the layouts
		for i := frames.First(); i < frames.Next(); i++ {
			_, data, err := frames.Read(i)
			if err != nil {
				return nil, nil, err
			}
			var unknown *frame.UnknownLayoutsError
			_, err = dec.Decode(data, &catalog)
			if err != nil && (pass != 0 || !errors.As(err, &unknown)) {
				return nil, nil, fmt.Errorf("judge: frame %d: %w", i, err)
			}
			h := dec.Header()
			if pass == 0 {
				learn(dec, &catalog)
				continue
			}
			if err := tally(h, stored, lost); err != nil {
				return nil, nil, fmt.Errorf("judge: frame %d: %w", i, err)
			}
			for r := range dec.Records() {
				id, ok := idOf(r.Layout, r.Packet)
				if !ok {
					continue
				}
				where := fmt.Sprintf("%s #%d", h.Stream, packet.Seq(r.Packet))
				if other, twice := ids[id]; twice {
					return nil, nil, fmt.Errorf("judge: record %d is stored twice: %s and %s", id, other, where)
				}
				ids[id] = where
			}
		}
	}
	return stored, lost, nil
}

// Digest returns the SHA-256 of what is in the ground's log: the frames, in order, and when each was received. Two worlds
// of the same Config that were run alike have the same.
func (w *World) Digest() (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	frames := w.ground.intake.Frames()
	for i := frames.First(); i < frames.Next(); i++ {
		received, data, err := frames.Read(i)
		if err != nil {
			return sum, err
		}
		var head [16]byte
		binary.LittleEndian.PutUint64(head[:], uint64(received))
		binary.LittleEndian.PutUint64(head[8:], uint64(len(data)))
		h.Write(head[:])
		h.Write(data)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func learn(dec *frame.Decoder, catalog *telemetry.Catalog) {
	for r := range dec.Records() {
		if r.Layout == telemetry.LayoutRecords {
			if l, err := telemetry.ParseDefinition(r.Packet); err == nil {
				catalog.Add(l)
			}
		}
	}
}

type losses struct{ by [ledger.Reasons]ledger.Set }

// reasons says what a number was declared lost for, wrongly.
func (l *losses) reasons(r ledger.Range) (text string) {
	for why := range ledger.Reason(ledger.Reasons) {
		if l.by[why].Contains(r) {
			text += ", but as " + why.String()
		}
	}
	return text
}

func tally(h *frame.Header, stored map[telemetry.Stream]*ledger.Set, lost map[telemetry.Stream]*losses) error {
	r := ledger.Range{First: h.First, Count: h.Count}
	if h.Mode == frame.Lost {
		if lost[h.Stream] == nil {
			lost[h.Stream] = &losses{}
		}
		lost[h.Stream].by[h.Reason].Add(r)
		return nil
	}
	if stored[h.Stream] == nil {
		stored[h.Stream] = &ledger.Set{}
	}
	if n := stored[h.Stream].Add(r); n != r.Count {
		return fmt.Errorf("%d of the records %d to %d of %s are stored twice", r.Count-n, r.First, r.End()-1, h.Stream)
	}
	return nil
}

// judgeStream: what is published and not stored must have been declared lost, for a reason that can be true.
func judgeStream(stream telemetry.Stream, p *published, stored *ledger.Set, lost *losses) error {
	if stored == nil {
		stored = &ledger.Set{}
	}
	if lost == nil {
		lost = &losses{}
	}
	for r := range p.numbers.Ranges() {
		for gap := range stored.Missing(r) {
			for seq := gap.First; seq < gap.End(); seq++ {
				one := ledger.Range{First: seq, Count: 1}
				switch {
				case lost.by[ledger.Unclean].Contains(one) && seq >= p.safe:
				case lost.by[ledger.Quota].Contains(one), lost.by[ledger.Overflow].Contains(one):
				default:
					return fmt.Errorf("judge: %s: record %d was published and is neither stored nor rightly declared lost%s", stream, seq, lost.reasons(one))
				}
			}
		}
	}
	return nil
}

func (m *machine) judgeBoots() error {
	for i := 1; i < len(m.boots); i++ {
		if before := m.boots[i-1]; m.boots[i].Compare(before) <= 0 {
			return fmt.Errorf("judge: %s: boot %s began after %s and sorts before it", m.name, m.boots[i], before)
		}
	}
	return nil
}

// judgeAccounts compares the machine's ledger with the ground's.
func (m *machine) judgeAccounts(g *ground) error {
	var mine ledger.Account
	for _, a := range m.node.Courier().Status().Accounts {
		if err := a.Check(); err != nil {
			return fmt.Errorf("judge: %s: %w", m.name, err)
		}
		mine.Add(a)
	}
	theirs, _ := g.intake.Account(m.name)
	switch err := theirs.Check(); {
	case err != nil:
		return fmt.Errorf("judge: the ground about %s: %w", m.name, err)
	case mine.Waiting != 0 || theirs.Waiting != 0:
		return fmt.Errorf("judge: %s: %d records wait on board, %d at the ground", m.name, mine.Waiting, theirs.Waiting)
	case mine.Numbered != theirs.Numbered:
		return fmt.Errorf("judge: %s numbered %d records, the ground has heard of %d", m.name, mine.Numbered, theirs.Numbered)
	case mine.Delivered > theirs.Delivered:
		// The ground may have more: what was declared lost on board and had arrived all the same.
		return fmt.Errorf("judge: %s counts %d records delivered, the ground has %d", m.name, mine.Delivered, theirs.Delivered)
	}
	return nil
}
