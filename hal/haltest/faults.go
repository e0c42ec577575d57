package haltest

import (
	"bytes"
	"fmt"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// Trouble is what goes wrong.
type Trouble uint8

// The troubles. Unless it says otherwise, the call does not reach the device.
const (
	// Silent: the call fails with ErrNoAnswer. On a UART and a CAN bus nobody is at the other end: what goes out is lost, and
	// nothing comes in.
	Silent Trouble = iota + 1
	// Stuck: what was last received comes again, and nothing that is sent arrives. A device that has not answered yet is
	// stuck at 0. Of an I2C or SPI device the last answer is repeated to fill what is asked for.
	Stuck
	// Answered: the device is reached, and on an I2C or SPI bus, where what is written begins with Match, the answer begins
	// with Answer instead: another chip's identity, a status that never changes.
	Answered
	// BitErrors: the device is reached, and each bit received is inverted with the probability Rate. Only where bytes are
	// received: I2C, SPI, UART and CAN.
	BitErrors
	// Gone: the call fails with ErrGone, and each that follows, for good.
	Gone
	// Slow: Wait is called before the device is reached, to let time pass on the clock of the test.
	Slow
)

// Fault is one trouble and when it happens. Calls of a handle are counted from 0, those that fail included.
type Fault struct {
	Trouble Trouble
	// After is how many calls are spared at first.
	After int
	// For is how many calls it then lasts. 0: for good.
	For int
	// Every spares all but each n-th of those, beginning with the first. 0: none. Silent with Every 3 is a device that
	// does not acknowledge each third call.
	Every int

	Match, Answer []byte  // of Answered
	Rate          float64 // of BitErrors, 0 to 1
	Seed          uint64  // of BitErrors: the same seed, the same errors
	Wait          func()  // of Slow
}

func (f *Fault) at(call int) bool {
	n := call - f.After
	if n < 0 {
		return false
	}
	if f.Trouble == Gone {
		return true
	}
	return (f.For == 0 || n < f.For) && (f.Every == 0 || n%f.Every == 0)
}

// Faults breaks one handle on schedule. It belongs to the goroutine that uses the handle; the handle allocates nothing once
// it has received its longest answer.
type Faults struct {
	faults []Fault
	calls  int
	gone   bool
	random uint64

	last  []byte // received on I2C, SPI or UART
	level bool
	volts float64
	count int64
	frame hal.Frame
	heard bool // frame is one
}

// NewFaults returns a schedule. It applies to one handle.
func NewFaults(faults ...Fault) *Faults {
	f := &Faults{last: make([]byte, 0, 64)}
	f.Set(faults...)
	return f
}

// Set replaces the schedule, and counts from this call on. A device that is gone is back: somebody plugged it in.
func (f *Faults) Set(faults ...Fault) {
	f.faults, f.calls, f.gone, f.random = faults, 0, false, 0x9E3779B97F4A7C15
	for _, x := range faults {
		if x.Trouble == BitErrors {
			f.random ^= x.Seed
		}
	}
}

// Calls returns how many there were since Set.
func (f *Faults) Calls() int { return f.calls }

// Host returns a host whose handles break as the schedule that of returns says; where it returns nil, they do not.
func Host(h hal.Host, of func(r hal.Resource) *Faults) hal.Host { return faultyHost{h, of} }

type faultyHost struct {
	h  hal.Host
	of func(hal.Resource) *Faults
}

// Open implements hal.Host.
func (x faultyHost) Open(r hal.Resource) (any, func() error, error) {
	handle, closing, err := x.h.Open(r)
	if err != nil {
		return nil, nil, err
	}
	f := x.of(r)
	if f == nil {
		return handle, closing, nil
	}
	broken, err := f.Wrap(r.Kind, handle)
	if err != nil {
		return nil, nil, joinClose(fmt.Errorf("%s: %w", name.Of(r), err), closing)
	}
	return broken, closing, nil
}

// Wrap returns a handle of a kind that breaks on this schedule.
func (f *Faults) Wrap(k hal.Kind, handle any) (any, error) {
	for _, x := range f.faults {
		bus := k == hal.KindI2C || k == hal.KindSPI
		if x.Trouble == Answered && !bus || x.Trouble == BitErrors && !bus && k != hal.KindUART && k != hal.KindCAN {
			return nil, fmt.Errorf("haltest: faults: a %s cannot have that trouble: %d", k, x.Trouble)
		}
	}
	switch k {
	case hal.KindInput:
		if h, ok := handle.(hal.Input); ok {
			return &faultyInput{f, h}, nil
		}
	case hal.KindOutput:
		if h, ok := handle.(hal.Output); ok {
			return &faultyOutput{f, h}, nil
		}
	case hal.KindPWM:
		if h, ok := handle.(hal.PWM); ok {
			return &faultyPWM{f, h}, nil
		}
	case hal.KindADC:
		if h, ok := handle.(hal.ADC); ok {
			return &faultyADC{f, h}, nil
		}
	case hal.KindCounter:
		if h, ok := handle.(hal.Counter); ok {
			return &faultyCounter{f, h}, nil
		}
	case hal.KindI2C, hal.KindSPI:
		if h, ok := handle.(hal.I2C); ok {
			return &faultyBus{f, h}, nil
		}
	case hal.KindUART:
		if h, ok := handle.(hal.UART); ok {
			return &faultyUART{f, h}, nil
		}
	case hal.KindCAN:
		if h, ok := handle.(hal.CAN); ok {
			return &faultyCAN{f, h}, nil
		}
	}
	return nil, fmt.Errorf("haltest: faults: a %T is no %s", handle, k)
}

// call counts a call and returns what keeps it from the device: 0, Silent, Stuck or Gone.
func (f *Faults) call() Trouble {
	n := f.calls
	f.calls++
	keeps := Trouble(0)
	for i := range f.faults {
		x := &f.faults[i]
		if !x.at(n) {
			continue
		}
		switch x.Trouble {
		case Gone:
			f.gone = true
		case Silent, Stuck:
			keeps = x.Trouble
		case Slow:
			x.Wait()
		}
	}
	if f.gone {
		return Gone
	}
	return keeps
}

// spoil changes what was received in the call just counted, and remembers it.
func (f *Faults) spoil(w, r []byte) {
	for i := range f.faults {
		x := &f.faults[i]
		if !x.at(f.calls - 1) {
			continue
		}
		if x.Trouble == Answered && bytes.HasPrefix(w, x.Match) {
			copy(r, x.Answer)
		}
		if x.Trouble == BitErrors {
			f.flip(r, x.Rate)
		}
	}
	if len(r) > 0 {
		f.last = append(f.last[:0], r...)
	}
}

func (f *Faults) flip(b []byte, rate float64) {
	for i := range b {
		for bit := range 8 {
			f.random ^= f.random << 13
			f.random ^= f.random >> 7
			f.random ^= f.random << 17
			if float64(f.random>>11)/(1<<53) < rate {
				b[i] ^= 1 << bit
			}
		}
	}
}

// repeat fills r with what was last received.
func (f *Faults) repeat(r []byte) {
	clear(r)
	for n := 0; n < len(r) && len(f.last) > 0; {
		n += copy(r[n:], f.last)
	}
}

type faultyInput struct {
	f *Faults
	h hal.Input
}

func (x *faultyInput) Read() (bool, error) {
	switch x.f.call() {
	case Silent:
		return false, hal.ErrNoAnswer
	case Gone:
		return false, hal.ErrGone
	case Stuck:
		return x.f.level, nil
	}
	high, err := x.h.Read()
	if err == nil {
		x.f.level = high
	}
	return high, err
}

func (x *faultyInput) Edges(buf []hal.Edge) (int, error) {
	switch x.f.call() {
	case Silent:
		return 0, hal.ErrNoAnswer
	case Gone:
		return 0, hal.ErrGone
	case Stuck:
		return 0, nil
	}
	return x.h.Edges(buf)
}

type faultyOutput struct {
	f *Faults
	h hal.Output
}

func (x *faultyOutput) Write(high bool) error {
	switch x.f.call() {
	case Silent:
		return hal.ErrNoAnswer
	case Gone:
		return hal.ErrGone
	case Stuck:
		return nil
	}
	return x.h.Write(high)
}

type faultyPWM struct {
	f *Faults
	h hal.PWM
}

func (x *faultyPWM) Set(period, high int64) error {
	switch x.f.call() {
	case Silent:
		return hal.ErrNoAnswer
	case Gone:
		return hal.ErrGone
	case Stuck:
		return nil
	}
	return x.h.Set(period, high)
}

type faultyADC struct {
	f *Faults
	h hal.ADC
}

func (x *faultyADC) Volts() (float64, error) {
	switch x.f.call() {
	case Silent:
		return 0, hal.ErrNoAnswer
	case Gone:
		return 0, hal.ErrGone
	case Stuck:
		return x.f.volts, nil
	}
	v, err := x.h.Volts()
	if err == nil {
		x.f.volts = v
	}
	return v, err
}

type faultyCounter struct {
	f *Faults
	h hal.Counter
}

func (x *faultyCounter) Count() (int64, error) {
	switch x.f.call() {
	case Silent:
		return 0, hal.ErrNoAnswer
	case Gone:
		return 0, hal.ErrGone
	case Stuck:
		return x.f.count, nil
	}
	n, err := x.h.Count()
	if err == nil {
		x.f.count = n
	}
	return n, err
}

type faultyBus struct {
	f *Faults
	h hal.I2C
}

func (x *faultyBus) Tx(w, r []byte) error {
	switch x.f.call() {
	case Silent:
		return hal.ErrNoAnswer
	case Gone:
		return hal.ErrGone
	case Stuck:
		x.f.repeat(r)
		return nil
	}
	if err := x.h.Tx(w, r); err != nil {
		return err
	}
	x.f.spoil(w, r)
	return nil
}

type faultyUART struct {
	f *Faults
	h hal.UART
}

func (x *faultyUART) Read(p []byte) (int, error) {
	switch x.f.call() {
	case Silent:
		return 0, nil
	case Gone:
		return 0, hal.ErrGone
	case Stuck:
		return copy(p, x.f.last), nil
	}
	n, err := x.h.Read(p)
	x.f.spoil(nil, p[:n])
	return n, err
}

func (x *faultyUART) Write(p []byte) (int, error) {
	switch x.f.call() {
	case Silent, Stuck:
		return len(p), nil
	case Gone:
		return 0, hal.ErrGone
	}
	return x.h.Write(p)
}

type faultyCAN struct {
	f *Faults
	h hal.CAN
}

func (x *faultyCAN) Send(frame hal.Frame) error {
	switch x.f.call() {
	case Silent, Stuck:
		return nil
	case Gone:
		return hal.ErrGone
	}
	return x.h.Send(frame)
}

func (x *faultyCAN) Receive(buf []hal.Frame) (int, error) {
	switch x.f.call() {
	case Silent:
		return 0, nil
	case Gone:
		return 0, hal.ErrGone
	case Stuck:
		if !x.f.heard || len(buf) == 0 {
			return 0, nil
		}
		buf[0] = x.f.frame
		return 1, nil
	}
	n, err := x.h.Receive(buf)
	for i := range buf[:n] {
		f := &buf[i]
		x.f.spoil(nil, f.Data[:min(f.Len, 8)])
		x.f.frame, x.f.heard = *f, true
	}
	return n, err
}
