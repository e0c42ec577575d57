package hal

// Kind is what a resource is.
type Kind uint8

// The kinds, each with the contract of its handle.
const (
	KindInput   Kind = iota + 1 // Input
	KindOutput                  // Output
	KindPWM                     // PWM
	KindADC                     // ADC
	KindCounter                 // Counter
	KindI2C                     // I2C
	KindSPI                     // SPI
	KindUART                    // UART
	KindCAN                     // CAN
)

// String returns the kind in a word.
func (k Kind) String() string {
	names := [...]string{"", "input", "output", "pwm", "adc", "counter", "i2c", "spi", "uart", "can"}
	if int(k) < len(names) && k > 0 {
		return names[k]
	}
	return "invalid"
}

// Resource names one piece of hardware and says how it is set up. It has one owner on a machine.
type Resource struct {
	Kind Kind
	// Path is the host's name for the pin, bus or line:
	//
	//	input, output   GPIO17, or gpiochip0/17
	//	pwm             pwmchip0/1
	//	adc             iio:device0/voltage3
	//	counter         counter0/count0
	//	i2c             i2c-1
	//	spi             spidev0.1
	//	uart            ttyACM0, or a path as /dev/serial/by-id/…
	//	can             can0
	Path string
	// Address is a device's on an I2C bus, 7 bits.
	Address uint16
	// RateHz is the bit rate of a UART, default 9600, and the fastest clock of an SPI device, default 1 MHz. That of a shared
	// bus, I2C or CAN, belongs to the host and is not set here.
	RateHz uint32
	// Mode is an SPI device's, 0 to 3: clock polarity in bit 1, phase in bit 0.
	Mode uint8
	// PullUp holds an open input high.
	PullUp bool
}

// Same reports whether two resources are the same piece of hardware, however it is set up: a pin as input and as output, a
// bus that is not shared, one address on one that is.
//
// Two names of one thing, where the host alone knows that they are, count as two: then the host opens it once.
func (r Resource) Same(o Resource) bool {
	return r.line() == o.line() && r.place() == o.place() && (r.Kind != KindI2C || r.Address == o.Address)
}

// place is the path; that of a serial line without the folder which it need not have.
func (r Resource) place() string {
	const folder = "/dev/"
	if n := len(folder); r.Kind == KindUART && len(r.Path) > n && r.Path[:n] == folder {
		return r.Path[n:]
	}
	return r.Path
}

// line is the kind of hardware behind a kind.
func (r Resource) line() Kind {
	if r.Kind == KindOutput {
		return KindInput
	}
	return r.Kind
}

// A Host has hardware.
type Host interface {
	// Open returns a handle for a resource: the contract of its kind. It is called once for each, before any loop runs, may
	// take its time, and may be called from any goroutine. Closing gives the resource back, also while a call on the handle
	// is under way, which then fails or ends; after a successful Open it is to be called once.
	Open(r Resource) (handle any, closing func() error, err error)
}
