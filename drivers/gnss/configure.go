package gnss

import (
	"fmt"
	"time"

	"github.com/fulmar-io/fulmar/drivers/gnss/ubx"
	"github.com/fulmar-io/fulmar/hal"
)

// ErrRefused: the receiver answered that it will not.
const ErrRefused hal.Err = "the receiver refuses"

// Settings is what a u-blox receiver is to be set to. What is zero stays as it is.
//
// The rate of the line is not among them: a hal.UART is opened with one. ubx.AppendPort and ubx.KeyUART1Baud are there for
// the tool that sets a receiver up once.
type Settings struct {
	// Period is the time from one solution to the next, 25 ms to 65.535 s, in whole milliseconds.
	Period time.Duration
	// PVT has NAV-PVT sent with each solution.
	PVT bool
	// NoNMEA switches the sentences off.
	NoNMEA bool
	// Port is the receiver's that the line is connected to, default UART1. Only generation 9 and later ask.
	Port ubx.Port
	// Layers is where generation 9 and later keep it, default ubx.RAM. Earlier ones keep it in RAM.
	Layers ubx.Layers
	// Timeout is how long an answer may take from when its request was written, default 1 s.
	Timeout time.Duration
	// Attempts is how often a request is sent, default 3.
	Attempts int
}

// Progress is how a configuration is getting on.
type Progress uint8

// The stages.
const (
	NotConfigured Progress = iota
	Configuring
	Configured
	ConfigureFailed
)

// ConfigureError is why a configuration failed.
type ConfigureError struct {
	Request string // which one failed, as u-blox names it
	Sent    int    // how often
	Err     error  // hal.ErrNoAnswer, ErrRefused
}

// Error implements error.
func (e *ConfigureError) Error() string {
	return fmt.Sprintf("gnss: configure: %s, sent %d times: %v", e.Request, e.Sent, e.Err)
}

// Unwrap returns the cause.
func (e *ConfigureError) Unwrap() error { return e.Err }

// Configure begins to set a u-blox receiver up; Poll carries it on, and Status tells how. First the receiver is asked what it
// is, then each setting is sent and its acknowledgement awaited. It is an error if a setting is out of range, or another
// configuration is under way.
//
// The protocol does not number its acknowledgements: one that comes after Timeout can be taken for that of the next request,
// if it is of the same kind.
func (r *Receiver) Configure(s Settings) error {
	if r.setup.progress == Configuring {
		return fmt.Errorf("gnss: configure: another configuration is under way")
	}
	if ms := s.Period / time.Millisecond; s.Period != 0 && (ms < 25 || ms > 0xFFFF || s.Period%time.Millisecond != 0) {
		return fmt.Errorf("gnss: configure: period %v: %w: must be 25ms to 65.535s, in whole ms", s.Period, hal.ErrRange)
	}
	if s.Port == 0 {
		s.Port = ubx.UART1
	}
	if s.Port > ubx.USB {
		return fmt.Errorf("gnss: configure: port %d: %w: must be 1 to 3", s.Port, hal.ErrRange)
	}
	if s.Layers == 0 {
		s.Layers = ubx.RAM
	}
	if s.Timeout <= 0 {
		s.Timeout = time.Second
	}
	if s.Attempts <= 0 {
		s.Attempts = 3
	}
	r.setup = setup{settings: s, progress: Configuring}
	return nil
}

// Version returns what the receiver said of itself when it was configured.
func (r *Receiver) Version() (v ubx.Version, ok bool) { return r.setup.version, r.setup.asked }

// sentencesOff are what CFG-MSG switches off.
var sentencesOff = [...]uint8{
	ubx.NMEAGGA, ubx.NMEAGLL, ubx.NMEAGSA, ubx.NMEAGSV, ubx.NMEARMC, ubx.NMEAVTG, ubx.NMEAGRS, ubx.NMEAGST, ubx.NMEAZDA,
	ubx.NMEAGBS, ubx.NMEADTM, ubx.NMEAGNS,
}

// The steps of a setup, in their order. Of the last there are as many as sentences.
const (
	stepVersion = iota
	stepRate
	stepPVT
	stepNMEA
)

// setup is a configuration under way: a state machine. One request is out at a time.
type setup struct {
	settings Settings
	progress Progress
	err      error
	version  ubx.Version
	asked    bool // version is known

	step     int
	request  [64]byte
	length   int // of the request; 0: it is not made yet
	written  int
	sent     int // how often
	deadline time.Duration
}

// run makes and writes what is to be sent, and looks whether an answer is overdue. An error is the line's.
func (s *setup) run(line hal.UART, now time.Duration) error {
	if s.progress != Configuring {
		return nil
	}
	if s.length == 0 && !s.make(now) {
		s.progress = Configured
		return nil
	}
	if s.written < s.length {
		n, err := line.Write(s.request[s.written:s.length])
		if err != nil {
			return err
		}
		if s.written += n; s.written == s.length {
			s.deadline = now + s.settings.Timeout
		}
	}
	if now < s.deadline {
		return nil
	}
	if s.sent == s.settings.Attempts {
		s.fail(hal.ErrNoAnswer)
		return nil
	}
	// What could not be written so far still has to be: half a request is worse than none.
	if s.written == s.length {
		s.written = 0
	}
	s.sent++
	s.deadline = now + s.settings.Timeout
	return nil
}

