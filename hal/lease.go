package hal

import "sync/atomic"

// Lease is the right to use a handle. The zero Lease is valid. Its methods may be called from any goroutine.
type Lease struct{ state atomic.Int64 } // how many calls are under way, and revoked

// revoked is the bit of a lease that was revoked.
const revoked = 1 << 62

// Revoke takes the handles of the lease away: each later call fails with ErrRevoked. A call that is under way is not stopped; Busy
// tells when there is none any more.
func (l *Lease) Revoke() { l.state.Or(revoked) }

// Revoked reports whether the lease was revoked.
func (l *Lease) Revoked() bool { return l.state.Load()&revoked != 0 }

// Busy reports whether a call is under way. Of a lease that was revoked and is not busy no call reaches the hardware any more.
func (l *Lease) Busy() bool { return l.state.Load()&^revoked != 0 }

// enter begins a call; then leave ends it. It reports false, and there is nothing to end, if the lease was revoked.
func (l *Lease) enter() bool {
	if l.state.Add(1)&revoked != 0 {
		l.leave()
		return false
	}
	return true
}

func (l *Lease) leave() { l.state.Add(-1) }

// Let returns the handle of a resource of a kind such that it works as long as the lease is not revoked, and whether it
// meets that kind's contract.
func (l *Lease) Let(k Kind, handle any) (leased any, ok bool) {
	switch k {
	case KindInput:
		if h, ok := handle.(Input); ok {
			return &leasedInput{l, h}, true
		}
	case KindOutput:
		if h, ok := handle.(Output); ok {
			return &leasedOutput{l, h}, true
		}
	case KindPWM:
		if h, ok := handle.(PWM); ok {
			return &leasedPWM{l, h}, true
		}
	case KindADC:
		if h, ok := handle.(ADC); ok {
			return &leasedADC{l, h}, true
		}
	case KindCounter:
		if h, ok := handle.(Counter); ok {
			return &leasedCounter{l, h}, true
		}
	case KindI2C, KindSPI:
		if h, ok := handle.(I2C); ok { // SPI has the same method
			return &leasedBus{l, h}, true
		}
	case KindUART:
		if h, ok := handle.(UART); ok {
			return &leasedUART{l, h}, true
		}
	case KindCAN:
		if h, ok := handle.(CAN); ok {
			return &leasedCAN{l, h}, true
		}
	}
	return nil, false
}

type leasedInput struct {
	l *Lease
	h Input
}

func (x *leasedInput) Read() (high bool, err error) {
	if !x.l.enter() {
		return false, ErrRevoked
	}
	defer x.l.leave()
	return x.h.Read()
}

func (x *leasedInput) Edges(buf []Edge) (n int, err error) {
	if !x.l.enter() {
		return 0, ErrRevoked
	}
	defer x.l.leave()
	return x.h.Edges(buf)
}

type leasedOutput struct {
	l *Lease
	h Output
}

func (x *leasedOutput) Write(high bool) error {
	if !x.l.enter() {
		return ErrRevoked
	}
	defer x.l.leave()
	return x.h.Write(high)
}

type leasedPWM struct {
	l *Lease
	h PWM
}

func (x *leasedPWM) Set(period, high int64) error {
	if !x.l.enter() {
		return ErrRevoked
	}
	defer x.l.leave()
	return x.h.Set(period, high)
}

type leasedADC struct {
	l *Lease
	h ADC
}

func (x *leasedADC) Volts() (volts float64, err error) {
	if !x.l.enter() {
		return 0, ErrRevoked
	}
	defer x.l.leave()
	return x.h.Volts()
}

type leasedCounter struct {
	l *Lease
	h Counter
}

func (x *leasedCounter) Count() (n int64, err error) {
	if !x.l.enter() {
		return 0, ErrRevoked
	}
	defer x.l.leave()
	return x.h.Count()
}

type leasedBus struct {
	l *Lease
	h I2C
}

func (x *leasedBus) Tx(w, r []byte) error {
	if !x.l.enter() {
		return ErrRevoked
	}
	defer x.l.leave()
	return x.h.Tx(w, r)
}

type leasedUART struct {
	l *Lease
	h UART
}

func (x *leasedUART) Read(p []byte) (n int, err error) {
	if !x.l.enter() {
		return 0, ErrRevoked
	}
	defer x.l.leave()
	return x.h.Read(p)
}

func (x *leasedUART) Write(p []byte) (n int, err error) {
	if !x.l.enter() {
		return 0, ErrRevoked
	}
	defer x.l.leave()
	return x.h.Write(p)
}

type leasedCAN struct {
	l *Lease
	h CAN
}

func (x *leasedCAN) Send(f Frame) error {
	if !x.l.enter() {
		return ErrRevoked
	}
	defer x.l.leave()
	return x.h.Send(f)
}

func (x *leasedCAN) Receive(buf []Frame) (n int, err error) {
	if !x.l.enter() {
		return 0, ErrRevoked
	}
	defer x.l.leave()
	return x.h.Receive(buf)
}
