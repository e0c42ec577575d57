package gnss_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/drivers/gnss"
	"github.com/fulmar-io/fulmar/drivers/gnss/ubx"
	"github.com/fulmar-io/fulmar/hal"
)

// chip is a u-blox receiver at the other end of a wire: it takes requests and answers them.
type chip struct {
	wire
	framer   ubx.Framer
	protocol string
	refuses  func(request string) bool
	deaf     int      // to so many requests yet to come
	requests []string // class, id and payload in hexadecimal digits
}

func (c *chip) Write(p []byte) (int, error) {
	n, err := c.wire.Write(p)
	c.framer.Push(c.written)
	c.written = c.written[:0]
	for {
		token, f, _ := c.framer.Next()
		if token == ubx.More {
			return n, err
		}
		if token == ubx.Rest {
			panic("a request is damaged")
		}
		request := fmt.Sprintf("%02X%02X %X", f.Class, f.ID, f.Payload)
		c.requests = append(c.requests, request)
		switch {
		case c.deaf > 0:
			c.deaf--
		case f.Is(ubx.MonVersion):
			payload := make([]byte, 70)
			copy(payload, "EXT CORE")
			copy(payload[40:], "PROTVER="+c.protocol)
			c.send(ubx.Append(nil, ubx.MonVersion, payload))
		case c.refuses != nil && c.refuses(request):
			c.send(ubx.Append(nil, ubx.AckNak, []byte{f.Class, f.ID}))
		default:
			c.send(ubx.Append(nil, ubx.AckAck, []byte{f.Class, f.ID}))
		}
	}
}

var everything = gnss.Settings{Period: 100 * time.Millisecond, PVT: true, NoNMEA: true}

// configure runs a configuration to its end, and returns how it ended and how long it took.
func configure(t *testing.T, c hal.UART, s gnss.Settings) (gnss.Status, time.Duration) {
	t.Helper()
	r := gnss.New(c, gnss.Options{})
	if err := r.Configure(s); err != nil {
		t.Fatal(err)
	}
	for now := time.Duration(0); now < time.Minute; now += 10 * time.Millisecond {
		poll(t, r, now)
		if s := r.Status(now); s.Configuration != gnss.Configuring {
			return s, now
		}
	}
	t.Fatal("it does not end")
	return gnss.Status{}, 0
}

const (
	pollVersion = "0A04 "
	// What is sent to generation 8.
	rate8 = "0608 640001000100"
	pvt8  = "0601 010701"
	// What is sent to generation 9.
	rate9 = "068A 0001000001002130640002002130" + "0100"
	pvt9  = "068A 00010000" + "0100741001" + "0700912001"
	nmea9 = "068A 00010000" + "0200741000"
)

func nmea8() (r []string) {
	for _, id := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13} {
		r = append(r, fmt.Sprintf("0601 F0%02X00", id))
	}
	return r
}

func TestConfigure(t *testing.T) {
	for _, c := range []struct {
		name, protocol string
		settings       gnss.Settings
		want           []string
	}{
		{"generation 8", "18.00", everything, append([]string{pollVersion, rate8, pvt8}, nmea8()...)},
		{"generation 9", "27.11", everything, []string{pollVersion, rate9, pvt9, nmea9}},
		{"nothing", "18.00", gnss.Settings{}, []string{pollVersion}},
		{"nothing, generation 9", "27.11", gnss.Settings{}, []string{pollVersion}},
		{"the rate alone", "18.00", gnss.Settings{Period: 100 * time.Millisecond}, []string{pollVersion, rate8}},
		{"the fix alone", "27.11", gnss.Settings{PVT: true}, []string{pollVersion, pvt9}},
		{"no sentences alone", "27.11", gnss.Settings{NoNMEA: true}, []string{pollVersion, nmea9}},
		{"USB, in flash too", "34.10", gnss.Settings{PVT: true, NoNMEA: true, Port: ubx.USB, Layers: ubx.RAM | ubx.Flash},
			[]string{pollVersion, "068A 00050000" + "0100781001" + "0900912001", "068A 00050000" + "0200781000"}},
		{"the second UART", "34.10", gnss.Settings{PVT: true, NoNMEA: true, Port: ubx.UART2},
			[]string{pollVersion, "068A 00010000" + "0100761001" + "0800912001", "068A 00010000" + "0200761000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, room := range []int{0, 1, 7} { // of the host's queue
				x := &chip{protocol: c.protocol}
				x.room = room
				s, _ := configure(t, x, c.settings)
				if s.Configuration != gnss.Configured || s.Err != nil || !slices.Equal(x.requests, c.want) {
					t.Errorf("room for %d: %+v, %q, want %q", room, s, x.requests, c.want)
				}
			}
		})
	}
}

