package haltest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/haltest"
	"github.com/fulmar-io/fulmar/hal/sim"
)

// clock is a clock that a test moves.
type clock struct{ now int64 }

func (c *clock) Now() int64 { return c.now }

// bench is a host with one of each, scripted by the test.
type bench struct{ handles map[string]any }

func (b bench) Open(r hal.Resource) (any, func() error, error) {
	h, ok := b.handles[r.Path]
	if !ok {
		return nil, nil, fmt.Errorf("bench: %s: %w", r.Path, hal.ErrUnsupported)
	}
	return h, func() error { return nil }, nil
}

type pin struct {
	high  bool
	edges []hal.Edge
}

func (p *pin) Read() (bool, error) { return p.high, nil }
func (p *pin) Edges(buf []hal.Edge) (int, error) {
	n := copy(buf, p.edges)
	p.edges = p.edges[n:]
	return n, nil
}

type output struct{ high bool }

func (o *output) Write(high bool) error { o.high = high; return nil }

type pulses struct{}

func (pulses) Set(period, high int64) error {
	if high > period {
		return hal.ErrRange
	}
	return nil
}

type volts float64

func (v *volts) Volts() (float64, error) { return float64(*v), nil }

type counts int64

func (c *counts) Count() (int64, error) { return int64(*c), nil }

type serial struct {
	in   []byte
	room int
}

func (s *serial) Read(p []byte) (int, error) {
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}
func (s *serial) Write(p []byte) (int, error) { return min(len(p), s.room), nil }

type can struct{ in []hal.Frame }

func (c *can) Send(hal.Frame) error { return nil }
func (c *can) Receive(buf []hal.Frame) (int, error) {
	n := copy(buf, c.in)
	c.in = c.in[n:]
	return n, nil
}

var all = []hal.Resource{
	{Kind: hal.KindInput, Path: "GPIO17", PullUp: true},
	{Kind: hal.KindOutput, Path: "GPIO4"},
	{Kind: hal.KindPWM, Path: "pwmchip0/1"},
	{Kind: hal.KindADC, Path: "iio:device0/voltage3"},
	{Kind: hal.KindCounter, Path: "counter0/count0"},
	{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x68},
	{Kind: hal.KindSPI, Path: "spidev0.1", Mode: 3, RateHz: 1000000},
	{Kind: hal.KindUART, Path: "/dev/serial/by-id/a b", RateHz: 115200},
	{Kind: hal.KindCAN, Path: "can0"},
}

func newBench() bench {
	chip := haltest.NewRegisters(haltest.Layout{Registers: 128})
	chip.SetBytes(0x75, 0x68)
	v, c := volts(3.25), counts(-7)
	return bench{map[string]any{
		"GPIO17":                &pin{high: true, edges: []hal.Edge{{At: 1500, High: true, Missed: 2}, {At: 1600}}},
		"GPIO4":                 &output{},
		"pwmchip0/1":            pulses{},
		"iio:device0/voltage3":  &v,
		"counter0/count0":       &c,
		"i2c-1":                 chip.I2C(),
		"spidev0.1":             chip.SPI(0x80, 0),
		"/dev/serial/by-id/a b": &serial{in: []byte("$GNRMC"), room: 2},
		"can0": &can{in: []hal.Frame{
			{ID: 0x123, Len: 2, Data: [8]byte{1, 0xAB}}, {ID: 0x1FFFFFFF, Extended: true, Remote: true, Len: 4},
		}},
	}}
}

