package linktest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar"
	"github.com/fulmar-io/fulmar/courier"
	"github.com/fulmar-io/fulmar/courier/batch"
	"github.com/fulmar-io/fulmar/courier/delivery"
	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/ground/station"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/internal/testbroker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/file"
	"github.com/fulmar-io/fulmar/link/grpc"
	"github.com/fulmar-io/fulmar/link/linktest"
	"github.com/fulmar-io/fulmar/link/mqtt"
	"github.com/fulmar-io/fulmar/link/nats"
	"github.com/fulmar-io/fulmar/link/serial"
	"github.com/fulmar-io/fulmar/ring"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

const (
	device  = "rover-1"
	records = 3000 // of each class
)

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestDelivery: a courier and a ground over each carrier, which loses, duplicates and reorders messages and is cut in
// between: the ground has every record, and has it once.
func TestDelivery(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	for _, c := range []struct {
		name string
		open func(t *testing.T) (link.Dialer, link.Receiver, *linktest.Proxy)
	}{
		{"mqtt embedded", func(t *testing.T) (link.Dialer, link.Receiver, *linktest.Proxy) {
			b := must[*broker.Broker](t)(broker.Start(broker.Options{MQTT: "127.0.0.1:0", Dir: t.TempDir(), Log: quiet}))
			t.Cleanup(func() { _ = b.Close() })
			p := linktest.NewProxy(t, b.MQTT()[len("mqtt://"):])
			return mqtt.Dialer{URL: "mqtt://" + p.Address(), Device: device}, must[link.Receiver](t)(b.Receiver()), p
		}},
		{"nats embedded", func(t *testing.T) (link.Dialer, link.Receiver, *linktest.Proxy) {
			b := must[*broker.Broker](t)(broker.Start(broker.Options{MQTT: "127.0.0.1:0", NATS: "127.0.0.1:0", Dir: t.TempDir(), Log: quiet}))
			t.Cleanup(func() { _ = b.Close() })
			p := linktest.NewProxy(t, b.NATS()[len("nats://"):])
			return nats.Dialer{URL: "nats://" + p.Address(), Device: device}, must[link.Receiver](t)(b.Receiver()), p
		}},
		{"mqtt mosquitto", func(t *testing.T) (link.Dialer, link.Receiver, *linktest.Proxy) {
			m := testbroker.StartMosquitto(t)
			p := linktest.NewProxy(t, m.Address)
			r := must[*mqtt.Receiver](t)(mqtt.Listen(t.Context(), m.URL(), "grounds", mqtt.Options{Version: mqtt.V5, Logger: quiet}))
			return mqtt.Dialer{URL: "mqtt://" + p.Address(), Device: device, Version: mqtt.V5}, r, p
		}},
		{"grpc", func(t *testing.T) (link.Dialer, link.Receiver, *linktest.Proxy) {
			r := must[*grpc.Receiver](t)(grpc.Listen("127.0.0.1:0", grpc.Options{Logger: quiet}))
			p := linktest.NewProxy(t, r.String()[len("grpc://"):])
			return grpc.Dialer{URL: "grpc://" + p.Address(), Device: device}, r, p
		}},
		{"file", func(t *testing.T) (link.Dialer, link.Receiver, *linktest.Proxy) {
			dir, o := t.TempDir(), file.Options{Poll: 2 * time.Millisecond, Logger: quiet}
			return file.Dialer{Dir: dir, Device: device, Options: o}, must[*file.Receiver](t)(file.Listen(dir, o)), nil
		}},
		{"serial", func(t *testing.T) (link.Dialer, link.Receiver, *linktest.Proxy) {
			l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0")) // a terminal server's
			t.Cleanup(func() { _ = l.Close() })
			p := linktest.NewProxy(t, l.Addr().String())
			o := serial.Options{Baud: serial.MaxBaud, Logger: quiet}
			o.Open = func(context.Context) (io.ReadWriteCloser, error) { return net.Dial("tcp", p.Address()) }
			d := serial.Dialer{Path: "line", Device: device, Options: o}
			o.Open = func(ctx context.Context) (io.ReadWriteCloser, error) {
				stop := context.AfterFunc(ctx, func() { _ = l.Close() })
				defer stop()
				return l.Accept()
			}
			return d, must[*serial.Receiver](t)(serial.Listen("line", o)), p
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dialer, receiver, proxy := c.open(t)
			lossy := linktest.Lossy(dialer, linktest.Luck{Seed: 1, Lose: 0.15, Duplicate: 0.15, Reorder: 0.2})
			frames := t.TempDir()
			status := deliver(t, lossy, receiver, proxy, frames)
			var repeats uint64
			for _, l := range status.Links {
				repeats += l.Repeats
			}
			if repeats == 0 {
				t.Error("no frame was sent again: the link lost nothing, and the test shows nothing")
			}
			for i, a := range status.Accounts {
				if a.Waiting != 0 || a.Lost() != 0 || a.Delivered != a.Numbered || a.Numbered < records {
					t.Errorf("class %s at the machine: %+v", packet.ClassAt(i), a)
				}
			}
			once(t, frames)
		})
	}
}

