package gnss_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/drivers/gnss"
	"github.com/fulmar-io/fulmar/hal"
	"github.com/fulmar-io/fulmar/hal/sim"
	"github.com/fulmar-io/fulmar/internal/rig"
)

// plug is a host with one serial line, which several goroutines may use.
type plug struct {
	mu    sync.Mutex // guards what is below
	wires sim.Wires
	line  *sim.Line
}

func newPlug() *plug {
	p := &plug{}
	p.line = p.wires.UART("ttyACM0", 4096)
	return p
}

// do does something with the line.
func (p *plug) do(f func(*sim.Line)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.line)
}

func (p *plug) Open(r hal.Resource) (any, func() error, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, closing, err := p.wires.Open(r)
	if err != nil {
		return nil, nil, err
	}
	return &plugged{p, h.(hal.UART)}, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		return closing()
	}, nil
}

type plugged struct {
	p *plug
	h hal.UART
}

func (x *plugged) Read(p []byte) (int, error) {
	x.p.mu.Lock()
	defer x.p.mu.Unlock()
	return x.h.Read(p)
}

func (x *plugged) Write(p []byte) (int, error) {
	x.p.mu.Lock()
	defer x.p.mu.Unlock()
	return x.h.Write(p)
}

// blind is an epoch without a fix.
func blind(n int) []string {
	return []string{fmt.Sprintf("GNRMC,12%02d%02d.00,V,,,,,,,010626,,,N", n/60%60, n%60), fmt.Sprintf("GNGGA,12%02d%02d.00,,,,,0,00,99.9,,,,,,", n/60%60, n%60)}
}

// receiverRig is a machine with a receiver, a reader of its fixes, and a receiver's other end.
type receiverRig struct {
	*rig.Machine
	plug   *plug
	fixes  *rig.Reader[gnss.Solution]
	second int
}

func newReceiverRig(t *testing.T, change ...func(*gnss.ReceiverComponent)) *receiverRig {
	t.Helper()
	c := gnss.NewReceiverComponent()
	for _, f := range change {
		f(c)
	}
	r := &receiverRig{plug: newPlug(), fixes: rig.NewReader[gnss.Solution]("gnss", "fix")}
	r.Machine = rig.Run(t, rig.Options(r.plug, c, r.fixes))
	r.degraded(t, "no fix", time.Second) // the line is open
	return r
}

// epochs sends an epoch a second.
func (r *receiverRig) epochs(n int, of func(int) []string) {
	for range n {
		r.plug.do(func(l *sim.Line) { _, _ = l.Write(encode(of(r.second)...)) })
		r.second++
		rig.Pass(time.Second)
	}
}

func (r *receiverRig) degraded(t *testing.T, reason string, limit time.Duration) time.Duration {
	t.Helper()
	return r.Until("gnss", "degraded for "+reason, limit, func(h fulmar.Health) bool {
		return h.Status == fulmar.StatusDegraded && h.Reason == reason
	})
}

// A date that no receiver can mean, and that nanoseconds since 1970 cannot say, is none.
func TestComponentPublishesNoSuchTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiverRig(t)
		for _, year := range []string{"0000", "1969", "2262", "9999"} {
			r.epochs(1, func(n int) []string { return []string{fmt.Sprintf("GPZDA,1200%02d.00,30,12,%s,00,00", n, year)} })
		}
		r.epochs(1, func(int) []string { return []string{"GPZDA,120030.00,30,12,2261,00,00"} })
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		got := r.fixes.Values()
		if len(got) != 5 {
			t.Fatalf("%d solutions of 5 epochs", len(got))
		}
		for i, s := range got[:4] {
			if s.Time != 0 {
				t.Errorf("solution %d: time %d, want none", i, s.Time)
			}
		}
		if want := time.Date(2261, 12, 30, 12, 0, 30, 0, time.UTC).UnixNano(); got[4].Time != want {
			t.Errorf("time %d, want %d", got[4].Time, want)
		}
	})
}

func TestComponentPublishesFixes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiverRig(t)
		r.epochs(2, blind)
		r.degraded(t, "no fix", 0)
		r.epochs(10, burst)
		r.Until("gnss", "ok", 0, rig.IsOK)
		if h := r.Health("gnss"); h.LastEvent != "fix acquired" {
			t.Errorf("%q", h.LastEvent)
		}
		r.epochs(2, blind)
		r.degraded(t, "no fix", 0)
		if h := r.Health("gnss"); h.LastEvent != "fix lost" {
			t.Errorf("%q", h.LastEvent)
		}
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		got := r.fixes.Values()
		if len(got) != 14 {
			t.Fatalf("%d solutions of 14 epochs", len(got))
		}
		for i, s := range got {
			if has := i >= 2 && i < 12; s.Fix != has || !has && s.Latitude != 0 {
				t.Errorf("solution %d: %+v", i, s)
			}
		}
		s := got[7]
		want := gnss.Solution{Fix: true, Mode: gnss.Fix3D, Quality: gnss.Autonomous, Satellites: 10, Latitude: 53 + 21.0007/60, Longitude: -6.25, Altitude: 12.3,
			Speed: 4 * 1852.0 / 3600, Course: 87.5, HDOP: 0.9, Time: time.Date(2026, 6, 1, 12, 0, 7, 0, time.UTC).UnixNano(), Age: s.Age, Has: s.Has}
		if math.Abs(s.Latitude-want.Latitude) < 1e-12 {
			s.Latitude = want.Latitude
		}
		if s != want || s.Age < 0 || s.Age > 100*time.Millisecond || s.Has&gnss.Position == 0 {
			t.Errorf("%+v\nwant %+v", s, want)
		}
		r.plug.do(func(l *sim.Line) {
			if l.RateHz() != 9600 || l.Lost() != 0 {
				t.Errorf("%d bits per second, %d bytes lost", l.RateHz(), l.Lost())
			}
		})
	})
}

