package sim_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
	"github.com/fulmar-io/fulmar/hal/sim"
)

func open[T any](t *testing.T, w *sim.Wires, r hal.Resource) (T, func() error) {
	t.Helper()
	h, closing, err := w.Open(r)
	if err != nil {
		t.Fatal(err)
	}
	return h.(T), closing
}

func TestWires(t *testing.T) {
	var w sim.Wires
	var led bool
	var period, high int64
	battery, ticks := 12.5, int64(1000)
	w.Output("GPIO4", func(h bool) { led = h })
	w.PWM("pwmchip0/0", func(p, h int64) { period, high = p, h })
	w.ADC("iio:device0/voltage0", func() float64 { return battery })
	w.Counter("counter0/count0", func() int64 { return ticks })
	chip := haltest.NewRegisters(haltest.Layout{Registers: 2})
	chip.Set(1, 0x68)
	w.I2C("i2c-1", 0x68, chip.I2C())
	w.SPI("spidev0.0", chip.SPI(0x80, 0))

	o, _ := open[hal.Output](t, &w, hal.Resource{Kind: hal.KindOutput, Path: "GPIO4"})
	if err := o.Write(true); err != nil || !led {
		t.Error(led, err)
	}
	p, _ := open[hal.PWM](t, &w, hal.Resource{Kind: hal.KindPWM, Path: "pwmchip0/0"})
	if err := p.Set(20, 20); err != nil || period != 20 || high != 20 {
		t.Error(period, high, err)
	}
	for _, bad := range [][2]int64{{20, 21}, {20, -1}, {0, 0}, {-1, -2}} {
		if err := p.Set(bad[0], bad[1]); !errors.Is(err, hal.ErrRange) || period != 20 {
			t.Error(bad, period, err)
		}
	}
	a, _ := open[hal.ADC](t, &w, hal.Resource{Kind: hal.KindADC, Path: "iio:device0/voltage0"})
	if v, err := a.Volts(); v != 12.5 || err != nil {
		t.Error(v, err)
	}
	c, _ := open[hal.Counter](t, &w, hal.Resource{Kind: hal.KindCounter, Path: "counter0/count0"})
	ticks = 990
	if n, err := c.Count(); n != -10 || err != nil {
		t.Error(n, err)
	}
	i, _ := open[hal.I2C](t, &w, hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x68, RateHz: 400000})
	s, _ := open[hal.SPI](t, &w, hal.Resource{Kind: hal.KindSPI, Path: "spidev0.0", Mode: 3})
	b := make([]byte, 2)
	if err := i.Tx([]byte{1}, b[:1]); err != nil || b[0] != 0x68 {
		t.Error(b, err)
	}
	if err := s.Tx([]byte{0x81, 0}, b); err != nil || b[1] != 0x68 {
		t.Error(b, err)
	}
}

func TestWhatIsNotWired(t *testing.T) {
	var w sim.Wires
	if _, _, err := w.Open(hal.Resource{Kind: hal.KindCAN, Path: "can0"}); err == nil ||
		err.Error() != "sim: open can:can0: it is not wired: there is none" {
		t.Error(err)
	}
	w.I2C("i2c-1", 0x68, nil)
	w.Output("GPIO4", func(bool) {})
	_, _, err := w.Open(hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x69})
	if err == nil || err.Error() != "sim: open i2c:i2c-1:0x69: it is not wired: did you mean i2c:i2c-1:0x68? there is i2c:i2c-1:0x68, output:GPIO4" {
		t.Error(err)
	}
	if _, _, err := w.Open(hal.Resource{Kind: hal.KindInput, Path: "GPIO4"}); err == nil {
		t.Error("an output is an input")
	}
}

func TestAResourceHasOneOwner(t *testing.T) {
	var w sim.Wires
	w.ADC("a", func() float64 { return 0 })
	r := hal.Resource{Kind: hal.KindADC, Path: "a"}
	_, closing := open[hal.ADC](t, &w, r)
	if _, _, err := w.Open(r); err == nil || !strings.Contains(err.Error(), "open already") {
		t.Error(err)
	}
	if err := closing(); err != nil {
		t.Error(err)
	}
	open[hal.ADC](t, &w, r)

	// A pin is wired once, as an input or as an output.
	defer func() {
		if recover() == nil {
			t.Error("GPIO4 is both")
		}
	}()
	w.Output("GPIO4", func(bool) {})
	w.Input("GPIO4", nil)
}

