package ubx

import (
	"encoding/binary"

	"github.com/fulmar-io/fulmar/hal"
)

// ErrValue: a value does not fit its place.
const ErrValue hal.Err = "ubx: the value does not fit"

// MaxValues is how many values a CFG-VALSET can have.
const MaxValues = 64

// Append appends a frame. A payload above 65535 bytes panics: there is none.
func Append(dst []byte, k Kind, payload []byte) []byte {
	if len(payload) > 0xFFFF {
		panic("ubx: payload of more than 65535 bytes")
	}
	start := len(dst)
	dst = begin(dst, k, len(payload))
	return end(append(dst, payload...), start)
}

// AppendPoll appends the frame that asks for a message.
func AppendPoll(dst []byte, k Kind) []byte { return Append(dst, k, nil) }

func begin(dst []byte, k Kind, length int) []byte {
	return append(dst, sync1, sync2, k.Class, k.ID, byte(length), byte(length>>8))
}

// end appends the checksum of the frame that begins at start.
func end(dst []byte, start int) []byte {
	a, b := Checksum(dst[start+2:])
	return append(dst, a, b)
}

// AppendRate appends a CFG-RATE: a measurement each periodMs, a solution for each measurement, aligned to GPS time. Up to
// generation 8. Receivers refuse what is faster than they are; a period of 0 is no period.
func AppendRate(dst []byte, periodMs uint16) []byte {
	start := len(dst)
	dst = begin(dst, CfgRate, 6)
	dst = binary.LittleEndian.AppendUint16(dst, periodMs)
	dst = binary.LittleEndian.AppendUint16(dst, 1) // a solution each measurement
	dst = binary.LittleEndian.AppendUint16(dst, 1) // GPS time
	return end(dst, start)
}

// AppendMessageRate appends a CFG-MSG: a message with every nth solution, 0 is never, on the line where it is asked for. Up to
// generation 8.
func AppendMessageRate(dst []byte, k Kind, nth uint8) []byte {
	start := len(dst)
	dst = begin(dst, CfgMessage, 3)
	return end(append(dst, k.Class, k.ID, nth), start)
}

// NMEAKind returns the kind by which CFG-MSG knows a sentence of the standard.
func NMEAKind(id uint8) Kind { return Kind{0xF0, id} }

// The ids of sentences.
const (
	NMEAGGA uint8 = 0x00
	NMEAGLL uint8 = 0x01
	NMEAGSA uint8 = 0x02
	NMEAGSV uint8 = 0x03
	NMEARMC uint8 = 0x04
	NMEAVTG uint8 = 0x05
	NMEAGRS uint8 = 0x06
	NMEAGST uint8 = 0x07
	NMEAZDA uint8 = 0x08
	NMEAGBS uint8 = 0x09
	NMEADTM uint8 = 0x0A
	NMEAGNS uint8 = 0x0D
)

// Port is a line of a receiver.
type Port uint8

// The ports.
const (
	UART1 Port = 1
	UART2 Port = 2
	USB   Port = 3
)

// Protocols is a set of protocols.
type Protocols uint16

// The protocols.
const (
	UBX   Protocols = 1 << 0
	NMEA  Protocols = 1 << 1
	RTCM2 Protocols = 1 << 2
	RTCM3 Protocols = 1 << 5
)

// AppendPort appends a CFG-PRT for a UART: its rate, 8 data bits, no parity, one stop bit, and what goes in and out. Up to
// generation 8. The answer to a change of the rate may come at either rate, or never.
func AppendPort(dst []byte, p Port, baud uint32, in, out Protocols) []byte {
	start := len(dst)
	dst = begin(dst, CfgPort, 20)
	dst = append(dst, byte(p), 0, 0, 0)                      // no pin that says when there is something to read
	dst = binary.LittleEndian.AppendUint32(dst, 0x0000_08D0) // 8N1; bit 4 is reserved, and set by generations up to 5
	dst = binary.LittleEndian.AppendUint32(dst, baud)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(in))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(out))
	dst = append(dst, 0, 0, 0, 0)
	return end(dst, start)
}

// Layers is where values are kept.
type Layers uint8

// The layers.
const (
	RAM   Layers = 1 << 0 // until power is cut
	BBR   Layers = 1 << 1 // as long as the backup battery lasts
	Flash Layers = 1 << 2 // for good, if the receiver has one
)

// Key names a value of generation 9 and later. Its bits 28 to 30 tell the value's size.
type Key uint32

// The keys that are spoken of here.
const (
	KeyMeasurePeriod   Key = 0x3021_0001 // CFG-RATE-MEAS, ms
	KeySolutionEach    Key = 0x3021_0002 // CFG-RATE-NAV, measurements
	KeyUART1Baud       Key = 0x4052_0001 // CFG-UART1-BAUDRATE
	KeyUART2Baud       Key = 0x4053_0001 // CFG-UART2-BAUDRATE
	KeyUART1OutUBX     Key = 0x1074_0001 // CFG-UART1OUTPROT-UBX
	KeyUART1OutNMEA    Key = 0x1074_0002 // CFG-UART1OUTPROT-NMEA
	KeyUART2OutUBX     Key = 0x1076_0001 // CFG-UART2OUTPROT-UBX
	KeyUART2OutNMEA    Key = 0x1076_0002 // CFG-UART2OUTPROT-NMEA
	KeyUSBOutUBX       Key = 0x1078_0001 // CFG-USBOUTPROT-UBX
	KeyUSBOutNMEA      Key = 0x1078_0002 // CFG-USBOUTPROT-NMEA
	KeyPVTEachOnUART1  Key = 0x2091_0007 // CFG-MSGOUT-UBX_NAV_PVT_UART1, solutions
	KeyPVTEachOnUART2  Key = 0x2091_0008 // CFG-MSGOUT-UBX_NAV_PVT_UART2
	KeyPVTEachOnUSB    Key = 0x2091_0009 // CFG-MSGOUT-UBX_NAV_PVT_USB
	KeyDynamicPlatform Key = 0x2011_0021 // CFG-NAVSPG-DYNMODEL
)

// Size returns how many bytes a key's value has, or 0 if there is no such size.
func (k Key) Size() int {
	switch k >> 28 & 7 {
	case 1, 2: // one bit is sent as a byte
		return 1
	case 3:
		return 2
	case 4:
		return 4
	case 5:
		return 8
	}
	return 0
}

// Value is a key and what it is set to.
type Value struct {
	Key   Key
	Value uint64
}

// AppendValues appends a CFG-VALSET that sets values in layers: all of them, or none if the receiver refuses one. From
// generation 9 on. If a value does not fit its key, or there are more than MaxValues, it is ErrValue, and dst is as it was.
func AppendValues(dst []byte, layers Layers, values ...Value) ([]byte, error) {
	start, length := len(dst), 4
	for _, v := range values {
		size := v.Key.Size()
		if size == 0 || size < 8 && v.Value>>(8*size) != 0 || v.Key>>28&7 == 1 && v.Value > 1 {
			return dst, ErrValue
		}
		length += 4 + size
	}
	if len(values) > MaxValues {
		return dst, ErrValue
	}
	dst = begin(dst, CfgValSet, length)
	dst = append(dst, 0, byte(layers), 0, 0)
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(v.Key))
		for i := range v.Key.Size() {
			dst = append(dst, byte(v.Value>>(8*i)))
		}
	}
	return end(dst, start), nil
}
