package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/fulmar-io/fulmar/command"
	"github.com/fulmar-io/fulmar/secure/order"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Limits of a control message.
const (
	MaxRanges = 256 // of an Ack
	MaxWanted = 256 // layouts of a Want
	MaxReason = 400 // bytes of a refusal's text
	MaxTrust  = 256 << 10
	MaxAnswer = 400 // bytes of a receipt's text
)

// ErrMalformed is wrapped by the errors of Parse.
var ErrMalformed = errors.New("malformed message")

// A Message is what crosses a link. On the wire it is a version byte, a kind byte and the content; all but a frame,
// which has a checksum of its own, end with a CRC-32C of what precedes it. Integers are little endian.
type Message interface{ isMessage() }

// Frame carries one frame from the machine, as the spool holds it.
type Frame struct{ Data []byte }

// Ack says what the ground has committed of a stream: every number below Prefix, and the Ranges beyond it. It
// replaces earlier Acks of the stream and may be sent again at any time; it never takes back.
type Ack struct {
	Boot   telemetry.Boot
	Class  packet.Class
	Prefix uint64
	Ranges []ledger.Range // ascending, at most MaxRanges
}

// Covers reports whether the Ack covers all numbers of r.
func (a Ack) Covers(r ledger.Range) bool {
	if r.End() <= a.Prefix {
		return true
	}
	for _, x := range a.Ranges {
		if x.First <= r.First && r.End() <= x.End() {
			return true
		}
	}
	return false
}

// Code says why a frame is refused.
type Code uint8

// The codes of a refusal. The numbers are part of the protocol.
const (
	CodeVersion  Code = 1 // written by a build that the ground is too old to read
	CodeInvalid  Code = 2 // a valid checksum over content without meaning
	CodeDevice   Code = 3 // names another device than the link does
	CodeConflict Code = 4 // numbers that the ground has, in another frame
	CodeLimit    Code = 5 // exceeds a limit of this ground
)