// make makes the request of the step, or of the next one for which there is something to do. It reports false at the end.
func (s *setup) make(now time.Duration) bool {
	for {
		b, last := s.encode(s.request[:0])
		if last {
			return false
		}
		if len(b) > 0 {
			s.length, s.written, s.sent, s.deadline = len(b), 0, 1, now+s.settings.Timeout
			return true
		}
		s.step++
	}
}

// encode appends the request of the step: nothing if the step has nothing to do. last is after all steps.
func (s *setup) encode(b []byte) (request []byte, last bool) {
	set, keys := &s.settings, s.version.HasKeys()
	period := set.Period.Milliseconds()
	var values [2]ubx.Value
	n := 0
	switch {
	case s.step == stepVersion:
		return ubx.AppendPoll(b, ubx.MonVersion), false
	case s.step == stepRate && period > 0 && keys:
		values, n = [2]ubx.Value{{Key: ubx.KeyMeasurePeriod, Value: uint64(period)}, {Key: ubx.KeySolutionEach, Value: 1}}, 2
	case s.step == stepRate && period > 0:
		return ubx.AppendRate(b, uint16(period)), false
	case s.step == stepPVT && set.PVT && keys:
		port := portKeys[set.Port]
		values, n = [2]ubx.Value{{Key: port.outUBX, Value: 1}, {Key: port.pvt, Value: 1}}, 2
	case s.step == stepPVT && set.PVT:
		return ubx.AppendMessageRate(b, ubx.NavPVT, 1), false
	case s.step == stepNMEA && set.NoNMEA && keys:
		values, n = [2]ubx.Value{{Key: portKeys[set.Port].outNMEA}}, 1
	case s.step >= stepNMEA && set.NoNMEA && !keys:
		if i := s.step - stepNMEA; i < len(sentencesOff) {
			return ubx.AppendMessageRate(b, ubx.NMEAKind(sentencesOff[i]), 0), false
		}
		return b, true
	case s.step >= stepNMEA:
		return b, true
	}
	if n > 0 {
		b, _ = ubx.AppendValues(b, set.Layers, values[:n]...) // they fit: the period was checked
	}
	return b, false
}

// portKeys are the keys of each port.
var portKeys = [...]struct{ outUBX, outNMEA, pvt ubx.Key }{
	ubx.UART1: {ubx.KeyUART1OutUBX, ubx.KeyUART1OutNMEA, ubx.KeyPVTEachOnUART1},
	ubx.UART2: {ubx.KeyUART2OutUBX, ubx.KeyUART2OutNMEA, ubx.KeyPVTEachOnUART2},
	ubx.USB:   {ubx.KeyUSBOutUBX, ubx.KeyUSBOutNMEA, ubx.KeyPVTEachOnUSB},
}

// answer takes a frame if it is one of those that answer: known. Those that nobody waits for are taken too.
func (s *setup) answer(f ubx.Frame, now time.Duration) (known bool, err error) {
	ack, nak := f.Is(ubx.AckAck), f.Is(ubx.AckNak)
	switch {
	case f.Is(ubx.MonVersion):
		v, err := ubx.DecodeVersion(f.Payload)
		if err != nil {
			return true, err
		}
		if s.waits() && s.step == stepVersion {
			s.version, s.asked = v, true
			s.advance()
		}
	case ack || nak:
		k, err := ubx.DecodeAck(f.Payload)
		if err != nil {
			return true, err
		}
		if !s.waits() || s.step == stepVersion || k != (ubx.Kind{Class: s.request[2], ID: s.request[3]}) {
			break
		}
		// A sentence that the receiver does not know it does not send either.
		if nak && (s.step < stepNMEA || s.version.HasKeys()) {
			s.fail(ErrRefused)
			break
		}
		s.advance()
	default:
		return false, nil
	}
	return true, nil
}

// waits reports whether a request is out.
func (s *setup) waits() bool {
	return s.progress == Configuring && s.length > 0 && s.written == s.length
}

func (s *setup) advance() {
	s.step++
	s.length = 0
}

func (s *setup) fail(cause error) {
	s.progress = ConfigureFailed
	s.err = &ConfigureError{Request: s.name(), Sent: s.sent, Err: cause}
}

// name returns what u-blox calls the request that is out.
func (s *setup) name() string {
	switch kind := (ubx.Kind{Class: s.request[2], ID: s.request[3]}); {
	case kind == ubx.MonVersion:
		return "MON-VER"
	case kind == ubx.CfgRate:
		return "CFG-RATE"
	case kind == ubx.CfgMessage && s.step == stepPVT:
		return "CFG-MSG of NAV-PVT"
	case kind == ubx.CfgMessage:
		return "CFG-MSG of a sentence"
	case s.step == stepRate:
		return "CFG-VALSET of CFG-RATE-MEAS"
	case s.step == stepPVT:
		return "CFG-VALSET of CFG-MSGOUT-UBX_NAV_PVT"
	default:
		return "CFG-VALSET of the output of NMEA"
	}
}