// story is what a component does with one of each; it returns all it was told, as text.
func story(t testing.TB, h hal.Host, tick func()) string {
	t.Helper()
	var told strings.Builder
	say := func(values ...any) { fmt.Fprintln(&told, values...); tick() }
	var closing []func() error
	handles := make([]any, len(all))
	for i, r := range all {
		handle, c, err := h.Open(r)
		if err != nil {
			t.Fatalf("open %v: %v", r, err)
		}
		handles[i] = handle
		closing = append(closing, c)
	}
	say(handles[0].(hal.Input).Read())
	edges := make([]hal.Edge, 1)
	for range 3 {
		n, err := handles[0].(hal.Input).Edges(edges)
		say(n, err, edges[:n])
	}
	say(handles[1].(hal.Output).Write(true))
	say(handles[2].(hal.PWM).Set(20, 2))
	say(handles[2].(hal.PWM).Set(20, 21))
	say(handles[3].(hal.ADC).Volts())
	say(handles[4].(hal.Counter).Count())
	b := make([]byte, 4)
	say(handles[5].(hal.I2C).Tx([]byte{0x75}, b[:1]), b)
	say(handles[5].(hal.I2C).Tx([]byte{0x7F}, b[:2]) != nil)
	say(handles[5].(hal.I2C).Tx([]byte{0x10, 0xAA}, nil))
	say(handles[6].(hal.SPI).Tx([]byte{0xF5, 0}, b[:2]), b[:2])
	for range 3 {
		n, err := handles[7].(hal.UART).Read(b)
		say(n, err, string(b[:n]))
	}
	say(handles[7].(hal.UART).Write([]byte("abc")))
	frames := make([]hal.Frame, 4)
	n, err := handles[8].(hal.CAN).Receive(frames)
	say(n, err, frames[:n])
	say(handles[8].(hal.CAN).Send(hal.Frame{ID: 1, Extended: true, Len: 1, Data: [8]byte{9}}))
	for _, c := range closing {
		say(c())
	}
	return told.String()
}

func record(t testing.TB) (recording, told string) {
	t.Helper()
	var buf bytes.Buffer
	c := clock{now: 1000}
	rec := haltest.NewRecorder(&buf, c.Now)
	rec.Comment("made by a\ntest")
	told = story(t, rec.Host(newBench()), func() { c.now += 10 })
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String(), told
}

// What was recorded reads as documented.
func TestRecordingReadsAsDocumented(t *testing.T) {
	recording, _ := record(t)
	for _, line := range []string{
		"hal recording 1\n# made by a test\n0 input:GPIO17 open pull-up\n",
		"0 spi:spidev0.1 open rate=1000000 mode=3\n",
		"0 input:GPIO17 read r high\n",
		"10 input:GPIO17 edges r 500:high+2\n",
		"40 output:GPIO4 write w high\n",
		"50 pwm:pwmchip0/1 set w 20 2\n60 pwm:pwmchip0/1 set w 20 21 ! range\n",
		"70 adc:iio:device0/voltage3 volts r 3.25\n80 counter:counter0/count0 count r -7\n",
		"90 i2c:i2c-1:0x68 tx w 75 r 68\n",
		`tx w 7f r *2 ! other "haltest: registers: there is no register 0x80, only 0x80 of them"` + "\n",
		"tx w 10 aa\n", "spi:spidev0.1 tx w f5 00 r 00 68\n",
		"uart:/dev/serial/by-id/a%20b read r 24 47 4e 52\n", "write w 61 62 63 n 2\n",
		"can:can0 receive r 123#01AB 1FFFFFFF#R4\n", "can:can0 send w 00000001#09\n", "can:can0 close\n",
	} {
		if !strings.Contains(recording, line) {
			t.Errorf("there is no %q in:\n%s", line, recording)
		}
	}
}