func TestPins(t *testing.T) {
	var w sim.Wires
	button := w.Input("GPIO17", nil)
	level := false
	limit := w.Input("GPIO27", func() bool { return level })
	button.Drive(1, true) // before it is opened: no edge
	button.Release(2)
	in, closing := open[hal.Input](t, &w, hal.Resource{Kind: hal.KindInput, Path: "GPIO17", PullUp: true})
	read := func(in hal.Input, want bool) {
		t.Helper()
		if got, err := in.Read(); got != want || err != nil {
			t.Errorf("read %v, %v, want %v", got, err, want)
		}
	}
	edges := func(in hal.Input, room int, want ...hal.Edge) {
		t.Helper()
		buf := make([]hal.Edge, room)
		n, err := in.Edges(buf)
		if err != nil || !slices.Equal(buf[:n], want) {
			t.Errorf("edges %v, %v, want %v", buf[:n], err, want)
		}
	}
	read(in, true) // open, pulled up
	button.Drive(10, true)
	button.Drive(20, false)
	button.Drive(21, false)
	read(in, false)
	button.Release(30)
	read(in, true)
	edges(in, 1, hal.Edge{At: 20})
	edges(in, 8, hal.Edge{At: 30, High: true})
	edges(in, 8)

	// What does not fit into the queue is counted by the next that does.
	for at := int64(100); at < 120; at++ {
		button.Drive(at, at%2 == 1)
	}
	buf := make([]hal.Edge, 32)
	if n, err := in.Edges(buf); n != 16 || err != nil || buf[15].At != 115 || buf[15].Missed != 0 {
		t.Error(n, err, buf[:n])
	}
	button.Drive(200, false)
	edges(in, 8, hal.Edge{At: 200, Missed: 4})

	// After it is opened again, there is nothing of before.
	button.Drive(210, true)
	if err := closing(); err != nil {
		t.Error(err)
	}
	in, _ = open[hal.Input](t, &w, hal.Resource{Kind: hal.KindInput, Path: "GPIO17"})
	edges(in, 8)
	button.Release(220)
	read(in, false) // open, not pulled

	sampled, _ := open[hal.Input](t, &w, hal.Resource{Kind: hal.KindInput, Path: "GPIO27"})
	limit.Sample(5)
	level = true
	read(sampled, true)
	limit.Sample(6)
	limit.Sample(7)
	edges(sampled, 8, hal.Edge{At: 6, High: true})
}

func TestLine(t *testing.T) {
	var w sim.Wires
	line := w.UART("ttyACM0", 4)
	r := hal.Resource{Kind: hal.KindUART, Path: "ttyACM0", RateHz: 115200}
	u, closing := open[hal.UART](t, &w, r)
	if line.RateHz() != 115200 {
		t.Error(line.RateHz())
	}
	b := make([]byte, 3)
	if n, err := u.Read(b); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := line.Write([]byte("abcdef")); n != 6 || err != nil || line.Lost() != 2 {
		t.Error(n, err, line.Lost())
	}
	if n, err := u.Read(b); string(b[:n]) != "abc" || err != nil {
		t.Error(n, err)
	}
	if n, err := u.Read(b); string(b[:n]) != "d" || err != nil {
		t.Error(n, err)
	}
	if n, err := u.Write([]byte("vwxyz")); n != 4 || err != nil {
		t.Error(n, err)
	}
	if n, err := line.Read(b); string(b[:n]) != "vwx" || err != nil {
		t.Error(n, err)
	}
	if n, err := u.Write([]byte("123")); n != 3 || err != nil {
		t.Error(n, err)
	}

	line.Unplug(true)
	for range 2 {
		if _, err := u.Read(b); !errors.Is(err, hal.ErrGone) {
			t.Error(err)
		}
		if _, err := u.Write(b); !errors.Is(err, hal.ErrGone) {
			t.Error(err)
		}
	}
	if err := closing(); err != nil {
		t.Error(err)
	}
	if _, _, err := w.Open(r); !errors.Is(err, hal.ErrGone) {
		t.Error(err)
	}
	line.Unplug(false)
	if _, err := u.Read(b); !errors.Is(err, hal.ErrGone) {
		t.Error("the handle of before works again", err)
	}
	u, _ = open[hal.UART](t, &w, r)
	_, _ = line.Write([]byte("g"))
	if n, err := u.Read(b); string(b[:n]) != "g" || err != nil {
		t.Error(n, err)
	}
}

