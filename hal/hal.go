package hal

// Err is an error that needs no heap.
type Err string

// Error implements error.
func (e Err) Error() string { return string(e) }

// The errors that a caller can tell apart. An implementation may wrap them with what it knows.
const (
	// ErrNoAnswer: the device did not acknowledge, or not in time.
	ErrNoAnswer Err = "the device does not answer"
	// ErrGone: the device was unplugged, or its bus has failed. Only opening it again can help.
	ErrGone Err = "the device is gone"
	// ErrRevoked: the handle was taken away.
	ErrRevoked Err = "the handle was revoked"
	// ErrRange: a value that the hardware cannot take.
	ErrRange Err = "out of range"
	// ErrUnsupported: this host, or this device, cannot do that.
	ErrUnsupported Err = "not supported"
)

// Input is a digital input.
type Input interface {
	// Read returns the level now.
	Read() (high bool, err error)
	// Edges moves the edges that were seen since the last call into buf, oldest first, and returns how many. Those for which
	// there was no room, there or in the host's queue, are lost; the Missed of the next one counts them.
	Edges(buf []Edge) (n int, err error)
}

// Edge is a change of a digital input.
type Edge struct {
	At     int64 // monotonic ns, of the same clock as the machine's
	High   bool  // the level after it
	Missed uint32
}

// Output is a digital output. It is low when it is opened.
type Output interface {
	Write(high bool) error
}

// PWM is an output of pulses.
type PWM interface {
	// Set sets the pulses: each is high for high ns, and begins period ns after the one before. 0 ≤ high ≤ period, or it is
	// ErrRange. high 0 is a constant low.
	Set(period, high int64) error
}

// ADC is a channel of a converter.
type ADC interface {
	// Volts returns the voltage at the input now.
	Volts() (float64, error)
}

// Counter counts what an encoder or a flow meter puts out.
type Counter interface {
	// Count returns the counts since the handle was opened; downwards counts negative. It does not wrap.
	Count() (int64, error)
}

// I2C is one device on an I2C bus.
type I2C interface {
	// Tx writes w, then reads r, as one transaction with a repeated start between. Either may be empty.
	Tx(w, r []byte) error
}

// SPI is one device on an SPI bus, its chip select included.
type SPI interface {
	// Tx clocks w out and what comes back into r, as one transaction. They are of the same length, or one is nil.
	Tx(w, r []byte) error
}

// UART is a serial line.
type UART interface {
	// Read returns what has arrived, at most len(p) bytes, and 0 and no error when there is nothing.
	Read(p []byte) (n int, err error)
	// Write queues bytes. It writes fewer than len(p), without an error, when the host's queue is full.
	Write(p []byte) (n int, err error)
}

// CAN is a CAN 2.0 bus.
type CAN interface {
	// Send queues a frame.
	Send(f Frame) error
	// Receive moves the frames that have arrived into buf, oldest first, and returns how many.
	Receive(buf []Frame) (n int, err error)
}

// Frame is a CAN 2.0 data or remote frame.
type Frame struct {
	ID       uint32 // 11 bits, or 29 if Extended
	Extended bool
	Remote   bool // it asks for data, and has none
	Len      uint8
	Data     [8]byte
}

// Valid reports whether a frame can be sent.
func (f Frame) Valid() bool {
	return f.Len <= 8 && (f.ID < 1<<11 || f.Extended && f.ID < 1<<29)
}