// Played back, a component is told the same.
func TestPlayback(t *testing.T) {
	recording, told := record(t)
	c := clock{now: 1000}
	p, err := haltest.NewPlayer(strings.NewReader(recording), c.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got := story(t, p, func() { c.now += 10 }); got != told {
		t.Errorf("recorded:\n%s\nplayed:\n%s", told, got)
	}
	if err := p.Done(); err != nil {
		t.Error(err)
	}
}

// News comes when it is due, and not before what must be called first.
func TestNewsComesInTime(t *testing.T) {
	const recording = "hal recording 1\n0 uart:tty open\n50 uart:tty read r 41\n60 uart:tty write w 42\n70 uart:tty read r 43\n"
	c := &clock{}
	p, err := haltest.NewPlayer(strings.NewReader(recording), c.Now)
	if err != nil {
		t.Fatal(err)
	}
	handle, _, err := p.Open(hal.Resource{Kind: hal.KindUART, Path: "tty"})
	if err != nil {
		t.Fatal(err)
	}
	u, b := handle.(hal.UART), make([]byte, 8)
	expect := func(at int64, want string) {
		t.Helper()
		c.now = at
		if n, err := u.Read(b); string(b[:n]) != want || err != nil {
			t.Errorf("at %d: %q, %v, want %q", at, b[:n], err, want)
		}
	}
	expect(49, "")
	expect(50, "A")
	expect(90, "") // the write comes first
	if n, err := u.Write([]byte("B")); n != 1 || err != nil {
		t.Error(n, err)
	}
	expect(69, "")
	expect(70, "C")
	if err := p.Done(); err != nil {
		t.Error(err)
	}
}

func TestWhatDiffersIsNamed(t *testing.T) {
	const recording = "hal recording 1\n0 i2c:i2c-1:0x68 open\n1 i2c:i2c-1:0x68 tx w 75 r 68\n2 i2c:i2c-1:0x68 tx w 3b r 01 02\n3 i2c:i2c-1:0x68 close\n" +
		"0 pwm:p open rate=5\n0 output:o open\n0 output:o write w low\n"
	bus := hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x68}
	for _, c := range []struct {
		name string
		do   func(p *haltest.Player, tx func(w string, r int) error) error
		want string
	}{
		{"other bytes", func(_ *haltest.Player, tx func(string, int) error) error { return tx("\x74", 1) },
			"haltest: play back: line 3: i2c:i2c-1:0x68: want tx w 75 r *1, got tx w 74 r *1"},
		{"another length", func(_ *haltest.Player, tx func(string, int) error) error { return tx("\x75", 2) },
			"haltest: play back: line 3: i2c:i2c-1:0x68: want tx w 75 r *1, got tx w 75 r *2"},
		{"more", func(_ *haltest.Player, tx func(string, int) error) error {
			return errors.Join(tx("\x75", 1), tx("\x3b", 2), tx("\x00", 0))
		}, "haltest: play back: line 5: i2c:i2c-1:0x68: want close, got tx w 00"},
		{"less", func(p *haltest.Player, tx func(string, int) error) error {
			if err := tx("\x75", 1); err != nil {
				return err
			}
			return p.Done()
		}, "haltest: play back: i2c:i2c-1:0x68: 2 calls of the recording were not made, the first is of line 4: tx w 3b r *2"},
		{"set up otherwise", func(p *haltest.Player, _ func(string, int) error) error {
			_, _, err := p.Open(hal.Resource{Kind: hal.KindPWM, Path: "p"})
			return err
		}, "haltest: play back: line 6: pwm:p: want open rate=5, got open"},
		{"not recorded", func(p *haltest.Player, _ func(string, int) error) error {
			_, _, err := p.Open(hal.Resource{Kind: hal.KindI2C, Path: "i2c-1", Address: 0x69})
			return err
		}, "haltest: play back: open i2c:i2c-1:0x69: it is not in the recording: did you mean i2c:i2c-1:0x68? there is i2c:i2c-1:0x68, output:o, pwm:p"},
		{"another level", func(p *haltest.Player, _ func(string, int) error) error {
			h, _, err := p.Open(hal.Resource{Kind: hal.KindOutput, Path: "o"})
			if err != nil {
				return err
			}
			return h.(hal.Output).Write(true)
		}, "haltest: play back: line 8: output:o: want write w low, got write w high"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := haltest.NewPlayer(strings.NewReader(recording), nil)
			if err != nil {
				t.Fatal(err)
			}
			handle, _, err := p.Open(bus)
			if err != nil {
				t.Fatal(err)
			}
			err = c.do(p, func(w string, r int) error { return handle.(hal.I2C).Tx([]byte(w), make([]byte, r)) })
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if done := p.Done(); done == nil || !strings.HasPrefix(done.Error(), c.want) {
				t.Errorf("at the end, it is %v", done)
			}
		})
	}
}

