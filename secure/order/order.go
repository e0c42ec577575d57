package order

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/telemetry"
)

// Challenge is what a machine's session asks to be named by an order: in the clear, where there is no session, the nonce is one for each start
// of the machine's process.
type Challenge struct {
	Session, Nonce [16]byte
}

// Signed is an order, with what makes it one for a machine's session.
type Signed struct {
	Device    string
	Challenge Challenge
	Process   [16]byte // drawn by the ground's process
	Number    uint64   // from 1, ascending within Process and Challenge
	Order     command.Order
}

// MaxSigned is how long a signed order is at most, in bytes.
const MaxSigned = headerSize + telemetry.MaxDevice + 2 + command.MaxOrder + 2 + maxCertificate + ed25519.SignatureSize

const (
	version        = 1
	headerSize     = 1 + 3*16 + 8 + 1
	maxCertificate = 4 << 10

	signatureContext = "fulmar order v1\x00"
)

// Errors of Open.
var (
	ErrMalformed = errors.New("not an order")
	ErrForged    = errors.New("not signed by who it says")
)

// Append appends the order in its wire form, signed by the ground's identity; with nil keys, in the clear.
func (s Signed) Append(b []byte, keys *identity.Keyring) []byte {
	start := len(b)
	b = append(b, version)
	b = append(b, s.Challenge.Session[:]...)
	b = append(b, s.Challenge.Nonce[:]...)
	b = append(b, s.Process[:]...)
	b = binary.BigEndian.AppendUint64(b, s.Number)
	b = append(b, byte(len(s.Device)))
	b = append(b, s.Device...)
	o := s.Order.Append(nil)
	b = binary.BigEndian.AppendUint16(b, uint16(len(o)))
	b = append(b, o...)
	if keys == nil {
		return binary.BigEndian.AppendUint16(b, 0)
	}
	cert := keys.Certificate()
	b = binary.BigEndian.AppendUint16(b, uint16(len(cert)))
	b = append(b, cert...)
	return append(b, keys.Sign(append([]byte(signatureContext), b[start:]...))...)
}

// Open reads an order, which must be signed by a ground that keys trust, and returns which. With nil keys it is one in the clear, of nobody.
func Open(b []byte, keys *identity.Keyring) (s Signed, from identity.Peer, err error) {
	s, cert, signed, signature, err := parse(b)
	switch {
	case err != nil:
		return Signed{}, from, err
	case keys == nil && cert == nil:
		return s, from, nil
	case keys == nil:
		return Signed{}, from, fmt.Errorf("order: a signed one, and this machine has no keys: %w", ErrForged)
	case cert == nil:
		return Signed{}, from, fmt.Errorf("order: it is not signed: %w", ErrForged)
	}
	if from, err = keys.Verify(cert, identity.Ground); err != nil {
		return Signed{}, identity.Peer{}, fmt.Errorf("order: %w: %w", ErrForged, err)
	}
	if !ed25519.Verify(from.Key, append([]byte(signatureContext), signed...), signature) {
		return Signed{}, identity.Peer{}, fmt.Errorf("order: of %s: %w", from.Name, ErrForged)
	}
	return s, from, nil
}

func parse(b []byte) (s Signed, cert, signed, signature []byte, err error) {
	malformed := func() (Signed, []byte, []byte, []byte, error) {
		return Signed{}, nil, nil, nil, fmt.Errorf("order: %d bytes: %w", len(b), ErrMalformed)
	}
	if len(b) < headerSize || len(b) > MaxSigned || b[0] != version {
		return malformed()
	}
	copy(s.Challenge.Session[:], b[1:])
	copy(s.Challenge.Nonce[:], b[17:])
	copy(s.Process[:], b[33:])
	s.Number = binary.BigEndian.Uint64(b[49:])
	name, rest, ok := cut(b[headerSize:], int(b[57]))
	if !ok || telemetry.ValidateDevice(string(name)) != nil || s.Number == 0 {
		return malformed()
	}
	s.Device = string(name)
	content, rest, ok := cutLong(rest)
	if !ok {
		return malformed()
	}
	if s.Order, err = command.ParseOrder(content); err != nil {
		return Signed{}, nil, nil, nil, fmt.Errorf("order: %w: %w", ErrMalformed, err)
	}
	cert, signature, ok = cutLong(rest)
	switch {
	case !ok, len(cert) > maxCertificate, len(cert) > 0 && len(signature) != ed25519.SignatureSize, len(cert) == 0 && len(signature) > 0:
		return malformed()
	case len(cert) == 0:
		return s, nil, nil, nil, nil
	}
	return s, cert, b[:len(b)-ed25519.SignatureSize], signature, nil
}

func cut(b []byte, n int) (head, rest []byte, ok bool) {
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// cutLong cuts what has its length, of two bytes, before it.
func cutLong(b []byte) (head, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	return cut(b[2:], int(binary.BigEndian.Uint16(b)))
}
