package linktest_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/file"
	"github.com/fulmar-io/fulmar/link/grpc"
	"github.com/fulmar-io/fulmar/link/linktest"
	"github.com/fulmar-io/fulmar/link/mqtt"
	"github.com/fulmar-io/fulmar/link/nats"
)

// BenchmarkThereAndBack: a frame of 16 KiB to the ground and an answer, one at a time, over the embedded broker, over gRPC
// and over a folder.
func BenchmarkThereAndBack(b *testing.B) {
	server, err := broker.Start(broker.Options{MQTT: "127.0.0.1:0", NATS: "127.0.0.1:0", Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	embedded := func() (link.Receiver, error) { return server.Receiver() }
	dir, direct := b.TempDir(), linktest.Unused(b)
	for _, c := range []struct {
		name   string
		dialer link.Dialer
		listen func() (link.Receiver, error)
	}{
		{"mqtt", mqtt.Dialer{URL: server.MQTT(), Device: device}, embedded},
		{"nats", nats.Dialer{URL: server.NATS(), Device: device}, embedded},
		{"grpc", grpc.Dialer{URL: "grpc://" + direct, Device: device}, func() (link.Receiver, error) { return grpc.Listen(direct, grpc.Options{}) }},
		{"file", file.Dialer{Dir: dir, Device: device, Options: file.Options{Poll: 100 * time.Microsecond}},
			func() (link.Receiver, error) { return file.Listen(dir, file.Options{Poll: 100 * time.Microsecond}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			r, err := c.listen()
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = r.Close() }()
			conn, err := c.dialer.Dial(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			message := make([]byte, 16<<10)
			b.SetBytes(int64(len(message)))
			for b.Loop() {
				if err := conn.Send(b.Context(), message); err != nil {
					b.Fatal(err)
				}
				m, err := r.Recv(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if err := r.Send(b.Context(), m.Device, message[:40]); err != nil {
					b.Fatal(err)
				}
				if _, err := conn.Recv(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
