package seal

import (
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/fulmar-io/fulmar/secure/identity"
)

// Sessions are those that a ground knows. They are for one goroutine.
type Sessions struct {
	keys    *identity.Keyring
	process ID
	most    int
	byID    map[ID]*known
	devices map[string][]*known // the one in use first
}

// known is a session, as its ground knows it. What it costs is made when it is used.
type known struct {
	id        ID
	peer      identity.Peer
	challenge [challengeSize]byte
	trust     uint64 // the number of the device's
	secrets   secrets
	up        cipher.AEAD
	down      *sealer
	seen      *window
}

// DefaultSessions is how many sessions of a device are known at a time, unless something else is asked for.
const DefaultSessions = 16

// NewSessions knows of none yet. most bounds how many are known of a device, 0 for DefaultSessions: those that were used least recently
// go. A machine whose session was forgotten is asked for its opening.
func NewSessions(k *identity.Keyring, most int) (*Sessions, error) {
	if most <= 0 {
		most = DefaultSessions
	}
	s := &Sessions{keys: k, most: most, byID: make(map[ID]*known), devices: make(map[string][]*known)}
	if _, err := rand.Read(s.process[:]); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return s, nil
}

// Accept takes an opening that came over the link of a device. It reports whether the session is new: then it is to be kept, durably, and is to be given to
// Restore after the ground's next start.
func (s *Sessions) Accept(device string, message []byte) (isNew bool, err error) {
	if k := s.byID[nameOf(message)]; k != nil {
		if k.peer.Name != device {
			return false, fmt.Errorf("seal: session of %s over the link of %s: %w", k.peer.Name, device, ErrForeign)
		}
		return false, nil
	}
	o, err := parseOpening(message)
	if err != nil {
		return false, err
	}
	p, err := s.keys.Verify(o.cert, identity.Device)
	if err != nil {
		return false, err
	}
	if p.Name != device {
		return false, fmt.Errorf("seal: session of %s over the link of %s: %w", p.Name, device, ErrForeign)
	}
	return true, s.add(p, o, message)
}

// Knows reports whether an opening is of a session that is known: then to Accept it costs nothing.
func (s *Sessions) Knows(opening []byte) bool { return s.byID[nameOf(opening)] != nil }

// Restore takes an opening that was accepted before. Its certificate may have expired since.
func (s *Sessions) Restore(message []byte) error {
	o, err := parseOpening(message)
	if err != nil {
		return err
	}
	p, err := s.keys.Trust().VerifyExpired(o.cert, identity.Device)
	if err != nil {
		return err
	}
	return s.add(p, o, message)
}

func (s *Sessions) add(p identity.Peer, o *opening, message []byte) error {
	if !ed25519.Verify(p.Key, append([]byte(signatureContext), o.signed...), o.signature) {
		return fmt.Errorf("seal: opening of %s: %w", p.Name, ErrForged)
	}
	private := s.keys.Sealing(o.key)
	if private == nil {
		return fmt.Errorf("seal: opening of %s: %w: %s", p.Name, ErrKey, o.key)
	}
	kdf, err := hpke.NewKDF(o.kdf)
	if err != nil {
		return errSuite
	}
	aead, err := hpke.NewAEAD(o.aead)
	if err != nil || private.KEM().ID() != o.kem {
		return errSuite
	}
	e, err := hpke.NewRecipient(o.encap, private, kdf, aead, info)
	if err != nil {
		return fmt.Errorf("seal: opening of %s: %w: %w", p.Name, ErrForged, err)
	}
	k := &known{id: nameOf(message), peer: p, challenge: o.challenge, trust: o.trust}
	if k.secrets, err = exportSecrets(e, o.aead, k.id); err != nil {
		return err
	}
	if k.up, err = newAEAD(o.aead, k.secrets.up); err != nil {
		return err
	}
	list := slices.Insert(s.devices[p.Name], 0, k)
	if len(list) > s.most {
		delete(s.byID, list[s.most].id)
		list = slices.Delete(list, s.most, len(list))
	}
	s.devices[p.Name] = list
	s.byID[k.id] = k
	return nil
}

// Open returns what a message of kind Up holds, which came over the link of a device, in memory of its own; fresh is that it was not seen
// before. Its error wraps ErrUnknown, ErrForeign, ErrForged, ErrMalformed, or identity.ErrRevoked.
func (s *Sessions) Open(device string, message []byte) (content []byte, fresh bool, err error) {
	if KindOf(message) != Up || len(message) < upHeader+tagSize {
		return nil, false, fmt.Errorf("seal: message of %d bytes: %w", len(message), ErrMalformed)
	}
	k := s.byID[ID(message[2:])]
	switch {
	case k == nil:
		return nil, false, fmt.Errorf("seal: %w: %s", ErrUnknown, ID(message[2:]))
	case k.peer.Name != device:
		return nil, false, fmt.Errorf("seal: message of %s over the link of %s: %w", k.peer.Name, device, ErrForeign)
	case s.keys.Trust().Revoked(k.peer):
		return nil, false, fmt.Errorf("seal: session of %s: %w", device, identity.ErrRevoked)
	}
	content, counter, err := open(k.up, nil, message, upHeader)
	if err != nil {
		return nil, false, err
	}
	if k.seen == nil {
		k.seen = new(window)
	}
	if fresh = k.seen.see(counter); fresh {
		s.use(k)
	}
	return content, fresh, nil
}

// use makes a session the one in which its device is answered. Only what was not seen before does: whoever repeats old messages does
// not choose it.
func (s *Sessions) use(k *known) {
	list := s.devices[k.peer.Name]
	i := slices.Index(list, k)
	copy(list[1:i+1], list[:i])
	list[0] = k
}

// ErrNoSession is wrapped by the error of Seal for a device of which there is none. It will open one.
var ErrNoSession = errors.New("no session")

// Seal appends a sealed message for a device to dst, in the session that it uses now.
func (s *Sessions) Seal(dst []byte, device string, content []byte) ([]byte, error) {
	list := s.devices[device]
	if len(list) == 0 {
		return dst, fmt.Errorf("seal: %s: %w", device, ErrNoSession)
	}
	k := list[0]
	if s.keys.Trust().Revoked(k.peer) {
		return dst, fmt.Errorf("seal: session of %s: %w", device, identity.ErrRevoked)
	}
	if k.down == nil {
		key, err := k.secrets.downKey(s.process)
		if err != nil {
			return dst, err
		}
		aead, err := newAEAD(k.secrets.aead, key)
		if err != nil {
			return dst, err
		}
		k.down = &sealer{aead: aead}
	}
	var header [2 + 2*idSize]byte
	header[0], header[1] = version, kindDown
	copy(header[2:], k.id[:])
	copy(header[2+idSize:], s.process[:])
	return k.down.seal(dst, header[:], content)
}

// Trust returns the number of the trust that a device has said it has, or false where it has no session.
func (s *Sessions) Trust(device string) (number uint64, ok bool) {
	list := s.devices[device]
	if len(list) == 0 {
		return 0, false
	}
	return list[0].trust, true
}

// Behind returns the devices whose trust has a lower number, in no order.
func (s *Sessions) Behind(number uint64) []string {
	var names []string
	for name, list := range s.devices {
		if list[0].trust < number {
			names = append(names, name)
		}
	}
	return names
}

// UnknownReply is the message, in the clear, that answers one for which Open had ErrUnknown.
func UnknownReply(message []byte) []byte { return unknown(ID(message[2:])) }

// Count returns how many sessions are known.
func (s *Sessions) Count() int { return len(s.byID) }