// After it differed, a handle goes on failing: a driver that swallowed the first error does not get away with it.
func TestFailsForGood(t *testing.T) {
	p, err := haltest.NewPlayer(strings.NewReader("hal recording 1\n0 adc:a open\n1 adc:a volts r 1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := p.Open(hal.Resource{Kind: hal.KindADC, Path: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := h.(hal.ADC).Volts(); v != 1 || err != nil {
		t.Fatal(v, err)
	}
	for range 2 {
		if _, err := h.(hal.ADC).Volts(); err == nil || !strings.Contains(err.Error(), "the recording has ended") {
			t.Error(err)
		}
	}

	p, err = haltest.NewPlayer(strings.NewReader("hal recording 1\n0 output:o open\n1 output:o write w high\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if h, _, err = p.Open(hal.Resource{Kind: hal.KindOutput, Path: "o"}); err != nil {
		t.Fatal(err)
	}
	first := h.(hal.Output).Write(false)
	if err := h.(hal.Output).Write(true); err == nil || !errors.Is(err, first) {
		t.Errorf("what comes late is taken as if nothing had been: %v", err)
	}
}

// Errors are told apart after playback as they were before.
func TestErrorsSurvive(t *testing.T) {
	for _, want := range []error{hal.ErrNoAnswer, hal.ErrGone, hal.ErrRevoked, hal.ErrRange, hal.ErrUnsupported,
		fmt.Errorf("i2c-1: \"quoted\"\nand more: %w", hal.ErrGone), errors.New("short circuit")} {
		var buf bytes.Buffer
		rec := haltest.NewRecorder(&buf, new(clock).Now)
		r := hal.Resource{Kind: hal.KindI2C, Path: "b"}
		h, err := rec.Wrap(r, failing{want})
		if err != nil {
			t.Fatal(err)
		}
		_ = h.(hal.I2C).Tx([]byte{1}, make([]byte, 3))
		if err := rec.Close(); err != nil {
			t.Fatal(err)
		}
		p, err := haltest.NewPlayer(&buf, nil)
		if err != nil {
			t.Fatal(err)
		}
		played, _, err := p.Open(r)
		if err != nil {
			t.Fatal(err)
		}
		got := played.(hal.I2C).Tx([]byte{1}, make([]byte, 3))
		if got == nil || got.Error() != want.Error() {
			t.Errorf("%v came back as %v", want, got)
		}
		for _, is := range []error{hal.ErrNoAnswer, hal.ErrGone, hal.ErrRevoked, hal.ErrRange, hal.ErrUnsupported} {
			if errors.Is(got, is) != errors.Is(want, is) {
				t.Errorf("%v came back as one that is %v", want, is)
			}
		}
	}
}

type failing struct{ err error }

func (f failing) Tx([]byte, []byte) error { return f.err }

// broken is a disk that is full.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestTheHandleWorksOnWhereRecordingFails(t *testing.T) {
	rec := haltest.NewRecorder(broken{}, new(clock).Now)
	chip := haltest.NewRegisters(haltest.Layout{Registers: 1})
	h, err := rec.Wrap(hal.Resource{Kind: hal.KindI2C, Path: "b"}, chip.I2C())
	if err != nil {
		t.Fatal(err)
	}
	for range 1 << 13 {
		if err := h.(hal.I2C).Tx([]byte{0}, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := rec.Close(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("closed with %v", err)
	}
}

func TestWhatIsNoRecording(t *testing.T) {
	for _, s := range []string{
		"", "hal recording 2\n", "0 i2c:b:0x1 open\n",
		"\nx i2c:b:0x1 open", "\n0 i2c:b open", "\n0 foo:b open", "\n0 i2c:b:0x1", "\n0 i2c:b:0x1 open speed=3",
		"\n0 i2c:b:0x1 open mode=256", "\n0 i2c:b:0x1 volts r 1", "\n0 adc:b volts", "\n0 adc:b volts r x",
		"\n0 i2c:b:0x1 tx w 1 r 2", "\n0 i2c:b:0x1 tx w 001", "\n0 i2c:b:0x1 tx w 01 w 02", "\n0 i2c:b:0x1 tx r *2",
		"\n0 i2c:b:0x1 tx r *-1 ! gone", "\n0 i2c:b:0x1 tx w 01 n 1", "\n0 uart:b write w 01 n 2", "\n0 uart:b tx w 01",
		"\n0 can:b send w 800#", "\n0 can:b send w 12#", "\n0 can:b send w 123#0", "\n0 can:b send w 123#R9",
		"\n0 can:b send w 123#000000000000000000", "\n0 can:b receive r 123", "\n0 input:b edges r 1:up", "\n0 input:b edges r 1:low+-1",
		"\n0 pwm:b set w 1", "\n0 pwm:b set w 1 2 3", "\n0 adc:b volts ! broken", "\n0 adc:b volts ! other", "\n0 adc:b volts ! gone x",
		"\n0 adc:b close r 1", "\n0  adc:b close",
	} {
		text := s
		if strings.HasPrefix(s, "\n") {
			text = "hal recording 1" + s
		}
		if _, err := haltest.NewPlayer(strings.NewReader(text), nil); err == nil {
			t.Errorf("%q is taken for a recording", text)
		} else if strings.HasPrefix(s, "\n") && !strings.Contains(err.Error(), "line 2: ") {
			t.Errorf("%q: the error does not say where: %v", text, err)
		}
	}
}

// Whatever is read, it is an error or a recording that can be opened and played.
func FuzzPlayer(f *testing.F) {
	recording, _ := record(f)
	f.Add(recording)
	f.Add("hal recording 1\n0 uart:tty open rate=9600\n1 uart:tty read r 41 42 ! gone \"x\"\n")
	f.Add("hal recording 1\n0 can:c open\n1 can:c receive ! gone\n1 can:c receive r 123#\n")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := haltest.NewPlayer(strings.NewReader(s), nil)
		if err != nil {
			return
		}
		for _, r := range all {
			h, closing, err := p.Open(r)
			if err != nil {
				continue
			}
			b := make([]byte, 3)
			for range 4 {
				switch h := h.(type) {
				case hal.UART:
					n, _ := h.Read(b)
					_, _ = h.Write(b[:n])
				case hal.Input:
					_, _ = h.Read()
					_, _ = h.Edges(make([]hal.Edge, 1))
				case hal.CAN:
					_, _ = h.Receive(make([]hal.Frame, 1))
				case hal.I2C:
					_ = h.Tx(b[:1], b[1:])
				}
			}
			_ = closing()
		}
		_ = p.Done()
	})
}

// Bytes go through a recording as they are.
func TestAnyTrafficSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var buf bytes.Buffer
		rec := haltest.NewRecorder(&buf, new(clock).Now)
		r := hal.Resource{Kind: hal.KindSPI, Path: "s"}
		type tx struct{ w, r []byte }
		script := &echo{}
		h, err := rec.Wrap(r, script)
		if err != nil {
			t.Fatal(err)
		}
		var txs []tx
		for range rapid.IntRange(1, 8).Draw(t, "n") {
			w := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "w")
			script.answer = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "r")
			got := make([]byte, len(script.answer))
			_ = h.(hal.SPI).Tx(w, got)
			txs = append(txs, tx{w, got})
		}
		_ = rec.Close()
		p, err := haltest.NewPlayer(&buf, nil)
		if err != nil {
			t.Fatal(err)
		}
		played, _, err := p.Open(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range txs {
			got := make([]byte, len(x.r))
			if err := played.(hal.SPI).Tx(x.w, got); err != nil || !bytes.Equal(got, x.r) {
				t.Fatalf("%x came back as %x, %v", x.r, got, err)
			}
		}
		if err := p.Done(); err != nil {
			t.Fatal(err)
		}
	})
}