// String returns the code in a word.
func (c Code) String() string {
	switch c {
	case CodeVersion:
		return "version"
	case CodeInvalid:
		return "invalid"
	case CodeDevice:
		return "device"
	case CodeConflict:
		return "conflict"
	case CodeLimit:
		return "limit"
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Refuse says that the ground will not take a frame, now or later. The machine moves it to its dead letters.
type Refuse struct {
	Boot         telemetry.Boot
	Class        packet.Class
	First, Count uint64
	Code         Code
	Text         string // for a person, at most MaxReason bytes
}

// Want asks for layouts that the ground has met in frames and does not know.
type Want struct{ Layouts []telemetry.LayoutID }

// Trust says what is to be trusted from now on. Whether to believe that is for who knows its authority: see secure/identity.
type Trust struct{ Encoded []byte }

// Pause asks to be left alone with the frames of a class for a while: the machine keeps them, and goes on then. Frames that it has sent may
// have been dropped. It is how a ground sheds load, and how it holds a machine to its share.
type Pause struct {
	Class packet.Class
	For   time.Duration // up to MaxLater, in milliseconds on the wire
	Text  string        // why, for a person, at most MaxReason bytes
}

// Hail asks the machine for its Clock.
type Hail struct{}

// Clock is the machine's answer: what an order must name, and how late it is by the machine's own clock.
type Clock struct {
	At        time.Duration
	Challenge order.Challenge
}

// Order asks the machine to do something: what order.Signed's Append wrote.
type Order struct{ Encoded []byte }

// Receipt is the machine's answer to an Order. It may be lost, and comes again when the Order does.
type Receipt struct {
	ID   command.ID
	Code ReceiptCode
	Text string // for a person, at most MaxAnswer bytes; empty for Taken
}

// ReceiptCode says what a machine has done with an order.
type ReceiptCode uint8

// The codes of a receipt. The numbers are part of the protocol.
const (
	Taken       ReceiptCode = 1 // it is in the machine's journal, durably; what becomes of it follows as a record
	Stale       ReceiptCode = 2 // it names another start of the machine's process: to be signed anew, after a Hail
	NotAccepted ReceiptCode = 3 // for good
)

func (Frame) isMessage()   {}
func (Ack) isMessage()     {}
func (Refuse) isMessage()  {}
func (Want) isMessage()    {}
func (Trust) isMessage()   {}
func (Pause) isMessage()   {}
func (Hail) isMessage()    {}
func (Clock) isMessage()   {}
func (Order) isMessage()   {}
func (Receipt) isMessage() {}

const (
	version     = 1
	kindFrame   = 1
	kindAck     = 2
	kindRefuse  = 3
	kindWant    = 4
	kindTrust   = 5
	kindHail    = 6
	kindClock   = 7
	kindOrder   = 8
	kindReceipt = 9
	kindPause   = 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append appends the wire form of m to b. Lists beyond their limit are cut: an Ack that names less is still true.
func Append(b []byte, m Message) []byte {
	start := len(b)
	switch m := m.(type) {
	case Frame:
		return append(append(b, version, kindFrame), m.Data...)
	case Ack:
		b = append(b, version, kindAck, byte(m.Class))
		b = append(b, m.Boot[:]...)
		b = binary.LittleEndian.AppendUint64(b, m.Prefix)
		ranges := m.Ranges[:min(len(m.Ranges), MaxRanges)]
		b = binary.LittleEndian.AppendUint16(b, uint16(len(ranges)))
		for _, r := range ranges {
			b = binary.LittleEndian.AppendUint64(b, r.First)
			b = binary.LittleEndian.AppendUint64(b, r.Count)
		}
	case Refuse:
		b = append(b, version, kindRefuse, byte(m.Class))
		b = append(b, m.Boot[:]...)
		b = binary.LittleEndian.AppendUint64(b, m.First)
		b = binary.LittleEndian.AppendUint64(b, m.Count)
		text := m.Text[:min(len(m.Text), MaxReason)]
		b = append(b, byte(m.Code))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
		b = append(b, text...)
	case Want:
		ids := m.Layouts[:min(len(m.Layouts), MaxWanted)]
		b = append(b, version, kindWant)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(ids)))
		for _, id := range ids {
			b = binary.LittleEndian.AppendUint64(b, uint64(id))
		}
	case Trust:
		b = append(b, version, kindTrust)
		b = append(b, m.Encoded[:min(len(m.Encoded), MaxTrust)]...)
	case Pause:
		b = append(b, version, kindPause, byte(m.Class))
		b = binary.LittleEndian.AppendUint32(b, uint32(min(max(m.For, 0), MaxLater)/time.Millisecond))
		b = append(b, m.Text[:min(len(m.Text), MaxReason)]...)
	case Hail:
		b = append(b, version, kindHail)
	case Clock:
		b = binary.LittleEndian.AppendUint64(append(b, version, kindClock), uint64(m.At))
		b = append(append(b, m.Challenge.Session[:]...), m.Challenge.Nonce[:]...)
	case Order:
		b = append(append(b, version, kindOrder), m.Encoded[:min(len(m.Encoded), order.MaxSigned)]...)
	case Receipt:
		b = append(append(b, version, kindReceipt, byte(m.Code)), m.ID[:]...)
		b = append(b, m.Text[:min(len(m.Text), MaxAnswer)]...)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// Parse reads a message. A Frame's Data is a part of b; everything else is copied.
func Parse(b []byte) (Message, error) {
	if len(b) < 2 || len(b) > MaxMessage {
		return nil, fmt.Errorf("link: %w: %d bytes", ErrMalformed, len(b))
	}
	if b[0] != version {
		return nil, fmt.Errorf("link: %w: protocol version %d, this build speaks %d", ErrMalformed, b[0], version)
	}
	if b[1] == kindFrame {
		return Frame{Data: b[2:]}, nil
	}
	if len(b) < 6 {
		return nil, fmt.Errorf("link: %w: %d bytes", ErrMalformed, len(b))
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, fmt.Errorf("link: %w: checksum mismatch", ErrMalformed)
	}
	r := reader{rest: body[2:]}
	var m Message
	switch b[1] {
	case kindAck:
		m = r.ack()
	case kindRefuse:
		m = r.refuse()
	case kindWant:
		m = r.want()
	case kindTrust:
		m = Trust{Encoded: slices.Clone(r.take(len(r.rest)))}
	case kindPause:
		m = r.pause()
	case kindHail:
		m = Hail{}
	case kindClock:
		m = Clock{At: time.Duration(r.u64()), Challenge: order.Challenge{Session: [16]byte(r.take(16)), Nonce: [16]byte(r.take(16))}}
	case kindOrder:
		r.bad = len(r.rest) > order.MaxSigned
		m = Order{Encoded: slices.Clone(r.take(min(len(r.rest), order.MaxSigned)))}
	case kindReceipt:
		m = r.receipt()
	default:
		return nil, fmt.Errorf("link: %w: kind %d", ErrMalformed, b[1])
	}
	if r.bad || len(r.rest) != 0 {
		return nil, fmt.Errorf("link: %w: kind %d with content that does not fit", ErrMalformed, b[1])
	}
	return m, nil
}

type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.bad, r.rest = true, nil
		return make([]byte, min(n, 16))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *reader) u16() int    { return int(binary.LittleEndian.Uint16(r.take(2))) }

func (r *reader) class() packet.Class {
	c := packet.Class(r.take(1)[0])
	r.bad = r.bad || !c.Valid()
	return c
}

// numbers reads a range and refuses one that would wrap around.
func (r *reader) numbers() ledger.Range {
	x := ledger.Range{First: r.u64(), Count: r.u64()}
	r.bad = r.bad || x.Count == 0 || x.End() < x.First
	return x
}

func (r *reader) ack() Ack {
	a := Ack{Class: r.class(), Boot: telemetry.Boot(r.take(16)), Prefix: r.u64()}
	n := r.u16()
	if n > MaxRanges || n*16 != len(r.rest) {
		r.bad = true
		return a
	}
	last := a.Prefix
	for range n {
		x := r.numbers()
		r.bad = r.bad || x.First < last
		last = x.End()
		a.Ranges = append(a.Ranges, x)
	}
	return a
}

func (r *reader) refuse() Refuse {
	f := Refuse{Class: r.class(), Boot: telemetry.Boot(r.take(16))}
	x := r.numbers()
	f.First, f.Count = x.First, x.Count
	f.Code = Code(r.take(1)[0])
	n := r.u16()
	r.bad = r.bad || n > MaxReason || n != len(r.rest)
	f.Text = string(r.take(min(n, len(r.rest))))
	return f
}

func (r *reader) pause() Pause {
	p := Pause{Class: r.class(), For: time.Duration(binary.LittleEndian.Uint32(r.take(4))) * time.Millisecond}
	r.bad = r.bad || p.For > MaxLater || len(r.rest) > MaxReason
	p.Text = string(r.take(min(len(r.rest), MaxReason)))
	return p
}

func (r *reader) receipt() Receipt {
	x := Receipt{Code: ReceiptCode(r.take(1)[0]), ID: command.ID(r.take(16))}
	r.bad = r.bad || x.Code < Taken || x.Code > NotAccepted || len(r.rest) > MaxAnswer
	x.Text = string(r.take(min(len(r.rest), MaxAnswer)))
	return x
}

func (r *reader) want() Want {
	n := r.u16()
	if n > MaxWanted || n*8 != len(r.rest) {
		r.bad = true
		return Want{}
	}
	w := Want{Layouts: make([]telemetry.LayoutID, n)}
	for i := range w.Layouts {
		w.Layouts[i] = telemetry.LayoutID(r.u64())
	}
	return w
}