var layout = &telemetry.Layout{Name: "counter", Kind: telemetry.Reading, Fields: []telemetry.Field{{Name: "id", Type: packet.Uint64}}}

// deliver publishes, and returns what the courier came to when the ground had acknowledged everything.
func deliver(t *testing.T, d link.Dialer, r link.Receiver, proxy *linktest.Proxy, frames string) courier.Status {
	quiet := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ground := must[*station.Station](t)(station.Open(ctx, station.Options{Disk: must[*env.OSDisk](t)(env.NewOSDisk(frames)),
		IndexPath: filepath.Join(frames, "index.sqlite"), Receivers: []link.Receiver{r}, Logger: quiet}))
	groundCtx, stopGround := context.WithCancel(ctx)
	groundEnded := make(chan error, 1)
	go func() { groundEnded <- ground.Run(groundCtx) }()

	limits := batch.Limits{Records: 25, Age: 5 * time.Millisecond}
	c := must[*courier.Courier](t)(courier.Open(courier.Options{Device: device, Disk: must[*env.OSDisk](t)(env.NewOSDisk(t.TempDir())),
		Batch: [packet.Classes]batch.Limits{limits, limits, limits},
		Delivery: delivery.Options{Links: make([]delivery.Link, 1), InFlightFrames: 32, AckTimeout: 100 * time.Millisecond,
			BackoffBase: 10 * time.Millisecond, BackoffCap: 100 * time.Millisecond}}, rand.New(rand.NewPCG(1, 2))))
	boot := telemetry.Boot{1, 2, 3}
	if err := c.Begin(boot); err != nil {
		t.Fatal(err)
	}
	region := must[*ring.Region](t)(ring.Create("", ring.Options{Device: device, Boot: boot, Producers: 2, Capacity: 1 << 20}))
	if err := c.Attach(region, 0); err != nil {
		t.Fatal(err)
	}
	clock := env.SystemClock{}
	runner := &courier.Runner{Courier: c, Links: []link.Dialer{d}, Now: func() time.Duration { return time.Duration(clock.Now().Mono) },
		Poll: time.Millisecond, Linger: 30 * time.Second, Logger: quiet}
	runCtx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(runCtx) }()
	publish(t, ctx, must[*fulmar.Publisher](t)(fulmar.NewPublisher(region, 1, nil)), proxy)
	stop()
	err := <-ended
	stopGround()
	if err = errors.Join(err, <-groundEnded, c.Close(), region.Close()); err != nil {
		t.Fatal(err)
	}
	return runner.Status()
}

// publish publishes the records of all classes, and cuts the network now and then.
func publish(t *testing.T, ctx context.Context, p *fulmar.Publisher, proxy *linktest.Proxy) {
	var w packet.Writer
	b := must[[]byte](t)(telemetry.AppendDefinition(&w, layout, packet.Urgent, 1, 0))
	if err := p.PublishWait(ctx, telemetry.Record{Layout: telemetry.LayoutRecords, Packet: b}); err != nil {
		t.Fatal(err)
	}
	for i := range records * packet.Classes {
		w.Reset(nil, packet.Header{Layout: uint64(layout.ID()), Mono: int64(i), Class: packet.ClassAt(i % packet.Classes)})
		w.Uint64(uint64(i))
		if err := p.PublishWait(ctx, telemetry.Record{Layout: layout, Packet: must[[]byte](t)(w.Bytes())}); err != nil {
			t.Fatal(err)
		}
		if proxy != nil && i%records == records/2 {
			proxy.Cut()
		}
	}
}

// once reads what the ground stored: each id is there exactly once.
func once(t *testing.T, dir string) {
	log := must[*store.Frames](t)(store.OpenFrames(must[*env.OSDisk](t)(env.NewOSDisk(dir)), "frames", store.FramesOptions{}))
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	var catalog telemetry.Catalog
	catalog.Add(layout)
	seen := make([]int, records*packet.Classes)
	decoder := frame.NewDecoder(frame.Limits{})
	for i := log.First(); i < log.Next(); i++ {
		_, data, err := log.Read(i)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := decoder.Decode(bytes.Clone(data), &catalog)
		var unknown *frame.UnknownLayoutsError
		if err != nil && !errors.As(err, &unknown) {
			t.Fatal(err)
		}
		for _, b := range blocks {
			if b.Layout.ID() == layout.ID() {
				for _, id := range b.Columns[0].U64 {
					seen[id]++
				}
			}
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Fatalf("record %d is stored %d times", id, n)
		}
	}
}