// The status of the line comes once a second, with what became of its bytes.
func TestComponentTellsHowTheLineIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p, r := gnss.NewReceiverComponent(), newPlug(), rig.NewReader[gnss.LineStatus]("gnss", "status")
		m := rig.Run(t, rig.Options(p, c, r))
		m.Until("gnss", "open", time.Second, func(h fulmar.Health) bool { return h.Status == fulmar.StatusDegraded })
		bad := strings.Replace(string(encode(burst(1)[0])), "87.5", "87.6", 1)
		p.do(func(l *sim.Line) { _, _ = l.Write(append(encode(burst(0)...), bad...)) })
		rig.Pass(2500 * time.Millisecond)
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
		got := r.Values()
		if len(got) != 2 {
			t.Fatalf("%d in 2.5 s: %+v", len(got), got)
		}
		bytes := uint64(len(encode(burst(0)...)) + len(bad))
		if s := got[1]; s.Bytes != bytes || s.Fixes != 1 || s.BadChecksum != 1 || s.Silent < 1.9 || s.Silent > 2.1 || s.Silent-got[0].Silent < 0.9 {
			t.Errorf("%+v, want %d bytes", s, bytes)
		}
	})
}

// Silence is told, and then the line is opened anew; when the receiver talks again, all is well. No time of it is too long.
func TestComponentOnASilentLine(t *testing.T) {
	for _, silence := range []time.Duration{20 * time.Second, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			r := newReceiverRig(t)
			r.epochs(5, burst)
			r.Until("gnss", "ok", 0, rig.IsOK)
			if took := r.degraded(t, "the line is silent", 4*time.Second); took < time.Second {
				t.Errorf("silent after %s more", took)
			}
			if h := r.Health("gnss"); h.LastEvent != "fix lost" {
				t.Errorf("%q", h.LastEvent)
			}
			r.Until("gnss", "failed", 13*time.Second, func(h fulmar.Health) bool {
				return h.Status == fulmar.StatusFailed && h.LastError == "task poll: the device has nothing new: the line is silent for 15s"
			})
			r.Until("gnss", "made again", time.Second, func(h fulmar.Health) bool { return h.Restarts == 1 })
			rig.Pass(silence)
			before := r.Health("gnss").Restarts
			r.epochs(15, burst)
			r.Until("gnss", "ok", 0, func(h fulmar.Health) bool { return rig.IsOK(h) && h.Restarts <= before+1 })
		})
	}
}

// A line that is pulled out is a failure at once; when it is plugged in again, fixes come again.
func TestComponentUnplugged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiverRig(t)
		r.epochs(5, burst)
		r.plug.do(func(l *sim.Line) { l.Unplug(true) })
		took := r.Until("gnss", "failed", time.Second, func(h fulmar.Health) bool { return h.Status == fulmar.StatusFailed })
		if h := r.Health("gnss"); h.LastError != "task poll: gnss: read: the device is gone" || took > 40*time.Millisecond {
			t.Errorf("after %s: %s", took, h.LastError)
		}
		r.Until("gnss", "failed in opening", time.Second, func(h fulmar.Health) bool {
			return h.LastError == "open line uart ttyACM0: sim: open uart:ttyACM0: the device is gone"
		})
		rig.Pass(5 * time.Minute)
		r.plug.do(func(l *sim.Line) { l.Unplug(false) })
		r.Until("gnss", "made again", 11*time.Second, func(h fulmar.Health) bool { return h.Restarts == 1 })
		had := len(r.fixes.Values())
		r.epochs(3, burst)
		if got := len(r.fixes.Values()) - had; got != 3 || !rig.IsOK(r.Health("gnss")) {
			t.Errorf("%d fixes of 3 epochs; %+v", got, r.Health("gnss"))
		}
	})
}

// A line at another rate carries bytes, and nothing that can be read.
func TestComponentAtAnotherRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiverRig(t)
		for range 5 {
			r.plug.do(func(l *sim.Line) { _, _ = l.Write([]byte{0x00, 0xF8, 0x80, 0x78, 0xFE, 0x06}) })
			rig.Pass(time.Second)
		}
		r.degraded(t, "nothing that can be read: is the line's rate right?", 0)
	})
}

