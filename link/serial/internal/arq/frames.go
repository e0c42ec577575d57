package arq

import (
	"encoding/binary"
	"errors"

	"github.com/fulmar-io/fulmar/telemetry"
)

// Version is of the protocol.
const Version = 1

// The kinds of a frame: the lower half of its first byte.
const (
	kindSyn    = 1
	kindSynAck = 2
	kindData   = 3
	kindAck    = 4
	kindPing   = 5
	kindReset  = 6
	kindRefuse = 7

	kindMask  = 0x0f
	flagFirst = 0x10 // of a message
	flagLast  = 0x20
)

// The codes of a refusal.
const (
	refuseVersion = 1
	refuseDevice  = 2
)

// Sizes of frames without their framing.
const (
	dataHeader  = 9
	maxControl  = 10 + telemetry.MaxDevice // a syn is the longest
	minFragment = 32
	// MaxFragment bounds the bytes of a message that one frame carries.
	MaxFragment = 1024
	// MaxWindow bounds the fragments that are under way in one direction.
	MaxWindow = 64
	// MaxPayload bounds a frame without its framing.
	MaxPayload = dataHeader + MaxFragment
)

var errMalformed = errors.New("malformed frame")

// syn asks for a connection. Up to and with nonce it is the same in every version.
type syn struct {
	version  byte
	nonce    uint32 // the number by which the machine wants to be addressed
	window   int
	fragment int
	device   string
}

func (f syn) append(b []byte) []byte {
	b = append(b, kindSyn, f.version)
	b = binary.LittleEndian.AppendUint32(b, f.nonce)
	b = append(b, byte(f.window))
	b = binary.LittleEndian.AppendUint16(b, uint16(f.fragment))
	b = append(b, byte(len(f.device)))
	return append(b, f.device...)
}

// parseSyn reads a syn. Of one of another version it knows version and nonce only.
func parseSyn(b []byte) (f syn, err error) {
	if len(b) < 6 {
		return f, errMalformed
	}
	f.version, f.nonce = b[1], binary.LittleEndian.Uint32(b[2:])
	if f.version != Version {
		return f, nil
	}
	if len(b) < 10 || len(b) != 10+int(b[9]) {
		return f, errMalformed
	}
	f.window, f.fragment = int(b[6]), int(binary.LittleEndian.Uint16(b[7:]))
	if f.nonce == 0 || !sensible(f.window, f.fragment) || len(b) > maxControl {
		return f, errMalformed
	}
	f.device = string(b[10:])
	return f, nil
}

func sensible(window, fragment int) bool {
	return window >= 1 && window <= MaxWindow && fragment >= minFragment && fragment <= MaxFragment
}

// synAck grants it.
type synAck struct {
	nonce    uint32 // of the syn
	number   uint32 // the number by which the ground is addressed
	window   int
	fragment int
}

func (f synAck) append(b []byte) []byte {
	b = append(b, kindSynAck, Version)
	b = binary.LittleEndian.AppendUint32(b, f.nonce)
	b = binary.LittleEndian.AppendUint32(b, f.number)
	b = append(b, byte(f.window))
	return binary.LittleEndian.AppendUint16(b, uint16(f.fragment))
}

func parseSynAck(b []byte) (f synAck, err error) {
	if len(b) != 13 || b[1] != Version {
		return f, errMalformed
	}
	f = synAck{nonce: binary.LittleEndian.Uint32(b[2:]), number: binary.LittleEndian.Uint32(b[6:]), window: int(b[10]),
		fragment: int(binary.LittleEndian.Uint16(b[11:]))}
	if f.number == 0 || !sensible(f.window, f.fragment) {
		return f, errMalformed
	}
	return f, nil
}

// ack says what has arrived: every fragment before next, those from it on whose bit is set (bit 0 is next itself, which has
// arrived and is not taken while there is no room for its message), and the
// latest transmission.
type ack struct {
	next  uint16
	stamp uint16
	bits  uint64
}

func (f ack) append(b []byte, to uint32) []byte {
	b = addressed(b, kindAck, to)
	b = binary.LittleEndian.AppendUint16(b, f.next)
	b = binary.LittleEndian.AppendUint16(b, f.stamp)
	for bits := f.bits; bits != 0; bits >>= 8 {
		b = append(b, byte(bits))
	}
	return b
}

func parseAck(b []byte) (f ack, err error) {
	if len(b) < 9 || len(b) > 17 {
		return f, errMalformed
	}
	f.next, f.stamp = binary.LittleEndian.Uint16(b[5:]), binary.LittleEndian.Uint16(b[7:])
	for i, c := range b[9:] {
		f.bits |= uint64(c) << (8 * i)
	}
	return f, nil
}

// addressed begins a frame that belongs to a connection. to is the number by which its receiver wants to be addressed.
func addressed(b []byte, kind byte, to uint32) []byte {
	return binary.LittleEndian.AppendUint32(append(b, kind), to)
}

func appendPing(b []byte, to uint32, stamp uint16) []byte {
	return binary.LittleEndian.AppendUint16(addressed(b, kindPing, to), stamp)
}

// appendDataHeader is followed by the fragment.
func appendDataHeader(b []byte, flags byte, to uint32, seq, stamp uint16) []byte {
	b = binary.LittleEndian.AppendUint16(addressed(b, kindData|flags, to), seq)
	return binary.LittleEndian.AppendUint16(b, stamp)
}

// appendRefuse answers a syn for good.
func appendRefuse(b []byte, nonce uint32, code byte) []byte {
	return append(addressed(b, kindRefuse, nonce), code, Version)
}

// before reports whether a comes before b, in numbers that wrap around.
func before(a, b uint16) bool { return int16(a-b) < 0 }
