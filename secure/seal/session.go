package seal

import (
	"crypto/cipher"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/secure/identity"
)

// Session is a machine's end of one: what a process of it seals, from its start to its end. It is for one goroutine.
type Session struct {
	id        ID
	key       identity.KeyID
	opening   []byte
	challenge [challengeSize]byte
	secrets   secrets
	up        sealer
	header    []byte    // of what is sealed, without the counter
	grounds   []*sender // that we have heard of, the last one first
	former    []*former // the last one first
	keep      []byte    // the key of Keep
}

// sender is a process of a ground, as a machine knows it.
type sender struct {
	id   ID
	aead cipher.AEAD
	seen window
}

// maxGrounds is how many processes of grounds a machine remembers at a time. What it forgets of one lets messages of that be repeated; they are
// acknowledgements, which say again what is so.
const maxGrounds = 16

// errNoGround says that the trust names no key to seal to.
var errNoGround = errors.New("seal: the device's trust names no key of a ground's")

// Begin begins a session of the device that a keyring is of, sealed to the key that its trust names. begun is the device's clock, for
// people.
func Begin(k *identity.Keyring, begun time.Time) (*Session, error) {
	to, ok := k.Trust().Sealing()
	if !ok {
		return nil, errNoGround
	}
	kdf, aead := hpke.HKDFSHA256(), preferred()
	encap, e, err := hpke.NewSender(to.Key, kdf, aead, info)
	if err != nil {
		return nil, fmt.Errorf("seal: begin: %w", err)
	}
	o := opening{kem: to.Key.KEM().ID(), kdf: kdf.ID(), aead: aead.ID(), key: to.ID, begun: begun.UnixNano(), trust: k.Trust().Number(), cert: k.Certificate(), encap: encap}
	if _, err := rand.Read(o.challenge[:]); err != nil {
		return nil, fmt.Errorf("seal: begin: %w", err)
	}
	b := o.append(nil)
	b = append(b, k.Sign(append([]byte(signatureContext), b...))...)
	if _, err := parseOpening(b); err != nil { // a certificate that is too long
		return nil, err
	}
	s := &Session{id: nameOf(b), key: to.ID, opening: b, challenge: o.challenge}
	if s.secrets, err = exportSecrets(e, aead.ID(), s.id); err != nil {
		return nil, err
	}
	if s.up.aead, err = newAEAD(aead.ID(), s.secrets.up); err != nil {
		return nil, err
	}
	if s.keep, err = k.Derive(keptContext); err != nil {
		return nil, err
	}
	s.header = append([]byte{version, kindUp}, s.id[:]...)
	return s, nil
}

// ID is the session's name.
func (s *Session) ID() ID { return s.id }

// Key is the ground's that the session is sealed to.
func (s *Session) Key() identity.KeyID { return s.key }

// Opening is what goes first over every connection. It is not to be changed.
func (s *Session) Opening() []byte { return s.opening }

// Challenge is what the session's opening asks to be named by whoever commands: it is never the same twice.
func (s *Session) Challenge() [challengeSize]byte { return s.challenge }

// Seal appends a sealed message to dst, which may not overlap content.
func (s *Session) Seal(dst, content []byte) ([]byte, error) { return s.up.seal(dst, s.header, content) }

// Open returns what a message of a ground's holds, of kind Down, in memory of its own. earlier is that it was said in a session before this
// one: what a ground has then may be believed, and nothing is to be done that it asks for. Its error wraps ErrForged, ErrReplayed,
// ErrMalformed, or ErrUnknown where it is of a session that we do not know.
func (s *Session) Open(message []byte) (content []byte, earlier bool, err error) {
	if KindOf(message) != Down || len(message) < downHeader+tagSize {
		return nil, false, fmt.Errorf("seal: message of %d bytes: %w", len(message), ErrMalformed)
	}
	id := ID(message[2:])
	if id == s.id {
		content, err = openDown(s.secrets, &s.grounds, message)
		return content, false, err
	}
	for _, f := range s.former {
		if f.id == id {
			content, err = openDown(secrets{aead: f.aead, down: f.down}, &f.grounds, message)
			return content, true, err
		}
	}
	return nil, false, fmt.Errorf("seal: %w: %s", ErrUnknown, id)
}

// openDown opens a message of one of a session's grounds.
func openDown(s secrets, grounds *[]*sender, message []byte) ([]byte, error) {
	id := ID(message[2+idSize:])
	i := slices.IndexFunc(*grounds, func(g *sender) bool { return g.id == id })
	var g *sender
	if i >= 0 {
		g = (*grounds)[i]
	} else {
		key, err := s.downKey(id)
		if err != nil {
			return nil, err
		}
		aead, err := newAEAD(s.aead, key)
		if err != nil {
			return nil, err
		}
		g = &sender{id: id, aead: aead}
	}
	content, counter, err := open(g.aead, nil, message, downHeader)
	if err != nil {
		return nil, err
	}
	if i < 0 { // only what has shown that it is a ground is remembered
		*grounds = slices.Insert((*grounds)[:min(len(*grounds), maxGrounds-1)], 0, g)
	}
	if !g.seen.see(counter) {
		return nil, fmt.Errorf("seal: %w", ErrReplayed)
	}
	return content, nil
}

// IsUnknown reports whether a message says that a ground does not know this session.
func (s *Session) IsUnknown(message []byte) bool {
	return KindOf(message) == Unknown && len(message) == 2+idSize && ID(message[2:]) == s.id
}
