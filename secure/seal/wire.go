package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/fulmar-io/fulmar/secure/identity"
)

// version is the first byte of every message here. Those in the clear begin with 1; see package link.
const version = 2

// The second byte.
const (
	kindOpening = 1
	kindUp      = 2
	kindDown    = 3
	kindUnknown = 4
)

// Overhead is how much longer a sealed message is than what is in it, at most, in bytes.
const Overhead = downHeader + tagSize

// MaxOpening bounds an opening, in bytes.
const MaxOpening = 6 << 10

const (
	idSize        = 16
	tagSize       = 16
	upHeader      = 2 + idSize + 8
	downHeader    = 2 + idSize + idSize + 8
	challengeSize = 16
	maxCert       = 2 << 10
	maxEncap      = 2 << 10
)

// Errors that those of this package wrap.
var (
	ErrMalformed = errors.New("malformed")
	// ErrForged: it was not made by who can make it, or was changed on its way.
	ErrForged = errors.New("forged or damaged")
	// ErrUnknown: there is no such session here, or it was forgotten. Its machine is to send the opening.
	ErrUnknown = errors.New("unknown session")
	// ErrReplayed: it was seen already, or is older than what is remembered.
	ErrReplayed = errors.New("seen before")
	// ErrForeign: it is of another device than the link says.
	ErrForeign = errors.New("of another device")
	// ErrKey: it is sealed to a key that we do not have.
	ErrKey = errors.New("sealed to a key that is not here")
	// ErrExhausted: the session's counter has come to its end. Begin another session.
	ErrExhausted = errors.New("the session is used up")
)

// ID names a session, or a process of a ground's.
type ID [idSize]byte

// String returns it as hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Kind is what a message is.
type Kind uint8

// The kinds of messages.
const (
	Clear   Kind = iota // not one of this package's
	Opening             // of a session
	Up                  // sealed by a machine
	Down                // sealed by a ground
	Unknown             // a session that the ground does not know
)

// KindOf says what a message is by its first bytes. The rest may still be anything.
func KindOf(b []byte) Kind {
	if len(b) < 2 || b[0] != version || b[1] > kindUnknown {
		return Clear
	}
	return Kind(b[1])
}

// opening is one, read.
type opening struct {
	kem, kdf, aead uint16
	key            identity.KeyID
	begun          int64
	trust          uint64
	challenge      [challengeSize]byte
	cert, encap    []byte
	signed         []byte // what the signature is over, without its context
	signature      []byte
}

// signatureContext precedes what is signed.
const signatureContext = "fulmar session v1\x00"

func (o *opening) append(b []byte) []byte {
	b = append(b, version, kindOpening)
	b = binary.BigEndian.AppendUint16(b, o.kem)
	b = binary.BigEndian.AppendUint16(b, o.kdf)
	b = binary.BigEndian.AppendUint16(b, o.aead)
	b = append(b, o.key[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(o.begun))
	b = binary.BigEndian.AppendUint64(b, o.trust)
	b = append(b, o.challenge[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(o.cert)))
	b = append(b, o.cert...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(o.encap)))
	return append(b, o.encap...)
}

func parseOpening(b []byte) (*opening, error) {
	bad := fmt.Errorf("seal: opening of %d bytes: %w", len(b), ErrMalformed)
	if len(b) > MaxOpening || KindOf(b) != Opening {
		return nil, bad
	}
	o := new(opening)
	rest := b[2:]
	take := func(n int) []byte {
		if n > len(rest) {
			rest = nil
			return nil
		}
		part := rest[:n:n]
		rest = rest[n:]
		return part
	}
	fixed := take(6 + len(o.key) + 8 + 8 + challengeSize)
	if fixed == nil {
		return nil, bad
	}
	o.kem, o.kdf, o.aead = binary.BigEndian.Uint16(fixed), binary.BigEndian.Uint16(fixed[2:]), binary.BigEndian.Uint16(fixed[4:])
	o.key = identity.KeyID(fixed[6:14])
	o.begun = int64(binary.BigEndian.Uint64(fixed[14:]))
	o.trust = binary.BigEndian.Uint64(fixed[22:])
	o.challenge = [challengeSize]byte(fixed[30:])
	for _, part := range []struct {
		to  *[]byte
		max int
	}{{&o.cert, maxCert}, {&o.encap, maxEncap}} {
		size := take(2)
		if size == nil {
			return nil, bad
		}
		n := int(binary.BigEndian.Uint16(size))
		if n == 0 || n > part.max {
			return nil, bad
		}
		if *part.to = take(n); *part.to == nil {
			return nil, bad
		}
	}
	o.signed = b[:len(b)-len(rest)]
	if len(rest) != ed25519.SignatureSize {
		return nil, bad
	}
	o.signature = rest
	return o, nil
}

func nameOf(opening []byte) ID {
	sum := sha256.Sum256(opening)
	return ID(sum[:idSize])
}

// unknown is the message that says that a session is not known.
func unknown(id ID) []byte { return append([]byte{version, kindUnknown}, id[:]...) }