type echo struct{ answer []byte }

func (e *echo) Tx(_, r []byte) error { copy(r, e.answer); return nil }

// Neither a recorder, nor a player, nor a schedule of faults, nor a chip takes memory in a loop.
func TestNothingAllocates(t *testing.T) {
	chip := haltest.NewRegisters(haltest.Layout{Registers: 128})
	w, b := []byte{0x3B}, make([]byte, 14)
	r := hal.Resource{Kind: hal.KindI2C, Path: "b", Address: 1}
	var buf bytes.Buffer
	buf.Grow(1 << 20)
	rec := haltest.NewRecorder(&buf, new(clock).Now)
	recorded, err := rec.Wrap(r, chip.I2C())
	if err != nil {
		t.Fatal(err)
	}
	broken, err := haltest.NewFaults(haltest.Fault{Trouble: haltest.BitErrors, Rate: 0.5},
		haltest.Fault{Trouble: haltest.Silent, Every: 3}, haltest.Fault{Trouble: haltest.Stuck, Every: 5}).Wrap(hal.KindI2C, chip.I2C())
	if err != nil {
		t.Fatal(err)
	}
	for name, bus := range map[string]hal.I2C{"chip": chip.I2C(), "recorded": recorded.(hal.I2C), "broken": broken.(hal.I2C)} {
		if n := testing.AllocsPerRun(100, func() { _ = bus.Tx(w, b) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	_ = rec.Close()
	p, err := haltest.NewPlayer(&buf, nil)
	if err != nil {
		t.Fatal(err)
	}
	played, _, err := p.Open(r)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { err = errors.Join(err, played.(hal.I2C).Tx(w, b)) }); n != 0 {
		t.Errorf("played: %v allocations", n)
	}
	if err != nil {
		t.Error(err)
	}
}

// What a bus refuses or does not send is no reason not to play a recording back.
func TestFramesAsTheyWereSent(t *testing.T) {
	calls := func(bus hal.CAN) error {
		for _, f := range []hal.Frame{{ID: 0x800}, {ID: 1, Len: 9}, {ID: 1, Remote: true, Len: 12}} {
			if err := bus.Send(f); !errors.Is(err, hal.ErrRange) {
				return fmt.Errorf("send %+v: %w", f, err)
			}
		}
		// A driver may leave in Data what was there before.
		return errors.Join(bus.Send(hal.Frame{ID: 1, Len: 1, Data: [8]byte{1, 2, 3}}), bus.Send(hal.Frame{ID: 1, Remote: true, Len: 2, Data: [8]byte{1}}))
	}
	var out bytes.Buffer
	rec := haltest.NewRecorder(&out, func() int64 { return 0 })
	bus := sim.NewBus(4)
	bus.Node()
	r := hal.Resource{Kind: hal.KindCAN, Path: "can0"}
	h, err := rec.Wrap(r, bus.Node())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(calls(h.(hal.CAN)), rec.Close()); err != nil {
		t.Fatal(err)
	}
	p, err := haltest.NewPlayer(&out, nil)
	if err != nil {
		t.Fatal(err)
	}
	played, _, err := p.Open(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(calls(played.(hal.CAN)), p.Done()); err != nil {
		t.Error(err)
	}
}