// Requests that were not heard are sent again; what is not answered three times is an error that says so.
func TestNoAnswer(t *testing.T) {
	x := &chip{protocol: "18.00", deaf: 2}
	s, took := configure(t, x, everything)
	if s.Configuration != gnss.Configured || took < 2*time.Second || took > 2500*time.Millisecond || !slices.Equal(x.requests[:4], []string{pollVersion, pollVersion, pollVersion, rate8}) {
		t.Errorf("%+v after %v, %q", s, took, x.requests)
	}
	for _, c := range []struct {
		settings gnss.Settings
		deaf     int
		took     time.Duration
		want     string
	}{
		{everything, 3, 3 * time.Second, "gnss: configure: MON-VER, sent 3 times: the device does not answer"},
		{gnss.Settings{Attempts: 2, Timeout: 100 * time.Millisecond}, 9, 200 * time.Millisecond, "gnss: configure: MON-VER, sent 2 times: the device does not answer"},
	} {
		x := &chip{deaf: c.deaf}
		s, took := configure(t, x, c.settings)
		if s.Configuration != gnss.ConfigureFailed || !errors.Is(s.Err, hal.ErrNoAnswer) || s.Err.Error() != c.want || took < c.took || took > c.took+100*time.Millisecond {
			t.Errorf("%+v after %v, want %s", s, took, c.want)
		}
	}
}

// A receiver that sends sentences alone and knows nothing of UBX goes on being heard.
func TestAReceiverOfAnotherMaker(t *testing.T) {
	b := newBench(t)
	if err := b.Configure(everything); err != nil {
		t.Fatal(err)
	}
	fixes := 0
	for n := range 5 {
		fixes += len(b.hear(burst(n)...)) + len(b.wait(time.Second))
	}
	if s := b.Status(b.now); fixes != 5 || !errors.Is(s.Err, hal.ErrNoAnswer) || bytes.Count(b.line.written, []byte{0xB5, 0x62, 0x0A, 0x04}) != 3 {
		t.Errorf("%d fixes, %+v", fixes, s)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ protocol, refuses, want string }{
		{"18.00", rate8, "CFG-RATE"},
		{"14.00", pvt8, "CFG-MSG of NAV-PVT"},
		{"27.11", rate9, "CFG-VALSET of CFG-RATE-MEAS"},
		{"27.11", pvt9, "CFG-VALSET of CFG-MSGOUT-UBX_NAV_PVT"},
		{"27.11", nmea9, "CFG-VALSET of the output of NMEA"},
	} {
		x := &chip{protocol: c.protocol, refuses: func(r string) bool { return r == c.refuses }}
		s, took := configure(t, x, everything)
		want := "gnss: configure: " + c.want + ", sent 1 times: the receiver refuses"
		if s.Configuration != gnss.ConfigureFailed || !errors.Is(s.Err, gnss.ErrRefused) || s.Err.Error() != want || took > time.Second {
			t.Errorf("%+v after %v, want %s", s, took, want)
		}
		var e *gnss.ConfigureError
		if !errors.As(s.Err, &e) || e.Request != c.want || e.Sent != 1 {
			t.Errorf("%+v", e)
		}
	}
	// It need not know a sentence that it shall not send.
	x := &chip{protocol: "14.00", refuses: func(r string) bool { return strings.HasPrefix(r, "0601 F00D") }}
	if s, _ := configure(t, x, everything); s.Configuration != gnss.Configured {
		t.Errorf("%+v", s)
	}
}

// Answers to what nobody asked change nothing; nor do those that come while nothing is configured.
func TestAnswersOfOthers(t *testing.T) {
	b := newBench(t)
	stray := slices.Concat(ubx.Append(nil, ubx.AckNak, []byte{0x06, 0x08}), ubx.Append(nil, ubx.AckAck, []byte{0x0A, 0x04}), ubx.Append(nil, ubx.MonVersion, make([]byte, 70)))
	b.get(stray)
	if s := b.Status(0); s.Configuration != gnss.NotConfigured || s.Counts.Unknown != 0 {
		t.Errorf("%+v", s)
	}
	if err := b.Configure(everything); err != nil {
		t.Fatal(err)
	}
	b.get(nil) // the poll of MON-VER is out
	b.get(stray[:20])
	if s := b.Status(0); s.Configuration != gnss.Configuring {
		t.Errorf("%+v", s)
	}
	b.get(stray[20:])
	b.get(nil) // CFG-RATE is out
	b.get(ubx.Append(nil, ubx.AckNak, []byte{0x06, 0x01}))
	if s := b.Status(0); s.Configuration != gnss.Configuring {
		t.Errorf("the refusal of another message: %+v", s)
	}
	if err := b.Configure(everything); err == nil {
		t.Error("two configurations at once")
	}
	if v, ok := b.Version(); !ok || v.Protocol != 0 {
		t.Errorf("%+v, %v", v, ok)
	}
	b.get(ubx.Append(nil, ubx.AckNak, []byte{0x06, 0x08}))
	if s := b.Status(0); s.Configuration != gnss.ConfigureFailed {
		t.Errorf("%+v", s)
	}
	if err := b.Configure(everything); err != nil {
		t.Errorf("after a failure: %v", err)
	}
}