// A receiver that does not take its setup goes on as it is, and that is told.
func TestComponentConfigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiverRig(t, func(c *gnss.ReceiverComponent) { c.Defaults.Configure, c.Defaults.Period = true, 200*time.Millisecond })
		r.epochs(5, burst)
		r.degraded(t, "the receiver does not take its setup", 0)
		if h := r.Health("gnss"); h.LastEvent != "gnss: configure: MON-VER, sent 3 times: the device does not answer" {
			t.Errorf("%q", h.LastEvent)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := gnss.NewReceiverComponent()
		c.Defaults.Configure, c.Defaults.Period, c.Defaults.Port = true, 100*time.Millisecond, "usb"
		line := &lockedLine{h: &chip{protocol: "27.11"}}
		m := rig.Run(t, rig.Options(line, c))
		rig.Pass(2 * time.Second)
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
		want := []string{pollVersion, rate9, "068A 00010000" + "0100781001" + "0900912001", "068A 00010000" + "0200781000"}
		if got := line.h.(*chip).requests; !slices.Equal(got, want) {
			t.Errorf("asked %q, want %q", got, want)
		}
	})
}

// A receiver that has lost its setup, and sends sentences again, gets it again; its solutions go on meanwhile.
func TestComponentSetsUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, fixes := gnss.NewReceiverComponent(), rig.NewReader[gnss.Solution]("gnss", "fix")
		c.Defaults.Configure, c.Defaults.Period = true, 200*time.Millisecond
		u := &chip{protocol: "18.00"}
		line := &lockedLine{h: u}
		m := rig.Run(t, rig.Options(line, c, fixes))
		send := func(p []byte) (requests int) {
			line.mu.Lock()
			u.send(p)
			line.mu.Unlock()
			rig.Pass(time.Second)
			line.mu.Lock()
			defer line.mu.Unlock()
			return len(u.requests)
		}
		once := send(nil)
		if want := 3 + len(nmea8()); once != want {
			t.Fatalf("%d requests, want %d", once, want)
		}
		for n := range 3 { // on their way before they were switched off
			if got := send(encode(burst(n)...)); got != once {
				t.Fatalf("after %d solutions by sentences it is set up again", n+1)
			}
		}
		m.Until("gnss", "ok", 0, rig.IsOK)
		send(encode(burst(3)...))
		if got := send(encode(burst(4)...)); got != 2*once {
			t.Errorf("%d requests, want %d", got, 2*once)
		}
		if h := m.Health("gnss"); h.Reason != "the receiver does not keep its setup" || h.Restarts != 0 || !strings.HasPrefix(h.LastEvent, "the receiver has lost its setup") {
			t.Errorf("%+v", h)
		}
		send(pvt(6))
		m.Until("gnss", "ok", 0, rig.IsOK)
		if got := len(fixes.Values()); got != 6 {
			t.Errorf("%d solutions of 6", got)
		}
	})
}

// lockedLine is a host of which each line is the same.
type lockedLine struct {
	mu sync.Mutex // guards h
	h  hal.UART
}

func (l *lockedLine) Open(hal.Resource) (any, func() error, error) {
	return l, func() error { return nil }, nil
}

func (l *lockedLine) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.h.Read(p)
}

func (l *lockedLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.h.Write(p)
}

// tape sends an epoch each second time that it is read, without allocating.
type tape struct {
	epochs [][]byte
	reads  int
}

func (r *tape) Write(p []byte) (int, error) { return len(p), nil }

func (r *tape) Read(p []byte) (int, error) {
	r.reads++
	if r.reads%2 == 0 {
		return 0, nil
	}
	return copy(p, r.epochs[r.reads/2%len(r.epochs)]), nil
}

func TestComponentAllocatesNothing(t *testing.T) {
	r := &tape{}
	for n := range 300 {
		r.epochs = append(r.epochs, encode(burst(n)...))
	}
	for _, e := range r.epochs {
		if len(e) > 256 {
			t.Fatalf("an epoch of %d bytes", len(e))
		}
	}
	reader := rig.NewReader[gnss.Solution]("gnss", "fix")
	reader.Room(1000)
	rig.Allocates(t, rig.Options(&lockedLine{h: r}, gnss.NewReceiverComponent(), reader), func() {}, func() {})
	if got := len(reader.Values()); got < 50 {
		t.Errorf("%d fixes of %d epochs", got, r.reads/2)
	}
}

func TestReceiverParams(t *testing.T) {
	good := gnss.NewReceiverComponent().Defaults
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*gnss.ReceiverParams){
		func(p *gnss.ReceiverParams) { p.GiveUp = time.Second },
		func(p *gnss.ReceiverParams) { p.Configure, p.Period = true, 2*time.Second },
		func(p *gnss.ReceiverParams) { p.Port = "uart3" },
		func(p *gnss.ReceiverParams) { p.Period = 25500 * time.Microsecond },
	} {
		p := good
		if change(&p); p.Validate() == nil {
			t.Errorf("%+v is taken", p)
		}
	}
	if !errors.Is(func() error { p := good; p.Period = time.Millisecond; return p.Validate() }(), hal.ErrRange) {
		t.Error("a period of 1 ms is taken")
	}
}
