package sim

import (
	"fmt"
	"sync"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/internal/name"
)

// Wires is a host without hardware. The zero Wires has nothing connected and is valid. Connecting the same thing twice is a
// bug and panics; all is to be connected before the first component opens it.
type Wires struct {
	mu   sync.Mutex // guards what is below
	ends map[hal.Resource]*end
}

// end is what a resource is wired to.
type end struct {
	open  func(r hal.Resource) (any, error)
	close func()
	used  bool
}

// Open implements hal.Host. A resource has one owner: until it is closed, opening it again is an error.
func (w *Wires) Open(r hal.Resource) (any, func() error, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.ends[key(r)]
	if e == nil {
		var have []string
		for k := range w.ends {
			have = append(have, name.Of(k))
		}
		return nil, nil, fmt.Errorf("sim: open %s: it is not wired: %s", name.Of(r), name.Listed(name.Of(r), have))
	}
	if e.used {
		return nil, nil, fmt.Errorf("sim: open %s: it is open already", name.Of(r))
	}
	handle, err := e.open(r)
	if err != nil {
		return nil, nil, fmt.Errorf("sim: open %s: %w", name.Of(r), err)
	}
	e.used = true
	return handle, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		e.used = false
		e.close()
		return nil
	}, nil
}

// key is a resource without what it is set up with.
func key(r hal.Resource) hal.Resource {
	k := hal.Resource{Kind: r.Kind, Path: r.Path}
	if r.Kind == hal.KindI2C {
		k.Address = r.Address
	}
	return k
}

// connect wires a resource to what open returns.
func (w *Wires) connect(r hal.Resource, open func(r hal.Resource) any) {
	w.connectEnd(r, &end{open: func(r hal.Resource) (any, error) { return open(r), nil }, close: func() {}})
}

func (w *Wires) connectEnd(r hal.Resource, e *end) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.ends {
		if k.Same(r) {
			panic("sim: " + name.Of(r) + " is wired twice")
		}
	}
	if w.ends == nil {
		w.ends = make(map[hal.Resource]*end)
	}
	w.ends[r] = e
}

// Output calls set with each level that is written.
func (w *Wires) Output(path string, set func(high bool)) {
	w.connect(hal.Resource{Kind: hal.KindOutput, Path: path}, func(hal.Resource) any { return output(set) })
}

type output func(high bool)

func (o output) Write(high bool) error {
	o(high)
	return nil
}

// PWM calls set with each period and high time that is set, in ns. What hardware could not do does not get there: the handle
// answers with ErrRange unless 0 ≤ high ≤ period and period > 0.
func (w *Wires) PWM(path string, set func(period, high int64)) {
	w.connect(hal.Resource{Kind: hal.KindPWM, Path: path}, func(hal.Resource) any { return pwm(set) })
}

type pwm func(period, high int64)

func (p pwm) Set(period, high int64) error {
	if high < 0 || high > period || period <= 0 {
		return hal.ErrRange
	}
	p(period, high)
	return nil
}

// ADC calls volts for each reading.
func (w *Wires) ADC(path string, volts func() float64) {
	w.connect(hal.Resource{Kind: hal.KindADC, Path: path}, func(hal.Resource) any { return adc(volts) })
}

type adc func() float64

func (a adc) Volts() (float64, error) { return a(), nil }

// Counter calls count for each reading. The plant counts from wherever it likes: the handle counts from when it was opened.
func (w *Wires) Counter(path string, count func() int64) {
	w.connect(hal.Resource{Kind: hal.KindCounter, Path: path}, func(hal.Resource) any { return &counter{count, count()} })
}

type counter struct {
	count func() int64
	start int64
}

func (c *counter) Count() (int64, error) { return c.count() - c.start, nil }

// I2C puts a device on a bus, at an address of 7 bits.
func (w *Wires) I2C(path string, address uint16, device hal.I2C) {
	w.connect(hal.Resource{Kind: hal.KindI2C, Path: path, Address: address}, func(hal.Resource) any { return device })
}

// SPI puts a device on a bus, with its chip select.
func (w *Wires) SPI(path string, device hal.SPI) {
	w.connect(hal.Resource{Kind: hal.KindSPI, Path: path}, func(hal.Resource) any { return device })
}

// UART connects a line and returns the plant's end of it. Each direction holds up to depth bytes: a component's Write takes no
// more than there is room for, and bytes that the plant writes beyond that are lost, as in a real host.
func (w *Wires) UART(path string, depth int) *Line {
	l := &Line{toComponent: queue[byte]{buf: make([]byte, depth)}, toPlant: queue[byte]{buf: make([]byte, depth)}}
	w.connectEnd(hal.Resource{Kind: hal.KindUART, Path: path}, &end{open: l.open, close: func() { l.owners++ }})
	return l
}

// CAN connects a bus under a name. The same bus may have several: nodes of one machine, or of several. A component's node is
// on the bus as long as it is open.
func (w *Wires) CAN(path string, bus *Bus) {
	var n *Node
	w.connectEnd(hal.Resource{Kind: hal.KindCAN, Path: path}, &end{
		open:  func(hal.Resource) (any, error) { n = bus.Node(); return n, nil },
		close: func() { n.Leave() },
	})
}