// Of two answers to one request the second is no answer to the next; nor is one to a request that is not yet written.
func TestAnswersThatComeTwice(t *testing.T) {
	ack := func(k ubx.Kind) []byte { return ubx.Append(nil, ubx.AckAck, []byte{k.Class, k.ID}) }
	b := newBench(t)
	if err := b.Configure(gnss.Settings{Period: time.Second, PVT: true}); err != nil {
		t.Fatal(err)
	}
	version := ubx.Append(nil, ubx.MonVersion, make([]byte, 40))
	b.get(version) // before it is asked for
	b.line.room = 1
	b.get(version)
	b.get(ack(ubx.CfgRate)) // of which one byte is written
	for range 20 {
		b.get(nil)
	}
	b.line.room = 0
	b.get(append(ack(ubx.CfgRate), ack(ubx.CfgRate)...))
	b.get(ack(ubx.CfgMessage))
	b.get(nil)
	want := slices.Concat(ubx.AppendPoll(nil, ubx.MonVersion), ubx.AppendRate(nil, 1000), ubx.AppendMessageRate(nil, ubx.NavPVT, 1))
	if s := b.Status(0); s.Configuration != gnss.Configured || !bytes.Equal(b.line.written, want) {
		t.Errorf("%+v, % X, want % X", s, b.line.written, want)
	}
}

// A request that takes longer to write than its answer may take is written to its end all the same: the chip of these tests
// panics at half a request.
func TestASlowLine(t *testing.T) {
	x := &chip{protocol: "27.11"}
	x.room = 1
	s, _ := configure(t, x, gnss.Settings{Period: time.Second, Timeout: 50 * time.Millisecond, Attempts: 20})
	if s.Configuration != gnss.Configured || len(x.requests) != 2 {
		t.Errorf("%+v, %q", s, x.requests)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, c := range []struct {
		s  gnss.Settings
		ok bool
	}{
		{gnss.Settings{Period: 25 * time.Millisecond}, true}, {gnss.Settings{Period: 65535 * time.Millisecond}, true},
		{gnss.Settings{Period: 24 * time.Millisecond}, false}, {gnss.Settings{Period: 65536 * time.Millisecond}, false},
		{gnss.Settings{Period: -time.Second}, false}, {gnss.Settings{Period: 1}, false}, {gnss.Settings{Period: 100*time.Millisecond + 1}, false},
		{gnss.Settings{Port: ubx.USB + 1}, false},
	} {
		if err := gnss.New(nil, gnss.Options{}).Configure(c.s); (err == nil) != c.ok || err != nil && !errors.Is(err, hal.ErrRange) {
			t.Errorf("%+v: %v", c.s, err)
		}
	}
}

// failing is a line that takes nothing.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, nil }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestALineThatTakesNothing(t *testing.T) {
	s, took := configure(t, failing{}, gnss.Settings{})
	if !errors.Is(s.Err, hal.ErrNoAnswer) || took != 3*time.Second {
		t.Errorf("%+v after %v", s, took)
	}
	r := gnss.New(failing{hal.ErrGone}, gnss.Options{})
	if err := r.Poll(0); err != nil {
		t.Errorf("nothing is to be written, and %v", err)
	}
	if err := r.Configure(everything); err != nil {
		t.Fatal(err)
	}
	if err := r.Poll(0); !errors.Is(err, hal.ErrGone) || err.Error() != "gnss: write: the device is gone" {
		t.Errorf("%v", err)
	}
}

// A step configures without allocating.
func TestConfiguringAllocatesNothing(t *testing.T) {
	line := new(wire)
	line.written = make([]byte, 0, 1<<20)
	r := gnss.New(line, gnss.Options{})
	now := time.Duration(0)
	answers := slices.Concat(ubx.Append(nil, ubx.MonVersion, make([]byte, 70)), ubx.Append(nil, ubx.AckAck, []byte{0x06, 0x08}), ubx.Append(nil, ubx.AckAck, []byte{0x06, 0x01}))
	done := 0
	if n := testing.AllocsPerRun(50, func() {
		if r.Configure(everything) != nil {
			t.Fatal("it is not configured yet")
		}
		for range 40 {
			if r.Poll(now) != nil {
				t.Fatal("the line fails")
			}
			line.arriving = answers
			now += 10 * time.Millisecond
		}
		if r.Status(now).Configuration == gnss.Configured {
			done++
		}
	}); n != 0 || done != 51 {
		t.Errorf("%v allocations, %d times done", n, done)
	}
}
