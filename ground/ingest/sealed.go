package ingest

import (
	"errors"
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/seal"
	"github.com/fulmar-io/fulmar/seglog"
)

// sealed is what the Intake knows of sessions: everything that comes is opened in one, and every reply is sealed in one. A session's
// opening is kept in a log of its own, which is synced before the frames that came in it are acknowledged. So a frame that is
// acknowledged never depends on an opening that a power cut took; what is lost of the log is asked for again.
type sealed struct {
	keys     *identity.Keyring
	sessions *seal.Sessions
	log      *seglog.Log
	openings map[string]*bucket // of devices whose openings have come
	unsynced bool               // something was appended since the last Sync began
}

// Bounds of the log of openings, in bytes. Beyond it the oldest go: their machines are asked again, should they still be in use.
const maxSessionLog, sessionSegment = 8 << 20, 1 << 20

// How often a device may open a session: each costs the ground a signature, an exchange of keys and a place in the log. A machine whose
// opening is dropped is asked for it when its frames come, and sends it again.
const openingsPerSecond, openingsBurst = 0.5, 40 * time.Second

// mayOpen reports whether a device may open another session now.
func (s *sealed) mayOpen(now int64, device string) bool {
	b := s.openings[device]
	if b == nil {
		if len(s.openings) >= maxOpeners {
			clear(s.openings) // who has used up its share has it again, which is the lesser evil
		}
		b = new(bucket)
		s.openings[device] = b
	}
	return b.take(now, 1, openingsPerSecond, openingsBurst) == 0
}

// maxOpeners is of how many devices it is remembered.
const maxOpeners = 100_000

func openSealed(disk env.Disk, dir string, keys *identity.Keyring) (*sealed, error) {
	s := &sealed{keys: keys, openings: make(map[string]*bucket)}
	var err error
	if s.sessions, err = seal.NewSessions(keys, 0); err != nil {
		return nil, fmt.Errorf("ingest: open: %w", err)
	}
	if s.log, err = seglog.Open(disk, dir, seglog.Options{MaxRecord: seal.MaxOpening, SegmentSize: sessionSegment}); err != nil {
		return nil, fmt.Errorf("ingest: open sessions: %w", err)
	}
	for i := s.log.First(); i < s.log.Next(); i++ {
		b, err := s.log.ReadAt(i, nil)
		if err == nil {
			// One that is damaged, or of a device or a key that is not trusted any more, is none: if it is in use, it is asked for.
			_ = s.sessions.Restore(b)
		}
	}
	return s, nil
}

// keep appends an opening to the log.
func (s *sealed) keep(opening []byte) error {
	if _, err := s.log.Append(opening); err != nil {
		return err
	}
	s.unsynced = true
	if end, _, ok := s.log.OldestSealed(); ok && s.log.Bytes() > maxSessionLog {
		return s.log.TrimFront(end)
	}
	return nil
}

// unseal returns what is in a message from a device, unless that is nothing for the machine. again is that the message was seen before.
func (in *Intake) unseal(now int64, device string, message []byte) (content []byte, again, ok bool) {
	kind := seal.KindOf(message)
	if in.sealed == nil {
		if kind != seal.Clear {
			in.drop(device, Forged, errors.New("ingest: a sealed message, and this ground has no keys"))
			return nil, false, false
		}
		return message, false, true
	}
	s := in.sealed
	switch kind {
	case seal.Opening:
		in.opened(now, device, message)
		return nil, false, false
	case seal.Up:
		content, fresh, err := s.sessions.Open(device, message)
		switch {
		case errors.Is(err, seal.ErrUnknown):
			in.effects = append(in.effects, Reply{Device: device, Wire: seal.UnknownReply(message)})
		case err != nil:
			in.drop(device, Forged, err)
		}
		return content, !fresh, err == nil
	}
	in.drop(device, Forged, errors.New("ingest: a message in the clear"))
	return nil, false, false
}

// opened takes the opening of a session.
func (in *Intake) opened(now int64, device string, message []byte) {
	known := in.sealed.sessions.Knows(message)
	if !known && !in.sealed.mayOpen(now, device) {
		in.drop(device, OverQuota, errors.New("ingest: it opens sessions too often"))
		return
	}
	isNew, err := in.sealed.sessions.Accept(device, message)
	if err != nil {
		if !known { // else who forges some keeps the device from opening its own
			in.sealed.openings[device].giveBack(1)
		}
		in.drop(device, Forged, err)
		return
	}
	if isNew {
		if err := in.sealed.keep(message); err != nil { // it holds until the ground ends
			in.drop(device, Unstored, err)
		}
		in.append()
	}
	if number, ok := in.sealed.sessions.Trust(device); ok && number < in.sealed.keys.Trust().Number() {
		in.reply(Reply{Device: device, Message: link.Trust{Encoded: in.sealed.keys.Trust().Encoded()}})
	}
}

// Trusted says that what the ground trusts is another now: every machine that is heard of is told.
func (in *Intake) Trusted() {
	if in.sealed == nil {
		return
	}
	t := in.sealed.keys.Trust()
	for _, device := range in.sealed.sessions.Behind(t.Number()) {
		in.reply(Reply{Device: device, Message: link.Trust{Encoded: t.Encoded()}})
	}
}

// reply makes the message of a reply.
func (in *Intake) reply(r Reply) {
	b := link.Append(nil, r.Message)
	if in.sealed != nil {
		var err error
		if b, err = in.sealed.sessions.Seal(nil, r.Device, b); err != nil {
			return // a device without a session, or that is not to be told anything any more: it asks again, or is none of ours
		}
	}
	r.Wire = b
	in.effects = append(in.effects, r)
}

// take passes on what the machine wants done; in.mu is held.
func (in *Intake) take(effects []Effect) {
	for _, e := range effects {
		if r, ok := e.(Reply); ok {
			in.reply(r)
		} else {
			in.effects = append(in.effects, e)
		}
	}
}

func (in *Intake) drop(device string, why Why, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if why == Forged {
		in.machine.counters.Forged++
	}
	in.effects = append(in.effects, Dropped{Device: device, Why: why, Err: err})
}
