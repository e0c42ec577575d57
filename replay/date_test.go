package replay_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/spool"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/recording/ulog/ulogtest"
	"github.com/fulmar-io/fulmar/replay"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// ground is a link's other end. It notes when frames arrive, and acknowledges them.
type ground struct {
	mu     sync.Mutex
	frames [][]byte
	at     []time.Time
}

func (g *ground) Dial(context.Context) (link.Conn, error) {
	return &conn{ground: g, acks: make(chan []byte, 1000), closed: make(chan struct{})}, nil
}
func (g *ground) String() string { return "test" }

type conn struct {
	*ground
	once   sync.Once
	acks   chan []byte
	closed chan struct{}
}

func (c *conn) Send(_ context.Context, message []byte) error {
	m, err := link.Parse(bytes.Clone(message))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := m.(link.Frame).Data
	c.frames, c.at = append(c.frames, f), append(c.at, time.Now())
	h, err := frame.Peek(f)
	c.acks <- link.Append(nil, link.Ack{Boot: h.Stream.Boot, Class: h.Stream.Class, Prefix: h.First + h.Count})
	return err
}

func (c *conn) Recv(ctx context.Context) ([]byte, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case b := <-c.acks:
		return b, nil
	case <-c.closed:
		return nil, link.ErrClosed
	}
}

func (c *conn) Close() error { c.once.Do(func() { close(c.closed) }); return nil }

// dated is a message, and how it arrived: when, and dated as what, since the replay began.
type dated struct {
	mono       int64 // ms
	at, dateAs time.Duration
}

// arrived dates what arrived as the ground does: by the arrival of the first frame and the latest time in it. It checks that
// nothing but layouts arrives first.
func (g *ground) arrived(t *testing.T, began time.Time) (list []dated) {
	t.Helper()
	dec := frame.NewDecoder(frame.Limits{})
	var catalog telemetry.Catalog
	catalog.Add(telemetry.LayoutRecords)
	var offset int64
	for i, b := range g.frames {
		blocks, err := dec.Decode(b, &catalog)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			offset = g.at[0].UnixNano() - dec.Header().MaxMono
		}
		for _, block := range blocks {
			if block.Layout == telemetry.LayoutRecords {
				for _, s := range block.Columns[0].Str {
					l, err := telemetry.ParseLayout([]byte(s))
					if err != nil {
						t.Fatal(err)
					}
					catalog.Add(l)
				}
				continue
			}
			if i == 0 {
				t.Fatal("a message arrives before the layouts")
			}
			for _, mono := range block.Mono {
				list = append(list, dated{mono / 1e6, g.at[i].Sub(began), time.Unix(0, mono+offset).Sub(began)})
			}
		}
	}
	return list
}

// recording makes a log of messages of two layouts in turn, at these times, in ms.
func recording(times ...int64) []byte {
	b := ulogtest.AppendHeader(nil, 0)
	for i, name := range []string{"imu", "gps"} {
		b = ulogtest.AppendMessage(b, 'F', name+":uint64_t timestamp;float[3] x;")
		b = ulogtest.AppendMessage(b, 'A', byte(0), uint16(i), name)
	}
	for i, ms := range times {
		b = ulogtest.AppendMessage(b, 'D', uint16(i%2), uint64(1000*ms), [3]float32{float32(ms)})
	}
	return b
}

// every returns the times from one to another, a step apart.
func every(step, from, to int64) (times []int64) {
	for ms := from; ms <= to; ms += step {
		times = append(times, ms)
	}
	return times
}

func send(t *testing.T, speed float64, times []int64) (list []dated, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g, began := &ground{}, time.Now()
		o := courier.Options{Spool: spool.Options{MinFree: 1}}
		o.Batch[packet.Normal.Index()].Records = 20 // full before the layouts are of age
		result, err := replay.Send(t.Context(), replay.Options{Device: "rover", Disk: simdisk.New(), Links: []link.Dialer{g}, Speed: speed,
			Courier: o, Linger: time.Second, Clock: since(began), Random: rand.Reader,
			Logger: slog.New(slog.DiscardHandler)}, bytes.NewReader(recording(times...)))
		if err != nil {
			t.Fatal(err)
		}
		if result.Messages != uint64(len(times)) {
			t.Errorf("%d messages of %d", result.Messages, len(times))
		}
		list, took = g.arrived(t, began), time.Since(began)
	})
	if len(list) != len(times) {
		t.Fatalf("%d messages arrived of %d", len(list), len(times))
	}
	return list, took
}

