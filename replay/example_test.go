package replay_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/fulmar-io/fulmar/env/simdisk"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/file"
	"github.com/fulmar-io/fulmar/recording/ulog/ulogtest"
	"github.com/fulmar-io/fulmar/replay"
)

// A recording goes onto a stick, as a machine would put it there. Nobody has acknowledged it yet: it waits in the spool.
func Example() {
	flight := ulogtest.AppendHeader(nil, 0)
	flight = ulogtest.AppendMessage(flight, 'F', "imu:uint64_t timestamp;float[3] gyro;")
	flight = ulogtest.AppendMessage(flight, 'A', byte(0), uint16(1), "imu")
	for i := range 100 {
		flight = ulogtest.AppendMessage(flight, 'D', uint16(1), uint64(1000*i), [3]float32{float32(i)})
	}
	stick, err := os.MkdirTemp("", "stick-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(stick) }()
	result, err := replay.Send(context.Background(), replay.Options{Device: "rover", Disk: simdisk.New(), Links: []link.Dialer{file.Dialer{Dir: stick, Device: "rover"}},
		Random: rand.Reader, Logger: slog.New(slog.DiscardHandler)}, bytes.NewReader(flight))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Messages, "messages,", result.Readings, "readings")
	fmt.Println(result.Account.Numbered, "numbered with their layout,", result.Account.Waiting, "waiting,", result.Account.Lost(), "lost")
	// Output:
	// 100 messages, 300 readings
	// 101 numbered with their layout, 101 waiting, 0 lost
}