func TestBus(t *testing.T) {
	var w sim.Wires
	bus := sim.NewBus(2)
	w.CAN("can0", bus)
	c, closing := open[hal.CAN](t, &w, hal.Resource{Kind: hal.KindCAN, Path: "can0"})
	f := hal.Frame{ID: 0x123, Len: 1, Data: [8]byte{7}}
	if err := c.Send(f); !errors.Is(err, hal.ErrNoAnswer) {
		t.Error("nobody is there to acknowledge", err)
	}
	motor, battery := bus.Node(), bus.Node()
	if err := c.Send(hal.Frame{ID: 0x800}); !errors.Is(err, hal.ErrRange) {
		t.Error(err)
	}
	if err := c.Send(f); err != nil {
		t.Error(err)
	}
	g := hal.Frame{ID: 1}
	_ = motor.Send(g)
	_ = motor.Send(g)
	got := make([]hal.Frame, 4)
	if n, err := battery.Receive(got); n != 2 || err != nil || got[0] != f || got[1] != g || battery.Lost() != 1 {
		t.Error(got[:n], err, battery.Lost())
	}
	if n, _ := motor.Receive(got); n != 1 || got[0] != f {
		t.Error("a node hears the others, not itself", got[:n])
	}
	if n, _ := c.Receive(got); n != 2 {
		t.Error(n)
	}
	// Closed, a node acknowledges no more.
	_ = closing()
	motor.Leave()
	if err := battery.Send(g); !errors.Is(err, hal.ErrNoAnswer) {
		t.Error(err)
	}
}

func TestNothingAllocates(t *testing.T) {
	var w sim.Wires
	pin, line, bus := w.Input("i", nil), w.UART("u", 64), sim.NewBus(4)
	w.CAN("c", bus)
	w.ADC("a", func() float64 { return 1 })
	in, _ := open[hal.Input](t, &w, hal.Resource{Kind: hal.KindInput, Path: "i"})
	u, _ := open[hal.UART](t, &w, hal.Resource{Kind: hal.KindUART, Path: "u"})
	c, _ := open[hal.CAN](t, &w, hal.Resource{Kind: hal.KindCAN, Path: "c"})
	a, _ := open[hal.ADC](t, &w, hal.Resource{Kind: hal.KindADC, Path: "a"})
	node := bus.Node()
	edges, b, frames := make([]hal.Edge, 4), make([]byte, 8), make([]hal.Frame, 4)
	at, n := int64(0), 0
	if allocs := testing.AllocsPerRun(100, func() {
		at++
		pin.Drive(at, at%2 == 0)
		k, _ := in.Edges(edges)
		_, _ = line.Write(b)
		m, _ := u.Read(b)
		_, _ = u.Write(b)
		_, _ = line.Read(b)
		_ = node.Send(hal.Frame{ID: 1})
		f, _ := c.Receive(frames)
		_, _ = a.Volts()
		n += k + m + f
	}); allocs != 0 || n < 900 {
		t.Errorf("%v allocations, %d things", allocs, n)
	}
}

// A plant wires a battery and a contactor: what the component switches, the plant feels.
func Example() {
	var w sim.Wires
	volts := 25.0
	w.ADC("iio:device0/voltage0", func() float64 { return volts / 10 }) // a divider
	w.Output("GPIO4", func(closed bool) {
		if closed {
			volts -= 1.5 // the load pulls it down
		}
	})

	adc, _, err := w.Open(hal.Resource{Kind: hal.KindADC, Path: "iio:device0/voltage0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	contactor, _, err := w.Open(hal.Resource{Kind: hal.KindOutput, Path: "GPIO4"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(adc.(hal.ADC).Volts())
	fmt.Println(contactor.(hal.Output).Write(true))
	fmt.Println(adc.(hal.ADC).Volts())
	_, _, err = w.Open(hal.Resource{Kind: hal.KindOutput, Path: "GPIO5"})
	fmt.Println(err)
	// Output:
	// 2.5 <nil>
	// <nil>
	// 2.35 <nil>
	// sim: open output:GPIO5: it is not wired: did you mean output:GPIO4? there is adc:iio:device0/voltage0, output:GPIO4
}