// since is a clock whose monotonic time counts from a moment.
type since time.Time

func (s since) Now() env.Time {
	return env.Time{Mono: int64(time.Since(time.Time(s))), Wall: time.Now().UnixNano()}
}

// The beginning is dated when the layouts have arrived, and the courier's clock ticks: these are from when a message is due.
const slack = 200 * time.Millisecond

// Whatever the speed, no message is dated after it was published, and the last one when it was; at the speed of life every one
// is dated so.
func TestNoMessageIsDatedIntoTheFuture(t *testing.T) {
	const first, last = 40_000, 60_000
	times := every(50, first, last)
	for _, speed := range []float64{0, 0.5, 1, 2, 10} {
		list, _ := send(t, speed, times)
		due := func(mono int64) time.Duration {
			if speed == 0 {
				return 0
			}
			return time.Duration(float64(mono-first)/speed) * time.Millisecond
		}
		for _, d := range list {
			if d.dateAs > d.at {
				t.Fatalf("speed %g: the message at %d ms arrives at %s and is dated %s", speed, d.mono, d.at, d.dateAs)
			}
			late := d.dateAs - due(d.mono)
			switch {
			case speed == 1 && late.Abs() > slack:
				t.Fatalf("live: the message at %d ms is dated %s, due at %s", d.mono, d.dateAs, due(d.mono))
			case late > slack:
				t.Fatalf("speed %g: the message at %d ms is dated %s, due at %s", speed, d.mono, d.dateAs, due(d.mono))
			case d.mono == last && speed != 0.5 && late < -slack, d.mono == first && speed == 0.5 && late < -slack:
				t.Fatalf("speed %g: the message at %d ms is dated %s before it is due", speed, d.mono, -late)
			}
		}
	}
}

// A gap in the recording is not waited for, and nothing behind it is dated into the future; a timestamp that is damaged moves
// neither the others' dates nor their pace.
func TestTimestampsThatDoNotFollow(t *testing.T) {
	const hour = 3_600_000
	gap := append(every(50, 1000, 3000), every(50, hour, hour+2000)...)
	damaged := append(append(every(50, 1000, 3000), 500*24*hour), every(50, 3050, 5000)...)
	for _, speed := range []float64{0, 1, 2} {
		list, took := send(t, speed, gap)
		for _, d := range list {
			if d.dateAs > d.at {
				t.Fatalf("speed %g: the message at %d ms behind a gap arrives at %s and is dated %s", speed, d.mono, d.at, d.dateAs)
			}
		}
		if took > 10*time.Second {
			t.Errorf("speed %g: with a gap it took %s", speed, took)
		}
		list, took = send(t, speed, damaged)
		for _, d := range list {
			if d.mono < hour && (d.dateAs > d.at || d.dateAs < -5*time.Second) {
				t.Fatalf("speed %g: beside a damaged timestamp the message at %d ms arrives at %s and is dated %s", speed, d.mono, d.at, d.dateAs)
			}
		}
		if took > 10*time.Second {
			t.Errorf("speed %g: with a damaged timestamp it took %s", speed, took)
		}
	}
	slow, _ := send(t, 0.1, []int64{0, 10_000, 20_000, hour, hour + 10_000})
	for _, d := range slow {
		if d.dateAs > d.at {
			t.Fatalf("slow: the message at %d ms arrives at %s and is dated %s", d.mono, d.at, d.dateAs)
		}
	}
	if list, _ := send(t, 0, []int64{hour}); len(list) != 1 || list[0].dateAs > list[0].at || list[0].dateAs < 0 {
		t.Errorf("one time only: %+v", list)
	}
}

// What can be read once only is not begun.
func TestARecordingIsReadTwice(t *testing.T) {
	pipe := struct {
		io.Reader
		io.Seeker
	}{bytes.NewReader(recording(1)), unseekable{}}
	if _, err := replay.Send(t.Context(), replay.Options{Device: "rover", Disk: simdisk.New()}, pipe); !errors.Is(err, errSeek) {
		t.Errorf("error %v", err)
	}
}

var errSeek = errors.New("illegal seek")

type unseekable struct{}

func (unseekable) Seek(int64, int) (int64, error) { return 0, errSeek }
