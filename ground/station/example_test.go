package station_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground/station"
	"github.com/fulmar-io/fulmar/ground/store"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/file"
	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/frame"
	"github.com/fulmar-io/fulmar/telemetry/ledger"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// A station takes frames from links, and acknowledges each after its commit.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "ground-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	disk, err := env.NewOSDisk(dir)
	if err != nil {
		log.Fatal(err)
	}
	stick := filepath.Join(dir, "stick")
	if err := os.Mkdir(stick, 0o750); err != nil {
		log.Fatal(err)
	}
	receiver, err := file.Listen(stick, file.Options{})
	if err != nil {
		log.Fatal(err)
	}
	s, err := station.Open(ctx, station.Options{Disk: disk, IndexPath: filepath.Join(dir, "index.sqlite"), Receivers: []link.Receiver{receiver},
		Frames: store.FramesOptions{MinFree: 1}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { ended <- s.Run(runCtx) }()

	// A machine, at the other end, declares that a full ring cost it ten records.
	machine, err := file.Dialer{Dir: stick, Device: "rover"}.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	stream := telemetry.Stream{Device: "rover", Boot: telemetry.Boot{1}, Class: packet.Normal}
	lost := frame.AppendLost(nil, stream, 0, 10, ledger.Overflow)
	if err := machine.Send(ctx, link.Append(nil, link.Frame{Data: lost})); err != nil {
		log.Fatal(err)
	}
	reply, err := machine.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	m, err := link.Parse(reply)
	if err != nil {
		log.Fatal(err)
	}
	if ack, ok := m.(link.Ack); ok {
		fmt.Println("acknowledged below", ack.Prefix)
	}
	account, _ := s.Intake().Account("rover")
	fmt.Println("numbered", account.Numbered, "lost", account.Lost())
	stop()
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
	if err := machine.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// acknowledged below 10
	// numbered 10 lost 10
}
